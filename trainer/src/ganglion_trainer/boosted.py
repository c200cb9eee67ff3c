"""Gradient-boosted trees of XGBoost as ONNX: a sum of leaves, then softmax."""

import json
from typing import Any

import numpy as np
import onnx
import xgboost
from onnx import TensorProto, helper
from threadpoolctl import threadpool_limits

from ganglion_trainer.derived import F32, I64
from ganglion_trainer.emit import Emitter
from ganglion_trainer.graph import ML_OPSET, OPSET
from ganglion_trainer.inputs import F64
from ganglion_trainer.rivals.ensemble import Ensemble


def trees(model: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """The trees as XGBoost writes them."""
    found: list[dict[str, Any]] = _raw(model)["gradient_booster"]["model"]["trees"]
    return found


def _raw(model: Any) -> dict[str, Any]:  # noqa: ANN401
    learner: dict[str, Any] = json.loads(model.get_booster().save_raw("json"))["learner"]
    return learner


def emit(made: Emitter, model: Any, classes: int, source: str) -> str:  # noqa: ANN401
    """Probabilities of the `classes` that the model has learned, from the rows that `source` names."""
    groups = classes if classes > 2 else 1
    ensemble = Ensemble()
    for number, tree in enumerate(trees(model)):
        left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
        value = np.array(tree["split_conditions"])
        votes = np.zeros((len(left), groups))
        leaves = left < 0
        votes[leaves, number % groups] = value[leaves]
        ensemble.grow(np.array(tree["split_indices"]), value, left, right, votes)
    margin = ensemble.emit(made, groups, "BRANCH_LT", source)
    base = np.atleast_1d(np.array(json.loads(_raw(model)["learner_model_param"]["base_score"]), dtype=np.float64))
    if groups == 1:
        base = np.log(base / (1 - base))
    margin = made.add(margin, np.broadcast_to(base, (groups,)).astype(np.float32).reshape(1, groups))
    if groups == 1:
        # A margin of two classes is that of the second over the first.
        margin = made.node("Concat", made.mul(margin, 0.0), margin, axis=1)
    return made.node("Softmax", margin, axis=1)


class Boosted:
    """XGBoost with scikit-learn's manners, for classes with gaps."""

    # Shallow trees of few columns each: what the columns say together counts, not one odd value.
    ROUNDS, DEPTH = 80, 6

    def __init__(self, seed: int) -> None:
        self.classes_: I64 = np.zeros(0, dtype=np.int64)
        # One thread: the same sums in the same order, so the same bytes.
        self.model = xgboost.XGBClassifier(
            n_estimators=self.ROUNDS,
            max_depth=self.DEPTH,
            learning_rate=0.15,
            colsample_bytree=0.4,
            subsample=0.8,
            tree_method="hist",
            random_state=seed,
            n_jobs=1,
            device="cpu",
        )

    def fit(self, x: F32, y: I64, sample_weight: F64) -> None:
        """Boosts. XGBoost wants classes numbered without gaps."""
        self.classes_, numbers = np.unique(y, return_inverse=True)
        with threadpool_limits(1):
            self.model.fit(x, numbers, sample_weight=sample_weight)
        self._between(x)

    def _between(self, x: F32) -> None:
        """Moves thresholds to the middle of the two values that they part: XGBoost puts them on the larger one, where
        the last bit of another processor's logarithm would decide."""
        raw = json.loads(self.model.get_booster().save_raw("json"))
        known = [np.unique(x[:, column]) for column in range(x.shape[1])]
        for tree in raw["learner"]["gradient_booster"]["model"]["trees"]:
            for node, left in enumerate(tree["left_children"]):
                if left < 0:
                    continue
                values = known[tree["split_indices"][node]]
                at = int(np.searchsorted(values, np.float32(tree["split_conditions"][node]), side="left"))
                if 0 < at < len(values):
                    tree["split_conditions"][node] = float(np.float32((float(values[at - 1]) + float(values[at])) / 2))
        self.model.load_model(bytearray(json.dumps(raw).encode()))

    def predict_proba(self, x: F32) -> F32:
        """Probabilities of `classes_`."""
        found: F32 = self.model.predict_proba(x)
        return found

    def to_onnx(self, columns: int) -> onnx.ModelProto:
        """From `transformed` to `raw_probabilities`."""
        made = Emitter()
        found = emit(made, self.model, len(self.classes_), "transformed")
        made.node("Identity", found, out="raw_probabilities")
        value, count = helper.make_tensor_value_info, len(self.classes_)
        graph = helper.make_graph(
            made.nodes,
            "boosted",
            [value("transformed", TensorProto.FLOAT, ["N", columns])],
            [value("raw_probabilities", TensorProto.FLOAT, ["N", count])],
            list(made.constants.values()),
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        return helper.make_model(graph, opset_imports=opsets)
