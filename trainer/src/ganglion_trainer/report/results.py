"""What `compare` wrote, read with care: the report shows what is there and says what is not."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ganglion_trainer.classes import NAMES
from ganglion_trainer.derived import F32, U8
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.files import field, read_json, strings

FORMAT = 1
RESULT = "compare.json"
ANOMALY = "anomaly"
DIFFUSION = "diffusion"
_TITLES = {
    "diffusion": "UNetFC-DDPM",
    "extra-trees": "Extra trees",
    "random-forest": "Random forest",
    "xgboost": "XGBoost",
    "mlp": "MLP",
    "cnn-1d": "CNN-1D",
    "cnn-packets": "CNN on packets",
    "lstm": "LSTM on packets",
    "vote": "Soft vote",
    "isolation-forest": "Isolation forest",
    "k-means": "k-means distance",
    "autoencoder": "Autoencoder",
}


def title(model: str) -> str:
    """A model's name for people."""
    return _TITLES.get(model, model)


@dataclass(frozen=True)
class Scores:
    """Rows scored out of fold."""

    proba: F32
    anomaly: F32
    y: U8
    fold: npt.NDArray[np.int8]


@dataclass(frozen=True)
class Comparison:
    """One folder of `compare`."""

    folder: Path
    about: dict[str, Any]
    # Class numbers, as the columns of scores.
    classes: list[int]
    judged: list[str]
    results: list[dict[str, Any]]

    @property
    def names(self) -> list[str]:
        """The classes' names, in that order."""
        return [NAMES[number] for number in self.classes]

    def splits(self) -> list[str]:
        """The splits that have results, in their order."""
        return list(dict.fromkeys(str(own["split"]) for own in self.results))

    def of(self, split: str) -> list[dict[str, Any]]:
        """Classifiers on one split, the best first."""
        mine = [own for own in self.results if own["split"] == split and own["family"] != ANOMALY]
        return sorted(mine, key=lambda own: -float(own["macro_f1"]))

    def find(self, model: str, split: str) -> dict[str, Any] | None:
        """A model's result on a split."""
        return next((own for own in self.of(split) if own["model"] == model), None)

    def models(self) -> list[str]:
        """All classifiers: the diffusion model first, the others by how good they are on the first split."""
        own = [str(result["model"]) for result in self.of(self.splits()[0])]
        own += [str(result["model"]) for result in self.results if result["family"] != ANOMALY]
        return sorted(dict.fromkeys(own), key=lambda model: model != DIFFUSION)

    def scores(self, result: dict[str, Any]) -> Scores:
        """The rows' scores behind a result, of its first seed."""
        names = strings(result, "oof", str(self.folder / RESULT))
        if not names:
            raise TrainerError(f"{self.folder / RESULT}: {result['model']} on {result['split']} has no `oof` file")
        return _scores(self.folder, names[0], len(self.classes))


def read(folder: Path) -> Comparison:
    """Reads and checks `compare.json`."""
    path = folder / RESULT
    about, where = read_json(path), str(path)
    if field(about, "format", int, where) != FORMAT:
        raise TrainerError(f"{path}: format {about['format']}, this program reads format {FORMAT}")
    classes: list[Any] = field(about, "classes", list, where)
    for number in classes:
        if type(number) is not int or not 0 <= number < len(NAMES):
            raise TrainerError(f"{path}: unknown class {number!r}")
    results: list[Any] = field(about, "results", list, where)
    for own in results:
        if not isinstance(own, dict):
            raise TrainerError(f"{path}: `results` holds a {type(own).__name__}, not only objects")
        for name in ("model", "family", "split"):
            field(own, name, str, where)
        for name in ("macro_f1", "macro_f1_low", "macro_f1_high"):
            field(own, name, (int, float), where)
        table = np.array(field(own, "confusion", list, where))
        if table.shape != (len(classes), len(classes)):
            raise TrainerError(
                f"{path}: the confusion of {own['model']} is {table.shape}, not of {len(classes)} classes"
            )
    made = Comparison(folder, about, classes, strings(about, "judged", where), results)
    if not any(own["family"] != ANOMALY for own in results):
        raise TrainerError(f"{path}: no results of a classifier")
    field(about, "dataset_digest", str, where)
    field(about, "class_rows", dict, where)
    return made


def _scores(folder: Path, name: str, classes: int) -> Scores:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise TrainerError(f"{folder / RESULT}: {name!r} lies outside of its folder")
    try:
        with np.load(path, allow_pickle=False) as file:
            own = Scores(*(file[key] for key in ("proba", "anomaly", "y", "fold")))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise TrainerError(f"{path}: {error}") from error
    except KeyError as error:
        raise TrainerError(f"{path}: array {error} is missing") from error
    rows = len(own.y)
    if own.proba.shape != (rows, classes) or own.anomaly.shape != (rows,) or own.fold.shape != (rows,) or not rows:
        raise TrainerError(f"{path}: scores of {own.proba.shape} do not fit {rows} rows of {classes} classes")
    if not np.isfinite(own.proba).all():
        raise TrainerError(f"{path}: NaN or infinity among the scores")
    return own
