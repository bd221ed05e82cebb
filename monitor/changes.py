"""What changed in a drifted column, in a few words from counts. Texts hold users' names as they are: whoever shows them escapes them."""

from __future__ import annotations

import json
import math

from monitor.statistics.profiles import CategoryProfile, Sample
from monitor.values import Category, Counts
from schemas.result import Hint

SHOWN = 3  # categories named in one text
LONGEST = 60  # characters of a category's name
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
UNIT_SPREAD = 1.1  # quantiles scaled alike within 10 % are one factor
UNIT_FACTOR = 1.5  # and a factor nearer to 1 is a shift, not a unit
BROKEN_NULLS = 0.1  # and one this great tells of a data break
FILLED = 0.1  # of the values: a share of one value that the reference hardly has, such as 0 or -999 in place of what is missing
HARDLY = 0.01
STRANGE = 0.5  # of the values outside the reference's range, or in categories that it does not have
VISIBLE_NULLS = 0.01  # a change of the null share below this is not mentioned


def number(value: float) -> str:
    """Four significant digits without exponent where that is short: 12345.6 → 12,350, 0.00012 → 0.00012, 3e20 → 3e+20."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if abs(value) >= 1e9 or abs(value) < 1e-4:
        return f"{value:.3e}".replace("e+0", "e+").replace("e-0", "e-")
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    text = f"{round(value, 3 - math.floor(math.log10(abs(value)))):,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """A share as percent with three digits: 0.1234 → 12.3 %, 0.00004 → 0.004 %."""
    return f"{number(float(f'{share * 100:.3g}'))} %"


def quoted(category: Category) -> str:
    """A category in double quotes on one line, cut after 60 characters."""
    text = str(category)
    return json.dumps(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…", ensure_ascii=False)


def category_changes(reference: CategoryProfile, window: Counts) -> tuple[str, ...]:
    """New and vanished categories with their shares, then the greatest shifts between categories that both have."""
    size = sum(window.values())
    ours = {c: n / reference.size for c, n in zip(reference.categories, reference.counts.tolist(), strict=True)}
    theirs = {c: n / size for c, n in window.items()}
    texts = [
        _listed("new", {c: s for c, s in theirs.items() if c not in ours}),
        _listed("vanished", {c: s for c, s in ours.items() if c not in theirs}),
    ]
    moved = sorted(
        ((c, s, theirs[c]) for c, s in ours.items() if c in theirs and theirs[c] != s), key=lambda m: (-abs(m[2] - m[1]), str(m[0]))
    )
    texts += [f"share of {quoted(c)} {percent(before)} → {percent(after)}" for c, before, after in moved[:SHOWN]]
    return tuple(text for text in texts if text)


def _listed(word: str, shares: dict[Category, float]) -> str:
    if not shares:
        return ""
    most = sorted(shares.items(), key=lambda item: (-item[1], str(item[0])))
    names = ", ".join(f"{quoted(c)} {percent(s)}" for c, s in most[:SHOWN])
    rest = f" and {len(most) - SHOWN} more" if len(most) > SHOWN else ""
    noun = "category" if len(most) == 1 else "categories"
    return f"{len(most)} {word} {noun}, {percent(sum(shares.values()))} of rows: {names}{rest}"


def category_hint(reference: CategoryProfile, window: Counts) -> Hint:
    """``data break`` where one category is left of several, or most values are new ones (another coding); else the population changed."""
    new = {c: n for c, n in window.items() if c not in reference.position}
    respelt = {str(c).strip().casefold() for c in reference.position} & {str(c).strip().casefold() for c in new}
    constant = len(window) == 1 and len(reference.position) > 1 and max(reference.counts) < (1 - HARDLY) * reference.size
    strange = sum(new.values()) >= STRANGE * sum(window.values())
    return "data break" if constant or strange or respelt else "population change"


def number_hint(reference: Sample, window: Sample) -> Hint:
    """``data break`` where all numbers are one, one that the reference hardly has fills many places, most lie outside its range, or all
    quantiles are scaled alike (another unit); else the population changed.
    """
    ours, theirs = [quantile(reference, q) for q in QUANTILES], [quantile(window, q) for q in QUANTILES]
    constant = len(window.points) == 1 < len(reference.points)
    most = int(window.counts.argmax())
    at = int(reference.points.searchsorted(window.points[most]))
    known = at < len(reference.points) and reference.points[at] == window.points[most]
    before = reference.counts[at] / reference.size if known else 0.0
    filled = before < HARDLY and window.counts[most] >= FILLED * window.size and window.size >= 1 / HARDLY
    outside = (window.points < reference.points[0]) | (window.points > reference.points[-1])
    strange = window.counts[outside].sum() >= STRANGE * window.size
    return "data break" if constant or filled or strange or _unit(ours, theirs) else "population change"


def quantile(values: Sample, share: float) -> float:
    """The smallest value that at least ``share`` of the numbers do not exceed."""
    rank = max(math.ceil(share * values.size), 1)
    return float(values.values[values.cumulative[1:].searchsorted(rank, "left")])


def mean(values: Sample) -> float:
    """The arithmetic mean."""
    return float((values.points * values.counts).sum() / values.size)


def number_changes(reference: Sample, window: Sample) -> tuple[str, ...]:
    """Mean, median and the middle 90 % from–to; values beyond the reference's range; one factor for all quantiles."""
    ours, theirs = [quantile(reference, q) for q in QUANTILES], [quantile(window, q) for q in QUANTILES]
    texts = [shift("mean", mean(reference), mean(window)), shift("median", ours[2], theirs[2])]
    if (ours[0], ours[-1]) != (theirs[0], theirs[-1]):
        texts.append(f"5–95 % of values {number(ours[0])} to {number(ours[-1])} → {number(theirs[0])} to {number(theirs[-1])}")
    return tuple(text for text in (*texts, _range(reference, window), _unit(ours, theirs)) if text)


def shift(name: str, before: float, after: float) -> str:
    """``name before → after``, empty where both look alike."""
    return "" if number(before) == number(after) else f"{name} {number(before)} → {number(after)}"


def _range(reference: Sample, window: Sample) -> str:
    low, high = float(reference.points[0]), float(reference.points[-1])
    outside = int(window.counts[(window.points < low) | (window.points > high)].sum())
    if not outside:
        return ""
    reach = f"{number(float(window.points[0]))} to {number(float(window.points[-1]))}"
    return f"{percent(outside / window.size)} of values outside the reference's range {number(low)} to {number(high)} (now {reach})"


def _unit(ours: list[float], theirs: list[float]) -> str:
    pairs = [(before, after) for before, after in zip(ours, theirs, strict=True) if before and after]
    if len(pairs) < 3 or len({before for before, _ in pairs}) < 3:
        return ""
    factors = sorted(after / before for before, after in pairs)
    factor = factors[len(factors) // 2]
    alike = factors[0] > 0 and factors[-1] / factors[0] <= UNIT_SPREAD
    return f"every quantile ×{number(factor)}, as by another unit" if alike and not 1 / UNIT_FACTOR < factor < UNIT_FACTOR else ""


def null_change(before: float, nulls: int, rows: int) -> tuple[str, ...]:
    """The share of rows without a value, from–to, where it changed by a hundredth of the rows or more."""
    after = nulls / rows
    return (f"nulls {percent(before)} → {percent(after)} of rows",) if abs(after - before) >= VISIBLE_NULLS else ()
