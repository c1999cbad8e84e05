"""Witnessing: a peer cosigns what has only grown, never a smaller tree or another history, and says so to both."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exchange import witness
from exchange.cosigned import Cosigned
from exchange.witness import Answer, Asked, NotAsked, read_answer, read_request
from exchange.witnessing import Due, Submitter
from ledger import checkpoint, checkpoints, evidence, node_keys
from ledger.checkpoint import Head
from ledger.node_keys import Why
from ledger.prover import Prover
from ledger.verify_evidence import check
from tests.exchange.conftest import MakeNode
from tests.exchange.nodes import Node, now, seizure
from tests.ledger.test_checkpoints import cut_off, forge

TABLES = ("entry", "sealed", "subtree", "checkpoint", "cosignature")


class Pair:
    """XA, whose ledger is witnessed, and XB, the witness; what travels goes from hand to hand."""

    def __init__(self, xa: Node, xb: Node, folder: Path) -> None:
        self.xa, self.xb = xa, xb
        self.to_b, self.of_a = xa.meet(xb, "nats://127.0.0.1:1"), xb.meet(xa)
        self.prover = Prover.open(xa.keys, node="XA", folder=folder)
        self.submitter = Submitter(xa.url, xa.own, self.to_b, None)
        self.kept: Cosigned | None = Cosigned(folder / "witnessed")

    def grow(self, count: int) -> None:
        for _ in range(count):
            self.xa.do(seizure())
        self.xa.seal()
        assert self.prover.look(self.xa.session).is_sound

    def judge(self, asked: Asked) -> Answer:
        return witness.judge(self.xb.session, self.xb.own, self.of_a, asked.encode(), now(), self.kept)

    def submit(self) -> int:
        """Do what the submitter does over NATS; return how many requests it took."""
        old, tries = None, 0
        while (due := self.submitter.due(old)) is not None and tries < 3:
            tries += 1
            old = self.submitter.take(due, self.judge(due.asked).encode())
            if old is None:
                break
        return tries

    def cosigned(self) -> list[int]:
        rows = self.xa.session.execute("SELECT size FROM ledger.cosignature WHERE witness = 'ncen/XB' ORDER BY size")
        return [size for (size,) in rows]

    def witnessed(self) -> list[int]:
        rows = self.xb.session.execute("SELECT size FROM exchange.witnessed WHERE origin = 'ncen/XA' ORDER BY size")
        return [size for (size,) in rows]

    def refusals(self) -> list[tuple[str, int]]:
        return self.xb.session.execute("SELECT reason, size FROM exchange.witness_refusal ORDER BY 1, 2").fetchall()

    def told(self) -> tuple[int, str | None]:
        row = self.xa.session.execute(
            "SELECT faults, first_fault FROM ledger.proof_state WHERE run = 'witness ncen/XB'"
        ).fetchone()
        assert row is not None
        return row[0], row[1]

    def rewriting(self) -> None:
        for table in TABLES:
            self.xa.session.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER insert_only".encode())


@pytest.fixture
def pair(make_node: MakeNode, tmp_path: Path) -> Iterator[Pair]:
    made = Pair(make_node("XA"), make_node("XB"), tmp_path / "checkpoints")
    with contextlib.closing(made.submitter):
        yield made


def test_what_has_only_grown_is_cosigned_and_the_cosignature_is_kept(pair: Pair) -> None:
    for count, sizes in ((3, [6]), (1, [6, 8]), (5, [6, 8, 18])):
        pair.grow(count)
        assert pair.submit() == 1
        assert pair.cosigned() == pair.witnessed() == sizes
    assert pair.submit() == 0
    assert pair.told() == (0, None)
    assert pair.refusals() == []
    [stand] = witness.standing(pair.xa.session, ["XB"])
    assert (stand.ours, stand.theirs, stand.refused) == (18, 0, 0)
    [stand] = witness.standing(pair.xb.session, ["XA"])
    assert (stand.ours, stand.theirs, stand.refused) == (0, 18, 0)


def test_cosignatures_stand_in_evidence(pair: Pair) -> None:
    pair.grow(2)
    pair.submit()
    signed = checkpoints.find(pair.xa.session, pair.prover.keys, None).signed
    [record_id] = {line.record_id for line in pair.xa.reader.read_stored(0, 1)}
    proven = evidence.prove(pair.xa.session, evidence.lines_of(pair.xa.session, [record_id]), signed)
    raw = evidence.write(evidence.bundle(pair.xa.session, proven, pair.prover.keys))
    assert any(line.startswith("ncen/XB has witnessed them at ") for line in check(raw, {}))


def test_an_answer_that_was_lost_is_given_again(pair: Pair) -> None:
    pair.grow(2)
    due = pair.submitter.due()
    assert due is not None
    first = pair.judge(due.asked)
    assert pair.judge(msgspec.structs.replace(due.asked, old=4)) == first
    pair.grow(1)
    assert pair.submit() == 2, "the witness says from where it wants the proof"
    assert pair.cosigned() == [6]
    assert pair.witnessed() == [4, 6]


# -- what must not be cosigned


def test_smaller_tree_is_refused_and_both_are_told(pair: Pair) -> None:
    """An older copy of XA's database was restored, and has signed a checkpoint of its own."""
    pair.grow(5)
    pair.submit()
    pair.rewriting()
    cut_off(pair.xa.session, 6)
    pair.xa.session.execute("DELETE FROM ledger.cosignature")
    blind = Prover.open(pair.xa.keys, node="XA", folder=None)
    assert blind.look(pair.xa.session).is_sound, "nothing inside the database tells"
    pair.submit()
    assert pair.witnessed() == [10]
    assert pair.cosigned() == []
    assert pair.refusals() == [("rewound-or-forked", 6)]
    faults, first = pair.told()
    assert faults == 1
    assert "has cosigned 10 entries of our ledger, which has 6 now: it was cut off" in str(first)


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_witness_whose_database_is_brought_back_forgets_nothing(pair: Pair, *, is_kept: bool) -> None:
    """XB's database is an older copy, and XA begs for another history from there; the control keeps no file."""
    if not is_kept:
        pair.kept = None
    pair.grow(3)
    pair.submit()
    pair.grow(2)
    pair.submit()
    pair.xb.session.execute("DELETE FROM exchange.witnessed WHERE size > 6")  # what the copy does not have yet
    pair.rewriting()
    forge(pair.xa.session, 8)
    pair.xa.session.execute("DELETE FROM ledger.checkpoint")
    pair.xa.session.execute("DELETE FROM ledger.cosignature WHERE size > 6")
    assert Prover.open(pair.xa.keys, node="XA", folder=None).look(pair.xa.session).is_sound
    pair.submit()
    assert pair.cosigned() == ([6] if is_kept else [6, 10])
    assert pair.refusals() == ([("rewound-or-forked", 10)] if is_kept else [])


def test_what_is_kept_outside_is_its_owners_alone_and_stops_the_witness_when_it_was_changed(pair: Pair) -> None:
    pair.grow(3)
    pair.submit()
    assert pair.kept is not None
    path = pair.kept.folder / "ncen_XA.note"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().startswith("ncen/XA\n6\n")
    path.write_text("ncen/XA\nsix\n")
    pair.grow(1)
    pair.submit()
    assert pair.cosigned() == [6]
    assert pair.refusals() == [("not-proven", 8)]


@pytest.mark.parametrize("more", [0, 3])
def test_another_history_is_refused_and_both_are_told(pair: Pair, more: int) -> None:
    """XA's administrator has recomputed everything, has the key, and has removed what was signed before."""
    pair.grow(5)
    pair.submit()
    pair.rewriting()
    forge(pair.xa.session, 3)
    pair.xa.session.execute("DELETE FROM ledger.checkpoint")
    pair.xa.session.execute("DELETE FROM ledger.cosignature")
    blind = Prover.open(pair.xa.keys, node="XA", folder=None)
    for _ in range(more):
        pair.xa.do(seizure())
    pair.xa.seal()
    assert blind.look(pair.xa.session).is_sound
    pair.submit()
    assert pair.witnessed() == [10]
    [(reason, _)] = pair.refusals()
    assert reason == ("not-proven" if more else "rewound-or-forked")
    faults, first = pair.told()
    assert faults == 1
    assert ("refuses to cosign" if more else "another history") in str(first)


def test_without_the_proof_the_witness_would_cosign_another_history(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: the consistency proof is what the refusal rests on."""
    pair.grow(5)
    pair.submit()
    pair.rewriting()
    forge(pair.xa.session, 3)
    pair.xa.session.execute("DELETE FROM ledger.checkpoint")
    pair.xa.do(seizure())
    pair.xa.seal()
    Prover.open(pair.xa.keys, node="XA", folder=None).look(pair.xa.session)
    monkeypatch.setattr("exchange.witness.verify_consistency", lambda *_: True)
    pair.submit()
    assert pair.witnessed() == [10, 12]


def test_a_key_that_follows_upon_the_known_one_is_followed(pair: Pair, tmp_path: Path) -> None:
    pair.grow(2)
    pair.submit()
    identity = pair.xa.own.signing_key
    known = node_keys.replace(pair.xa.keys, pair.prover.keys, identity, size=4, why=Why.ROTATED)
    pair.prover = Prover.open(pair.xa.keys, node="XA", folder=tmp_path / "checkpoints")
    pair.grow(1)
    pair.submit()
    assert pair.cosigned() == [4], "the witness does not know the new key yet"
    assert ("not-signed", 0) in pair.refusals()

    def told(note: str) -> int:
        raw = witness.SUCCESSION + note.encode()
        return witness.judge(pair.xb.session, pair.xb.own, pair.of_a, raw, now()).status

    assert told(known.notes[0].replace("size 4", "size 9")) == 403
    assert told("nonsense") == 403
    assert [told(known.notes[0]), told(known.notes[0])] == [200, 200]
    pair.submit()
    assert pair.cosigned() == [4, 6]
    stolen = checkpoint.sign(Head("ncen/XA", 8, bytes(32)), identity)
    assert pair.judge(Asked(6, (), stolen)).status == 403


def test_forged_requests_are_refused(pair: Pair) -> None:
    pair.grow(3)
    pair.submit()
    pair.grow(2)
    due = pair.submitter.due()
    assert due is not None
    good, size = due.asked, due.head.size
    stranger = Ed25519PrivateKey.generate()
    other = Head("ncen/XA", size + 5, bytes(32))
    own = pair.xa.own.signing_key
    bad = {
        "of a stranger": (Asked(good.old, good.proof, checkpoint.sign(due.head, stranger)), 403),
        "of another ledger": (
            Asked(good.old, good.proof, checkpoint.sign(Head("ncen/XC", size, due.head.root), own)),
            403,
        ),
        "of a feed": (Asked(good.old, good.proof, checkpoint.sign(Head("ncen/XA>XB", size, due.head.root), own)), 403),
        "unsigned": (Asked(good.old, good.proof, due.head.text + "\n"), 403),
        "without its proof": (Asked(good.old, (), good.note), 422),
        "with another proof": (Asked(good.old, (*good.proof[:-1], bytes(32)), good.note), 422),
        "with a longer proof": (Asked(good.old, (*good.proof, bytes(32)), good.note), 422),
        "of another root": (Asked(good.old, good.proof, checkpoint.sign(other, own)), 422),
        "from elsewhere": (Asked(good.old - 1, good.proof, good.note), 409),
        "from nothing": (Asked(0, (), good.note), 409),
    }
    for what, (asked, status) in bad.items():
        assert pair.judge(asked).status == status, what
    assert pair.witnessed() == [6]
    assert {reason for reason, _ in pair.refusals()} == {"not-signed", "not-proven"}
    assert pair.judge(good).status == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"old 1",
        b"old x\n\nnote",
        b"old 01\n\nnote",
        b"old -1\n\nnote",
        b"old 1\nnobase64\n\nnote",
        b"old 1\nAAAA\n\nnote",
        b"\xff\xfe",
        b"old 0\n" + b"A" * 40_000,
        b"old 1\n" + b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" * 64 + b"\nnote",
    ],
)
def test_what_is_no_request_is_refused(pair: Pair, raw: bytes) -> None:
    with pytest.raises(NotAsked):
        read_request(raw)
    assert witness.judge(pair.xb.session, pair.xb.own, pair.of_a, raw, now()).status == 400
    assert pair.refusals() == []


def test_requests_and_answers_are_read_as_they_were_written() -> None:
    asked = Asked(7, (bytes(32), bytes(range(32))), "ncen/XA\n9\nroot\n\n\u2014 line\n")
    assert read_request(asked.encode()) == asked
    assert read_answer(Answer(409, "12\n").encode()) == Answer(409, "12\n")
    for raw in (b"", b"200", b"500\nx", b"\xff"):
        with pytest.raises(NotAsked):
            read_answer(raw)


def test_forged_answers_count_for_nothing(pair: Pair) -> None:
    pair.grow(3)
    due = pair.submitter.due()
    assert isinstance(due, Due)
    stranger = Ed25519PrivateKey.generate()
    good = checkpoint.cosignature(due.note, "ncen/XB", pair.xb.own.signing_key, now())
    for body in (
        checkpoint.cosignature(due.note, "ncen/XB", stranger, now()),
        checkpoint.cosignature(due.note, "ncen/XC", pair.xb.own.signing_key, now()),
        checkpoint.cosignature(due.note.replace("\n6\n", "\n7\n"), "ncen/XB", pair.xb.own.signing_key, now()),
        good + good,
        "",
        "hello\n",
    ):
        assert pair.submitter.take(due, Answer(200, body).encode()) is None
        assert pair.cosigned() == []
        assert pair.told()[0] == 1
    assert pair.submitter.take(due, Answer(409, "9" * 40).encode()) is None
    assert pair.submitter.take(due, b"nonsense") is None
    assert pair.submitter.take(due, Answer(200, good).encode()) is None
    assert pair.cosigned() == [6]
    assert pair.told() == (0, None)
