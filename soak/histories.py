"""Random histories for the law of the CEN: what is open is shared by a pair, what is personal is not.

Pairs differ in the values of what is personal, in how much there is of it, and in whether there is any at all.
"""

import random
from collections.abc import Iterator
from datetime import date, timedelta
from uuid import UUID

from domain.codes import DocumentKind, PartyRole, Reason, Section
from domain.event import Command
from domain.party import Party
from domain.place import Place
from domain.seizure import (
    CancelSeizure,
    CorrectGoods,
    CorrectSeizure,
    Document,
    NameParty,
    NoteDocuments,
    NotePlates,
    Plate,
    RecordSeizure,
    ReturnSeizure,
    SubmitSeizure,
    ValidateSeizure,
    WriteNarrative,
)
from soak.invented import goods, person

SEIZURES = 3
Told = tuple[Command, bool]
"""A command, and whether the supervisor gives it."""


def seizure_id(of: int, number: int) -> UUID:
    """Return the id of a seizure of a history."""
    return UUID(int=(of << 32) + number + 1)


class History:
    """A random history of some seizures: `open` is shared, what is personal is drawn from a source of its own."""

    def __init__(self, seed: int, personal_seed: int | None) -> None:
        """Draw what is open from one source, and what is personal from another; None for nothing personal."""
        self._open = random.Random(seed)
        self._personal = random.Random(personal_seed) if personal_seed is not None else None
        self._seed = seed

    def commands(self) -> Iterator[tuple[UUID, Told]]:
        """Tell the commands in order, and of which record each is."""
        for number in range(SEIZURES):
            yield seizure_id(self._seed, number), (self._record(), False)
            yield from self._something_personal(number)
        for _ in range(self._open.randrange(4, 14)):
            number = self._open.randrange(SEIZURES)
            yield seizure_id(self._seed, number), self._change()
            yield from self._something_personal(number)

    def _record(self) -> RecordSeizure:
        pick = self._open
        lines = tuple(
            goods(pick.choice(list(Section)[:3]), str(pick.randrange(1, 99))) for _ in range(pick.randrange(1, 4))
        )
        return RecordSeizure(
            office=pick.choice(("XAPORT", "XAEAST")),
            place=Place(country="XA", subdivision=pick.choice(("XA-01", "XA-02"))),
            occurred_on=date(2026, 1, 1) + timedelta(days=pick.randrange(100)),
            goods=lines,
            narrative=self._words(),
            parties=self._parties(),
        )

    def _change(self) -> Told:
        pick = self._open
        kind = pick.choice(("submit", "submit", "validate", "correct", "amount", "return", "cancel"))
        day = date(2026, 1, 1) + timedelta(days=pick.randrange(100))
        amount = str(pick.randrange(1, 99))
        changes: dict[str, Told] = {
            "submit": (SubmitSeizure(), False),
            "validate": (ValidateSeizure(), True),
            "return": (ReturnSeizure(reason=Reason.INCOMPLETE), True),
            "cancel": (CancelSeizure(reason=Reason.DUPLICATE, remark=self._words()), False),
            "correct": (CorrectSeizure(reason=Reason.ENTRY_ERROR, occurred_on=day, remark=self._words()), False),
            "amount": (
                CorrectGoods(line=1, goods=goods(amount=amount), reason=Reason.RECOUNT, remark=self._words()),
                False,
            ),
        }
        return changes[kind]

    # -- what is personal, or nothing

    def _words(self) -> str | None:
        if self._personal is None or self._personal.random() < 0.4:
            return None
        return "he said " + "x" * self._personal.randrange(200)

    def _parties(self) -> tuple[Party, ...]:
        if self._personal is None:
            return ()
        roles = self._personal.sample(
            [PartyRole.DRIVER, PartyRole.COURIER, PartyRole.OWNER], self._personal.randrange(3)
        )
        return tuple(Party(party=UUID(int=self._personal.getrandbits(120)), role=role) for role in roles)

    def _something_personal(self, number: int) -> Iterator[tuple[UUID, Told]]:
        """Between what is open: words, parties, plates, documents, persons; more, fewer or none."""
        if self._personal is None:
            return
        record_id = seizure_id(self._seed, number)
        for _ in range(self._personal.randrange(4)):
            text = "z" * self._personal.randrange(1, 99)
            choices: list[tuple[UUID, Command]] = [
                (record_id, WriteNarrative(text=text)),
                (record_id, NotePlates(plates=(Plate(number=text),))),
                (record_id, NoteDocuments(documents=(Document(kind=DocumentKind.PASSPORT, number=text),))),
                (
                    record_id,
                    NameParty(party=Party(party=UUID(int=self._personal.getrandbits(120)), role=PartyRole.WITNESS)),
                ),
                (UUID(int=self._personal.getrandbits(120)), person(text)),
            ]
            about, command = self._personal.choice(choices)
            yield about, (command, False)
