"""The first of two passes over a file: how many rows, which of them share an identity, and whether the checks hold.

What it remembers is eight bytes a row, so that the second pass need only hold the rows of identities that are not yet
complete, wherever in the file they stand.
"""

from array import array
from collections.abc import Callable, Iterator
from itertools import groupby

from intake.conditions import holds
from intake.keys import Keys
from intake.mapping import LeaveOut, Mapping
from intake.reading import Cells, Columns
from intake.reconciling import Reconciling
from intake.rows import Row, Rows


class LeavingOut:
    """Which rows are left out, and why."""

    def __init__(self, mapping: Mapping, columns: Columns) -> None:
        """Make the conditions ready."""
        self._rules = [(holds(rule.when, columns), rule) for rule in mapping.leave_out]

    def rule(self, cells: Cells) -> LeaveOut | None:
        """The rule by which a row is left out, if any. A row too short for the header may be a footer all the same."""
        return next((rule for applies, rule in self._rules if applies(cells)), None)


class Survey:
    """What the first pass found."""

    def __init__(self, rows: Rows, leaving_out: LeavingOut, keys: Keys, reconciling: Reconciling) -> None:
        """Read the whole file once. Raises Unreadable."""
        self.read = 0
        self.left_out = 0
        hashes = array("q")
        for row in rows:
            self.read += 1
            rule = leaving_out.rule(row.cells)
            if rule is not None:
                self.left_out += 1
                reconciling.add_left_out(rule.name, row.cells)
                continue
            reconciling.add(row.cells)
            if row.problem is None:
                hashes.append(hash(keys.of(row.cells)))
        self.shared = _repeated(hashes)
        """Of every identity that several rows have: its hash, and how many rows there are."""
        self.failures = reconciling.failures()


def _repeated(hashes: "array[int]") -> dict[int, int]:
    counted = ((value, sum(1 for _ in same)) for value, same in groupby(sorted(hashes)))
    return {value: count for value, count in counted if count > 1}


class Bundle:
    """All rows of the file that share an identity, in the order of the file."""

    __slots__ = ("key", "rows")

    def __init__(self, key: bytes, rows: list[Row]) -> None:
        """Take a complete identity."""
        self.key, self.rows = key, rows


MOST_OPEN = 1_000_000
MOST_OPEN_CHARACTERS = 300_000_000


class TooManyAlike(Exception):  # noqa: N818  # an answer to the person who wrote the mapping
    """So many rows share identities that they cannot be told apart; the message says so."""


def size_of(row: Row) -> int:
    """How many characters a row holds."""
    return sum(map(len, row.cells))


def bundles(rows: Rows, survey: Survey, keys: Keys, put_aside: Callable[[Row], bool]) -> Iterator[Bundle]:
    """The second pass: the file's rows by identity, each bundle as soon as it is complete.

    `put_aside` is asked of each row first, and answers whether it is left out or refused.

    Raises:
        TooManyAlike: more rows wait for others of their identity than can be held.
    """
    left = dict(survey.shared)
    waiting: dict[int, dict[bytes, list[Row]]] = {}
    held = characters = 0
    for row in rows:
        if put_aside(row):
            continue
        key = keys.of(row.cells)
        mark = hash(key)
        if mark not in left:
            yield Bundle(key, [row])
            continue
        waiting.setdefault(mark, {}).setdefault(key, []).append(row)
        left[mark] -= 1
        held += 1
        characters += size_of(row)
        if held > MOST_OPEN or characters > MOST_OPEN_CHARACTERS:
            raise TooManyAlike(
                f"More rows share their identity with others than can be held ({held}): "
                "the columns of [identity] do not tell seizures apart."
            )
        if not left[mark]:
            complete = waiting.pop(mark)
            held -= sum(map(len, complete.values()))
            characters -= sum(size_of(one) for together in complete.values() for one in together)
            yield from (Bundle(one, together) for one, together in complete.items())
