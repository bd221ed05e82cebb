"""Java and the jars of the native broker: found, or fetched once from Maven Central."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from compose.native import debian
from config.errors import TidemarkError

POM = Path(__file__).with_name("pom.xml")
MINIMUM_JAVA = 17
REMEDY = "install them (Debian: apt-get install openjdk-17-jre-headless maven), or set TIDEMARK_BOOTSTRAP_SERVERS to a broker of your own"


def _version_of(java: str) -> int:
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else 0


def find(program: str, package: str) -> str:
    """The path of a program; as root on Debian it is installed when missing."""
    path = shutil.which(program)
    if path is None and debian.can_install():
        debian.install([package])
        path = shutil.which(program)
    if path is None:
        raise TidemarkError(f"{program} is not installed: the native Kafka broker needs Java {MINIMUM_JAVA} or later and Maven", REMEDY)
    return path


def java() -> str:
    """The path of a Java that can run the broker.

    Raises:
        TidemarkError: there is none, or it is too old.
    """
    path = find("java", "openjdk-17-jre-headless")
    version = _version_of(path)
    if version < MINIMUM_JAVA:
        raise TidemarkError(f"{path} is Java {version}: the native Kafka broker needs {MINIMUM_JAVA} or later", REMEDY)
    return path


def _is_complete(stamp: Path, wanted: str) -> bool:
    return stamp.is_file() and stamp.read_text(encoding="ascii") == wanted


def fetch(libs: Path) -> Path:
    """Make sure that ``libs`` holds the jars of ``pom.xml``, complete and of the versions it names now.

    Raises:
        TidemarkError: Maven is missing or cannot download.
    """
    libs = libs.resolve()  # installations may share one folder by a link
    wanted = hashlib.sha256(POM.read_bytes()).hexdigest()
    stamp = libs / "pom.sha256"
    if _is_complete(stamp, wanted):
        return libs
    libs.parent.mkdir(parents=True, exist_ok=True)
    with libs.with_name(".jars.lock").open("w") as lock, tempfile.TemporaryDirectory(dir=libs.parent, prefix=".jars-") as name:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_complete(stamp, wanted):  # by another process, while this one waited
            return libs
        part = Path(name) / "libs"
        _copy_dependencies(part)
        (part / stamp.name).write_text(wanted, encoding="ascii")
        shutil.rmtree(libs, ignore_errors=True)
        part.rename(libs)
    return libs


def _copy_dependencies(into: Path) -> None:
    goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
    debian.run(
        [find("mvn", "maven"), "-q", "-B", "-f", str(POM), goal, "-DincludeScope=runtime", f"-DoutputDirectory={into}"],
        "downloading the Kafka broker from Maven Central",
        "check the network, or Maven's proxy in ~/.m2/settings.xml, and run again",
    )
