"""Random forest, extra trees and XGBoost on raw columns, as tree ensembles in ONNX."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import xgboost
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from threadpoolctl import threadpool_limits

from ganglion_trainer import boosted
from ganglion_trainer.contract import Fitted, Hyper, Rows, evidence, unsure
from ganglion_trainer.derived import F32
from ganglion_trainer.emit import Emitter
from ganglion_trainer.rivals.ensemble import Ensemble

_CLASSES = {"extra-trees": ExtraTreesClassifier, "random-forest": RandomForestClassifier}


@dataclass(frozen=True)
class Forest:
    """Maker of forests by scikit-learn."""

    name: str
    evenness: float
    threads: int
    family: str = "tabular"

    def draw(self, random: np.random.Generator) -> Hyper:
        """Size of leaves and columns looked at per split."""
        return {
            "n_estimators": 120,
            "min_samples_leaf": int(random.choice([1, 2])),
            "max_features": float(random.choice([0.15, 0.3, 0.5])),
        }

    def fit(self, rows: Rows, hyper: Hyper, seed: int, effort: float) -> Fitted:
        """Grows the trees."""
        own = hyper | {"n_estimators": max(5, round(hyper["n_estimators"] * effort))}
        model = _CLASSES[self.name](**own, random_state=seed, n_jobs=self.threads)
        model.fit(rows.x, rows.y, sample_weight=rows.weights(self.evenness))
        return _Forest(model, rows)


class _Forest:
    def __init__(self, model: Any, rows: Rows) -> None:  # noqa: ANN401
        self.model, self.classes, self.benign = model, rows.classes, rows.benign
        self.columns = rows.x.shape[1]

    def score(self, x: F32) -> tuple[F32, F32]:
        full = np.zeros((len(x), self.classes), dtype=np.float32)
        full[:, self.model.classes_] = self.model.predict_proba(x)
        return full, unsure(full)

    def looks(self, x: F32) -> dict[str, F32]:
        return evidence(self.score(x)[0], self.benign)

    def parameters(self) -> int:
        return int(sum(tree.tree_.node_count for tree in self.model.estimators_))

    def onnx(self) -> onnx.ModelProto:
        ensemble = Ensemble()
        for tree in self.model.estimators_:
            own = tree.tree_
            leaf = own.value[:, 0, :] / own.value[:, 0, :].sum(axis=1, keepdims=True)
            votes = np.zeros((own.node_count, self.classes))
            votes[:, self.model.classes_] = leaf / len(self.model.estimators_)
            ensemble.grow(own.feature, own.threshold, own.children_left, own.children_right, votes)
        made = Emitter()
        probabilities = ensemble.emit(made, self.classes, "BRANCH_LEQ")
        return finish(made, made.clip(probabilities, 0.0, 1.0), self.columns, self.classes)


@dataclass(frozen=True)
class Boosted:
    """Maker of gradient-boosted trees."""

    evenness: float
    threads: int
    family: str = "tabular"

    def draw(self, random: np.random.Generator) -> Hyper:
        """Depth, learning rate and columns per tree."""
        return {
            "n_estimators": 150,
            "max_depth": int(random.choice([6, 8, 10])),
            "learning_rate": float(random.choice([0.1, 0.2, 0.3])),
            "colsample_bytree": float(random.choice([0.4, 0.7])),
        }

    def fit(self, rows: Rows, hyper: Hyper, seed: int, effort: float) -> Fitted:
        """Boosts."""
        own = hyper | {"n_estimators": max(10, round(hyper["n_estimators"] * effort))}
        # XGBoost wants classes numbered without gaps.
        seen, y = np.unique(rows.y, return_inverse=True)
        model = xgboost.XGBClassifier(
            **own, subsample=0.9, tree_method="hist", random_state=seed, n_jobs=self.threads, device="cpu"
        )
        with threadpool_limits(self.threads):
            model.fit(rows.x, y, sample_weight=rows.weights(self.evenness))
        return _Boosted(model, rows, [int(label) for label in seen])


class _Boosted:
    def __init__(self, model: Any, rows: Rows, seen: list[int]) -> None:  # noqa: ANN401
        self.model, self.seen, self.classes, self.benign = model, seen, rows.classes, rows.benign
        self.columns = rows.x.shape[1]

    def score(self, x: F32) -> tuple[F32, F32]:
        full = np.zeros((len(x), self.classes), dtype=np.float32)
        found = self.model.predict_proba(x)
        full[:, self.seen] = found
        return full, unsure(full)

    def looks(self, x: F32) -> dict[str, F32]:
        return evidence(self.score(x)[0], self.benign)

    def parameters(self) -> int:
        return sum(len(tree["left_children"]) for tree in boosted.trees(self.model))

    def onnx(self) -> onnx.ModelProto:
        count = len(self.seen)
        made = Emitter()
        found = boosted.emit(made, self.model, count, "features")
        place = np.zeros((count, self.classes), dtype=np.float32)
        place[np.arange(count), self.seen] = 1.0
        if count < self.classes:
            found = made.node("MatMul", found, made.constant(place))
        return finish(made, found, self.columns, self.classes)


def finish(made: Emitter, probabilities: str, columns: int, classes: int) -> onnx.ModelProto:
    """Names the outputs of a classifier: its anomaly is that no class is likely."""
    made.node("Identity", probabilities, out="probabilities")
    axis = made.constant(np.array([1], dtype=np.int64))
    best = made.node("ReduceMax", probabilities, axis, keepdims=0)
    made.node("Sub", made.constant(1.0), best, out="anomaly")
    return made.model(columns, {"probabilities": ["N", classes], "anomaly": ["N"]})
