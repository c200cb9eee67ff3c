"""The commands about models of tables: `compare`, `explain`, `steps`; `train` and `export` of a single model."""

import argparse
from pathlib import Path

from ganglion_trainer import config, dataset, splits
from ganglion_trainer.errors import TrainerError


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `compare`, `explain` and `steps`."""
    command = commands.add_parser("compare", help="hold models against each other on the same splits")
    command.add_argument("--data", type=Path, required=True, metavar="DIR")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder of the results")
    command.add_argument("--config", type=Path, metavar="FILE", help="settings in place of the defaults (TOML)")
    command.add_argument("--models", type=_list, metavar="A,B", help="these alone [all that the data set fits]")
    command.add_argument("--splits", type=_list, default=["stratified", "grouped"], metavar="A,B")
    seeds = "of the diffusion model and the two best rivals, for all splits or for each [5]"
    command.add_argument("--seeds", type=_counts, default=[5], metavar="N[,N]", help=seeds)
    command.add_argument("--quick", action="store_true", help="little training, one seed: to see that all works")
    command.set_defaults(run=_compare)

    command = commands.add_parser("explain", help="which inputs move a model's answers")
    command.add_argument("--data", type=Path, required=True, metavar="DIR")
    command.add_argument("--model", type=Path, required=True, metavar="DIR")
    command.add_argument("--rows", type=_count, default=32, metavar="N", help="of each class [32]")
    command.add_argument("--seed", type=int, default=1, metavar="N")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    command.set_defaults(run=_explain)

    command = commands.add_parser("steps", help="speed and quality by DDIM steps and precision")
    command.add_argument("--data", type=Path, required=True, metavar="DIR")
    command.add_argument(
        "--model", type=Path, required=True, metavar="DIR", help="as `train --model diffusion` wrote it"
    )
    command.add_argument("--comparison", type=Path, metavar="FILE", help="compare.json, which gets the table")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder of graphs in 8 bits")
    command.set_defaults(run=_steps)


def for_training(command: argparse.ArgumentParser) -> None:
    """What `train` takes for a single model."""
    command.add_argument("--model", metavar="NAME", help="one model of `compare`, for tables")
    command.add_argument("--seed", type=int, default=1, metavar="N", help="of that model's training [1]")


def for_export(command: argparse.ArgumentParser) -> None:
    """What `export` takes for a single model."""
    command.add_argument("--profile", choices=("ganglion", "cicflowmeter"), help="that the data set must have")
    command.add_argument("--id", default="cicids2017", metavar="NAME", help="of a single model's bundle")
    command.add_argument("--version", default="1.0.0", metavar="X.Y.Z", help="of a single model's bundle")
    command.add_argument("--comparison", type=Path, metavar="FILE", help="compare.json, for the manifest's metrics")


def train(args: argparse.Namespace, command: str) -> None:
    """`train --model NAME`."""
    from ganglion_trainer import single

    settings = config.load(args.config)
    about = single.train(dataset.read(args.data), settings, args.model, args.seed, args.output, command)
    own = about["calibration"]
    print(f"{args.model}: macro F1 {own['held_out_macro_f1']} on {own['held_out_rows']} rows held out for calibration")


def export(args: argparse.Namespace, command: str) -> None:
    """`export` of such a model."""
    from ganglion_trainer import bundle

    data = dataset.read(args.data)
    if args.profile and args.profile != data.profile:
        raise TrainerError(f"{args.data}: of profile {data.profile!r}, not {args.profile!r}")
    bundle.export(data, args.model, (args.id, args.version), args.comparison, args.output, command)
    print(f"bundle in {args.output}")


def _list(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 10_000:
        raise argparse.ArgumentTypeError(f"{value}: 1 to 10000 are possible")
    return value


def _counts(text: str) -> list[int]:
    return [_count(part) for part in text.split(",")]


def _compare(args: argparse.Namespace, command: str) -> None:
    # PyTorch takes a second to load; other commands do without.
    from ganglion_trainer.compare import render, run

    data, settings = dataset.read(args.data), config.load(args.config)
    for own in args.splits:
        if own not in splits.HOWS:
            raise TrainerError(f"unknown split {own!r}; known are {', '.join(splits.HOWS)}")
    if args.quick:
        settings = run.quick(settings)
    seeds = [1] if args.quick else args.seeds
    if len(seeds) == 1:
        seeds = seeds * len(args.splits)
    if len(seeds) != len(args.splits):
        raise TrainerError(f"--seeds: {len(seeds)} numbers for {len(args.splits)} splits")
    models = run.models_for(data, args.models)
    request = run.Request(models, tuple(args.splits), tuple(seeds), args.output, args.quick, command)
    print(render.text(run.compare(data, settings, request)))


def _steps(args: argparse.Namespace, _command: str) -> None:
    from ganglion_trainer.compare import steps

    found = steps.table(dataset.read(args.data), args.model, args.comparison, args.output)
    print(f"{'K':>3} {'precision':<10}{'macro F1':>9}{'left out':>9}{'1 thread':>10}{'2 threads':>10}{'bytes':>9}")
    for own in found:
        mean = "–" if own["mean_auroc"] is None else f"{own['mean_auroc']:.4f}"
        rates = f"{own['flows_per_s_1']:>10}{own['flows_per_s_2']:>10}{own['bytes']:>9}"
        print(f"{own['k']:>3} {own['precision']:<10}{own['macro_f1']:>9.4f}{mean:>9}{rates}")


def _explain(args: argparse.Namespace, _command: str) -> None:
    from ganglion_trainer import explain

    explain.explain(dataset.read(args.data), args.model, args.rows, args.seed, args.output)
    print(f"explanation in {args.output}")
