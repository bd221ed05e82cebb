"""A real schema registry as one native process: Apicurio from Maven Central, with its schemas in a file, so that ids outlive a restart.

The same version and storage as the container of the profile ``registry``.
"""

from __future__ import annotations

import fcntl
import os
import tarfile
import tempfile
from pathlib import Path

from compose.native import debian, jars
from config.settings import Settings

VERSION = "2.6.13.Final"
ARTIFACT = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"  # 142 MB
API = "/apis/ccompat/v7"  # Confluent's API
READY_PATH = "/health/ready"
JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def fetch(into: Path) -> Path:
    """Make sure that ``into`` holds the registry's jars; downloaded once, however many processes ask.

    Raises:
        TidemarkError: Maven is missing or cannot download.
    """
    into = into.resolve()
    complete = into / VERSION
    into.mkdir(parents=True, exist_ok=True)
    with (into / ".lock").open("w") as lock, tempfile.TemporaryDirectory(dir=into, prefix=".part-") as name:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.is_dir():
            _download(Path(name))
            (Path(name) / "app").rename(complete)
    return complete


def _download(folder: Path) -> None:
    goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
    debian.run(
        [jars.find("mvn", "maven"), "-q", "-B", goal, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}"],
        "downloading the Apicurio registry from Maven Central",
        "check the network, or Maven's proxy in ~/.m2/settings.xml, and run again",
    )
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder / "app", filter="data")


def command(settings: Settings, libs: Path) -> list[str]:
    """The command line of the registry; ``fetch`` gives ``libs``."""
    address = (f"-Dquarkus.http.host={settings.bind}", f"-Dquarkus.http.port={settings.schema_registry_port}")
    classes = os.pathsep.join((f"{libs}/*", f"{libs}/lib/*"))
    return [jars.java(), *JVM, *address, "-cp", classes, "io.quarkus.runner.GeneratedMain"]


def environment(settings: Settings) -> dict[str, str]:
    """The variables that the registry needs: where its schemas are."""
    return {"REGISTRY_DATASOURCE_URL": f"jdbc:h2:file:{settings.under_home('registry', 'data')}"}
