"""Sorts records by the framing header that says which schema they were written with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.framing import CONFLUENT_HEADER, CONFLUENT_MAGIC, SINGLE_OBJECT_HEADER, SINGLE_OBJECT_MAGIC
from streams.decode.buffer import Buffer, IntArray

_SINGLE_OBJECT = int.from_bytes(SINGLE_OBJECT_MAGIC, "little")
_CONFLUENT = CONFLUENT_MAGIC[0]


def by_header(buffer: Buffer, places: IntArray) -> Iterator[tuple[bytes, IntArray]]:
    """Each header with the places, ascending, of the records that have it; ``b""`` for those without a framing."""
    starts, lengths = buffer.starts[places], buffer.lengths[places]
    magic, fingerprint = buffer.load("<u2", starts), buffer.load("<u8", starts + 2)
    single = (magic == _SINGLE_OBJECT) & (lengths >= SINGLE_OBJECT_HEADER)
    if len(places) and single.all() and (fingerprint == fingerprint[0]).all():  # the usual case
        yield SINGLE_OBJECT_MAGIC + fingerprint[:1].tobytes(), places
        return
    confluent = (magic & 0xFF == _CONFLUENT) & (lengths >= CONFLUENT_HEADER)
    schema_id = buffer.load("<u4", starts + 1)
    for framed, keys, size in ((single, fingerprint, SINGLE_OBJECT_HEADER), (confluent, schema_id, CONFLUENT_HEADER)):
        for part in _groups(keys[framed], places[framed]):
            start = buffer.starts[part[0]]
            yield buffer.data[start : start + size].tobytes(), part
    if len(rest := places[~(single | confluent)]):
        yield b"", rest


def _groups(keys: npt.NDArray[Any], places: IntArray) -> list[IntArray]:
    """Places of equal keys together, each part in its old order."""
    if not len(keys):
        return []
    order = np.argsort(keys, kind="stable")
    return np.split(places[order], np.flatnonzero(np.diff(keys[order])) + 1)
