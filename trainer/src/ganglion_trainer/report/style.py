"""One look for all pictures: colours that people with colour blindness tell apart, the same for a class everywhere."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

INK, SOFT, LINE = "#1f2933", "#5b6773", "#d9dee3"
ACCENT = "#0b6e99"
_DPI = 144
# By class number. Line styles tell apart what colours alone might not.
CLASS_COLOURS = (
    "#7f7f7f", "#2e8b57", "#c0392b", "#e67e22", "#2471a3", "#8e44ad", "#b7950b", "#16a2a2", "#d6409f", "#6e4b2a",
)  # fmt: skip
CLASS_STYLES = ("-", "-", "-", "--", "-", "--", "-.", "--", ":", "-.")
_MODELS = {
    "diffusion": "#0b6e99",
    "extra-trees": "#d1762b",
    "random-forest": "#3b8f4a",
    "xgboost": "#a23b72",
    "mlp": "#7a6c9d",
    "cnn-1d": "#8a7a2f",
    "lstm": "#4f6d7a",
    "cnn-packets": "#b5483a",
    "isolation-forest": "#5aa9c9",
    "k-means": "#b8a12a",
    "autoencoder": "#999999",
    "vote": "#555555",
}
_OTHERS = ("#0b6e99", "#d1762b", "#3b8f4a", "#a23b72", "#7a6c9d", "#8a7a2f")
_SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
}


@contextmanager
def look() -> Iterator[None]:
    """Settings for the pictures drawn inside."""
    with matplotlib.rc_context(_SETTINGS):
        yield


def model_colours(models: list[str]) -> dict[str, str]:
    """A colour per model, the same in every picture."""
    return {model: _MODELS.get(model, _OTHERS[place % len(_OTHERS)]) for place, model in enumerate(models)}


def png(figure: Figure) -> bytes:
    """The picture, the same bytes for the same data."""
    packed = io.BytesIO()
    figure.savefig(packed, format="png", dpi=_DPI, metadata={"Software": None})
    plt.close(figure)
    return packed.getvalue()
