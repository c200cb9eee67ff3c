"""A comparison as text."""

from typing import Any


def text(result: dict[str, Any]) -> str:
    """Tables per split, and of classes left out."""
    lines = [f"{result['rows']} rows; macro F1 over {', '.join(result['judged'])}"]
    names = list(result["class_rows"])
    for split in dict.fromkeys(own["split"] for own in result["results"]):
        lines += ["", f"{split:<17}{'macro F1':>9}{'95 %':>17}{'seeds':>6}" + "".join(f"{n[:9]:>10}" for n in names)]
        for own in result["results"]:
            # What only tells the unusual from the usual has no classes to be judged by.
            if own["split"] == split and own["family"] != "anomaly":
                interval = f"{own['macro_f1_low']:.4f}–{own['macro_f1_high']:.4f}"
                head = f"{own['model']:<17}{own['macro_f1']:>9.4f}{interval:>17}{len(own['seeds']):>6}"
                lines.append(head + "".join(f"{own['f1'][n]:>10.4f}" for n in names))
        shown = "".join(f"{result['published'].get(n, float('nan')):>10.3f}" for n in names)
        lines.append(f"{'published':<17}{'':>32}{shown}")
    if result.get("leave_one_out"):
        attacks = [n for n in names if n != "Benign"]
        lines += ["", f"{'left out: AUROC':<17}{'mean':>9}" + "".join(f"{n[:9]:>10}" for n in attacks) + "   rule"]
        for own in result["leave_one_out"]:
            cells = "".join(f"{own['classes'][n]['auroc']:>10.4f}" for n in attacks)
            lines.append(f"{own['model']:<17}{own['mean_auroc']:>9.4f}{cells}   {own['score']}")
    return "\n".join(lines)
