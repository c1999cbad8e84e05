"""What a receiver asks for again, and what a sender finds when its database is an old copy: both found by seeds."""

import msgspec

from domain.handling import PremiseReason
from domain.premise import ResumePremise, SuspendPremise
from exchange.envelope import Held, decode_line
from exchange.peers import Peer
from exchange.relay import STORED, Relay, Standing
from tests.exchange.conftest import MakeNode
from tests.exchange.nodes import LAWYER, Node, premise, seizure
from tests.exchange.test_two_nodes import carry, meet


def relay(node: Node, peer: Peer) -> Relay:
    return Relay(node.url, node.own, peer, "nats://127.0.0.1:4222", None)


def told(one: Relay, standing: Standing) -> bytes:
    return one._take(msgspec.json.encode(standing))


def handed_in(sender: Relay, receiver: Node, of: Peer) -> None:
    """Bring the receiver's receipt to the sender."""
    box = receiver.inbox(of)
    assert told(sender, box.standing()) == STORED
    box.close()


def test_what_was_signed_for_is_not_sent_again_on_a_premise_that_fell_away(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    to_b, from_a = meet(xa, xb)
    law = xa.do(premise(), LAWYER)
    xb.do(premise(), LAWYER)
    xa.do(seizure())
    xa.export(to_b)
    carry(xa, xb, to_b, from_a)
    sender = relay(xa, to_b)
    handed_in(sender, xb, from_a)
    xa.do(SuspendPremise(reason=PremiseReason.REVIEW), LAWYER, law.record_id)
    xa.export(to_b)
    assert not any(isinstance(decode_line(raw), Held) for raw in xa.messages(to_b)), "it was delivered before"
    assert sender._plan().is_open, "what is held back may go"

    assert told(sender, Standing(number=0, wants_again=True)) == STORED
    assert not sender._plan().is_open, "nothing goes before it is checked"
    xa.export(to_b)
    assert sender._plan().is_open
    assert all(isinstance(decode_line(raw), Held) for raw in xa.messages(to_b))

    xa.do(ResumePremise(), LAWYER, law.record_id)
    xa.export(to_b)
    carry(xa, xb, to_b, from_a)
    assert len(xa.messages(to_b)) == 2, "it goes again under a number of its own"
    sender._sessions.close()


def test_who_asks_for_what_was_not_signed_for_gets_it_without_a_check(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    to_b, _ = meet(xa, xb)
    xa.do(premise(), LAWYER)
    xa.do(seizure())
    xa.export(to_b)
    sender = relay(xa, to_b)
    assert told(sender, Standing(number=0, wants_again=True)) == STORED
    assert sender._plan().is_open
    sender._sessions.close()


def test_a_sender_whose_database_is_an_old_copy_sends_nothing_whatever_length_it_has(make_node: MakeNode) -> None:
    """Two histories of the same length: the receipt is for the one that was lost."""
    lost, xa, xb = make_node("XA"), make_node("XA"), make_node("XB")
    xa.own = lost.own  # the same node, restored: its keys are the same, what it recorded since is not
    to_b, from_a = meet(lost, xb)
    xa.meet(xb)
    for node in (lost, xa, xb):
        node.do(premise(), LAWYER)
    lost.do(seizure())
    lost.export(to_b)
    carry(lost, xb, to_b, from_a)
    xa.do(seizure())
    xa.export(to_b)
    assert len(xa.messages(to_b)) == len(lost.messages(to_b)) == 1
    sender = relay(xa, to_b)
    assert sender._plan().is_open, "it cannot know yet"

    handed_in(sender, xb, from_a)
    assert not sender._plan().is_open
    xa.do(seizure())
    xa.export(to_b)
    assert not sender._plan().is_open, "growing longer does not mend it"
    sender._sessions.close()


def test_a_sender_that_lost_nothing_goes_on(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    to_b, from_a = meet(xa, xb)
    for node in (xa, xb):
        node.do(premise(), LAWYER)
    sender = relay(xa, to_b)
    for _ in range(2):
        xa.do(seizure())
        xa.export(to_b)
        carry(xa, xb, to_b, from_a)
        handed_in(sender, xb, from_a)
        assert sender._plan().is_open
    sender._sessions.close()
