"""What the ledger answers when it cannot do what was asked.

Messages are whole sentences that name records, versions, positions and settings, never a value that was recorded.
A server that is not reachable is not among them: psycopg's own `OperationalError` passes through.
"""

from uuid import UUID


class NotFound(Exception):  # noqa: N818  # an answer, not a fault
    """There is no such record, entry or position."""


class Conflict(Exception):  # noqa: N818  # an answer, not a fault
    """Others kept changing the record at the same time, or the same place already holds something else."""


class Unsafe(Exception):  # noqa: N818  # an answer, not a fault
    """The server's settings or the keys at hand would lose or expose what is recorded."""


class Damaged(Exception):  # noqa: N818  # the field says "damaged"
    """Stored bytes do not fit: changed, moved or from a newer program. Says where; never what the bytes are."""

    def __init__(
        self, what: str, *, record_id: UUID | None = None, version: int | None = None, position: int | None = None
    ) -> None:
        """Name the entry as far as it is known; `what` is the rest of the sentence."""
        self.record_id = record_id
        self.version = version
        self.position = position
        place = f" at position {position}" if position is not None else ""
        entry = f"Entry {version} of record {record_id}{place}: " if record_id is not None else ""
        super().__init__(f"{entry}{what}")
