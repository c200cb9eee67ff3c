"""The models that the diffusion classifier is held against."""
