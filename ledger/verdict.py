"""What verifying comes to: what does not fit, where it lies, and what was checked.

A fault is a sentence with a place, as far as that can be said; it never repeats what is recorded.
"""

from uuid import UUID

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """Something that does not fit: where, as far as that can be said, and what it is, as a sentence."""

    position: int | None
    record_id: UUID | None
    version: int | None
    what: str

    def __str__(self) -> str:
        entry = f"entry {self.version} of record {self.record_id}" if self.record_id else None
        place = f"position {self.position}" if self.position else None
        return f"{', '.join(part for part in (place, entry) if part) or 'the ledger'}: {self.what}"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What verifying came to: how many entries there are, the tree's root over them, and what does not fit."""

    entries: int
    root: bytes
    faults: tuple[Fault, ...]
    since: int = 0
    """The position up to which nothing was recomputed: a signed checkpoint was trusted for it."""
    signed: int = 0
    """The largest size for which a signed checkpoint was found and compared."""
    unsealed: int = 0
    """Entries that are recorded and wait for the sealer."""
    opened: int = 0
    """Personal bodies that were opened with the keys given."""
    erased: int = 0
    """Personal bodies whose key is gone."""

    @property
    def is_sound(self) -> bool:
        """Whether everything fits."""
        return not self.faults
