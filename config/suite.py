"""One test of the suite that a spec puts each window through."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Bound = Annotated[float, Field(allow_inf_nan=False)]
TestName = Literal[
    "data_stability",  # a preset: column_count, column_types and the four tests of columns
    "row_count",
    "column_count",
    "column_types",
    "drifted_columns",
    "drifted_columns_share",
    "columns_with_nulls",
    "rows_with_nulls",
    "rows_with_nulls_share",
    "constant_columns",
    "duplicated_rows",
    "duplicated_rows_share",
    "duplicated_columns",
    "null_share",
    "out_of_range_share",
    "new_category_share",
    "mean_stability",
]
# Tests of one column after the other, and the kind of column they are of.
COLUMN_TESTS: dict[TestName, tuple[str, ...]] = {
    "null_share": ("numerical", "categorical", "text", "embedding"),
    "out_of_range_share": ("numerical",),
    "new_category_share": ("categorical",),
    "mean_stability": ("numerical",),
}


class TestSpec(BaseModel):
    """One test of the suite that each window goes through. Bounds are on the value that the test is named after; without any,
    the reference's own value gives them, as in Evidently. A failed test that is not ``critical`` is a WARNING.
    """

    __test__ = False  # not a pytest class
    model_config = ConfigDict(extra="forbid", frozen=True)

    test: TestName
    columns: tuple[str, ...] = ()  # of a test of columns; without any, all features of the test's kind
    eq: Bound | None = None
    gt: Bound | None = None
    gte: Bound | None = None
    lt: Bound | None = None
    lte: Bound | None = None
    critical: bool = True

    @property
    def bounds(self) -> dict[str, float]:
        """The bounds that are set, by name."""
        found = {"eq": self.eq, "gt": self.gt, "gte": self.gte, "lt": self.lt, "lte": self.lte}
        return {name: bound for name, bound in found.items() if bound is not None}

    @model_validator(mode="after")
    def _bounds_and_columns_fit(self) -> TestSpec:
        if self.bounds and self.test in ("data_stability", "column_types"):
            raise ValueError(f"test {self.test} takes no bounds: leave {', '.join(self.bounds)} out, or bound a test that it is made of")
        if not self.bounds and self.test == "row_count":
            raise ValueError("test row_count needs a bound, such as gte: a window is not as large as the reference")
        if self.columns and self.test not in COLUMN_TESTS:
            raise ValueError(f"test {self.test} is of the whole window: leave columns out; tests of columns: {', '.join(COLUMN_TESTS)}")
        return self
