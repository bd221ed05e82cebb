"""Column names survive the wire."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.names import mangle, unmangle

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.text("a_A9 é(", max_size=12)


@given(TEXT)
def test_a_name_comes_back_true(name: str) -> None:
    """Any column name is the same after mangling and back, and the mangled one is an Avro name."""
    avro = mangle(name)
    assert unmangle(avro) == name
    assert avro[0].isalpha() or avro[0] == "_"
    assert all(c.isascii() and (c.isalnum() or c == "_") for c in avro)


@given(TEXT, TEXT)
def test_two_names_never_meet(one: str, other: str) -> None:
    """Different columns have different Avro names."""
    assert (mangle(one) == mangle(other)) == (one == other)
