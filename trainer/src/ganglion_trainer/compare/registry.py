"""The models by name."""

from ganglion_trainer.config import Config
from ganglion_trainer.contract import Maker
from ganglion_trainer.diffusion import settings
from ganglion_trainer.diffusion.maker import Diffusion
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.rivals.anomaly import Anomaly
from ganglion_trainer.rivals.neural import Neural
from ganglion_trainer.rivals.trees import Boosted, Forest

DIFFUSION = "diffusion"
VOTE = "vote"
TABULAR = ("extra-trees", "random-forest", "xgboost", "mlp", "cnn-1d")
SEQUENCE = ("lstm", "cnn-packets")
ANOMALY = ("isolation-forest", "k-means", "autoencoder")
NAMES = (DIFFUSION, *TABULAR, *SEQUENCE, *ANOMALY, VOTE)


def maker(name: str, config: Config) -> Maker:
    """The maker of a model, with the common weights."""
    own = config.compare
    evenness, updates, threads = own["evenness"], own["updates"], own["threads"]
    if name == DIFFUSION:
        return Diffusion(settings.of({"evenness": evenness} | config.diffusion))
    if name in ("extra-trees", "random-forest"):
        return Forest(name, evenness, threads)
    if name == "xgboost":
        return Boosted(evenness, threads)
    if name in ("mlp", "cnn-1d"):
        return Neural(name, evenness, updates)
    if name in SEQUENCE:
        return Neural(name, evenness, updates, "sequence")
    if name in ANOMALY:
        return Anomaly(name, updates, threads)
    raise TrainerError(f"unknown model {name!r}; known are {', '.join(NAMES)}")
