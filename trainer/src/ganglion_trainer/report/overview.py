"""Who is how good: all models, all classes, all mistakes."""

from ganglion_trainer.report import figures, html
from ganglion_trainer.report.html import Cell, Table
from ganglion_trainer.report.results import DIFFUSION, Comparison, title
from ganglion_trainer.report.subject import BAR, Subject, amount, interval, number, spaced


def verdict(comparison: Comparison, split: str) -> str:
    """In a sentence: who is ahead on a split, and whether the intervals part them."""
    results = [own for own in comparison.of(split) if own["family"] != "vote"]
    ours = comparison.find(DIFFUSION, split)
    if ours is None or len(results) < 2:
        best = results[0]
        return f"{split.capitalize()} folds: {title(best['model'])} leads with {number(best['macro_f1'])}."
    rival = next(own for own in results if own["model"] != DIFFUSION)
    mine, theirs = float(ours["macro_f1"]), float(rival["macro_f1"])
    text = f"{split.capitalize()} folds: {title(DIFFUSION)} {mine:.4f} ({interval(ours)}), "
    text += f"best rival {title(rival['model'])} {theirs:.4f} ({interval(rival)}): "
    if float(ours["macro_f1_low"]) > float(rival["macro_f1_high"]):
        return text + "the diffusion model is ahead, and the intervals do not meet."
    if float(ours["macro_f1_high"]) < float(rival["macro_f1_low"]):
        return text + "the rival is ahead, and the intervals do not meet."
    ahead = "the diffusion model" if mine > theirs else "the rival" if theirs > mine else "neither"
    return text + f"{ahead} is ahead by {abs(mine - theirs):.4f}, within the intervals."


def summary(subject: Subject) -> str:
    """Figures first, then what they say."""
    own = subject.comparison
    about, first = own.about, own.splits()[0]
    lead = own.find(DIFFUSION, first) or own.of(first)[0]
    of = [(number(lead["macro_f1"]), f"macro F1 of {title(lead['model'])}, {first} folds ({interval(lead)})")]
    rows = about.get("leave_one_out", [])
    unknown = next((row for row in rows if row["model"] == DIFFUSION), rows[0] if rows else None)
    if unknown is not None:
        of.append((number(unknown.get("mean_auroc"), 3), f"mean AUROC on unknown attacks, {title(unknown['model'])}"))
    speed = subject.flows_per_s(str(lead["model"]))
    if speed is not None:
        of.append((amount(speed), f"flows/s of {title(lead['model'])} in the brain"))
    of.append(
        (
            spaced(int(about.get("rows", 0))),
            f"rows, {len(own.classes)} classes, {len(about.get('features', []))} inputs",
        )
    )
    parts = [html.tiles(of)]
    if about.get("quick"):
        parts.append(
            html.paragraph("A quick run, to see that all works: its figures say nothing about the models.", "warning")
        )
    return "".join(parts) + "".join(html.paragraph(verdict(own, split)) for split in own.splits())


def models(subject: Subject) -> str:
    """Every classifier on every split."""
    own, parts = subject.comparison, []
    groups = [(split, own.of(split)) for split in own.splits()]
    # The bar is one for columns of CICFlowMeter.
    bar = BAR if "Flow Duration" in own.about.get("features", []) else None
    caption = "Macro F1 over classes with 50 rows or more."
    if bar is not None:
        caption += f" Dotted: {bar:g}, which the diffusion model must reach on stratified folds."
    png = figures.intervals(groups, bar)
    parts.append(subject.picture("models", png, "Macro F1 of every model with its interval", caption))
    for split, results in groups:
        head = ["model", "macro F1", "all classes", "log loss", "calibration error", "parameters", "size", "flows/s"]
        table = Table(
            [*head, "training", "trials", "seeds"], f"{split} folds, pooled out of fold; 95 % interval by bootstrap"
        )
        best = float(results[0]["macro_f1"])
        for result in results:
            kind = "best" if float(result["macro_f1"]) == best else ""
            seconds = result.get("train_seconds")
            cells: list[Cell | str] = [
                Cell(number(result["macro_f1"]), interval(result), kind),
                number(result.get("macro_f1_all")),
                number(result.get("log_loss")),
                number(result.get("calibration_error")),
                amount(result.get("parameters")),
                amount(result.get("bytes"), "B"),
                amount(subject.flows_per_s(str(result["model"]))),
                "–" if seconds is None else f"{seconds:.0f} s",
                str(result.get("trials", "–")),
                str(len(result.get("seeds", [])) or "–"),
            ]
            table.add(title(str(result["model"])), cells, "ours" if result["model"] == DIFFUSION else "")
        parts.append(str(table))
    parts.append(
        html.paragraph(
            "Training: seconds of one fold on average. Trials: settings tried within the training folds, "
            "the same number for all.",
            "note",
        )
    )
    return "".join(parts)


def per_class(subject: Subject) -> str:
    """F1 per class of all models beside the published table."""
    own, parts = subject.comparison, []
    published = own.about.get("published") or {}
    for split in own.splits():
        results = own.of(split)
        results.sort(key=lambda result: result["model"] != DIFFUSION)
        head = ["class", "rows"] + (["published"] if published else []) + [title(str(r["model"])) for r in results]
        table = Table(head, f"F1 per class, {split} folds")
        for name in own.names:
            scores = [result.get("f1", {}).get(name) for result in results]
            known = [score for score in scores if score is not None]
            cells: list[Cell | str] = [spaced(int(own.about["class_rows"].get(name, 0)))]
            cells += [number(published.get(name), 3)] if published else []
            for place, (result, score) in enumerate(zip(results, scores, strict=True)):
                low, high = result.get("f1_low", {}).get(name), result.get("f1_high", {}).get(name)
                beside = f"{low:.3f}–{high:.3f}" if place == 0 and low is not None and high is not None else ""
                cells.append(Cell(number(score), beside, "best" if score and score == max(known) else ""))
            table.add(name, cells, "" if name in own.judged else "rare")
        for row, key, among in (("mean of judged", "macro_f1", own.judged), ("mean of all", "macro_f1_all", own.names)):
            known = [published[name] for name in among if name in published]
            mean: list[Cell | str] = [""]
            if published:
                mean.append(number(sum(known) / len(known) if known else None, 3))
            table.add(row, [*mean, *(number(result.get(key)) for result in results)])
        parts.append(str(table))
    rare = [name for name in own.names if name not in own.judged]
    if rare:
        parts.append(
            html.paragraph(
                f"{_rare(subject, rare)} They are shown without a bar and count in no mean of judged classes.", "note"
            )
        )
    if published:
        parts.append(
            html.paragraph(
                "Published: a diffusion classifier's table as its authors give it, over nine classes, on other rows: "
                "beside ours for scale.",
                "note",
            )
        )
    return "".join(parts)


def _rare(subject: Subject, rare: list[str]) -> str:
    own = subject.comparison
    counts = [f"{name} {own.about['class_rows'].get(name, 0)} rows" for name in rare]
    if subject.data is not None:
        flows = subject.data.report.get("classes", {})
        counts = [
            f"{text} of {_connections(flows[name]['groups'])}" if name in flows else text
            for name, text in zip(rare, counts, strict=True)
        ]
    return f"Classes with fewer than 50 rows say little: {'; '.join(counts)}."


def _connections(count: int) -> str:
    return "1 connection" if count == 1 else f"{count} connections"


def mistakes(subject: Subject) -> str:
    """Confusion of the diffusion model and the best rival; of the others to be opened."""
    own, parts = subject.comparison, []
    first = [own["model"] for own in subject.pair()]
    for split in own.splits():
        shown: list[str] = []
        others: list[str] = []
        for result in sorted(own.of(split), key=lambda result: result["model"] != DIFFUSION):
            name = f"{title(str(result['model']))}, {split} folds"
            png = figures.confusion(name, result["confusion"], own.names)
            made = subject.picture(f"confusion-{result['model']}-{split}", png, f"Confusion matrix of {name}")
            (shown if result["model"] in first else others).append(made)
        parts.append(f'<div class="pair">{"".join(shown)}</div>')
        if others:
            parts.append(
                html.details(f"{split} folds: {len(others)} more models", f'<div class="pair">{"".join(others)}</div>')
            )
    parts.append(
        html.paragraph(
            "Rows: what is true; columns: what the model said. Shades by the share of the row; counts of seed 1.",
            "note",
        )
    )
    return "".join(parts)
