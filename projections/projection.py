"""What a projection is: a module that names its tables and the events it listens to, and applies entries to them.

The same `apply` serves live following, catching up and rebuilding; it writes through the cursor it is given and into
tables named without a schema, so that the projector decides which tables are meant and commits the batch together with
the position it reached. All that `apply` writes must follow from the entries alone: no clock, no random number.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol
from uuid import UUID

import msgspec
import psycopg

from domain.entry import Entry
from domain.records import EVENTS, is_personal

Cursor = psycopg.Cursor[tuple[Any, ...]]
Past = Callable[[UUID, int], Sequence[Entry]]
"""The sealed entries of a record that a projection listens to, up to and including a position, by version."""


class Table(msgspec.Struct, frozen=True):
    """A table of the read side: its definition without indexes, and the indexes, built after a fresh table is filled.

    Every table has a column `record_id`, by which what is known of a record is dropped and told again. The definition
    holds the keys that `apply` itself needs.
    """

    name: str
    definition: str
    indexes: tuple[str, ...] = ()
    is_open: bool = False
    """Whether it names no one; any other table shows no row to anybody but its owner, whatever right was given."""
    personal: tuple[str, ...] = ()
    """Columns of which the server keeps no samples for its planner: its catalogue is logged, and so archived."""


class Projection(Protocol):
    """The shape of a projection module."""

    @property
    def NAME(self) -> str:  # noqa: N802  # a constant of a module
        """The name under which its position is kept, such as `seizures`."""

    @property
    def VERSION(self) -> int:  # noqa: N802  # as above
        """Raised by hand whenever tables or `apply` change: the projection is then rebuilt by itself."""

    @property
    def TABLES(self) -> tuple[Table, ...]:  # noqa: N802  # as above
        """Its tables."""

    @property
    def NAMES(self) -> frozenset[str]:  # noqa: N802  # as above
        """The wire names of the events it listens to."""

    def apply(self, cursor: Cursor, entries: Sequence[Entry], past: Past) -> None:
        """Bring the tables from before these entries to after them."""


def open_names(*kinds: str) -> frozenset[str]:
    """The wire names of all events of these kinds of record that name no one."""
    return frozenset(name for name in EVENTS if name.partition(".")[0] in kinds and not is_personal(name))


def all_names(*kinds: str) -> frozenset[str]:
    """The wire names of all events of these kinds of record."""
    return frozenset(name for name in EVENTS if name.partition(".")[0] in kinds)
