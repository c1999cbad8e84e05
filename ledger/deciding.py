"""A command, what it comes to, and the answer to it.

It is decided against the record as it stands, at the moment the ledger learns of it; a command id that already made
entries there is answered with these and changes nothing.
"""

from uuid import UUID

import msgspec

from domain import records
from domain.attribution import Attribution, Occasion
from domain.entry import Entry
from domain.event import Command
from domain.refused import Refused
from ledger.append import Plan
from ledger.drafting import Drafting
from ledger.stand import Stand
from ledger.vault import Vault


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A command for a record, under an id that makes asking twice harmless."""

    record_id: UUID
    command: Command
    command_id: UUID


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a command: the version reached and the entries it made, none where there was nothing to do.

    `is_repeated` says that the same command id had made these entries before.
    """

    record_id: UUID
    version: int
    entries: tuple[Entry, ...]
    is_repeated: bool = False


class Deciding:
    """Decides one person's commands at one node, at the moment the ledger learns of them."""

    def __init__(self, node: str, vault: Vault, by: Attribution, at_us: int) -> None:
        """Prepare what stays the same from command to command."""
        self._node = node
        self._drafting = Drafting(node, vault, by, at_us)
        self._occasion = Occasion(by=by, at=self._drafting.recorded_at)

    def on(self, stand: Stand, asked: Asked) -> tuple[Plan, Recorded]:
        """Decide a command on a record as it stands: what is to be recorded, and the answer once it is.

        Raises:
            Refused: a rule says no, or the record belongs to another node.
        """
        kind = records.kind_of(asked.command)
        if stand.entries:
            done = stand.made_by(asked.command_id)
            if done:
                return NOTHING, repeated(asked.record_id, done)
            stand.require_own(self._node, kind)
        asked.command.require_another(asked.record_id)
        events = kind.decide(stand.state, asked.command, self._occasion)
        if not events:
            return NOTHING, Recorded(record_id=asked.record_id, version=stand.version, entries=())
        plan, entries = self._drafting.draft(stand, events, asked.command_id)
        return plan, Recorded(record_id=asked.record_id, version=entries[-1].version, entries=entries)

    def as_creation(self, stand: Stand, asked: Asked) -> tuple[Plan, Recorded] | None:
        """Decide a command as if its record were new; None when it then is refused or has nothing to do."""
        try:
            decided = self.on(stand, asked)
        except Refused:
            return None
        return decided if decided[0].drafts else None


NOTHING = Plan(())


def repeated(record_id: UUID, entries: tuple[Entry, ...], *, is_repeated: bool = True) -> Recorded:
    """Answer a command with the entries that it made before."""
    return Recorded(record_id=record_id, version=entries[-1].version, entries=entries, is_repeated=is_repeated)
