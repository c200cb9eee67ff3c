"""From recordings of the laboratory to the ONNX bundle that Ganglion's brain runs."""

__version__ = "0.1.0"
