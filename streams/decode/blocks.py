"""One record's numbers and arrays, read byte by byte (Avro 1.11, "Binary Encoding"); ``cursor.py`` reads those of many records at once."""

from __future__ import annotations

DOUBLE = 8  # bytes


def number(body: bytes, at: int) -> tuple[int, int]:
    """A number (zigzag, seven bits a byte) and where it ends.

    Raises:
        IndexError: the body ends before it does.
        ValueError: it has more than 64 bits.
    """
    raw = 0
    for k in range(10):
        byte = body[at + k]
        raw |= (byte & 0x7F) << (7 * k)
        if byte < 0x80:
            if raw >= 2**64:
                break
            return (raw >> 1) ^ -(raw & 1), at + k + 1
    raise ValueError("a number does not fit into 64 bits")


def blocks(body: bytes, at: int) -> tuple[list[tuple[int, int]], int]:
    """Where an array of doubles has its items, as ``(begin, count)`` of each block, and where it ends.

    A block is its count and its items; below zero the count means as many items, after their size in bytes. A count of 0 ends the array.
    Nothing is allocated for a count that the body has no bytes for.

    Raises:
        IndexError: the body ends before the array does.
        ValueError: a number does not fit into 64 bits, or a block's size in bytes is not that of its doubles.
    """
    found: list[tuple[int, int]] = []
    while True:
        count, at = number(body, at)
        if count == 0:
            return found, at
        if count < 0:
            count = -count
            size, at = number(body, at)
            if size != DOUBLE * count:
                raise ValueError(f"a block of {count} doubles has {size} bytes")
        found.append((at, count))
        at += DOUBLE * count
        if at > len(body):
            raise IndexError
