"""Rows of a CSV: any delimiter and encoding, quoted line breaks, and lines counted as an editor counts them.

Nothing is read at a stretch that has no bound: neither a line nor a row. Bytes that the encoding does not know refuse
the rows they stand in, never a guess in their place.
"""

import codecs
import contextlib
import csv
import io
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from intake.mapping import File
from intake.rows import MOST_COLUMNS, SURROGATE, Row, Unreadable, fitted, named_columns, shown, tidy

LONGEST_LINE = 1_000_000
LONGEST_ROW = 8_000_000
DELIMITERS = (",", ";", "\t", "|")
SAMPLED_ROWS = 30
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class CsvRows:
    """The rows of a CSV file; `wanted` are the columns that the mapping names, by which the delimiter is found."""

    def __init__(self, file: BinaryIO, told: File, wanted: frozenset[str]) -> None:
        """Read the header.

        Raises:
            Unreadable: the encoding is none, or the beginning is no text in it.
        """
        self._file, self._told = file, told
        self.encoding = _encoding(file, told.encoding)
        self.delimiter = told.delimiter or self._found_delimiter(wanted)
        first = next(self._parsed(), None)
        self.columns: Sequence[str] = self._columns(first[1] if first else [])

    def _columns(self, header: list[str]) -> list[str]:
        if len(header) > MOST_COLUMNS:
            raise Unreadable(f"Its header has more than {MOST_COLUMNS} columns.")
        if not isinstance(self._told.header, bool):
            return named_columns(self._told.header)
        if not self._told.header:
            return [f"#{place}" for place in range(1, len(header) + 1)]
        if SURROGATE.search("".join(header)) or "\x00" in "".join(header):
            raise Unreadable(f"Its header is not text in {self.encoding}: state `encoding` in [file].")
        return named_columns(header)

    def __iter__(self) -> Iterator[Row]:
        """Give the rows from the first, each with the line on which it begins."""
        parsed = self._parsed()
        if self._told.header is True:
            next(parsed, None)
        for line, cells, problem in parsed:
            row = fitted(line, cells, self.columns, problem or self._unknown_bytes(cells))
            if row is not None:
                yield row

    def _unknown_bytes(self, cells: list[str]) -> str | None:
        text = "".join(cells)
        if text.isascii():
            return "holds a NUL character" if "\x00" in text else None
        if SURROGATE.search(text):
            return f"holds bytes that are not {self.encoding}: state the right `encoding` in [file]"
        return "holds a NUL character" if "\x00" in text else None

    def _parsed(self, delimiter: str | None = None) -> Iterator[tuple[int, list[str], str | None]]:
        lines = _Lines(self._file, self.encoding)
        for _ in range(self._told.skip_lines):
            next(lines, None)
        reader = csv.reader(
            lines,
            delimiter=delimiter or self.delimiter,
            quotechar=self._told.quote or None,
            quoting=csv.QUOTE_MINIMAL if self._told.quote else csv.QUOTE_NONE,
        )
        while True:
            line = lines.count + 1
            lines.taken = 0
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield (
                    line,
                    ["?"],
                    f"holds a cell that does not end before line {lines.count}: is a quotation mark missing?",
                )
                continue
            if cells:
                yield line, cells, None

    def _found_delimiter(self, wanted: frozenset[str]) -> str:
        """The delimiter under which most of the wanted columns appear; else the one that most rows agree upon."""
        scores: list[tuple[int, float, int, str]] = []
        for delimiter in DELIMITERS:
            sample = [cells for _, (_, cells, _) in zip(range(SAMPLED_ROWS), self._parsed(delimiter), strict=False)]
            widths = [len(cells) for cells in sample]
            usual = max(set(widths), key=widths.count, default=0)
            named = len(wanted & {tidy(cell) for cell in (sample[0] if sample else [])})
            agreed = widths.count(usual) / len(widths) if usual > 1 else 0.0
            scores.append((named, agreed, usual, delimiter))
        return max(scores, key=lambda score: score[:3])[3]


class _Lines:
    """The lines of a file as text, each of bounded length, and of bounded length together within one row."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        file.seek(0)
        # The wrapper is detached when it is no longer needed, so that it does not close the file it reads.
        self._text = io.TextIOWrapper(file, encoding=encoding, errors="surrogateescape", newline="")
        self.count = self.taken = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        try:
            line = self._text.readline(LONGEST_LINE + 1)
        except UnicodeError:
            raise Unreadable(
                f"Line {self.count + 1} is not text in {self._text.encoding}: state `encoding` in [file]."
            ) from None
        if not line:
            raise StopIteration
        self.count += 1
        self.taken += len(line)
        if len(line) > LONGEST_LINE or self.taken > LONGEST_ROW:
            raise Unreadable(f"Line {self.count} is longer than any row of a CSV: is it one?")
        return line

    def __del__(self) -> None:
        with contextlib.suppress(ValueError):  # the file may have been closed before
            self._text.detach()


def _encoding(file: BinaryIO, stated: str | None) -> str:
    file.seek(0)
    start = file.read(4)
    marked = next((encoding for mark, encoding in MARKS if start.startswith(mark)), None)
    if stated is None:
        return marked or "utf-8"
    try:
        name = codecs.lookup(stated).name
        "".encode(name)
    except (LookupError, ValueError):
        raise Unreadable(f"There is no encoding `{shown(stated)}`: state another in [file] of the mapping.") from None
    return "utf-8-sig" if name == "utf-8" else name
