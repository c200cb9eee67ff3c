"""`evaluate`: the graph that ships, on rows it has not seen."""

from pathlib import Path
from typing import Any

import numpy as np

from ganglion_trainer import metrics
from ganglion_trainer.classes import NAMES, name
from ganglion_trainer.dataset import Dataset
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.files import field, read_json, sha256, strings, write_json
from ganglion_trainer.graph import Session
from ganglion_trainer.train import ABOUT, FORMAT, MODEL

METRICS = "metrics.json"


class Trained:
    """What `train` wrote, checked."""

    def __init__(self, folder: Path) -> None:
        path = folder / ABOUT
        self.folder = folder
        self.about = read_json(path)
        where = str(path)
        if field(self.about, "format", int, where) != FORMAT:
            raise TrainerError(f"{path}: format {self.about['format']}, this program reads format {FORMAT}")
        self.features = strings(self.about, "features", where)
        self.classes: list[int] = field(self.about, "classes", list, where)
        for label in self.classes:
            if type(label) is not int or not 0 <= label < len(NAMES):
                raise TrainerError(f"{path}: unknown class {label!r}")
        thresholds = field(self.about, "thresholds", dict, where)
        self.threshold = float(field(thresholds, "anomaly", (int, float), where))
        if sha256(folder / MODEL) != field(self.about, "model_digest", str, where):
            raise TrainerError(f"{folder / MODEL}: not the file that {ABOUT} describes: train it anew")
        self.model = (folder / MODEL).read_bytes()

    def columns(self, dataset: Dataset) -> list[int]:
        """Where the inputs stand in rows of the data set."""
        missing = [feature for feature in self.features if feature not in dataset.features]
        if missing:
            raise TrainerError(f"the data set has no column {', '.join(missing[:5])}: other feature table")
        return [dataset.features.index(feature) for feature in self.features]


def evaluate(dataset: Dataset, folder: Path, split: str) -> dict[str, Any]:
    """Scores a split, writes `metrics.json`; returns it."""
    trained = Trained(folder)
    arrays = dataset.split(split)
    if not len(arrays.y):
        raise TrainerError(f"no rows of split `{split}`: record with `--split {split}`")
    known = np.isin(arrays.y, trained.classes)
    untrained = {name(int(label)): int((arrays.y == label).sum()) for label in np.unique(arrays.y[~known])}
    arrays = arrays.take(known)
    x = np.ascontiguousarray(arrays.x[:, trained.columns(dataset)])
    probabilities, anomaly = Session(trained.model, str(folder / MODEL)).score(x)
    truth = np.searchsorted(trained.classes, arrays.y).astype(np.int64)
    about = metrics.About(trained.classes, dataset.origins, dataset.episodes, trained.threshold)
    result: dict[str, Any] = {"split": split, "runs": [run["name"] for run in dataset.runs if run["split"] == split]}
    result |= metrics.report(arrays, truth, probabilities, anomaly, about)
    result["rows_of_classes_not_trained"] = untrained
    result["model_digest"] = trained.about["model_digest"]
    write_json(folder / METRICS, result)
    return result
