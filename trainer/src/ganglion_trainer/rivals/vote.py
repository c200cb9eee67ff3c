"""A soft vote: the mean of what several models say."""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import compose

from ganglion_trainer.contract import Fitted, evidence, unsure
from ganglion_trainer.derived import F32
from ganglion_trainer.emit import Emitter
from ganglion_trainer.rivals.trees import finish


@dataclass(frozen=True)
class Vote:
    """Fitted models with one voice each."""

    members: list[Fitted]
    columns: int
    classes: int
    benign: int

    def score(self, x: F32) -> tuple[F32, F32]:
        """Mean probabilities; unusual is what they agree on least."""
        all_said = np.stack([member.score(x)[0] for member in self.members])
        found: F32 = np.asarray(all_said.mean(axis=0, dtype=np.float64), dtype=np.float32)
        return found, unsure(found)

    def looks(self, x: F32) -> dict[str, F32]:
        """Of the mean probabilities."""
        return evidence(self.score(x)[0], self.benign)

    def parameters(self) -> int:
        """Of all members."""
        return sum(member.parameters() for member in self.members)

    def onnx(self) -> onnx.ModelProto:
        """All members in one graph."""
        made = Emitter()
        voices = []
        for number, member in enumerate(self.members):
            own = compose.add_prefix(member.onnx(), f"m{number}_", rename_inputs=False).graph
            made.nodes.extend(own.node)
            made.constants.update({value.name: value for value in own.initializer})
            voices.append(f"m{number}_probabilities")
        total = made.node("Sum", *voices)
        return finish(made, made.mul(total, 1.0 / len(voices)), self.columns, self.classes)
