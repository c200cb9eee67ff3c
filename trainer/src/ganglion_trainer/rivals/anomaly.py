"""Isolation forest, distance to the nearest k-means centre and autoencoder: all learn from benign rows alone.

By the contract they too give probabilities: all of it for Benign below their threshold, else shared by the others.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from threadpoolctl import threadpool_limits

from ganglion_trainer.contract import Fitted, Hyper, Rows
from ganglion_trainer.derived import F32
from ganglion_trainer.diffusion import scaling
from ganglion_trainer.diffusion.net import parameters
from ganglion_trainer.emit import Emitter
from ganglion_trainer.inputs import F64
from ganglion_trainer.rivals import layers
from ganglion_trainer.rivals.ensemble import Ensemble

_CHUNK = 4096
_BATCH = 256
_KNOTS = 16
# Scores from this quantile of benign training rows on are not benign.
_UNUSUAL = 0.99


@dataclass(frozen=True)
class Anomaly:
    """Maker of the three."""

    name: str
    updates: int
    threads: int
    family: str = "anomaly"

    def draw(self, random: np.random.Generator) -> Hyper:
        """What each is known to depend on; `logarithms`: on them alone, or on ranks too."""
        own: Hyper = {"logarithms": bool(random.choice([True, False]))}
        if self.name == "isolation-forest":
            own |= {"trees": 200, "max_samples": int(random.choice([256, 1024]))}
        elif self.name == "k-means":
            own |= {"centres": int(random.choice([32, 64, 128]))}
        else:
            own |= {"width": int(random.choice([64, 128])), "code": int(random.choice([8, 16]))}
        return own

    def fit(self, rows: Rows, hyper: Hyper, seed: int, effort: float) -> Fitted:
        """Learns what benign rows look like."""
        x = rows.x[rows.y == rows.benign]
        scales = scaling.learn(x, _KNOTS)
        base = _Base(self.name, scales, hyper["logarithms"], rows)
        z = base.rows(x)
        made: _Base
        if self.name == "isolation-forest":
            trees = max(10, round(hyper["trees"] * effort))
            samples = min(hyper["max_samples"], len(x))
            forest = IsolationForest(n_estimators=trees, max_samples=samples, random_state=seed, n_jobs=self.threads)
            made = _Isolation(base, forest.fit(z))
        elif self.name == "k-means":
            means = KMeans(n_clusters=min(hyper["centres"], len(x)), n_init=1, random_state=seed)
            with threadpool_limits(self.threads):
                made = _Distance(base, np.asarray(means.fit(z).cluster_centers_, dtype=np.float32))
        else:
            made = _Rebuilding(base, _autoencoder(z, hyper, seed, max(20, round(self.updates * effort))))
        made.threshold = float(np.quantile(made.raw(z), _UNUSUAL))
        return made


class _Base:
    def __init__(self, name: str, scales: scaling.Scales, logarithms: bool, rows: Rows) -> None:
        self.name = name
        self.scales, self.logarithms = scales, logarithms
        self.classes, self.benign = rows.classes, rows.benign
        self.threshold = 0.0
        self.layer = scaling.Scaling(scales)

    def rows(self, x: F32) -> F32:
        """Scaled rows."""
        with torch.no_grad():
            parts = [self.layer(torch.from_numpy(x[at : at + _CHUNK])) for at in range(0, max(len(x), 1), _CHUNK)]
        z: F32 = torch.cat(parts).numpy()
        return np.ascontiguousarray(z[:, : self.scales.columns]) if self.logarithms else z

    def raw(self, z: F32) -> F64:
        """The score of scaled rows."""
        raise NotImplementedError

    def parameters(self) -> int:
        """Numbers it learned."""
        raise NotImplementedError

    def emit(self, made: Emitter, z: str) -> str:
        """The score as nodes, N."""
        raise NotImplementedError

    def score(self, x: F32) -> tuple[F32, F32]:
        """By the contract."""
        anomaly: F32 = self.raw(self.rows(x)).astype(np.float32)
        others = (anomaly >= self.threshold).astype(np.float32)
        share = others[:, None] / np.float32(max(self.classes - 1, 1))
        found: F32 = np.repeat(share, self.classes, axis=1).astype(np.float32)
        found[:, self.benign] = 1 - others
        return found, anomaly

    def looks(self, x: F32) -> dict[str, F32]:
        """Its one score."""
        return {self.name: self.score(x)[1]}

    def onnx(self) -> onnx.ModelProto:
        """By the contract."""
        made = Emitter()
        z = layers.scale(made, self.scales)
        if self.logarithms:
            z = made.node("Slice", z, *(made.constant(np.array([own])) for own in (0, self.scales.columns, 1)))
        anomaly = made.node("Identity", self.emit(made, z), out="anomaly")
        others = made.node("GreaterOrEqual", anomaly, made.constant(float(np.float32(self.threshold))))
        column = made.reshape(made.node("Cast", others, to=onnx.TensorProto.FLOAT), [-1, 1])
        one = np.zeros((1, self.classes), dtype=np.float32)
        one[0, self.benign] = 1.0
        share = (1 - one) / np.float32(max(self.classes - 1, 1)) - one
        made.node("Add", made.mul(column, share), made.constant(one), out="probabilities")
        return made.model(self.scales.columns, {"probabilities": ["N", self.classes], "anomaly": ["N"]})


class _Isolation(_Base):
    def __init__(self, base: _Base, model: Any) -> None:  # noqa: ANN401
        self.__dict__.update(base.__dict__)
        self.model = model

    def raw(self, z: F32) -> F64:
        return np.asarray(-self.model.score_samples(z), dtype=np.float64)

    def parameters(self) -> int:
        return int(sum(tree.tree_.node_count for tree in self.model.estimators_))

    def emit(self, made: Emitter, z: str) -> str:
        ensemble = Ensemble()
        for tree, columns in zip(self.model.estimators_, self.model.estimators_features_, strict=True):
            own = tree.tree_
            depth = np.zeros(own.node_count)
            for node in range(own.node_count):
                for child in (own.children_left[node], own.children_right[node]):
                    if child >= 0:
                        depth[child] = depth[node] + 1
            path = (depth + _average_path(own.n_node_samples))[:, None]
            feature = np.where(own.feature >= 0, np.asarray(columns)[own.feature], 0)
            ensemble.grow(feature, own.threshold, own.children_left, own.children_right, path)
        depths = made.reshape(ensemble.emit(made, 1, "BRANCH_LEQ", z), [-1])
        usual = len(self.model.estimators_) * float(_average_path(np.array([self.model.max_samples_]))[0])
        return made.node("Pow", made.constant(2.0), made.mul(depths, float(-1.0 / usual)))


def _average_path(count: "np.ndarray[Any, Any]") -> F64:
    """Mean depth of a search that fails in a tree of so many rows (Liu, Ting, Zhou 2008)."""
    wide = np.asarray(count, dtype=np.float64)
    many = 2 * (np.log(np.maximum(wide - 1, 1)) + np.euler_gamma) - 2 * (wide - 1) / np.maximum(wide, 1)
    return np.asarray(np.where(wide <= 1, 0.0, np.where(wide == 2, 1.0, many)))


class _Distance(_Base):
    def __init__(self, base: _Base, centres: F32) -> None:
        self.__dict__.update(base.__dict__)
        self.centres = centres

    def raw(self, z: F32) -> F64:
        wide, centres = z.astype(np.float64), self.centres.astype(np.float64)
        square = (wide**2).sum(axis=1)[:, None] - 2 * wide @ centres.T + (centres**2).sum(axis=1)
        return np.asarray(np.sqrt(np.maximum(square.min(axis=1), 0)))

    def parameters(self) -> int:
        return self.centres.size

    def emit(self, made: Emitter, z: str) -> str:
        own = made.node("ReduceSumSquare", z, made.constant(np.array([1])), keepdims=1)
        cross = made.linear(z, -2 * self.centres, (self.centres**2).sum(axis=1))
        least = made.node("ReduceMin", made.add(own, cross), made.constant(np.array([1])), keepdims=0)
        return made.node("Sqrt", made.node("Relu", least))


class _Rebuilding(_Base):
    def __init__(self, base: _Base, net: "tuple[layers.Perceptron, layers.Perceptron]") -> None:
        self.__dict__.update(base.__dict__)
        self.net = net

    def raw(self, z: F32) -> F64:
        with torch.no_grad():
            own = torch.from_numpy(z)
            error = ((self.net[1](self.net[0](own)) - own) ** 2).mean(dim=1)
        return np.asarray(error.numpy(), dtype=np.float64)

    def parameters(self) -> int:
        return sum(parameters(part) for part in self.net)

    def emit(self, made: Emitter, z: str) -> str:
        apart = made.sub(self.net[1].emit(made, self.net[0].emit(made, z)), z)
        return made.mean(made.mul(apart, apart), 1)


def _autoencoder(z: F32, hyper: Hyper, seed: int, updates: int) -> "tuple[layers.Perceptron, layers.Perceptron]":
    torch.manual_seed(seed)
    rows = torch.from_numpy(z)
    width, code = hyper["width"], hyper["code"]
    encoder = layers.Perceptron(z.shape[1], [width], code, 0.0)
    decoder = layers.Perceptron(code, [width], z.shape[1], 0.0)
    own = torch.optim.AdamW([*encoder.parameters(), *decoder.parameters()], lr=2e-3, weight_decay=1e-4, fused=True)
    cool = torch.optim.lr_scheduler.OneCycleLR(own, 2e-3, total_steps=updates, pct_start=0.2)
    for _ in range(updates):
        batch = rows[torch.randint(0, len(rows), (_BATCH,))]
        loss = ((decoder(encoder(batch)) - batch) ** 2).mean()
        own.zero_grad()
        loss.backward()
        own.step()
        cool.step()
    return encoder.eval(), decoder.eval()
