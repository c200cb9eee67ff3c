"""Tables of flows that others published, read as one."""

from ganglion_trainer.tables.build import prepare, render
from ganglion_trainer.tables.collect import Request

__all__ = ["Request", "prepare", "render"]
