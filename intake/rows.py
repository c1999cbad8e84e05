"""Rows of a file: cells under columns, each row with the place where a person finds it.

Whatever the kind of file, a row is a list of texts as long as the list of columns; an absent cell is an empty text. A
row that cannot be read says so in `problem` and is refused alone; a file that cannot be read raises `Unreadable`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

SURROGATE = re.compile("[\ud800-\udfff]")
MOST_COLUMNS = 4_000
LONGEST_SHOWN_NAME = 60


class Unreadable(Exception):  # noqa: N818  # an answer to the person who gave the file
    """The file cannot be read at all; the message is a sentence that names no value of it."""


class Exact(str):
    """A cell that the file holds as a number or a day, not as words: a number with a point, a day as in ISO 8601."""

    __slots__ = ()


class Row(NamedTuple):
    """A row: its line in the file (row of a sheet, place in a JSON array), its cells, and why it cannot be read."""

    line: int
    cells: Sequence[str]
    problem: str | None = None


class Rows(Protocol):
    """A file, opened: its columns, and its rows from the first, as often as they are asked for."""

    columns: Sequence[str]

    def __iter__(self) -> Iterator[Row]: ...


def named_columns(header: Sequence[str]) -> list[str]:
    """The names of columns, blanks drawn together; a repeated name is numbered (`name#2`), an empty one is `#7`."""
    names: list[str] = []
    seen: dict[str, int] = {}
    for place, cell in enumerate(header, start=1):
        name = tidy(cell) or f"#{place}"
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return names


def tidy(text: str) -> str:
    """A name of a column with its blanks drawn together and without byte order mark."""
    return " ".join(text.replace("\ufeff", "").split())


def shown(name: str) -> str:
    """A name of a column, sheet or key as a message shows it: cut short, and nothing in it that a terminal obeys."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in name[: LONGEST_SHOWN_NAME + 1])
    return f"{plain[:LONGEST_SHOWN_NAME]}…" if len(plain) > LONGEST_SHOWN_NAME else plain


def fitted(line: int, cells: list[str], columns: Sequence[str], problem: str | None = None) -> Row | None:
    """A row as long as its columns; None where no cell holds a word. Too few or too many cells are a problem."""
    if not any(map(str.strip, cells)):
        return None
    if len(cells) > len(columns):
        extra, cells = cells[len(columns) :], cells[: len(columns)]
        if any(map(str.strip, extra)):
            problem = problem or f"has {len(columns) + len(extra)} cells where the header has {len(columns)}"
    elif len(cells) < len(columns):
        if any(not name.startswith("#") for name in columns[len(cells) :]):
            problem = problem or f"has {len(cells)} cells where the header has {len(columns)}"
        cells = cells + [""] * (len(columns) - len(cells))
    return Row(line, cells, problem)
