"""Decision trees as one ONNX operator."""

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import helper

from ganglion_trainer.emit import Emitter

Numbers = npt.NDArray[Any]


class Ensemble:
    """Trees gathered for one `TreeEnsembleRegressor`, which sums what their leaves say."""

    def __init__(self) -> None:
        self.trees = 0
        self.parts: dict[str, list[Numbers]] = {}

    def grow(self, feature: Numbers, threshold: Numbers, left: Numbers, right: Numbers, votes: Numbers) -> None:
        """One tree; leaves have no left child. `votes` per node and target, of which leaves' count."""
        count = len(left)
        leaf = np.asarray(left) < 0
        node = np.arange(count)
        voter, target = np.nonzero(np.where(leaf[:, None], votes, 0))
        values = {
            "nodes_treeids": np.full(count, self.trees),
            "nodes_nodeids": node,
            "nodes_featureids": np.where(leaf, 0, feature),
            "nodes_values": np.where(leaf, 0.0, threshold),
            "nodes_truenodeids": np.where(leaf, 0, left),
            "nodes_falsenodeids": np.where(leaf, 0, right),
            "leaf": leaf,
            "target_treeids": np.full(len(voter), self.trees),
            "target_nodeids": voter,
            "target_ids": target,
            "target_weights": votes[voter, target],
        }
        for name, value in values.items():
            self.parts.setdefault(name, []).append(np.asarray(value))
        self.trees += 1

    def emit(self, made: Emitter, targets: int, mode: str, source: str = "features") -> str:
        """The sums, N × `targets`; `mode` says when a row goes left."""
        joined = {name: np.concatenate(values) for name, values in self.parts.items()}
        leaf = joined.pop("leaf")
        attributes: dict[str, Any] = {}
        for name, value in joined.items():
            if name == "nodes_values":
                attributes[name] = _below(value, mode).tolist()
            elif name.endswith("weights"):
                attributes[name] = value.astype(np.float32).tolist()
            else:
                attributes[name] = value.astype(np.int64).tolist()
        attributes["nodes_modes"] = ["LEAF" if own else mode for own in leaf]
        name = f"trees{len(made.nodes)}"
        made.nodes.append(
            helper.make_node(
                "TreeEnsembleRegressor", [source], [name], domain="ai.onnx.ml", n_targets=targets, **attributes
            )
        )
        return name


def _below(threshold: Numbers, mode: str) -> Numbers:
    """Thresholds as 32 bits, rounded so that rows of 32 bits go where they went before."""
    wide = threshold.astype(np.float64)
    narrow = wide.astype(np.float32)
    if mode == "BRANCH_LEQ":
        return np.where(narrow.astype(np.float64) > wide, np.nextafter(narrow, np.float32(-np.inf)), narrow)
    return narrow
