"""Erasure reaches every recipient: lines are withdrawn, the notice travels, copies go, and the answer is signed."""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from cli.nats_server import EmbeddedNats
from domain.attribution import Attribution, Purpose, Role
from domain.event import Erased
from domain.handling import DataCategory, PremiseReason
from domain.person import LiftRestrictionOfPerson, RestrictPerson
from domain.premise import SuspendPremise
from domain.rights import ErasureGrounds, RestrictionGrounds
from exchange import erasing
from exchange.audit import audit
from exchange.envelope import Malformed
from exchange.relay import REFUSED, STORED, Relay
from exchange.status import status
from ledger import certificates, erasure, note
from ledger.erasure import Eraser
from ledger.ledger import Ledger
from tests.exchange.conftest import MakeNode
from tests.exchange.nodes import LAWYER, now, party, person, premise, seizure
from tests.exchange.test_network import at_work, serve, until
from tests.exchange.test_two_nodes import carry, meet

DPO = Attribution(actor="d.po", role=Role.DATA_PROTECTION_OFFICER, purpose=Purpose.ADMINISTRATION, legal_basis="CODE:1")
NOMINAL = premise(categories=(DataCategory.OPEN, DataCategory.NOMINAL))


class Two:
    """XA, which has sent a person with a case to XB; `case` and `who` are theirs."""

    def __init__(self, make_node: MakeNode) -> None:
        self.xa, self.xb = make_node("XA"), make_node("XB")
        self.to_b, self.from_a = meet(self.xa, self.xb)
        for node in (self.xa, self.xb):
            self.premise = node.do(NOMINAL, LAWYER).record_id
        self.own_premise = self.xa.session.execute(
            "SELECT record_id FROM ledger.entry WHERE name = 'premise.registered'"
        ).fetchall()[0][0]
        self.who = self.xa.do(person("Amina Testeron")).record_id
        self.case = self.xa.do(seizure(parties=(party(self.who),), narrative="seen there")).record_id
        self.exchange()

    def exchange(self) -> None:
        self.xa.export(self.to_b)
        self.xa.export(self.to_b)
        carry(self.xa, self.xb, self.to_b, self.from_a)

    def erase(self) -> None:
        with Eraser.open(self.xa.url, node="XA", keys=self.xa.keys) as eraser:
            eraser.erase(self.who, "person", ErasureGrounds.UNLAWFUL, DPO)
        self.xa.reader.vault.forget()

    def read_at_b(self) -> list[str]:
        """What XB can read of the person, in both records."""
        self.xb.reader.vault.forget()
        entries = [*self.xb.reader.record(self.who), *self.xb.reader.record(self.case)]
        return [entry.name for entry in entries if not isinstance(entry.event, Erased)]

    def answer(self) -> bytes:
        """Hand XB's standing in at XA, as over the network; XB remembers what was stored."""
        box = self.xb.inbox(self.from_a)
        standing = box.standing()
        answer = self.hand_in(erased_json(standing))
        if answer == STORED:
            box.stored(standing.number, now(), standing.erased)
        box.close()
        return answer

    def hand_in(self, raw: bytes) -> bytes:
        relay = Relay(self.xa.url, self.xa.own, self.to_b, "nats://127.0.0.1:1", None)
        try:
            return relay._take(raw)
        finally:
            relay._sessions.close()


def erased_json(standing: object) -> bytes:
    import msgspec

    return msgspec.json.encode(standing)


@pytest.fixture
def two(make_node: MakeNode) -> Two:
    return Two(make_node)


def test_the_recipient_erases_its_copies_and_signs_for_it(two: Two) -> None:
    assert {"person.name-asserted", "seizure.party-named", "seizure.narrative-written"} <= set(two.read_at_b())
    two.erase()
    two.exchange()
    assert two.read_at_b() == ["person.registered", "person.erased", "seizure.recorded", "seizure.narrative-written"]
    (done,) = erasure.of_subject(two.xb.session, two.who)
    assert (done.grounds, done.by, len(done.keys)) == (ErasureGrounds.ORIGIN_ERASED, erasing.BY_EXCHANGE, 2)
    assert [one.subject for one in certificates.read(two.xb.keys)] == [two.who]
    stands = status(two.xa.url)[0].sending.erasures
    assert (stands.noticed, stands.confirmed) == (1, 0)
    assert two.answer() == STORED
    stands = status(two.xa.url)[0].sending.erasures
    assert (stands.noticed, stands.confirmed, stands.overdue) == (1, 1, ())
    ((text,),) = two.xa.session.execute("SELECT confirmation FROM exchange.erasure_notice").fetchall()
    told = erasing.read_confirmation(text, origin="XA", peer=two.to_b)
    assert (told.subject, told.keys) == (two.who, 2)
    box = two.xb.inbox(two.from_a)
    assert box.standing().erased == (), "what was stored is not handed in again"
    box.close()


def test_without_the_notice_the_recipient_goes_on_reading(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    monkeypatch.setattr(erasing, "take", lambda *_: None)
    two.erase()
    two.exchange()
    assert {"person.name-asserted", "seizure.party-named"} <= set(two.read_at_b())


def test_no_key_of_the_erased_stays_in_the_outbox(two: Two) -> None:
    def boxed() -> int:
        row = two.xa.session.execute("SELECT count(*) FROM exchange.feed_out WHERE boxed_key IS NOT NULL").fetchone()
        return int(row[0]) if row else -1

    before = boxed()
    two.erase()
    two.exchange()
    assert before - boxed() == 2
    rows = two.xa.session.execute("SELECT lines FROM exchange.withdrawn").fetchall()
    assert rows == [(2,)]
    assert audit(two.xa.url, two.xa.own, "XB").faults == (), "the feed's tree stands as it stood"


def test_what_was_not_delivered_goes_as_a_bare_hash(make_node: MakeNode) -> None:
    two = Two.__new__(Two)
    two.xa, two.xb = make_node("XA"), make_node("XB")
    two.to_b, two.from_a = meet(two.xa, two.xb)
    for node in (two.xa, two.xb):
        node.do(NOMINAL, LAWYER)
    two.who = two.xa.do(person()).record_id
    two.case = two.xa.do(seizure(parties=(party(two.who),))).record_id
    two.xa.export(two.to_b)
    two.erase()
    two.exchange()
    assert "person.name-asserted" not in two.read_at_b()
    assert "seizure.party-named" not in two.read_at_b()
    assert status(two.xb.url)[0].receiving.stopped is None
    assert status(two.xb.url)[0].receiving.held == 2


def test_the_notice_goes_also_when_the_premise_is_suspended(two: Two) -> None:
    two.xa.do(SuspendPremise(reason=PremiseReason.BREACH), LAWYER, two.own_premise)
    two.erase()
    two.exchange()
    assert "person.name-asserted" not in two.read_at_b()
    assert "person.erased" in two.read_at_b()


def test_a_peer_that_was_given_nothing_of_them_is_not_told(two: Two) -> None:
    stranger = two.xa.do(person("Unknown There")).record_id
    two.exchange()
    with Eraser.open(two.xa.url, node="XA", keys=two.xa.keys) as eraser:
        eraser.erase(stranger, "person", ErasureGrounds.UNLAWFUL, DPO)
    two.exchange()
    assert two.xa.reasons(two.to_b, stranger)[-1] == "not-tied"
    assert status(two.xa.url)[0].sending.erasures.noticed == 0


def test_recipients_are_told_also_of_whom_only_a_case_names(two: Two) -> None:
    """Whose own record is not here: it was lost in a restore, or never made."""
    two.who = Ledger.new_id()
    two.case = two.xa.do(seizure(parties=(party(two.who),))).record_id
    two.exchange()
    assert "seizure.party-named" in two.read_at_b()
    two.erase()
    two.exchange()
    assert "seizure.party-named" not in two.read_at_b()
    assert "person.erased" in two.read_at_b()
    assert two.answer() == STORED
    stands = status(two.xa.url)[0].sending.erasures
    assert (stands.noticed, stands.confirmed) == (1, 1)


def test_without_a_record_opened_for_the_notice_nobody_is_told(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    monkeypatch.setattr(Eraser, "_named_only", lambda *_: set())
    two.who = Ledger.new_id()
    two.case = two.xa.do(seizure(parties=(party(two.who),))).record_id
    two.exchange()
    two.erase()
    two.exchange()
    assert "seizure.party-named" in two.read_at_b()


def test_a_confirmation_of_somebody_else_is_refused(two: Two) -> None:
    two.erase()
    two.exchange()
    box = two.xb.inbox(two.from_a)
    (signed,) = box.standing().erased
    box.close()
    text = note.verify(signed, "XB", two.xb.own.signing_key.public_key())
    forged = note.sign(text, "XB", two.xa.own.signing_key)
    other_feed = note.sign(text.replace("XA>XB", "XC>XB"), "XB", two.xb.own.signing_key)
    for bad in (forged, other_feed, "nothing"):
        with pytest.raises(Malformed):
            erasing.read_confirmation(bad, origin="XA", peer=two.to_b)
        assert two.hand_in(b'{"number":1,"erased":[' + erased_json(bad) + b"]}") == REFUSED
    assert status(two.xa.url)[0].sending.erasures.confirmed == 0


def test_who_does_not_confirm_is_overdue(two: Two) -> None:
    two.erase()
    two.exchange()
    later = datetime.now(UTC) + erasing.CONFIRM_WITHIN + timedelta(minutes=1)
    assert erasing.notices(two.xa.session, "XB").overdue == ()
    assert erasing.notices(two.xa.session, "XB", later).overdue == (two.who,)
    two.answer()
    assert erasing.notices(two.xa.session, "XB", later).overdue == ()


def test_who_is_restricted_is_not_exchanged_until_it_is_lifted(two: Two) -> None:
    two.xa.do(RestrictPerson(grounds=RestrictionGrounds.UNDER_REVIEW), DPO, two.who)
    case = two.xa.do(seizure(parties=(party(two.who),))).record_id
    two.exchange()
    assert two.xa.reasons(two.to_b, case) == [None, None, "restricted"]
    assert "person.restricted" in [entry.name for entry in two.xb.reader.record(two.who)], "the peer restricts it too"
    two.xa.do(LiftRestrictionOfPerson(), DPO, two.who)
    two.exchange()
    assert two.xa.reasons(two.to_b, case) == [None, None, None]


def test_the_whole_way_over_the_network(make_node: MakeNode, make_nats: Callable[[str], EmbeddedNats]) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    nats = make_nats("a")
    to_b = xa.meet(xb)
    xb.meet(xa, nats.url)
    serve(nats, xa, to_b)
    for node in (xa, xb):
        node.do(NOMINAL, LAWYER)
    with at_work((xa, nats.url), (xb, None)):
        who = xa.do(person("Amina Testeron")).record_id
        case = xa.do(seizure(parties=(party(who),))).record_id
        until(lambda: len(xb.reader.record(case)) == 3 and len(xb.reader.record(who)) == 2)
        until(lambda: xa.receipted(to_b) == len(xa.messages(to_b)))
        boxed = [
            bytes(key)
            for (key,) in xa.session.execute(
                "SELECT boxed_key FROM exchange.feed_out WHERE record_id = %s AND boxed_key IS NOT NULL", [who]
            )
        ]
        assert boxed
        assert any(key in stored(nats) for key in boxed), "the control: it lay in the stream"
        with Eraser.open(xa.url, node="XA", keys=xa.keys) as eraser:
            eraser.erase(who, "person", ErasureGrounds.UNLAWFUL, DPO)
        until(lambda: status(xa.url)[0].sending.erasures.confirmed == 1)
        until(lambda: not any(key in stored(nats) for key in boxed))
    xb.reader.vault.forget()
    assert [isinstance(entry.event, Erased) for entry in xb.reader.record(who)] == [False, True, False]
    assert status(xb.url)[0].receiving.stopped is None


def stored(nats: EmbeddedNats) -> bytes:
    """All bytes in the store of a NATS server."""
    found = b""
    for path in nats._place().rglob("*"):
        with contextlib.suppress(OSError):  # the server removes what it is done with
            if path.is_file():
                found += path.read_bytes()
    return found
