"""Text columns: what is measured of a text, how it is judged, and what is said of it; Evidently's own text methods."""

import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from evidently.legacy.calculations.stattests.registry import get_stattest
from evidently.legacy.core import ColumnType
from evidently.legacy.utils import data_drift_utils

from config.errors import SpecError
from config.spec import ModelSpec
from monitor import text
from monitor.drift import data_definition, evidently_snapshot
from monitor.evaluate import evaluate
from monitor.reference import load_reference
from monitor.statistics.methods import METHODS
from monitor.statistics.profiles import fit_numbers, sample
from monitor.statistics.score import Score, choose_for_numbers, number_score
from monitor.text import excess, fit_texts, judge_texts
from monitor.window import WindowData
from schemas.result import ColumnResult

WORDS = [f"mot{i} naïve_{i} ключ{i}".split()[i % 3] for i in range(300)]


def texts(n: int, words: float = 12.0, seed: int = 0, extra: tuple[str, ...] = ()) -> pl.Series:
    """Texts of about so many words; rare words are rare."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, len(WORDS) + len(extra) + 1)[::-1]
    weights /= weights.sum()
    return pl.Series("note", [" ".join(rng.choice([*WORDS, *extra], rng.poisson(words) + 1, p=weights)) for _ in range(n)])


def spec_of(**drift: Any) -> ModelSpec:
    """A spec with one text column."""
    return ModelSpec.model_validate(
        {
            "model": "m",
            "reference": "r.parquet",
            "features": {"note": {"type": "string", "kind": "text"}},
            "prediction": {"column": "prediction", "type": "double"},
            "monitors": ["data_drift"],
            "window": {"size": "1h"},
            "min_rows": 1,
            "drift": {"columns": {"note": drift}} if drift else {},
        }
    )


def judge(folder: Path, reference: pl.Series, window: pl.Series, given_up: str = "", **drift: Any) -> ColumnResult:
    """The verdict on a window of texts, through Parquet; an Evidently Snapshot of it can be made."""
    spec = spec_of(**drift)
    reference.to_frame().with_columns(prediction=pl.lit(0.0)).write_parquet(folder / "r.parquet")
    profile = load_reference(spec, folder / "r.parquet")
    frame = window.to_frame()
    data = WindowData("m", "live", "live", 0, 1, "d", 0, ("1",), frame, frame.height, 0, True, {"note": window.null_count()})
    result = evaluate(data, spec, profile, given_up)
    column = result.columns[0]
    assert len(evidently_snapshot(data, spec, profile, result.columns).dict()["metrics"]) == 2 * (column.status == "ok")
    return column


def plainly(reference: list[str], window: list[str]) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """The three numbers of each text of both, computed one text at a time."""
    sets = Counter(word for one in reference for word in set(re.findall(r"\w+", one.lower())))

    def numbers(one: str, known: int) -> tuple[float, float, float | None]:
        words = re.findall(r"\w+", one.lower())
        return len(one), len(words), sum(sets[w] < known for w in words) / len(words) if words else None

    def columns(many: list[str], known: int) -> dict[str, list[float]]:
        rows = [numbers(one, known) for one in many]
        return {name: [r[i] for r in rows if r[i] is not None] for i, name in enumerate((text.LENGTH, text.WORDS, text.NEW_WORDS))}  # type: ignore[misc]

    return columns(reference, 2), columns(window, 1)


def test_the_numbers_of_a_text_are_those_of_a_plain_loop() -> None:
    """Characters, words and the share of new words of every text, batches included; the reference's own by leaving each text out."""
    reference = [*texts(200).to_list(), "Été été ÉTÉ!", "", "...", "one_off 7"]
    window = [*texts(text.ROWS_AT_ONCE + 50, seed=1, extra=("brand", "new")).to_list(), "", "?!", "ÉTÉ Mot0 one_off"]
    ours, theirs = plainly(reference, window)
    profile = fit_texts(pl.Series(reference))
    described = text._describe(pl.Series(window), profile.vocabulary)
    for name, values in theirs.items():
        assert described.values[name].tolist() == pytest.approx(values)
        assert profile.descriptors[name].sample.size == len(ours[name])
        assert profile.descriptors[name].mean == pytest.approx(np.mean(ours[name]))
    known = {word for one in reference for word in re.findall(r"\w+", one.lower())}
    assert described.new_words == Counter(w for one in window for w in re.findall(r"\w+", one.lower()) if w not in known)
    assert {"brand", "new"} <= described.new_words.keys()


@pytest.mark.parametrize("rows", [300, 1500])
def test_the_verdict_is_that_of_the_descriptor_furthest_beyond_its_threshold(rows: int) -> None:
    """Each descriptor has the score of Evidently's default method for numbers; the column's method names the one that counts."""
    reference, window = texts(rows).to_list(), texts(200, 20.0, seed=1).to_list()
    ours, theirs = plainly(reference, window)
    scores = {}
    for name in ours:
        fitted, found = fit_numbers(np.array(ours[name])), sample(np.array(theirs[name]))
        method = choose_for_numbers(fitted, found)
        score = number_score(fitted, found, method)
        scores[name] = Score(method, score, method.threshold, bool(method.hit(score, method.threshold)))
    most = max(scores, key=lambda name: excess(scores[name]))
    verdict = judge_texts(pl.Series(window), fit_texts(pl.Series(reference)), None, None)
    assert verdict.score.method.display_name == f"{most}: {scores[most].method.display_name}"
    assert verdict.score.score == pytest.approx(scores[most].score, abs=1e-9)
    assert verdict.score.drifted


def test_excess_is_one_at_the_threshold_for_every_kind_of_score() -> None:
    """Distances and p-values are comparable: 1 at the threshold, more beyond it; a drifted one always comes first."""
    ks, psi = METHODS["ks"], METHODS["psi"]
    assert excess(Score(ks, 0.05, 0.05, True)) == excess(Score(psi, 0.1, 0.1, True)) == (True, 1.0)
    assert excess(Score(ks, 0.0, 0.05, True)) > excess(Score(ks, 1e-9, 0.05, True)) > excess(Score(psi, 0.2, 0.1, True))
    assert excess(Score(ks, 0.9, 0.05, False)) < excess(Score(psi, 0.09, 0.1, False)) < (False, 1.0)


def test_quiet_texts_are_quiet(tmp_path: Path) -> None:
    """Texts of the reference's kind have not drifted, though some hold words that it never had: its own texts do, too."""
    column = judge(tmp_path, texts(3000), texts(1500, seed=1))
    assert (column.kind, column.status, column.drifted, column.changes) == ("text", "ok", False, ())


def test_new_words_are_found_and_named(tmp_path: Path) -> None:
    """Words outside the vocabulary: the share from-to and the most frequent ones, as literal text."""
    window = [f"<!channel> `kiwi` kiwi durian {one}" if i % 2 else one for i, one in enumerate(texts(400, 8.0, seed=1))]
    column = judge(tmp_path, texts(3000), pl.Series("note", window))
    assert (column.drifted, column.method) == (True, "new words: Wasserstein distance (normed)")
    found = next(c for c in column.changes if c.startswith("words not in the reference"))
    words = [word for one in window for word in re.findall(r"\w+", one)]
    new, total = sum(word in ("channel", "kiwi", "durian") for word in words), len(words)
    assert re.findall(r'→ (.*) %: "kiwi", "channel", "durian"$', found)[0] == f"{new / total * 100:.3g}"


def test_lengths_are_named_from_to(tmp_path: Path) -> None:
    """Longer texts: mean and median of characters and words, from-to."""
    reference, window = texts(2000), texts(500, 30.0, seed=1)
    column = judge(tmp_path, reference, window)
    before, after = (float(np.mean(some.str.len_chars().to_numpy())) for some in (reference, window))
    assert f"length mean {before:.4g} → {after:.4g} characters" in column.changes
    assert any(change.startswith("words median ") for change in column.changes)


def test_odd_texts_are_judged(tmp_path: Path) -> None:
    """Empty texts, texts without a word, of one character and of 100,000, and nulls, which are counted."""
    for odd in (["", "?", None, None], ["x" * 100_000, "a" * 3, "\0", None], ["漢字 и 😀", "\n", " ", None]):
        column = judge(tmp_path, texts(1200), pl.Series("note", odd * 40))
        assert (column.status, column.drifted, column.rows + column.nulls) == ("ok", True, 160)
    nothing = judge(tmp_path, texts(1200), pl.Series("note", [None] * 9, dtype=pl.String))
    assert (nothing.status, nothing.reason) == ("error", "no usable value: all 9 rows are null")


def test_a_reference_without_words_is_judged_by_lengths(tmp_path: Path) -> None:
    """Nothing can be said of words where the reference has none."""
    column = judge(tmp_path, pl.Series("note", ["!", "??", "..."] * 400), pl.Series("note", ["a word", "or two"] * 50))
    assert (column.status, column.drifted) == ("ok", True)
    assert not any("words not in the reference" in change for change in column.changes)


def test_the_vocabulary_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many words those that most texts have are kept."""
    monkeypatch.setattr(text, "MOST_WORDS", 2)
    assert fit_texts(pl.Series(["a b", "a c", "b a", "d"])).vocabulary == {"a", "b"}


@pytest.mark.parametrize("method", ["ks", "psi", "anderson"])
def test_a_method_for_numbers_judges_each_descriptor(method: str, tmp_path: Path) -> None:
    """A spec's method and threshold go to the descriptors."""
    column = judge(tmp_path, texts(500), texts(200, 20.0, seed=1), method=method, threshold=0.07)
    assert (column.method.split(": ")[1], column.threshold, column.drifted) == (METHODS[method].display_name, 0.07, True)


def test_a_method_that_a_text_has_not_is_refused(tmp_path: Path) -> None:
    """A method for categories, or one without a fast form, is refused with those that can be used."""
    for method in ("chisquare", "es", "ratio"):
        with pytest.raises(SpecError, match="is not for text columns") as caught:
            judge(tmp_path, texts(50), texts(50), method=method)
        assert "perc_text_content_drift" in caught.value.remedy


@pytest.mark.parametrize(
    ("method", "threshold"), [("abs_text_content_drift", None), ("abs_text_content_drift", 0.99), ("perc_text_content_drift", 0.9)]
)
@pytest.mark.parametrize("extra", [(), ("kiwi", "durian")])
def test_evidently_s_text_methods_have_its_verdicts(
    method: str, threshold: float | None, extra: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Score, threshold and verdict are those of Evidently's function, whatever NumPy's random state is; it is restored."""
    monkeypatch.setattr(data_drift_utils.roc_auc_random_classifier_percentile, "__defaults__", (0.05, 30, 42))  # draws, not 1,000
    reference, window = texts(150), texts(100, seed=1, extra=extra)
    np.random.seed(7)
    before = np.random.get_state()[1].tolist()  # type: ignore[index]
    column = judge(tmp_path, reference, window, method=method, threshold=threshold)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]
    test = get_stattest(None, None, ColumnType.Text, method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stock = test(reference.to_pandas(), window.to_pandas(), ColumnType.Text, threshold)
    assert column.score == pytest.approx(float(stock.drift_score), abs=1e-9)
    assert (column.method, column.threshold, column.drifted) == (test.display_name, stock.actual_threshold, bool(stock.drifted))


def test_what_takes_too_long_is_given_up(tmp_path: Path) -> None:
    """A slow method is not tried where the caller has given up; fast ones are judged all the same."""
    slow = judge(tmp_path, texts(50), texts(50), "it took longer than 3 s", method="perc_text_content_drift")
    assert (slow.status, slow.reason) == ("error", "Percentile text content drift: it took longer than 3 s")
    assert judge(tmp_path, texts(50), texts(50), "it took longer than 3 s").status == "ok"


def test_text_is_text_to_evidently() -> None:
    """The DataDefinition says so: guessed, it might be a category."""
    assert data_definition(spec_of()).text_columns == ["note"]
