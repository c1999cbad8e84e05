"""Random histories: what officers may ask of seizures, offences, persons, businesses and premises, in any order."""

import contextlib
from datetime import date
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from domain import offence
from domain.business import AssertAboutBusiness
from domain.codes import DocumentKind, OffenceType, Outcome, PartyRole, Reason, Section
from domain.event import Command
from domain.identity import BusinessName, IdentityDocument, PersonName
from domain.party import Party
from domain.person import AssertAboutPerson, MergePerson, RetractAboutPerson
from domain.place import Place
from domain.refused import Refused
from domain.seizure import (
    AddGoods,
    CancelSeizure,
    CorrectGoods,
    CorrectSeizure,
    NameParty,
    NotePlates,
    Plate,
    RestateSeizure,
    ReturnSeizure,
    SubmitSeizure,
    ValidateSeizure,
    WithdrawGoods,
    WithdrawParty,
    WriteNarrative,
)
from tests.projections.conftest import OFFICER, SUPERVISOR, Node
from tests.projections.invented import fact, firm, goods, named, seizure, substance

AMOUNTS = st.decimals(min_value="0.0000000000000001", max_value="99999", places=16).map(str)
WORDS = st.sampled_from(["canine team", "пустые поддоны", "东方贸易", "تحت المقعد", "AB-123 CD", "nothing declared"])
NAMES = st.sampled_from(["Mohammed Ali", "محمد علي", "Иван Петров", "习近平", "O'Brien", "Jean-Luc Picard"])
LINES = st.builds(
    lambda amount, unit, section, code, outcome: goods(
        amount, unit, section, substance=code and substance(code), outcome=outcome
    ),
    st.none() | AMOUNTS,
    st.sampled_from(["KGM", "LTR", "H87"]),
    st.sampled_from(Section),
    st.none() | st.sampled_from(["COCAINE", "HEROIN"]),
    st.none() | st.sampled_from(Outcome),
)
DAYS = st.dates(min_value=date(2020, 1, 1), max_value=date(2024, 12, 31))
STEPS = st.lists(
    st.tuples(st.sampled_from(["new", "new", "change", "change", "change", "change"]), st.integers(0, 99), st.data()),
    min_size=3,
    max_size=14,
)


def parties(known: list[UUID]) -> st.SearchStrategy[Party]:
    return st.builds(Party, party=st.sampled_from(known), role=st.sampled_from(PartyRole)) if known else st.nothing()


class History:
    """Plays random commands on a node; what is refused is a part of life."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.records: list[tuple[str, UUID]] = []

    def play(self, data: st.DataObject) -> None:
        """Ask for one thing more."""
        if not self.records or data.draw(st.integers(0, 2)) == 0:
            self._new(data)
        else:
            kind, record_id = data.draw(st.sampled_from(self.records))
            command = data.draw(self._change(kind))
            by = SUPERVISOR if isinstance(command, ValidateSeizure) else OFFICER
            with contextlib.suppress(Refused):
                self.node.do(command, record_id, by)

    def _new(self, data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from(["seizure", "seizure", "seizure", "offence", "person", "business"]))
        self.records.append((kind, self.node.do(data.draw(self._creation(kind)))))

    def _ids(self, *kinds: str) -> list[UUID]:
        return [record_id for kind, record_id in self.records if kind in kinds]

    def _creation(self, kind: str) -> st.SearchStrategy[Command]:
        if kind == "seizure":
            return self._facts()
        if kind == "offence":
            seizures = self._ids("seizure")
            return st.builds(
                offence.RecordOffence,
                offence_type=st.sampled_from(OffenceType),
                office=st.sampled_from(["XA01", "XA02"]),
                occurred_on=DAYS,
                seizures=st.lists(st.sampled_from(seizures), max_size=2, unique=True).map(tuple)
                if seizures
                else st.just(()),
                narrative=st.none() | WORDS,
            )
        return NAMES.map(named if kind == "person" else firm)

    def _facts(self) -> st.SearchStrategy[Any]:
        return st.builds(
            lambda lines, office, day, narrative, source, who: seizure(
                *lines, office=office, occurred_on=day, narrative=narrative, source=source, parties=tuple(who)
            ),
            st.lists(LINES, min_size=1, max_size=3),
            st.sampled_from(["XA01", "XA02"]),
            DAYS,
            st.none() | WORDS,
            st.sampled_from([None, "FILE-1"]),
            st.lists(parties(self._ids("person", "business")), max_size=2, unique=True)
            if self._ids("person", "business")
            else st.just([]),
        )

    def _change(self, kind: str) -> st.SearchStrategy[Command]:
        reason = Reason.ENTRY_ERROR
        people = self._ids("person", "business")
        if kind == "seizure":
            numbers = st.integers(1, 4)
            choices: list[st.SearchStrategy[Command]] = [
                st.builds(CorrectSeizure, reason=st.just(reason), occurred_on=DAYS),
                st.builds(
                    CorrectSeizure,
                    reason=st.just(reason),
                    place=st.sampled_from(["XA", "YB"]).map(lambda c: Place(country=c)),
                ),
                st.builds(AddGoods, goods=LINES, reason=st.just(reason)),
                st.builds(CorrectGoods, line=numbers, goods=LINES, reason=st.just(Reason.RECOUNT)),
                st.builds(WithdrawGoods, line=numbers, reason=st.just(reason)),
                st.builds(RestateSeizure, facts=self._facts()),
                st.builds(WriteNarrative, text=st.none() | WORDS),
                st.builds(NotePlates, plates=st.just((Plate(number="AB-123 CD"),))),
                st.sampled_from(
                    [SubmitSeizure(), ReturnSeizure(reason=reason), ValidateSeizure(), CancelSeizure(reason=reason)]
                ),
            ]
            if people:
                choices += [
                    st.builds(NameParty, party=parties(people)),
                    st.builds(
                        WithdrawParty,
                        party=st.sampled_from(people),
                        role=st.sampled_from(PartyRole),
                        reason=st.just(reason),
                    ),
                ]
            return st.one_of(choices)
        if kind == "offence":
            return st.one_of(
                st.builds(offence.CorrectOffence, reason=st.just(reason), occurred_on=DAYS),
                st.builds(offence.ChangeStatus, status=st.sampled_from(offence.OffenceStatus)),
                st.builds(offence.WriteNarrative, text=st.none() | WORDS),
                st.just(offence.CancelOffence(reason=reason)),
            )
        if kind == "person":
            return st.one_of(
                NAMES.map(lambda name: AssertAboutPerson(statement=fact(PersonName(full=name)))),
                st.just(
                    AssertAboutPerson(statement=fact(IdentityDocument(kind=DocumentKind.PASSPORT, number="P 123-4")))
                ),
                st.builds(RetractAboutPerson, number=st.integers(1, 3), reason=st.just(reason)),
                st.builds(MergePerson, other=st.sampled_from(self._ids("person"))),
            )
        return NAMES.map(lambda name: AssertAboutBusiness(statement=fact(BusinessName(name=name))))
