"""The classifiers that are compared, each small and fast, and how each becomes ONNX.

scikit-learn's HistGradientBoosting is not among them: skl2onnx 1.20 can't convert that of scikit-learn 1.9.
"""

import warnings
from typing import Any

import numpy as np
import onnx
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from ganglion_trainer.boosted import Boosted
from ganglion_trainer.derived import F32, I64
from ganglion_trainer.graph import ML_OPSET, OPSET
from ganglion_trainer.inputs import F64

_JOBS = 2


def make(name: str, seed: int) -> Any:  # noqa: ANN401
    """An untrained classifier."""
    trees = {"min_samples_leaf": 2, "random_state": seed, "n_jobs": _JOBS}
    if name == "extra-trees":
        return ExtraTreesClassifier(n_estimators=60, max_leaf_nodes=380, max_features=0.4, **trees)
    if name == "xgboost":
        return Boosted(seed)
    if name == "random-forest":
        return RandomForestClassifier(n_estimators=60, max_leaf_nodes=160, max_features="sqrt", **trees)
    return Pipeline(
        [
            ("scale", StandardScaler()),
            ("mlp", MLPClassifier((64, 32), alpha=1e-3, batch_size=256, max_iter=40, random_state=seed)),
        ]
    )


def fit(name: str, seed: int, x: F32, y: I64, weight: F64) -> Any:  # noqa: ANN401
    """A trained classifier; `x` is transformed already."""
    model = make(name, seed)
    weights = {"mlp__sample_weight": weight} if isinstance(model, Pipeline) else {"sample_weight": weight}
    # One thread of linear algebra: small matrices lose more in hand-overs than they win.
    with warnings.catch_warnings(), threadpool_limits(1):
        # The network stops after its epochs, settled or not.
        warnings.simplefilter("ignore")
        model.fit(x, y, **weights)
    return model


def probabilities(model: Any, x: F32, classes: int) -> F64:  # noqa: ANN401
    """Probabilities of the classes 0 … `classes` − 1, some of which the model may never have seen."""
    full = np.zeros((len(x), classes))
    full[:, model.classes_] = model.predict_proba(x)
    return full


def to_onnx(model: Any, columns: int) -> onnx.ModelProto:  # noqa: ANN401
    """From `transformed` to `raw_probabilities`."""
    if isinstance(model, Boosted):
        return model.to_onnx(columns)
    converted: onnx.ModelProto = convert_sklearn(
        model,
        initial_types=[("transformed", FloatTensorType([None, columns]))],
        final_types=None,
        options={id(model): {"zipmap": False, "output_class_labels": False}},
        target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
    )
    for node in converted.graph.node:
        for index, output in enumerate(node.output):
            if output == "probabilities":
                node.output[index] = "raw_probabilities"
        if node.op_type == "TreeEnsembleClassifier":
            _without_zeros(node)
    for output in converted.graph.output:
        if output.name == "probabilities":
            output.name = "raw_probabilities"
    return converted


def _without_zeros(node: onnx.NodeProto) -> None:
    """Leaves out weights of 0, which change nothing and are most of the file."""
    attributes = {attribute.name: attribute for attribute in node.attribute}
    weights = np.array(attributes["class_weights"].floats)
    keep = np.flatnonzero(weights)
    for name in ("class_ids", "class_nodeids", "class_treeids"):
        values = np.array(attributes[name].ints)[keep]
        del attributes[name].ints[:]
        attributes[name].ints.extend(values.tolist())
    del attributes["class_weights"].floats[:]
    attributes["class_weights"].floats.extend(weights[keep].tolist())
