"""Fitted references kept beside their datasets, so that a restart maps them into memory instead of sorting millions of values anew.

A file is a pickle (protocol 5) with its arrays out of band: they lie in the file as they lie in memory, and processes that map it share
them. It is ours alone, written below TIDEMARK_HOME, and made anew whenever dataset, spec, code or packages are not those it was made of.
"""

from __future__ import annotations

import hashlib
import json
import logging
import mmap
import os
import pickle
import struct
import tempfile
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

from config.spec import ModelSpec
from monitor.calibration.fit import Progress
from monitor.reference import ReferenceProfile, load_reference

log = logging.getLogger(__name__)
MAGIC = b"tidemark profile\n"
ALIGNMENT = 64  # of each array, as NumPy likes them
_PACKAGES = ("numpy", "polars", "scipy")


def stored_reference(spec: ModelSpec, path: Path, progress: Progress | None = None) -> ReferenceProfile:
    """``load_reference``, from the stored profile where there is one of this very dataset, spec and code.

    The dataset counts as the same while its size and modification time are; its values are read and fingerprinted when it is fitted.

    Raises:
        ReferenceDataError, SpecError: as ``load_reference`` does.
    """
    try:
        found = path.stat()
    except OSError:
        return load_reference(spec, path, progress)  # which says what is wrong
    key = _key(spec, found.st_size, found.st_mtime_ns)
    stored = path.with_name(f"{path.name}.{spec.model}.profile")
    profile = _read(stored, key, path)
    if profile is None:
        profile = load_reference(spec, path, progress)
        _write(stored, key, profile)
    return profile


def _key(spec: ModelSpec, size: int, changed_ns: int) -> bytes:
    """What a stored profile must have been made of; 32 bytes."""
    facts = [spec.model_dump(mode="json"), size, changed_ns, _code(), [version(p) for p in _PACKAGES]]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).digest()


@cache
def _code() -> str:
    """A digest of the code that fits: whoever changes it need not remember to raise a version."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _read(stored: Path, key: bytes, path: Path) -> ReferenceProfile | None:
    """The stored profile, its arrays mapped and read-only; None when there is none of this key."""
    try:
        with stored.open("rb") as file:
            view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        head = len(MAGIC) + len(key)
        if view[:head] != MAGIC + key:
            return None
        (count,) = struct.unpack_from("<q", view, head)
        places = struct.iter_unpack("<qq", view[head + 8 : head + 8 + 16 * count])
        body, *buffers = (view[at : at + size] for at, size in places)
        profile: ReferenceProfile = pickle.loads(body, buffers=buffers)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, struct.error, pickle.UnpicklingError, EOFError, AttributeError, TypeError) as error:
        log.warning("the stored profile %s cannot be read and is made anew: %s", stored, error)
        return None
    return replace(profile, path=path, columns=MappingProxyType(profile.columns), types=MappingProxyType(profile.types))


def _write(stored: Path, key: bytes, profile: ReferenceProfile) -> None:
    """Store a profile, all or nothing; a disk that is full or read-only costs the next start's time, no more."""
    arrays: list[pickle.PickleBuffer] = []
    plain = replace(profile, columns=dict(profile.columns), types=dict(profile.types))
    parts: list[bytes | memoryview] = [pickle.dumps(plain, protocol=5, buffer_callback=arrays.append), *(a.raw() for a in arrays)]
    places, at = [], len(MAGIC) + len(key) + 8 + 16 * len(parts)
    for part in parts:
        at += -at % ALIGNMENT
        places.append((at, len(part)))
        at += len(part)
    try:
        handle, name = tempfile.mkstemp(dir=stored.parent, prefix=f".{stored.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(MAGIC + key + struct.pack("<q", len(parts)) + b"".join(struct.pack("<qq", *p) for p in places))
                for (start, _), part in zip(places, parts, strict=True):
                    file.write(b"\0" * (start - file.tell()))
                    file.write(part)
            Path(name).replace(stored)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        log.warning("the profile of %s cannot be stored: %s", profile.path, error)
