"""No epoch is taken that nobody may begin, and nothing of one epoch counts in another; each with its control."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exchange import checkpoint, envelope, inbox_epoch
from exchange.checkpoint import AnotherEpoch, Checkpoint
from exchange.envelope import Core, Held, Malformed, Whole
from exchange.inbox import OutOfStep, Stopped
from exchange.relay import ANEW, REFUSED, STORED, Standing
from exchange.verifying import Mismatch, Source, verify
from ledger import note
from ledger.checkpoint import Head
from ledger.merkle import EMPTY_ROOT, Frontier
from tests.exchange.conftest import MakeNode
from tests.exchange.nodes import now, seizure
from tests.exchange.restored import Lost
from tests.exchange.test_epochs import begun


@pytest.fixture
def two(make_node: MakeNode, tmp_path: Path) -> Iterator[Lost]:
    made = Lost(make_node, tmp_path / "checkpoints")
    yield made
    made.close()


def opening(two: Lost, epoch: int, **other: object) -> str:
    """The statement that XA's feed to XB begins anew, with something about it changed."""
    told = {"origin": "XA", "recipient": "XB", "epoch": epoch, "key": two.xa.own.signing_key} | other
    return checkpoint.opening(**told)  # type: ignore[arg-type]  # fields by name


def tried(two: Lost, note: str) -> tuple[int, int]:
    """Let XB hear a statement; where its inbox stands then."""
    with two.box() as box:
        box.told_anew(note, now())
        box.begin_anew(now())
        return box.place()


def test_only_the_right_statement_begins_an_epoch(two: Lost) -> None:
    """Without an accepted loss, skipped, of another peer, by another key, or not of an empty tree."""
    stranger = Ed25519PrivateKey.generate()
    right = opening(two, 1)
    not_empty = checkpoint.sign(
        Checkpoint(origin="XA", recipient="XB", size=1, root=EMPTY_ROOT, epoch=1), two.xa.own.signing_key
    )
    other_root = checkpoint.sign(
        Checkpoint(origin="XA", recipient="XB", size=0, root=bytes(32), epoch=1), two.xa.own.signing_key
    )
    assert tried(two, right) == (0, 3), "no loss was accepted, nor even stated"
    two.tell()
    two.acknowledge()
    two.state()
    assert tried(two, right) == (0, 3), "no loss was accepted"
    two.xb.session.execute("DELETE FROM exchange.inbox_opening")
    two.accept()
    wrong = {
        "a skipped epoch": opening(two, 2),
        "the first epoch": opening(two, 0),
        "of another sender": opening(two, 1, origin="XC"),
        "to another receiver": opening(two, 1, recipient="XC"),
        "by another key": opening(two, 1, key=stranger),
        "of a tree that is not empty": not_empty,
        "of another root": other_root,
        "no statement": "ncen/XA>XB/1\n",
        "zeroes": "ncen/XA>XB/1\n0\n\0\0\n\n\u2014 XA AAAA\n",
        "more than a statement": right + "x" * 5_000,
        "nothing": "",
    }
    for kind, told in wrong.items():
        assert tried(two, told) == (0, 3), kind
    assert tried(two, right) == (1, 0), "the control"
    two.xa.export(two.to_b)
    [(first, lines)] = two.xa.batches(two.to_b)
    with two.box() as box:
        box.take(lines, first, now())
        assert box.place() == (1, 1)
        assert tried(two, right) == (1, 1), "it is begun once"
    two.xb.session.execute("UPDATE exchange.inbox_feed SET epoch = 0, passed = 0")
    two.xb.session.execute("ALTER TABLE exchange.inbox_feed_before DISABLE TRIGGER ended_stands")
    two.xb.session.execute("DELETE FROM exchange.inbox_feed_before")
    for table in ("inbox_before", "inbox_checkpoint_before"):
        two.xb.session.execute(f"ALTER TABLE exchange.{table} DISABLE TRIGGER ended_stands".encode())
        two.xb.session.execute(f"DELETE FROM exchange.{table}".encode())
    assert tried(two, right) == (1, 0), "the control: it is the epoch that is remembered which stands against it"


def test_a_loss_after_which_the_epoch_went_on_begins_no_other(two: Lost) -> None:
    """A thief of the key cannot fall back on a loss of long ago to have what he signs now taken for a new history."""
    two.xb.session.execute("DELETE FROM exchange.inbox_checkpoint")
    two.xb.session.execute("DELETE FROM exchange.inbox")
    two.xb.session.execute("UPDATE exchange.inbox_feed SET number = 0, frontier = '', checkpoint = NULL")
    two.acknowledge()
    two.accept()
    two.xb.session.execute("UPDATE exchange.peer_loss SET accepted_at = accepted_at - interval '2 hours'")
    two.exchange()
    with two.box() as box:
        assert box.place() == (0, 1), "no loss has reached this feed, which goes on"
    assert tried(two, opening(two, 1)) == (0, 1)
    two.xb.session.execute("UPDATE exchange.inbox_feed SET passed = 0")
    assert tried(two, opening(two, 1)) == (1, 0), "the control"


def test_lines_of_one_epoch_are_not_taken_in_another(two: Lost) -> None:
    two.tell()
    [old, *_] = [lines for _, lines in two.xa.batches(two.to_b)]
    begun(two)
    two.xa.export(two.to_b)
    [(first, new)] = two.xa.batches(two.to_b)
    with two.box() as box:
        with pytest.raises(OutOfStep):
            box.take(old, 1, now())
        assert box.standing().stopped is None, "what the sender has signed for another epoch is passed over"
        mixed = envelope.encode(_with_checkpoint(old[-1], new[-1]))
        source = Source(origin="XA", recipient="XB", key=two.from_a.signing_key, carries=Core)
        with pytest.raises(AnotherEpoch):
            verify(new, source, Frontier())
        assert verify(old, source, Frontier()).head.size == 1, "the control: by their own epoch they fit"
        with pytest.raises(Stopped):
            box.take([envelope.encode(_changed(mixed))], 1, now())
        two.xb.session.execute("UPDATE exchange.inbox_feed SET stopped = NULL")
        assert box.take(new, first, now()) == 1


def _with_checkpoint(raw: bytes, of: bytes) -> Whole:
    line, other = envelope.decode_line(raw), envelope.decode_line(of)
    assert isinstance(line, Whole)
    return msgspec.structs.replace(line, checkpoint=other.checkpoint)


def _changed(raw: bytes) -> Whole:
    line = envelope.decode_line(raw)
    assert isinstance(line, Whole)
    core = envelope.decode_core(line.core, Core)
    assert isinstance(core, Core)
    return msgspec.structs.replace(line, core=envelope.encode(msgspec.structs.replace(core, retention_days=1)))


def test_a_checkpoint_of_the_first_epoch_counts_no_more_after_the_second_began(two: Lost) -> None:
    begun(two)
    two.exchange()
    two.xa.do(seizure())
    two.xa.export(two.to_b)
    [(first, lines)] = two.xa.batches(two.to_b, 1)
    line = envelope.decode_line(lines[0])
    head = checkpoint.read(str(line.checkpoint), origin="XA", recipient="XB", key=two.from_a.signing_key, epoch=1)
    of_first = checkpoint.sign(msgspec.structs.replace(head, epoch=0), two.xa.own.signing_key)
    forged = [envelope.encode(msgspec.structs.replace(line, checkpoint=of_first))]
    with two.box() as box:
        with pytest.raises(OutOfStep):
            box.take(forged, first, now())
        assert box.place() == (1, 1)
        assert box.take(lines, first, now()) == 2, "the control"


def test_receipts_of_one_epoch_do_not_count_in_another(two: Lost) -> None:
    with two.box() as box:
        old = box.standing()
    begun(two)
    two.exchange()
    assert two.xa.receipted(two.to_b) == 1
    lying = msgspec.structs.replace(old, epoch=1)
    assert two.hand_in(lying) == REFUSED, "its name says that it is of another epoch"
    assert two.xa.receipted(two.to_b) == 1
    assert two.hand_in(old).startswith(ANEW)
    assert two.xa.receipted(two.to_b) == 1
    assert not two.is_sent()
    with two.box() as box:
        good = box.standing()
    assert two.hand_in(good) == STORED, "the control"
    assert two.is_sent()
    assert two.hand_in(Standing(number=0, epoch=7)) == STORED
    assert not two.is_sent(), "nothing goes to who says that it stands in an epoch that we do not know"


def test_a_line_held_back_in_one_epoch_is_not_held_back_in_another(two: Lost) -> None:
    """The same line under the same number: only the name of the feed tells the signatures apart."""
    key, number, hash_of_leaf = two.xa.own.signing_key, 1, bytes(32)
    for epoch, feed in ((0, "XA>XB"), (1, "XA>XB/1")):
        signature = envelope.sign_held(key, "XA", "XB", number, hash_of_leaf, epoch)
        held = Held(number=number, leaf_hash=hash_of_leaf, signature=signature, proof=(), checkpoint=None)
        assert envelope.is_held_by(key.public_key(), feed, held)
        assert not envelope.is_held_by(key.public_key(), {"XA>XB": "XA>XB/1"}.get(feed, "XA>XB"), held)


def test_the_name_of_a_feed_has_one_form(two: Lost) -> None:
    key = two.xa.own.signing_key
    for name in ("ncen/XA>XB/0", "ncen/XA>XB/01", "ncen/XA>XB/", "ncen/XA>XB/1/1", "ncen/XA>XB/1000000"):
        signed = note.sign(Head(name, 1, bytes(32)).text, "XA", key)
        with pytest.raises(Malformed):
            checkpoint.read(signed, origin="XA", recipient="XB", key=key.public_key(), epoch=1)
    with pytest.raises(Mismatch):
        verify([b"x"], Source(origin="XA", recipient="XB", key=key.public_key(), carries=Core, epoch=1), Frontier())
    assert inbox_epoch.before(two.xb.session, "XA") == []
