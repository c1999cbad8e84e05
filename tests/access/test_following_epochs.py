"""A feed that begins anew is followed in both its epochs: what went twice was disclosed twice, and is told so."""

from pathlib import Path

import pytest

from access import following
from domain.handling import DataCategory
from exchange import peers, premises, schema
from exchange.feed import Exporter
from exchange.peers import Identity, Peer
from ledger.ledger import Ledger
from ledger.reader import Reader
from ledger.sessions import Session
from soak.sealing import seal_all
from tests.access.world import World
from tests.exchange.nodes import LAWYER, OFFICER, now, premise, seizure

DISCLOSED = "SELECT count(*) FROM processing.log WHERE operation = 'disclosure'"


def begin(closed: World, folder: Path) -> tuple[Identity, Peer]:
    """Let the node have a peer, and a seizure with words that goes to it."""
    schema.prepare(closed.database_url, node="XA")
    own = Identity.open(closed.home / "keys", node="XA")
    peer = peers.add(closed.database_url, own, Identity.open(folder, node="XB").card())
    with Ledger.open(closed.database_url, node="XA", keys=closed.home / "keys") as ledger:
        agreed = premise(categories=(DataCategory.OPEN, DataCategory.NOMINAL))
        ledger.execute(ledger.new_id(), agreed, LAWYER)
        ledger.execute(ledger.new_id(), seizure(), OFFICER)
    return own, peer


def export(closed: World, session: Session, own: Identity, peer: Peer) -> None:
    seal_all(session)
    with Reader.open(closed.database_url, keys=closed.home / "keys") as reader:
        premises.refresh(session, reader)
        exporter = Exporter(connection=session, reader=reader, own=own, peer=peer)
        while exporter.step(now()):
            pass


def lose(session: Session) -> None:
    """As if the peer had signed for a line that is gone, and the loss had been acknowledged."""
    session.execute(
        "INSERT INTO exchange.receipt (peer, size, note, quarantined, received_at) VALUES ('XB', 99, '', 0, now())"
    )
    session.execute(
        "INSERT INTO ledger.loss (serial, size, root, kept_size, kept_root, note, reason, acknowledged_by) "
        "VALUES (1, 9, '', 1, '', '', '', '')"
    )


@pytest.mark.parametrize("is_told_before", [False, True])
def test_what_goes_again_is_disclosed_again(closed: World, tmp_path: Path, *, is_told_before: bool) -> None:
    own, peer = begin(closed, tmp_path / "keys-of-xb")
    with closed.owner() as session, Reader.open(closed.database_url, keys=None) as reader:
        export(closed, session, own, peer)
        if is_told_before:
            following.follow(session, reader)
            assert session.execute(DISCLOSED).fetchone() == (1,)
        lose(session)
        export(closed, session, own, peer)
        assert session.execute("SELECT epoch, number FROM exchange.feed").fetchall() == [(1, 2)]
        following.follow(session, reader)
        following.follow(session, reader)
        assert session.execute(DISCLOSED).fetchone() == (2,)
        found = following.lag(session)
        assert found is not None
        assert found.undisclosed == 0


def test_by_the_feed_as_it_stands_alone_the_first_disclosure_would_not_be_told(
    closed: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = following._BEHIND.replace("UNION ALL SELECT peer, epoch, number FROM exchange.feed_before", "")
    assert alone != following._BEHIND
    monkeypatch.setattr(following, "_BEHIND", alone)
    with pytest.raises(AssertionError):
        test_what_goes_again_is_disclosed_again(closed, tmp_path, is_told_before=False)
