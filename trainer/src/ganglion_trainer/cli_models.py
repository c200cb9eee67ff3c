"""The commands about models of tables: `compare`, `explain`, and what `train` and `export` do for one of them."""

import argparse
from pathlib import Path

from ganglion_trainer import config, dataset, splits
from ganglion_trainer.errors import TrainerError


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `compare`."""
    command = commands.add_parser("compare", help="hold models against each other on the same splits")
    command.add_argument("--data", type=Path, required=True, metavar="DIR")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder of the results")
    command.add_argument("--config", type=Path, metavar="FILE", help="settings in place of the defaults (TOML)")
    command.add_argument("--models", type=_list, metavar="A,B", help="these alone [all that the data set fits]")
    command.add_argument("--splits", type=_list, default=["stratified", "grouped"], metavar="A,B")
    command.add_argument(
        "--seeds", type=_seeds, default=5, metavar="N", help="of the diffusion model and the two best rivals [5]"
    )
    command.add_argument("--quick", action="store_true", help="little training, one seed: to see that all works")
    command.set_defaults(run=_compare)


def _list(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


def _seeds(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{value} seeds: 1 to 100 are possible")
    return value


def _compare(args: argparse.Namespace, command: str) -> None:
    # PyTorch takes a second to load; other commands do without.
    from ganglion_trainer.compare import render, run

    data, settings = dataset.read(args.data), config.load(args.config)
    for own in args.splits:
        if own not in splits.HOWS:
            raise TrainerError(f"unknown split {own!r}; known are {', '.join(splits.HOWS)}")
    if args.quick:
        settings = run.quick(settings)
    seeds = 1 if args.quick else args.seeds
    models = run.models_for(data, args.models)
    request = run.Request(models, tuple(args.splits), seeds, args.output, args.quick, command)
    print(render.text(run.compare(data, settings, request)))
