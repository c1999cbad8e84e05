"""Importing a file of seizures: what is new is recorded, what its source changed is amended, the rest stays as it is.

The same file again writes nothing, and an import that was cut short goes on where it stopped, since a row's record and
command ids follow from the row. A bad row is refused with its place and reason; the good ones go in, about a thousand
in a transaction. Checks that do not hold, and a file or mapping that cannot be read, stop everything before the first.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import msgspec

from domain import records
from domain.attribution import Attribution, Occasion
from domain.difference import Change, differences
from domain.refused import Refused
from domain.seizure import (
    KIND,
    GoodsAdded,
    GoodsCorrected,
    RestateSeizure,
    Seizure,
    SeizureEvent,
    SeizureRecorded,
    decide,
    evolve,
)
from intake import files, mapping_file
from intake.keys import Ids, Keys
from intake.mapping import Mapping
from intake.mapping_file import MappingError
from intake.matching import assigned, restating
from intake.meaning import Meaning, columns_of
from intake.outcome import Outcome
from intake.reconciling import Reconciling
from intake.rows import Row, Rows, Unreadable
from intake.survey import Bundle, LeavingOut, Survey, TooManyAlike, bundles, size_of
from intake.telling import Telling, TellingRows
from ledger.ledger import Asked, Ledger, Recorded, Stand

__all__ = ["Foreseen", "MappingError", "Outcome", "TooManyAlike", "Unreadable", "import_seizures"]

BATCH = 1_000
BATCH_CHARACTERS = 16_000_000
PERSONAL = frozenset({"narrative", "plates", "documents", "parties"})
HIDDEN = "(personal)"


class Foreseen(msgspec.Struct, frozen=True):
    """What an import would do with a record: the lines that tell it, `record` or `amend`, and what would change.

    Of what is personal only the field is told.
    """

    lines: tuple[int, ...]
    action: str
    changes: tuple[Change, ...] = ()
    record_id: UUID | None = None
    """The record that would be amended; None where one would be made."""


class _Asking(msgspec.Struct, gc=False):
    telling: Telling
    stand: Stand | None
    command: RestateSeizure
    asked: Asked


def import_seizures(  # noqa: PLR0913  # what a person can say of an import
    ledger: Ledger,
    file: str | Path,
    mapping: Mapping | str | Path,
    by: Attribution,
    *,
    dry_run: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    on_foreseen: Callable[[Foreseen], None] | None = None,
) -> Outcome:
    """Import the seizures of a file (`-` is standard input) by a mapping (a file, or the name of one that ncen ships).

    `on_progress` is told how many rows of how many are done; with `dry_run` nothing is written, and `on_foreseen` is
    told of every record that would be made or amended.

    Raises:
        MappingError: the mapping cannot be used, or not with this file.
        Unreadable: the file cannot be read.
        TooManyAlike: the identity tells too few rows apart.
        Conflict: others kept changing the same records; what went in before stays, and the import can be repeated.
    """
    told = mapping if isinstance(mapping, Mapping) else mapping_file.load(mapping)
    where = "The mapping" if isinstance(mapping, Mapping) else str(mapping)
    wanted = frozenset(columns_of(told))
    with files.opened(file, told.file, wanted) as rows:
        run = _Import(ledger, told, by, rows, where)
        run.on_progress = on_progress
        run.foresee = (on_foreseen or (lambda _foreseen: None)) if dry_run else None
        return run.outcome if run.is_stopped_by_checks() else run.go()


class _Place(NamedTuple):
    """A record that an identity has or could have, and how it stands."""

    record_id: UUID
    stand: Stand


class _Import:
    """One import under way."""

    on_progress: Callable[[int, int], None] | None
    foresee: Callable[[Foreseen], None] | None

    def __init__(self, ledger: Ledger, mapping: Mapping, by: Attribution, rows: Rows, where: str) -> None:
        self._ledger, self._mapping, self._by, self._rows = ledger, mapping, by, rows
        self.outcome = Outcome()
        self._occasion = Occasion(by=by, at=datetime.now(UTC))
        meaning = Meaning(mapping, rows.columns, where)
        self._keys = Keys(mapping, meaning.columns)
        self._ids = Ids(ledger.intake_key, mapping.source.name)
        self._leaving_out = LeavingOut(mapping, meaning.columns)
        self._telling = TellingRows(mapping, meaning, self._occasion, self.outcome)
        self._survey = Survey(rows, self._leaving_out, self._keys, Reconciling(mapping, meaning.columns))
        self.outcome.read = self._survey.read
        self._done = 0

    def is_stopped_by_checks(self) -> bool:
        """Whether a check does not hold; then every row that is not left out is refused."""
        outcome = self.outcome
        for name, fault in self._survey.failures:
            outcome.failed_checks.append(name)
            outcome.refuse(0, "check", f"the check “{name}” does not hold: {fault}")
        if self._survey.failures:
            outcome.skipped = self._survey.left_out
            outcome.refused = outcome.read - outcome.skipped
        return bool(self._survey.failures)

    def go(self) -> Outcome:
        """Tell the ledger of every row."""
        told = bundles(self._rows, self._survey, self._keys, self._put_aside)
        with _few_collections(), ThreadPoolExecutor(max_workers=1, thread_name_prefix="import") as writer:
            under_way: Callable[[], None] | None = None
            for batch in _batches(told):
                asked = self._made_ready(batch)  # while the batch before is being written
                if under_way is not None:
                    under_way()
                under_way = self._settling(batch, asked, writer)
            if under_way is not None:
                under_way()
        self.outcome.in_order()
        return self.outcome

    def _put_aside(self, row: Row) -> bool:
        rule = self._leaving_out.rule(row.cells)
        if rule is not None:
            self.outcome.skip(row.line, rule.reason)
        elif row.problem is not None:
            self.outcome.refuse(row.line, "row", f"the row {row.problem}")
        self._done += rule is not None or row.problem is not None
        return rule is not None or row.problem is not None

    # ------------------------------------------------------------ a batch

    def _settling(
        self, batch: Sequence[Bundle], asked: Sequence[_Asking], writer: ThreadPoolExecutor
    ) -> Callable[[], None]:
        """Begin to write a batch; what is given back waits for the answers and counts them."""
        foresee = self.foresee
        written = (
            writer.submit(self._ledger.execute_all, [one.asked for one in asked], self._by)
            if asked and foresee is None
            else None
        )

        def settled() -> None:
            if foresee is not None:
                for one in asked:
                    self._count(one.telling, self._foreseen(one, foresee))
            for one, answer in zip(asked, written.result() if written is not None else (), strict=False):
                self._count(one.telling, answer if isinstance(answer, Refused) else _events(answer))
            self._done += sum(len(bundle.rows) for bundle in batch)
            if self.on_progress is not None:
                self.on_progress(self._done, self.outcome.read)

        return settled

    def _made_ready(self, batch: Sequence[Bundle]) -> list[_Asking]:
        """What the ledger is to be asked of a batch; what would change nothing is counted and not asked."""
        told = [(bundle.key, self._telling.of(bundle)) for bundle in batch]
        told = [(key, self._sound(tellings)) for key, tellings in told]
        stands = self._on_record([(key, len(tellings)) for key, tellings in told if tellings])
        asked: list[_Asking] = []
        for key, tellings in told:
            if tellings:
                asked.extend(self._asked(tellings, stands[key]))
        return asked

    def _sound(self, tellings: list[Telling]) -> list[Telling]:
        """Those of several rows of one identity that the ledger will not refuse: numbers of records have no gaps."""
        if len(tellings) < 2:
            return tellings
        sound = []
        for telling in tellings:
            try:
                _decided(None, restating(telling.facts, None, None), self._occasion)
                sound.append(telling)
            except Refused as refused:
                self._count(telling, refused)
        return sound

    def _on_record(self, wanted: Sequence[tuple[bytes, int]]) -> dict[bytes, list[_Place]]:
        """The records of each identity, in order: as many as there are rows, and those beyond as long as there are."""
        found: dict[bytes, list[_Place]] = {key: [] for key, _ in wanted}
        looking = dict(wanted)
        while looking:
            places = {
                key: [self._ids.record(key, n) for n in range(len(found[key]) + 1, len(found[key]) + count + 1)]
                for key, count in looking.items()
            }
            stands = self._ledger.stands([record_id for ids in places.values() for record_id in ids])
            for key, ids in places.items():
                found[key].extend(_Place(record_id, stands[record_id]) for record_id in ids)
            looking = {key: count + 1 for key, count in looking.items() if found[key][-1].stand.entries}
        return found

    def _asked(self, tellings: Sequence[Telling], places: Sequence[_Place]) -> Iterator[_Asking]:
        """The commands of one identity's tellings; what would change nothing is counted and not asked."""
        true_to = self._mapping.source.true_to_places
        stands = [place.stand for place in places if place.stand.entries]
        free = (place.record_id for place in places if not place.stand.entries)
        for telling, stand in assigned(tellings, stands, true_to, self._occasion):
            command = restating(telling.facts, stand, true_to)
            if stand is None:
                record_id, version = next(free), 0
            elif self._is_unchanged(stand, command):
                self._count(telling, ())
                continue
            else:
                record_id, version = stand.record_id, stand.version
            command_id = self._ids.command(record_id, version, command)
            yield _Asking(telling, stand, command, Asked(record_id=record_id, command=command, command_id=command_id))

    def _is_unchanged(self, stand: Stand, command: RestateSeizure) -> bool:
        try:
            return not decide(stand.state, command, self._occasion)
        except Refused:
            return False  # the ledger says so in the answer

    def _foreseen(self, one: _Asking, foresee: Callable[[Foreseen], None]) -> Refused | tuple[SeizureEvent, ...]:
        """What the ledger would answer; nothing is written."""
        state = one.stand.state if one.stand is not None else None
        try:
            if one.stand is not None:
                one.stand.require_own(self._ledger.node, records.KINDS[KIND])
            events = _decided(state, one.command, self._occasion)
        except Refused as refused:
            return refused
        now = state
        for event in events:
            now = evolve(now, event, self._occasion)
        changes = () if state is None else tuple(map(_without_personal, differences(state, now)))
        action = "record" if state is None else "amend"
        known = None if state is None else one.asked.record_id
        foresee(Foreseen(tuple(one.telling.lines), action, changes, known))
        return events

    def _count(self, telling: Telling, answer: Refused | Sequence[object]) -> None:
        outcome, rows = self.outcome, len(telling.lines)
        if isinstance(answer, Refused):
            for line in telling.lines:
                outcome.refuse(line, "record", str(answer))
        elif not answer:
            outcome.unchanged += rows
        elif any(isinstance(event, SeizureRecorded) for event in answer):
            outcome.recorded += rows
        else:
            lines = sum(isinstance(event, GoodsCorrected | GoodsAdded) for event in answer)
            amended = min(max(lines, 1), rows)
            outcome.amended += amended
            outcome.unchanged += rows - amended


def _decided(state: Seizure | None, command: RestateSeizure, occasion: Occasion) -> tuple[SeizureEvent, ...]:
    """What the ledger would record, checked as it checks. Raises Refused."""
    events = decide(state, command, occasion)
    for event in events:
        records.encode(event)
    return events


@contextmanager
def _few_collections() -> Iterator[None]:
    """Let the collector of reference cycles rest: rows make many objects and no cycles, and it would look at all."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, before[1], before[2])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _events(answer: Recorded) -> list[object]:
    return [entry.event for entry in answer.entries]


def _without_personal(change: Change) -> Change:
    if change.field.partition(".")[0] not in PERSONAL:
        return change
    was, now = (None if value is None else HIDDEN for value in (change.was, change.now))
    return Change(field=change.field, was=was, now=now)


def _batches(told: Iterator[Bundle]) -> Iterator[list[Bundle]]:
    """Bundles together, about a thousand rows at a time, fewer where they are long; identities are never split."""
    while True:
        batch: list[Bundle] = []
        rows = characters = 0
        for bundle in islice(told, BATCH):
            batch.append(bundle)
            rows += len(bundle.rows)
            characters += sum(map(size_of, bundle.rows))
            if rows >= BATCH or characters >= BATCH_CHARACTERS:
                break
        if not batch:
            return
        yield batch
