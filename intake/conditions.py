"""Conditions on a row's cells: which rows are left out, and which are pointed out."""

from collections.abc import Callable, Sequence

from intake import patterns
from intake.cells import Condition
from intake.reading import Cells, Columns, folded


def holds(conditions: Sequence[Condition], columns: Columns) -> Callable[[Cells], bool]:
    """A function that tells whether all of these conditions hold of a row."""
    tests = [_test(condition, columns) for condition in conditions]
    return lambda cells: all(test(cells) for test in tests)


def _test(told: Condition, columns: Columns) -> Callable[[Cells], bool]:
    place, missing = columns.place(told.column), columns.missing(told.missing)
    equals = None if told.equals is None else frozenset(map(folded, told.equals))
    beginnings = None if told.starts_with is None else tuple(map(folded, told.starts_with))
    search = None if told.pattern is None else patterns.finder(told.pattern)

    def test(cells: Cells) -> bool:
        text = folded(cells[place])
        if told.is_missing is not None and (not text or text in missing) != told.is_missing:
            return False
        if equals is not None and text not in equals:
            return False
        if beginnings is not None and not text.startswith(beginnings):
            return False
        return search is None or bool(search(cells[place]))

    return test
