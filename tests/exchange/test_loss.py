"""A peer's loss, which a witness believes when its own administrator does, and never for another history or size."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exchange import losses, witness
from exchange.cosigned import Cosigned
from exchange.losses import WAITS
from exchange.witness import CONFLICT, COSIGNED, NOT_SIGNED, Answer
from ledger import checkpoint, loss, node_keys, note
from ledger.checkpoint import Head
from ledger.errors import Conflict, NotFound
from ledger.keyring import Keyring
from ledger.node_keys import Loss, NodeKeys, Succession, Why
from ledger.prover import Prover
from tests.exchange.conftest import MakeNode
from tests.exchange.nodes import now
from tests.exchange.test_witness import Pair
from tests.ledger.test_checkpoints import cut_off


class Lost(Pair):
    """XB has cosigned 10 entries of XA, whose ledger has come back with the first 6 of them."""

    def __init__(self, make_node: MakeNode, folder: Path) -> None:
        super().__init__(make_node("XA"), make_node("XB"), folder)
        self.folder = folder
        self.grow(3)
        self.submit()
        self.grow(2)
        self.submit()
        self.rewriting()
        cut_off(self.xa.session, 6)
        for table in ("checkpoint", "cosignature"):
            self.xa.session.execute(f"DELETE FROM ledger.{table} WHERE size > 6".encode())
        self.opened()

    def opened(self) -> None:
        self.prover = Prover.open(self.xa.keys, node="XA", folder=self.folder)

    def acknowledge(self) -> str:
        loss.acknowledge(self.xa.session, self.prover, self.xa.keys, reason="a failed disk", by="a.one")
        self.opened()
        return self.prover.keys.notes[-1]

    def tell(self, text: str) -> Answer:
        raw = witness.SUCCESSION + text.encode()
        return witness.judge(self.xb.session, self.xb.own, self.of_a, raw, now(), self.kept)

    def keys(self) -> NodeKeys:
        return witness.keys_of(self.xb.session, self.of_a)

    def accept(self) -> losses.Told:
        return losses.accept(self.xb.session, self.of_a, self.keys(), self.kept, now())

    def stated(self, *, size: int = 10, root: bytes | None = None, kept: int = 6) -> str:
        """A statement of a loss that XA's own key has signed."""
        good = node_keys.unsigned(self.acknowledged)
        assert good.loss is not None
        told = Loss(kept_root=good.loss.kept_root, size=size, root=root or good.loss.root)
        identity, new = self.xa.own.signing_key, Keyring.open(self.folder / "another").signing_key
        made = Succession(
            origin="ncen/XA",
            serial=1,
            old=identity.public_key().public_bytes_raw(),
            new=new.public_key().public_bytes_raw(),
            size=kept,
            at=datetime.now(UTC),
            why=Why.LOST,
            loss=told,
        )
        return note.sign(made.text, "ncen/XA", identity) + note.sign(made.text, "ncen/XA", new).removeprefix(
            f"{made.text}\n"
        )

    acknowledged = ""


@pytest.fixture
def lost(make_node: MakeNode, tmp_path: Path) -> Iterator[Lost]:
    made = Lost(make_node, tmp_path / "checkpoints")
    with contextlib.closing(made.submitter):
        yield made


def test_a_witness_goes_on_when_its_administrator_accepts(lost: Lost) -> None:
    assert not lost.prover.look(lost.xa.session).is_sound
    with pytest.raises(NotFound):
        lost.accept()
    text = lost.acknowledge()
    assert [lost.tell(text), lost.tell(text)] == [Answer(CONFLICT, WAITS)] * 2
    lost.grow(1)
    lost.submit()
    assert lost.cosigned() == [6], "the control: it is not believed by itself"
    assert lost.witnessed() == [6, 10]

    told = lost.accept()
    assert (told.peer, told.kept, told.lost) == ("XA", 6, 10)
    assert lost.accept().accepted_at == told.accepted_at, "to be repeated at will"
    lost.submit()
    lost.grow(4)
    lost.submit()
    assert lost.cosigned() == [6, 8, 16]
    assert lost.witnessed() == [6, 8, 16]
    assert lost.told() == (0, None)
    both = lost.xb.session.execute(
        "SELECT size, root FROM exchange.witnessed_lost UNION ALL "
        "SELECT size, root FROM exchange.witnessed WHERE size = 16 ORDER BY size"
    ).fetchall()
    assert [size for size, _ in both] == [10, 16], "both heads stay to be seen"
    assert lost.tell(text).status == COSIGNED, "what was accepted is no news"
    stolen = checkpoint.sign(Head("ncen/XA", 17, bytes(32)), lost.xa.own.signing_key)
    assert lost.judge(witness.Asked(16, (), stolen)).status == NOT_SIGNED


def test_what_was_kept_before_cannot_be_rewritten(lost: Lost) -> None:
    """The statement takes back what lies beyond the size that was kept, and nothing before it."""
    lost.tell(lost.acknowledge())
    lost.accept()
    cut_off(lost.xa.session, 4)
    lost.prover = Prover.open(lost.xa.keys, node="XA", folder=None)
    lost.xa.session.execute("DELETE FROM ledger.checkpoint")
    lost.xa.session.execute("DELETE FROM ledger.cosignature")
    lost.grow(3)
    lost.submit()
    assert lost.witnessed() == [6]


def test_forged_statements_are_refused(lost: Lost) -> None:
    lost.acknowledged = lost.acknowledge()
    good = lost.stated()
    stranger = note.sign(good.partition("\n\n")[0] + "\n", "ncen/XA", Keyring.open(lost.folder / "x").signing_key)
    for bad in (
        lost.stated(size=9),
        lost.stated(root=bytes(32)),
        lost.stated(size=5, kept=6),
        good.replace("lost 10", "lost 12"),
        stranger,
    ):
        answer = lost.tell(bad)
        assert answer.status in {CONFLICT, NOT_SIGNED}
        assert answer.body != WAITS
        with pytest.raises(NotFound):
            lost.accept()
    assert lost.refusals()
    assert lost.tell(good) == Answer(CONFLICT, WAITS)


def test_a_statement_is_compared_again_when_it_is_accepted(lost: Lost) -> None:
    lost.tell(lost.acknowledge())
    lost.xb.session.execute("UPDATE exchange.witnessed SET root = %s WHERE size = 10", [bytes(32)])
    with pytest.raises(Conflict):
        lost.accept()


def test_the_file_of_what_was_cosigned_follows_after_a_crash(lost: Lost) -> None:
    lost.tell(lost.acknowledge())
    losses.accept(lost.xb.session, lost.of_a, lost.keys(), None, now())  # killed before the file was written
    assert lost.kept is not None
    outside = Cosigned(lost.kept.folder)
    assert (outside.read("ncen/XA") or (0,))[0] == 10
    lost.grow(1)
    lost.submit()
    assert lost.witnessed() == [6], "refused, which is the safe side"
    lost.accept()
    assert (outside.read("ncen/XA") or (0,))[0] == 6
    lost.submit()
    assert lost.witnessed() == [6, 8]
