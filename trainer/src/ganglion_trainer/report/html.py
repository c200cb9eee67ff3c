"""Pieces of the page. Everything from outside is escaped."""

import base64
from dataclasses import dataclass, field
from html import escape
from importlib import resources


@dataclass(frozen=True)
class Cell:
    """A cell of a table, with what it says beside its value."""

    text: str
    interval: str = ""
    kind: str = ""

    def __str__(self) -> str:
        kind = f' class="{self.kind}"' if self.kind else ""
        beside = f' <span class="interval">{escape(self.interval)}</span>' if self.interval else ""
        return f"<td{kind}>{escape(self.text)}{beside}</td>"


@dataclass
class Table:
    """A table whose first column names its rows."""

    head: list[str]
    caption: str = ""
    rows: list[str] = field(default_factory=list)
    # Columns of text, which stand to the left.
    texts: frozenset[int] = frozenset()

    def add(self, name: str, cells: list[Cell | str], kind: str = "") -> None:
        """A row."""
        made = [
            str(cell if isinstance(cell, Cell) else Cell(cell, kind="text" if place + 1 in self.texts else ""))
            for place, cell in enumerate(cells)
        ]
        of = f' class="{kind}"' if kind else ""
        self.rows.append(f'<tr{of}><th scope="row">{escape(name)}</th>{"".join(made)}</tr>')

    def __str__(self) -> str:
        caption = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        left, left_is = {0, *self.texts}, ' class="text"'
        heads = "".join(
            f'<th scope="col"{left_is if place in left else ""}>{escape(name)}</th>'
            for place, name in enumerate(self.head)
        )
        return (
            f'<div class="wide"><table>{caption}<thead><tr>{heads}</tr></thead>'
            f"<tbody>{''.join(self.rows)}</tbody></table></div>"
        )


def picture(png: bytes, alt: str, caption: str = "") -> str:
    """A picture inside of the page."""
    data = base64.b64encode(png).decode("ascii")
    # Drawn at one and a half pixels per pixel of the page.
    width = int.from_bytes(png[16:20], "big") * 2 // 3
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    image = f'<img src="data:image/png;base64,{data}" alt="{escape(alt)}" width="{width}">'
    return f"<figure>{image}{below}</figure>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    of = f' class="{kind}"' if kind else ""
    return f"<p{of}>{escape(text)}</p>"


def heading(level: int, text: str, anchor: str = "") -> str:
    """A heading, with a name to link to."""
    of = f' id="{escape(anchor)}"' if anchor else ""
    return f"<h{level}{of}>{escape(text)}</h{level}>"


def tiles(of: list[tuple[str, str]]) -> str:
    """Figures that matter most: value and what it is."""
    items = "".join(
        f'<li><span class="value">{escape(value)}</span><span class="what">{escape(what)}</span></li>'
        for value, what in of
    )
    return f'<ul class="tiles">{items}</ul>'


def details(summary: str, inside: str) -> str:
    """Something to open."""
    return f"<details><summary>{escape(summary)}</summary>{inside}</details>"


def code(text: str) -> str:
    """Text as it is."""
    return f"<pre>{escape(text)}</pre>"


def links(of: list[tuple[str, str]]) -> str:
    """Where to go on the page."""
    inside = "".join(f'<a href="#{escape(anchor)}">{escape(text)}</a>' for anchor, text in of)
    return f'<nav aria-label="Contents">{inside}</nav>'


def page(title: str, body: str) -> str:
    """The whole page. It loads nothing."""
    css = resources.files("ganglion_trainer.report").joinpath("page.css").read_text(encoding="utf-8")
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>\n{css}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )
