"""Debian's Alertmanager made to run from where it was unpacked, without root."""

from __future__ import annotations

import shutil
from pathlib import Path

from config.errors import TidemarkError

_FIXED = b"/usr/share/prometheus/alertmanager"
_HERE = b"./" * (len(_FIXED) // 2)


def relocate_alertmanager(unpacked: Path, into: Path) -> Path:
    """Copy the program and its default templates from ``unpacked`` (the root of a ``dpkg-deb -x``) into the folder ``into``.

    Debian's build opens its templates at a fixed path. Unpacked, that path is not there and Alertmanager answers but never sends, so the
    copy looks in its working directory: the path is replaced by a relative one of the same length. Start it with ``into`` as working
    directory. A build without the fixed path is copied as it is.

    Returns:
        The program to start.

    Raises:
        TidemarkError: the package's files are not below ``unpacked``.
    """
    binary = unpacked / "usr" / "bin" / "prometheus-alertmanager"
    templates = unpacked / "usr" / "share" / "prometheus" / "alertmanager"
    if not binary.is_file() or not templates.is_dir():
        raise TidemarkError(f"no unpacked prometheus-alertmanager below {unpacked}", "remove that folder and run again")
    into.mkdir(parents=True, exist_ok=True)
    for template in templates.glob("*.tmpl"):
        shutil.copyfile(template, into / template.name)
    program, part = into / "alertmanager", into / ".alertmanager.part"
    part.write_bytes(binary.read_bytes().replace(_FIXED, _HERE))
    part.chmod(0o755)
    part.replace(program)  # a running copy keeps its old file
    return program
