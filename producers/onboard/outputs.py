"""The columns that the model or the world wrote: prediction, target, class probabilities. And what can be monitored with them."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.errors import UsageError
from config.spec import Column
from producers.onboard.facts import Facts
from producers.onboard.options import InitOptions
from producers.onboard.roles import PREDICTION, TARGET, Guess, Surety, as_output, folded, given_type, is_probability, probability_label


@dataclass(slots=True)
class Outputs:
    """What was found. ``names`` are all columns with a role here, or left out by it; ``probabilities`` maps class label to column."""

    prediction: dict[str, Any] = field(default_factory=dict)
    target: dict[str, Any] | None = None
    probabilities: dict[str, str] = field(default_factory=dict)
    guesses: list[Guess] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        """The columns that are no features because of this."""
        return {g.name for g in self.guesses} | {self.prediction.get("column", "")}


def find_outputs(options: InitOptions, facts: dict[str, Facts], path: Path) -> Outputs:
    """Take what is given, guess the rest by name.

    Raises:
        UsageError: there is no prediction, or more than one column could be it.
    """
    found = Outputs()
    target = _named(facts, options, options.target, TARGET, "target", path)
    _set_prediction(found, options, facts, path, target)
    if target:
        column = _typed(target[0], facts, options)
        found.target = {"column": target[0], **column.model_dump()}
        found.guesses.append(Guess(target[0], "target", column, target[1], target[2]))
    _set_probabilities(found, options, facts)
    _same_kind(found, options)
    return found


_Named = tuple[str, Surety, str]


def _named(facts: dict[str, Facts], options: InitOptions, given: str | None, words: Set[str], role: str, path: Path) -> _Named | None:
    if given:
        return given, "given", f"--{role}"
    taken = {*options.types, *options.segments, options.prediction, options.target}
    likely = [n for n in facts if folded(n) in words and n not in taken]
    if len(likely) > 1:
        raise UsageError(f"{path}: columns {', '.join(map(repr, likely))} could each be the {role}", f"name it with --{role}")
    return (likely[0], "likely", "by its name") if likely else None


def _set_prediction(found: Outputs, options: InitOptions, facts: dict[str, Facts], path: Path, target: _Named | None) -> None:
    named = _named(facts, options, options.prediction, PREDICTION, "prediction", path)
    if named is None and options.artefact is None:
        single = [n for n, f in facts.items() if probability_label(n) is not None and is_probability(f)]
        if len(single) != 1:
            raise UsageError(
                f"{path} has no column that is named like the model's prediction",
                "name it with --prediction COLUMN, or give the model itself with --artefact FILE (a scikit-learn model saved with skops)",
            )
        named = (single[0], "a guess", "the only probability, and nothing is named like a prediction")
    if named is None:  # the artefact predicts; its type is known from the target, or a number
        column = _typed(target[0], facts, options) if target else Column(type="double")
        found.prediction = {"column": "prediction", **column.model_dump()}
        found.guesses.append(Guess("prediction", "prediction", column, "given", "by --artefact"))
        return
    column = _typed(named[0], facts, options)
    found.prediction = {"column": named[0], **column.model_dump()}
    found.guesses.append(Guess(named[0], "prediction", column, named[1], named[2]))


def _typed(name: str, facts: dict[str, Facts], options: InitOptions) -> Column:
    return given_type(options.types[name]) if name in options.types else as_output(facts[name])


def _set_probabilities(found: Outputs, options: InitOptions, facts: dict[str, Facts]) -> None:
    given = {}
    for text in options.probabilities:
        written, equals, name = text.partition("=")
        given[written if equals else (probability_label(text) or text)] = name if equals else text
    named = {n: label for n, f in facts.items() if (label := probability_label(n)) is not None and is_probability(f)}
    guessed = {known: n for n, known in named.items() if known and n not in found.names and n not in options.types}
    found.probabilities = given or (guessed if len(guessed) > 1 else {})
    surety: Surety = "given" if given else "likely"
    for known, name in found.probabilities.items():
        found.guesses.append(Guess(name, "probability", Column(type="double"), surety, f"of class {known}"))
    for name in named:
        if name not in found.names and name not in options.types:
            why = "the probability of one class alone: an output, no feature"
            found.guesses.append(Guess(name, "left out", None, "likely", why))


def _same_kind(found: Outputs, options: InitOptions) -> None:
    """A prediction of classes has a target of classes; a target of fractions has a prediction that is an amount, however few it has."""
    if found.target is None:
        return
    pair = found.prediction, found.target
    types = {p["type"] for p in pair}
    if types <= {"long", "double"} and len({p["kind"] for p in pair}) > 1:
        for output in pair:
            if output["column"] not in options.types:
                output["kind"] = "numerical"


def monitors(found: Outputs) -> list[str]:
    """Every monitor that these outputs allow."""
    wanted = ["data_drift", "prediction_drift", "data_quality"]
    if found.target is None:
        return wanted
    wanted.insert(2, "target_drift")
    outputs = (found.prediction, found.target)
    if all(o["kind"] == "numerical" and o["type"] in ("long", "double") for o in outputs):
        return [*wanted, "regression_performance"]
    if len({o["type"] for o in outputs}) == 1 and all(o["kind"] == "categorical" for o in outputs):
        wanted.append("classification_performance")
    if len(found.probabilities) > 1:
        wanted.append("prob_classification_performance")
    return wanted
