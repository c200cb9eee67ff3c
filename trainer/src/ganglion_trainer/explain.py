"""`explain`: which inputs move a model's answers, by the `shap` package on the graph that ships."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ganglion_trainer.classes import BENIGN, name
from ganglion_trainer.dataset import Dataset
from ganglion_trainer.derived import F32
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.evaluate import Trained
from ganglion_trainer.files import write_json
from ganglion_trainer.graph import Session
from ganglion_trainer.progress import say

FORMAT = 2
_BACKGROUND = 32
# Permutations of the inputs that a row is asked with; each takes two answers per input.
_ROUNDS = 2


def explain(dataset: Dataset, folder: Path, rows: int, seed: int, out: Path) -> dict[str, Any]:
    """Mean absolute Shapley values per class and input, of up to `rows` rows of each class; writes and returns them."""
    # It takes seconds to load, and nothing else needs it; it warns of what it calls in other packages.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap

    trained = Trained(folder)
    session = Session(trained.model, str(folder))
    arrays = dataset.split("train")
    arrays = arrays.take(np.isin(arrays.y, trained.classes))
    x = np.ascontiguousarray(arrays.x[:, trained.columns(dataset)])
    rng = np.random.default_rng(seed)
    benign = np.flatnonzero(arrays.y == BENIGN)
    if not len(benign):
        raise TrainerError("the data set has no benign row to hold others against")
    background = x[rng.choice(benign, min(_BACKGROUND, len(benign)), replace=False)]

    def answer(of: npt.NDArray[Any]) -> F32:
        return session.score(np.ascontiguousarray(of, dtype=np.float32))[0]

    explainer = shap.explainers.Permutation(answer, shap.maskers.Independent(background, _BACKGROUND), seed=seed)
    found: dict[str, Any] = {}
    for at, label in enumerate(trained.classes):
        mine = np.flatnonzero(arrays.y == label)
        picked = x[rng.choice(mine, min(rows, len(mine)), replace=False)]
        values = explainer(picked.astype(np.float64), max_evals=_ROUNDS * (2 * x.shape[1] + 1), silent=True).values
        weight = np.abs(values[:, :, at]).mean(axis=0)
        order = np.argsort(-weight)
        found[name(label)] = {
            "rows": len(picked),
            "features": [[trained.features[own], round(float(weight[own]), 6)] for own in order],
        }
        say(f"{name(label)}: {', '.join(trained.features[own] for own in order[:4])}")
    mean = dict.fromkeys(trained.features, 0.0)
    for own in found.values():
        for feature, weight in own["features"]:
            mean[feature] += weight / len(found)
    result = {
        "format": FORMAT,
        "method": f"shap {shap.__version__}, permutation explainer, {_ROUNDS} rounds, {len(background)} benign rows",
        "model": trained.about["chosen"],
        "dataset_digest": trained.about["dataset_digest"],
        "model_digest": trained.about["model_digest"],
        "classes": found,
        "features": [[own, round(value, 6)] for own, value in sorted(mean.items(), key=lambda item: -item[1])],
    }
    write_json(out, result)
    return result
