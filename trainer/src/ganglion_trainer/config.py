"""Settings: the defaults of `default.toml`, with single keys replaced by a file of the user's."""

import copy
import fnmatch
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ganglion_trainer.diffusion import settings
from ganglion_trainer.errors import TrainerError

CANDIDATES = ("xgboost", "extra-trees", "random-forest", "mlp")
_CHOICES = {"answers": ("benign", "drop"), "destination_beside_attack": ("benign", "drop")}


@dataclass(frozen=True)
class Exclusion:
    """Columns that are no inputs, and why."""

    match: tuple[str, ...]
    reason: str

    def hits(self, column: str) -> bool:
        """Whether the column is one of them."""
        return any(fnmatch.fnmatchcase(column, pattern) for pattern in self.match)


@dataclass(frozen=True)
class Config:
    """All settings."""

    bundle: dict[str, Any]
    prepare: dict[str, Any]
    train: dict[str, Any]
    compare: dict[str, Any]
    # Of the diffusion model, where they differ from its own defaults.
    diffusion: dict[str, Any]
    exclude: tuple[Exclusion, ...]

    def excluded(self, column: str) -> str | None:
        """Why the column is no input, if it is none."""
        return next((rule.reason for rule in self.exclude if rule.hits(column)), None)

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        exclude = [{"match": list(rule.match), "reason": rule.reason} for rule in self.exclude]
        return {"prepare": self.prepare, "train": self.train, "exclude": exclude}


def load(path: Path | None = None) -> Config:
    """The defaults, with what the file says in their place."""
    text = resources.files("ganglion_trainer").joinpath("default.toml").read_text(encoding="utf-8")
    values = tomllib.loads(text)
    if path is not None:
        try:
            own = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise TrainerError(f"{path}: {error.strerror}") from error
        except ValueError as error:
            raise TrainerError(f"{path}: {error}") from error
        values = _merge(values, own, str(path))
    return _checked(values, str(path or "default.toml"))


def _merge(defaults: dict[str, Any], own: dict[str, Any], where: str) -> dict[str, Any]:
    merged = copy.deepcopy(defaults)
    for section, keys in own.items():
        if section not in merged or not isinstance(keys, dict):
            raise TrainerError(f"{where}: unknown section {section!r}")
        for key, value in keys.items():
            if section == "diffusion":
                merged[section][key] = value
                continue
            if key not in merged[section]:
                raise TrainerError(f"{where}: unknown key {section}.{key}")
            default = merged[section][key]
            number = isinstance(default, float) and type(value) is int
            if type(value) is not type(default) and not number:
                kind = type(default).__name__
                raise TrainerError(f"{where}: {section}.{key} is {type(value).__name__} {value!r}, {kind} is due")
            merged[section][key] = float(value) if number else value
    return merged


def _checked(values: dict[str, Any], where: str) -> Config:
    train, prepare = values["train"], values["prepare"]
    for name in train["candidates"]:
        if name not in CANDIDATES:
            raise TrainerError(f"{where}: train.candidates: unknown {name!r}; known are {', '.join(CANDIDATES)}")
    if not train["candidates"]:
        raise TrainerError(f"{where}: train.candidates is empty")
    for key, choices in _CHOICES.items():
        if prepare[key] not in choices:
            raise TrainerError(f"{where}: prepare.{key} is {prepare[key]!r}, one of {', '.join(choices)} is due")
    positive: list[tuple[dict[str, Any], str, float]]
    positive = [(train, "folds", 2), (train, "min_groups", 2), (train, "max_model_bytes", 1)]
    positive += [
        (prepare, "max_rows_per_cell", 1),
        (train, "benign_weight", 0.01),
        (train, "evenness", 0),
        (prepare, "grace_s", 0),
        (values["compare"], "folds", 2),
        (values["compare"], "trials", 1),
        (values["compare"], "search_rows", 100),
        (values["compare"], "search_effort", 0.01),
        (values["compare"], "draws", 10),
        (values["compare"], "judged_rows", 1),
        (values["compare"], "threads", 1),
    ]
    for section, key, least in positive:
        if not section[key] >= least:
            raise TrainerError(f"{where}: {key} is {section[key]}, at least {least} is due")
    settings.of(values["diffusion"], where=where)
    exclusions = tuple(_exclusions(values["features"]["exclude"], where))
    return Config(values["bundle"], prepare, train, values["compare"], values["diffusion"], exclusions)


def _exclusions(rules: list[Any], where: str) -> list[Exclusion]:
    exclusions = []
    for rule in rules:
        good = isinstance(rule, dict) and set(rule) == {"match", "reason"} and isinstance(rule["match"], list)
        if not good or not all(isinstance(pattern, str) for pattern in rule["match"]) or not rule["reason"]:
            raise TrainerError(f"{where}: features.exclude: each takes `match` (list of patterns) and `reason`")
        exclusions.append(Exclusion(tuple(rule["match"]), str(rule["reason"])))
    return exclusions
