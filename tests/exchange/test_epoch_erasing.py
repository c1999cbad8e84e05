"""Erasure across a loss: what was confirmed stays, and whoever may hold something of the erased is told again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.attribution import Attribution, Purpose, Role
from domain.event import Erased
from domain.handling import DataCategory
from domain.person import AssertAboutPerson
from domain.rights import ErasureGrounds
from domain.seizure import NameParty
from exchange import feed_epoch
from exchange.status import status
from ledger import erasure
from ledger.erasure import Eraser
from tests.exchange.conftest import MakeNode
from tests.exchange.nodes import party, person, seizure
from tests.exchange.restored import Two, copy_of
from tests.exchange.test_epochs import begun

DPO = Attribution(actor="d.po", role=Role.DATA_PROTECTION_OFFICER, purpose=Purpose.ADMINISTRATION, legal_basis="CODE:1")


@pytest.fixture
def two(make_node: MakeNode, tmp_path: Path) -> Iterator[Two]:
    made = Two(make_node, tmp_path / "checkpoints", categories=(DataCategory.OPEN, DataCategory.NOMINAL))
    yield made
    made.close()


def erase(two: Two, who: object) -> None:
    with Eraser.open(two.xa.url, node="XA", keys=two.xa.keys) as eraser:
        eraser.erase(who, "person", ErasureGrounds.UNLAWFUL, DPO)  # type: ignore[arg-type]  # a UUID
    two.xa.reader.vault.forget()


def readable(two: Two, who: object) -> list[str]:
    two.xb.reader.vault.forget()
    entries = two.xb.reader.record(who)  # type: ignore[arg-type]  # a UUID
    return [entry.name for entry in entries if entry.is_personal and not isinstance(entry.event, Erased)]


def notices(two: Two) -> tuple[int, int]:
    stands = status(two.xa.url)[0].sending.erasures
    return stands.noticed, stands.confirmed


def test_what_was_confirmed_stays_and_what_was_not_is_confirmed_in_the_new_epoch(two: Two) -> None:
    people = [two.xa.do(person()).record_id for _ in range(2)]
    for who in people:
        two.xa.do(seizure(parties=(party(who),)))
    two.exchange()
    two.exchange()
    erase(two, people[0])
    two.exchange()
    two.exchange()
    assert notices(two) == (1, 1)
    erase(two, people[1])
    two.exchange()
    two.sign()
    copy = copy_of(two.xa)
    two.xa.do(seizure())
    two.exchange()
    two.sign()
    assert notices(two) == (2, 2)
    two.lose(copy)
    two.xa.session.execute(  # as if its confirmation had come in what was lost
        "UPDATE exchange.erasure_notice SET confirmed_at = NULL, confirmation = NULL WHERE subject = %s", [people[1]]
    )
    begun(two)
    two.exchange()
    two.exchange()
    assert notices(two) == (2, 2)
    assert [readable(two, who) for who in people] == [[], []]
    assert len(erasure.of_subject(two.xb.session, people[0])) == 1, "it is one erasure, told twice"


def test_who_was_given_a_person_by_lines_that_are_lost_is_told_of_the_erasure(two: Two) -> None:
    who = two.xa.do(person()).record_id
    case = two.xa.do(seizure()).record_id
    stranger = two.xa.do(person()).record_id
    two.exchange()
    two.sign()
    copy = copy_of(two.xa)
    two.xa.do(NameParty(party=party(who)), record_id=case)
    two.exchange()
    two.exchange()
    two.sign()
    assert readable(two, who) == ["person.name-asserted"]
    two.lose(copy)
    erase(two, who)
    begun(two)
    two.exchange()
    two.exchange()
    assert readable(two, who) == []
    assert notices(two) == (1, 1)
    assert feed_epoch.may_hold(two.xa.session, "XB", stranger)
    later = two.xa.do(person()).record_id
    erase(two, later)
    two.exchange()
    assert notices(two) == (1, 1), "of whom came after the loss, nothing can have gone by what was lost"


def test_without_that_the_copy_would_stay(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_epoch, "may_hold", lambda *_: False)
    with pytest.raises(AssertionError):
        test_who_was_given_a_person_by_lines_that_are_lost_is_told_of_the_erasure(two)


def test_an_erasure_is_carried_out_although_another_entry_stands_in_its_place(two: Two) -> None:
    who = two.xa.do(person()).record_id
    two.xa.do(seizure(parties=(party(who),)))
    two.exchange()
    two.exchange()
    two.sign()
    copy = copy_of(two.xa)
    [said] = person("Bilal Nobody").statements
    two.xa.do(AssertAboutPerson(statement=said), record_id=who)
    two.exchange()
    two.sign()
    assert len(readable(two, who)) == 2
    two.lose(copy)
    erase(two, who)  # under the version of the assertion that was lost
    begun(two)
    two.exchange()
    two.exchange()
    assert ("quarantined", "differs") in [(outcome, reason) for _, outcome, reason in two.outcomes()]
    assert readable(two, who) == []
    assert notices(two) == (1, 1)
