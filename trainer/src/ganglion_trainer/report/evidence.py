"""What stands behind it: curves, calibration, unknown attacks, training, features, stages."""

from ganglion_trainer.report import figures, html, quality
from ganglion_trainer.report.html import Cell, Table
from ganglion_trainer.report.results import DIFFUSION, Scores, title
from ganglion_trainer.report.subject import Result, Subject, amount, number, spaced


def ranking(subject: Subject, scored: list[tuple[Result, Scores]]) -> str:
    """ROC, precision and recall."""
    classes = subject.comparison.classes
    mine = [pair for pair in scored if any(pair[0] is own for own in subject.pair())]
    rocs = [(title(str(own["model"])), quality.roc(scores, classes)) for own, scores in mine]
    lines = [(title(str(own["model"])), quality.precision_recall(scores, classes)) for own, scores in mine]
    split = subject.comparison.splits()[0]
    return subject.picture(
        "roc", figures.roc(rocs), "ROC per class, one against the rest",
        f"One class against all others, {split} folds, out of fold; false positives on a logarithmic axis, from 0.0001 "
        "or less at its left end.",
    ) + subject.picture(
        "precision-recall", figures.precision_recall(lines), "Precision over recall per class",
        f"The same rows, {split} folds.",
    )  # fmt: skip


def calibration(subject: Subject, scored: list[tuple[Result, Scores]]) -> str:
    """Whether confidence means what it says."""
    classes = subject.comparison.classes
    lines = [(str(own["model"]), quality.reliability(scores, classes)) for own, scores in scored]
    return subject.picture(
        "calibration", figures.calibration(lines), "Reliability of each model's confidence",
        "Of all rows with a confidence around x, the share y was right. On the dotted line both agree; "
        "below it a model is too sure. Bins of fewer than ten rows are left out.",
    )  # fmt: skip


def training(subject: Subject) -> str:
    """How losses and scores went."""
    parts = []
    for model, curves in (subject.comparison.about.get("curves") or {}).items():
        png = figures.training(model, curves)
        if png is not None:
            caption = "Thin lines: single folds; thick: their mean."
            parts.append(subject.picture(f"training-{model}", png, f"Training curves of {title(model)}", caption))
    for own in subject.trained:
        model = str(own.about["chosen"])
        png = figures.training(model, [own.about["curve"]]) if own.about.get("curve") else None
        if png is not None:
            caption = (
                "A single training (train --model); held out is the fold that its probabilities are calibrated on."
            )
            alt = f"Curves of a single training of {title(model)}"
            parts.append(subject.picture(f"trained-{model}", png, alt, caption))
    return "".join(parts)


def unknown(subject: Subject) -> str:
    """Classes that were left out of training."""
    rows = subject.comparison.about.get("leave_one_out") or []
    if not rows:
        return ""
    classes = [name for name in subject.comparison.names if any(name in row["classes"] for row in rows)]
    ordered = sorted(rows, key=lambda row: (row["model"] != DIFFUSION, -(row.get("mean_auroc") or 0)))
    parts = [
        subject.picture(
            "unknown", figures.unknown(ordered, classes), "AUROC on classes left out, by model",
            "0.5 is chance. The rule that makes the score is chosen on rows that do not judge, one for all classes.",
        )
    ]  # fmt: skip
    best = max((row.get("mean_auroc") or 0) for row in rows)
    table = Table(["model", "mean", *classes], "AUROC: rows of the class left out against benign rows held out")
    for row in ordered:
        cells: list[Cell | str] = [
            Cell(number(row.get("mean_auroc")), kind="best" if row.get("mean_auroc") == best else "")
        ]
        cells += [number(row["classes"].get(name, {}).get("auroc")) for name in classes]
        table.add(title(str(row["model"])), cells, "ours" if row["model"] == DIFFUSION else "")
    parts.append(str(table))
    for key, what in (("tpr_at_fpr_0.01", "1 %"), ("tpr_at_fpr_0.001", "0.1 %")):
        table = Table(["model", *classes], f"True positive rate at {what} false positives")
        for row in ordered:
            table.add(
                title(str(row["model"])),
                [number(row["classes"].get(name, {}).get(key), 3) for name in classes],
                "ours" if row["model"] == DIFFUSION else "",
            )
        parts.append(str(table))
    scores = "; ".join(f"{title(str(row['model']))}: {row['score']}" for row in ordered if row.get("score"))
    if scores:
        parts.append(html.paragraph(f"Score: {scores}.", "note"))
    return "".join(parts)


def steps(subject: Subject) -> str:
    """What the number of DDIM steps and the precision cost."""
    rows = subject.comparison.about.get("k_table") or []
    if not rows:
        return ""
    table = Table(
        ["K", "precision", "macro F1", "mean AUROC", "flows/s, 1 core", "flows/s, 2 cores", "size"],
        "DDIM steps in the exported graph; speed in ONNX Runtime for Python, batches of 256",
    )
    for row in rows:
        cells: list[Cell | str] = [
            str(row.get("precision", "–")),
            number(row.get("macro_f1")),
            number(row.get("mean_auroc")),
        ]
        cells += [amount(row.get("flows_per_s_1")), amount(row.get("flows_per_s_2")), amount(row.get("bytes"), "B")]
        table.add(str(row.get("k", "–")), cells, "ours" if row.get("shipped") else "")
    return str(table)


def stages(subject: Subject, scored: list[tuple[Result, Scores]]) -> str:
    """How early a verdict can be had."""
    if subject.data is None:
        return html.paragraph("Not told: the data set that the rows come from was not given (--data).")
    if not (subject.data.arrays.stage > 0).any():
        return html.paragraph(
            "This data set has one row per flow, made at its end: it says nothing of flows under way."
        )
    made = [(str(own["model"]), quality.per_stage(subject.comparison, scores, subject.data)) for own, scores in scored]
    made = [pair for pair in made if len(pair[1]) > 1]
    if not made:
        return html.paragraph("Not told: the scores are not of the rows of the data set that was given.", "note")
    parts = [
        subject.picture(
            "stages",
            figures.stages(made),
            "Macro F1 by stage of the flow",
            "Rows of a flow after 8, 32, 128 packets, at an age of 1, 5, 30 seconds, and at its end; rows of addresses "
            "that reached a count of flows. Of each stage the classes with ten rows or more.",
        )
    ]
    names = [stage for stage in figures.STAGES if any(stage in own for _, own in made)]
    table = Table(["stage", "rows", "classes", *(title(model) for model, _ in made)], "Macro F1 per stage")
    for stage in names:
        first = next(own[stage] for _, own in made if stage in own)
        scores = [number(own.get(stage, {}).get("macro_f1")) for _, own in made]
        table.add(figures.STAGES[stage], [spaced(first["rows"]), str(len(first["recall"])), *scores])
    parts.append(str(table))
    for model, own in made:
        classes = [name for name in subject.comparison.names if any(name in at["recall"] for at in own.values())]
        table = Table(["stage", *classes], f"Recall per stage, {title(model)}")
        for stage in (name for name in names if name in own):
            table.add(figures.STAGES[stage], [number(own[stage]["recall"].get(name), 3) for name in classes])
        parts.append(html.details(f"{title(model)}: recall by class and stage", str(table)))
    return "".join(parts)
