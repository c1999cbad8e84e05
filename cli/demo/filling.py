"""Fills the nodes of the demonstration: invented people, companies, seizures and offences, and real files if present.

The invented part is the same for the same seed. Real files are read from a folder of the person's own, never shipped.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from uuid import UUID

import msgspec

from cli.demo.invented import Deed, Inventor
from cli.demo.wares import Nation
from cli.output import Failure
from domain.attribution import Attribution, Purpose, Role
from domain.refused import Refused
from intake.importing import Outcome, import_seizures
from ledger.ledger import Asked, Ledger

BATCH = 500
OFFENCES = 0.3
REAL_FILES = (
    ("XA", "colombia", "colombia_2018_sample.json"),
    ("XB", "poland", "poland_border_guard_2024_sample.csv"),
    ("XB", "lemis", "lemis_1999_2015.csv.gz"),
)


class Filled(msgspec.Struct, kw_only=True):
    """What a nation recorded: how many of each, and one seizure whose history is worth showing."""

    people: int = 0
    companies: int = 0
    seizures: int = 0
    offences: int = 0
    amendments: int = 0
    story: UUID | None = None


def fill(ledger: Ledger, nation: Nation, *, seed: int, seizures: int) -> Filled:
    """Record the invented part of a nation."""
    inventor = Inventor(nation, seed)
    filled = Filled()
    people = list(inventor.people(seizures // 6))
    companies = list(inventor.companies(seizures // 20))
    _record(ledger, nation, people)
    _record(ledger, nation, companies)
    filled.people, filled.companies = len(people), len(companies)
    made = list(
        inventor.seizures(seizures, [deed.record_id for deed in people], [deed.record_id for deed in companies])
    )
    filled.seizures = _record(ledger, nation, made)
    waves = list(inventor.amendments())
    for wave in waves:
        filled.amendments += _record(ledger, nation, wave)
    filled.offences = _record(ledger, nation, list(inventor.offences(OFFENCES)))
    filled.story = _story(made, waves)
    return filled


def _story(made: Sequence[Deed], waves: Sequence[Sequence[Deed]]) -> UUID | None:
    """A seizure with a party that was corrected, submitted and validated, and not cancelled."""
    corrected, submitted, validated, void = ({deed.record_id for deed in wave} for wave in waves)
    told = {deed.record_id for deed in made if getattr(deed.command, "parties", ()) and deed.command.narrative}  # type: ignore[attr-defined]  # invented seizures
    return min((corrected & submitted & validated & told) - void, default=None)


def _record(ledger: Ledger, nation: Nation, deeds: Sequence[Deed]) -> int:
    """Give the commands in batches, each by the officer who gives them; return how many were carried out."""
    done = 0
    for actor, group in groupby(sorted(deeds, key=lambda deed: deed.actor), key=lambda deed: deed.actor):
        by = Attribution(
            actor=actor,
            role=Role.SUPERVISOR if actor.startswith("supervisor") else Role.OFFICER,
            purpose=Purpose.DETECTION,
            legal_basis=f"{nation.code}:CUSTOMS-ACT",
        )
        for batch in _batches(list(group)):
            asked = [
                Asked(record_id=deed.record_id, command=deed.command, command_id=ledger.new_id()) for deed in batch
            ]
            for answer in ledger.execute_all(asked, by):
                if isinstance(answer, Refused):
                    raise Failure(f"An invented command was refused: {answer}")
                done += 1
    return done


def _batches(deeds: Sequence[Deed]) -> Iterable[Sequence[Deed]]:
    return (deeds[start : start + BATCH] for start in range(0, len(deeds), BATCH))


def import_real(ledger: Ledger, code: str, folder: Path) -> dict[str, Outcome]:
    """Import the real files that are there and meant for this node, by the mappings that ncen ships."""
    by = Attribution(
        actor="datamanager-01", role=Role.DATA_MANAGER, purpose=Purpose.STATISTICS, legal_basis=f"{code}:CUSTOMS-ACT"
    )
    return {
        file: import_seizures(ledger, folder / file, mapping, by)
        for node, mapping, file in REAL_FILES
        if node == code and (folder / file).exists()
    }
