"""The command `report`."""

import argparse
from pathlib import Path


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `report`."""
    command = commands.add_parser("report", help="one HTML page and pictures of what `compare` found")
    command.add_argument("--compare", type=Path, nargs="+", required=True, metavar="DIR", help="folders of `compare`")
    command.add_argument(
        "--data", type=Path, nargs="+", default=[], metavar="DIR", help="their data sets: stages, files"
    )
    bench = "speeds, by `ganglion model bench --json`"
    command.add_argument("--bench", type=Path, nargs="+", default=[], metavar="FILE", help=bench)
    told = "which inputs matter, by `explain`"
    command.add_argument("--explained", type=Path, nargs="+", default=[], metavar="FILE", help=told)
    learned = "models by `train --model`, for their curves"
    command.add_argument("--trained", type=Path, nargs="+", default=[], metavar="DIR", help=learned)
    command.add_argument("--figures", type=Path, metavar="DIR", help="where the PNGs go [beside the page]")
    command.add_argument("--title", metavar="TEXT")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the page")
    command.set_defaults(run=_report)


def _report(args: argparse.Namespace, _command: str) -> None:
    # matplotlib takes a second to load; other commands do without.
    from ganglion_trainer import report

    title = {"title": args.title} if args.title else {}
    request = report.Request(
        args.compare, args.output, args.data, args.bench, args.explained, args.trained, args.figures, **title
    )
    written = report.build(request)
    print(f"{args.output}, {len(written) - 1} pictures")
