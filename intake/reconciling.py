"""Checks that a file is whole and read rightly: sums and counts that somebody else has reckoned.

They are made over the whole file before anything is written, in exact decimals. A check that does not hold says what
was expected and what was found; both are sums of amounts, never a value of one row.
"""

from collections.abc import Iterator
from decimal import Context, Decimal, InvalidOperation

from intake.mapping import Check, Mapping
from intake.mapping_file import MappingError
from intake.reading import Cells, Columns, Unfit, folded, number_reader

_exact = Context(prec=200)


class Reconciling:
    """The checks of a mapping, filled row by row."""

    def __init__(self, mapping: Mapping, columns: Columns) -> None:
        """Raise MappingError where a check states what is no figure, or names a row that nothing leaves out."""
        names = {rule.name for rule in mapping.leave_out}
        for check in mapping.check:
            if check.equals_left_out is not None and check.equals_left_out not in names:
                raise MappingError(
                    f"{columns.where}: [[check]] {check.name}: no [[leave_out]] has the name “{check.equals_left_out}”."
                )
        self._checks = [_Reckoned(check, columns) for check in mapping.check]
        self._rows = 0

    def add(self, cells: Cells) -> None:
        """Take up a row."""
        self._rows += 1
        for check in self._checks:
            check.add(cells)

    def add_left_out(self, name: str | None, cells: Cells) -> None:
        """Take up a row that is left out, in case it holds a sum."""
        for check in self._checks:
            if name is not None and name == check.told.equals_left_out:
                check.expect(cells)

    def failures(self) -> list[tuple[str, str]]:
        """The checks that do not hold: their names, and what was expected and found."""
        return [(check.told.name, fault) for check in self._checks for fault in check.faults(self._rows)]


class _Reckoned:
    """One check and what has been reckoned for it."""

    def __init__(self, told: Check, columns: Columns) -> None:
        self.told = told
        self._tolerance = _figure(told.tolerance, told, columns)
        self._read = number_reader(told.sum, "check", columns, may_be_zero=True) if told.sum else None
        self._by = columns.place(told.by) if told.by is not None else None
        self._sums: dict[str, Decimal] = {}
        self._unread = 0
        self._expected: dict[str, Decimal] = {}
        stated = told.equals if isinstance(told.equals, dict) else {"": told.equals} if told.equals else {}
        for group, figure in stated.items():
            self._expected[folded(group)] = _figure(figure, told, columns)

    def add(self, cells: Cells) -> None:
        if self._read is None:
            return
        amount = self._amount(cells)
        group = self._group(cells)
        if amount is not None:
            self._sums[group] = _exact.add(self._sums.get(group, Decimal(0)), amount)

    def expect(self, cells: Cells) -> None:
        amount = self._amount(cells)
        if amount is not None:
            self._expected[self._group(cells)] = amount

    def _amount(self, cells: Cells) -> Decimal | None:
        try:
            found = self._read(cells, []) if self._read is not None else None
        except Unfit:
            self._unread += 1
            return None
        return None if found is None else found[0]

    def _group(self, cells: Cells) -> str:
        return "" if self._by is None else folded(cells[self._by])

    def faults(self, rows: int) -> Iterator[str]:
        if self.told.rows is not None:
            if self.told.rows != rows:
                yield f"the file has {rows} rows where {self.told.rows} are expected"
            return
        unread = f" ({self._unread} amounts could not be read)" if self._unread else ""
        if not self._expected:
            yield "the file has no row that holds the sum"
        for group in sorted(self._expected.keys() | self._sums.keys() if self._expected else ()):
            found, expected = self._sums.get(group, Decimal(0)), self._expected.get(group)
            of = f" of “{group}”" if group else ""
            if expected is None:
                yield f"the sum{of} is {found:f} where none is expected{unread}"
            elif _exact.abs(_exact.subtract(found, expected)) > self._tolerance:
                yield f"the sum{of} is {found:f} where {expected:f} is expected{unread}"


def _figure(text: str, told: Check, columns: Columns) -> Decimal:
    try:
        figure = Decimal(text)
    except InvalidOperation:
        raise MappingError(f"{columns.where}: [[check]] {told.name}: “{text}” is not a number with a point.") from None
    if not figure.is_finite():
        raise MappingError(f"{columns.where}: [[check]] {told.name}: “{text}” is not a number with a point.")
    return figure
