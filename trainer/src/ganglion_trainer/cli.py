"""The command line."""

import argparse
import shlex
import sys
import tempfile
from pathlib import Path

from ganglion_trainer import __version__, cli_models, cli_report, config, dataset, metrics, runs, tables
from ganglion_trainer import evaluate as evaluating
from ganglion_trainer import export as exporting
from ganglion_trainer import prepare as preparing
from ganglion_trainer import train as training
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.progress import say
from ganglion_trainer.tables import layout


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    args = _parser().parse_args(given)
    try:
        args.run(args, shlex.join(["ganglion-trainer", *given]))
    except TrainerError as error:
        print(f"ganglion-trainer: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ganglion-trainer", description=__doc__)
    parser.description = "From recordings of the laboratory to the ONNX bundle that the brain runs"
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("prepare", help="make a data set of recordings or of tables")
    _inputs(command)
    _common(command, "folder of the data set")
    command.set_defaults(run=_prepare)

    command = commands.add_parser("train", help="compare candidates, train and calibrate the best")
    command.add_argument("--data", type=Path, required=True, metavar="DIR")
    cli_models.for_training(command)
    _common(command, "folder of the model")
    command.set_defaults(run=_train)

    command = commands.add_parser("evaluate", help="judge the model on held-out runs")
    command.add_argument("--data", type=Path, required=True, metavar="DIR")
    command.add_argument("--model", type=Path, required=True, metavar="DIR")
    command.add_argument("--split", choices=("train", "test"), default="test")
    command.set_defaults(run=_evaluate)

    command = commands.add_parser("export", help="write the bundle that the brain loads")
    command.add_argument("--data", type=Path, required=True, metavar="DIR")
    command.add_argument("--model", type=Path, required=True, metavar="DIR")
    cli_models.for_export(command)
    _common(command, "folder of the bundle")
    command.set_defaults(run=_export)

    cli_models.add(commands)
    cli_report.add(commands)

    command = commands.add_parser("all", help="all of it: from recordings to a bundle")
    command.add_argument("--recordings", type=Path, required=True, metavar="DIR", help="folder of recordings")
    command.add_argument("--ganglion", type=Path, metavar="FILE", help="the ganglion binary, to derive rows with")
    command.add_argument("--work", type=Path, metavar="DIR", help="keep rows, data set and model here")
    command.add_argument("--without-test", action="store_true", help="go on without held-out runs")
    _common(command, "folder of the bundle")
    command.set_defaults(run=_all)
    return parser


def _inputs(command: argparse.ArgumentParser) -> None:
    either = command.add_mutually_exclusive_group(required=True)
    either.add_argument("--recording", type=Path, nargs="+", metavar="DIR", help="derived recordings with event logs")
    either.add_argument("--table", type=Path, nargs="+", metavar="FILE", help="Parquet or CSV, packed or not")
    of = command.add_argument_group("tables")
    of.add_argument("--test-table", type=Path, nargs="+", default=[], metavar="FILE", help="rows to judge by alone")
    of.add_argument("--format", choices=("auto", *layout.NAMES), default="auto", help="whose columns [auto]")
    of.add_argument("--label-column", metavar="NAME", help="where the labels are [by the format]")
    of.add_argument("--label", metavar="TEXT", help="one label for all rows of tables without labels")
    of.add_argument("--label-map", type=Path, metavar="FILE", help="TOML or YAML: label to class, or to drop")
    of.add_argument("--with-ports", action="store_true", help="the responder's port as input: for an ablation alone")
    of.add_argument("--nonfinite", choices=("drop", "zero"), default="drop", help="rows with NaN or infinity [drop]")
    of.add_argument("--capture-by", choices=("file", "day"), default="file", help="what counts as a capture [file]")
    of.add_argument("--max-rows-per-class", type=int, metavar="N", help="keep at most so many, whole flows first")


def _common(command: argparse.ArgumentParser, output: str) -> None:
    command.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help=output)
    command.add_argument("--config", type=Path, metavar="FILE", help="settings in place of the defaults (TOML)")


def _prepare(args: argparse.Namespace, _command: str) -> None:
    if args.table:
        request = tables.Request(
            args.table,
            args.test_table,
            args.format,
            args.label_column,
            args.label,
            args.label_map,
            args.with_ports,
            args.nonfinite,
            args.capture_by,
            args.max_rows_per_class,
        )
        print(tables.render(tables.prepare(request, args.output)))
        return
    made = preparing.prepare(args.recording, config.load(args.config))
    dataset.write(made, args.output)
    print(preparing.render(made))


def _train(args: argparse.Namespace, command: str) -> None:
    if args.model is not None:
        cli_models.train(args, command)
        return
    about = training.train(dataset.read(args.data), config.load(args.config), args.output)
    own = about["candidates"][about["chosen"]]
    print(f"{about['chosen']}: macro F1 {own['macro_f1']} on held-out folds, {own['bytes']} bytes")


def _evaluate(args: argparse.Namespace, _command: str) -> None:
    print(metrics.render(args.split, evaluating.evaluate(dataset.read(args.data), args.model, args.split)))


def _export(args: argparse.Namespace, command: str) -> None:
    if evaluating.Trained(args.model).about.get("kind") is not None:
        cli_models.export(args, command)
        return
    data = dataset.read(args.data)
    exporting.export(data, args.model, config.load(args.config), args.output, [command])
    print(f"bundle in {args.output}")


def _all(args: argparse.Namespace, command: str) -> None:
    settings = config.load(args.config)
    with tempfile.TemporaryDirectory(prefix="ganglion-trainer-") as scratch:
        work = args.work or Path(scratch)
        folders = [runs.derive(folder, work / "derived", args.ganglion) for folder in runs.find(args.recordings)]
        made = preparing.prepare(folders, settings)
        dataset.write(made, work / "data")
        print(preparing.render(made))
        made = dataset.read(work / "data")
        if not args.without_test and not any(run["split"] == "test" for run in made.runs):
            raise TrainerError("no recording of split `test`: record one, or go on with --without-test")
        training.train(made, settings, work / "model")
        (work / "model" / evaluating.METRICS).unlink(missing_ok=True)
        if not args.without_test:
            print("\n" + metrics.render("held-out runs", evaluating.evaluate(made, work / "model", "test")))
        exporting.export(made, work / "model", settings, args.output, [command])
    say(f"bundle in {args.output}")
