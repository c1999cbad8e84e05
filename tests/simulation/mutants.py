"""Bugs that we planted in our own code, each a small change of it: the simulation must find every one.

A mutant is a change of words in a function as it stands today; when the words are gone it refuses, so that no mutant
outlives what it was made of. Where one defence hides that another is missing, both are taken away, and each by itself
is shown to be harmless or found.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from domain.entry import Entry
from exchange import acceptance, checkpoint, feed, inbox, verifying
from exchange.feed import Turn
from exchange.inbox import Inbox, OutOfStep
from exchange.receiver import Receiver
from exchange.relay import Relay
from exchange.release import KnownPremise, Matter, Release, Withheld, release
from ledger import sealer
from ledger.stand import Stand
from projections.slot import Slot
from tests.simulation import (
    exchanging,
    mutants_cen,
    mutants_epoch,
    mutants_erasing,
    mutants_keys,
    mutants_prover,
    mutants_rebuild,
    mutants_witness,
    projecting,
    sealing,
    tables_read,
)
from tests.simulation.mutant import Mutant, changed
from tests.simulation.seams import Exchanged

# -- what is not a change of words


def reach_first(self: Slot, batch: Sequence[Any]) -> None:
    """Commit the position, then the rows."""
    with self.transaction() as cursor:
        entries = self._sorted_out(cursor, batch)
        self._reach(cursor, batch)
    self.position = batch[-1].position
    with self.transaction() as cursor:
        for entry in entries:
            self._try(cursor, entry)


def reach_last(self: Slot, batch: Sequence[Any]) -> None:
    """Commit the rows, then the position."""
    with self.transaction() as cursor:
        for entry in self._sorted_out(cursor, batch):
            self._try(cursor, entry)
    with self.transaction() as cursor:
        self._reach(cursor, batch)
    self.position = batch[-1].position


def reach_anyway(self: Slot, cursor: Any, batch: Sequence[Any]) -> None:  # noqa: ANN401  # a cursor in the shape of psycopg's
    """Move the position without looking where it is."""
    cursor.execute(tables_read.REACH_UNGUARDED, [batch[-1].position, self._projection.NAME, self._is_fresh])


def release_anyway(
    entry: Entry,
    matter: Matter,
    premises: Sequence[KnownPremise],
    peer: str,
    now: datetime,
) -> Release | Withheld:
    """Release as if no premise were ever suspended or over."""
    lasting = [
        KnownPremise(
            record_id=known.record_id, premise=msgspec.structs.replace(known.premise, suspended=None, until=None)
        )
        for known in premises
    ]
    return release(entry, matter, lasting, peer, now)


def take_receipt_first(self: Inbox, raws: Sequence[bytes], first: int, now: datetime) -> int:
    """Sign for a batch, then record it."""
    with self._sessions.session() as connection:
        before, *_ = self._load(connection, is_locked=False)
        if before.size + 1 != first:
            raise OutOfStep
        batch = verifying.verify(raws, self._source, before)
        with connection.transaction():
            connection.execute(
                inbox.REACHED,
                [batch.head.size, batch.frontier.to_bytes(), batch.signed, "ncen/XA", now, self._peer.node],
            )
            receipt = checkpoint.cosign(batch.signed, self._own.node, self._own.signing_key, now)
            connection.execute(
                "INSERT INTO exchange.inbox_checkpoint (origin, size, note) VALUES (%s, %s, %s)",
                [self._peer.node, batch.head.size, receipt],
            )
        with connection.transaction():
            outcomes = self._recorder.record(connection, batch.lines, now)
            columns = f"COPY exchange.inbox ({inbox._COLUMNS}) FROM STDIN (FORMAT BINARY)"
            with connection.cursor() as cursor, cursor.copy(columns.encode()) as copy:
                for line, outcome in zip(batch.lines, outcomes, strict=True):
                    copy.write_row(inbox._row(self._peer.node, line, outcome, now))
    return batch.head.size


# -- defences that stand behind others

NO_ROOT = (
    changed(
        verifying,
        "verify",
        ("head.size != frontier.size", "head.size < 0"),
        ("head.root != frontier.root()", "head.size < 0"),
        ("not verify_inclusion(line.leaf_hash, line.number - 1, head.size, line.proof, head.root)", "head.size < 0"),
    ),
)
"""The receiver believes each batch by itself, and does not ask whether it continues what it has."""
NO_NUMBER = (changed(verifying, "_whole", ("core.number != number", "core.number < 0")),)
"""The receiver does not read the number that the sender has signed for in each line."""
NO_ROOT_AT_INBOX = (Exchanged(inbox, "verify", NO_ROOT[0].value),)
NO_RECHECK = (
    changed(Relay, "_plan", ("is_checked and stand == stood", "True")),
    changed(
        Turn, "recheck", ("after is None", "True"), ("return False", "self._feed.recheck = None\n        return False")
    ),
)
NO_GAP_CHECK = (
    changed(Receiver, "_keep_taking", ("sequence != number + len(batch) + 1", "sequence < number + len(batch) + 1")),
)
NO_DEDUP = (
    changed(Receiver, "_keep_taking", ("sequence != number + len(batch) + 1", "sequence > number + len(batch) + 1")),
)
LENGTH_ONLY = (changed(Relay, "_plan", ("signed_for != (False,)", "receipted <= number")),)
"""The sender looks at how much the receiver has signed for, not at what."""

MUTANTS = (
    Mutant(
        name="sealing without the horizon",
        run=sealing.run,
        changes=(Exchanged(sealer, "_ENDED", ""),),
        within=50,
    ),
    Mutant(name="acknowledged before it is flushed", run=sealing.run, is_synchronous=False, within=100),
    Mutant(
        name="a repeated command is not recognised",
        run=sealing.run,
        changes=(changed(Stand, "made_by", ("entry.command_id == command_id", "False")),),
        within=100,
    ),
    Mutant(
        name="two sealers do not look whether the other was quicker",
        run=sealing.run,
        changes=(changed(sealer.Sealer, "_number", ("rowcount != 1", "rowcount > 1")),),
        within=100,
    ),
    Mutant(
        name="position committed before rows",
        run=projecting.run,
        changes=(Exchanged(Slot, "advance", reach_first),),
        within=20,
    ),
    Mutant(
        name="rows committed before position",
        run=projecting.run,
        changes=(Exchanged(Slot, "advance", reach_last),),
        within=20,
    ),
    Mutant(
        name="two runners do not look where the position is",
        run=projecting.run,
        changes=(Exchanged(Slot, "_reach", reach_anyway),),
        within=50,
    ),
    Mutant(
        name="premise ignored by the sender",
        run=exchanging.run,
        changes=(Exchanged(feed, "release", release_anyway),),
        within=50,
    ),
    Mutant(
        name="premise ignored by the receiver",
        run=exchanging.run,
        changes=(
            changed(acceptance, "_fault_under", ("premise.gap_in_time(now.astimezone(UTC).date()) is not None or", "")),
        ),
        within=50,
    ),
    Mutant(name="premise revoked before it is sent", run=exchanging.run, changes=NO_RECHECK, within=200),
    Mutant(
        name="receipt before record",
        run=exchanging.run,
        changes=(Exchanged(Inbox, "take", take_receipt_first),),
        within=20,
    ),
    Mutant(name="receipt before it is flushed", run=exchanging.run, is_synchronous=False, within=50),
    Mutant(
        name="no gap check, and no root",
        run=exchanging.run,
        changes=NO_GAP_CHECK + NO_ROOT_AT_INBOX + NO_NUMBER,
        within=50,
    ),
    Mutant(
        name="no dedup, and no root",
        run=exchanging.run,
        changes=NO_DEDUP + NO_ROOT_AT_INBOX + NO_NUMBER,
        within=50,
    ),
    Mutant(
        name="a smaller tree is accepted after a restore",
        run=exchanging.run,
        changes=LENGTH_ONLY + NO_ROOT_AT_INBOX,
        within=200,
    ),
    Mutant(name="receipts looked at by length alone", run=exchanging.run, changes=LENGTH_ONLY, within=200),
    *mutants_cen.MUTANTS,
    *mutants_epoch.MUTANTS,
    *mutants_erasing.MUTANTS,
    *mutants_keys.MUTANTS,
    *mutants_prover.MUTANTS,
    *mutants_rebuild.MUTANTS,
    *mutants_witness.MUTANTS,
)


def all_found(seeds: Sequence[int]) -> Iterator[tuple[Mutant, tuple[int, str] | None]]:
    """Each mutant, with the place of the seed that finds it."""
    for mutant in MUTANTS:
        yield mutant, mutant.found_at(seeds)
