"""`report`: one page that shows what `compare` found, and its pictures."""

from ganglion_trainer.report.build import Request, build

__all__ = ["Request", "build"]
