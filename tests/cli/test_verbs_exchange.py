"""What the command shows of the exchange: what came from a peer, what would go to one, and what the CEN is told."""

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cli.output import ExitCode
from cli.postgres import EmbeddedPostgres
from domain.attribution import Role
from domain.codes import Reason
from domain.loss import LossAcknowledged, LossCause, record_id_of
from domain.seizure import CorrectGoods
from exchange import accounts, peers, renewing, witness
from ledger import loss
from ledger.card_keys import Kind, Why
from ledger.prover import Prover
from tests.cli.node import Inside, Ncen
from tests.conftest import fresh_database
from tests.exchange.nodes import INSTRUMENT, LAWYER, SECRET, Node, goods, now, premise, seizure
from tests.exchange.restored import Lost
from tests.exchange.test_two_nodes import carry, meet
from tests.ledger.test_checkpoints import cut_off

Nodes = dict[str, tuple[Node, Ncen]]


@pytest.fixture
def nodes(postgres_server: EmbeddedPostgres, tmp_path: Path) -> Iterator[Nodes]:
    """Two nations, each as code sees it and as its command does."""
    with ExitStack() as stack:
        made: Nodes = {}
        for code in ("XA", "XB"):
            home, url = tmp_path / code, stack.enter_context(fresh_database(postgres_server))
            home.mkdir()
            node = stack.enter_context(Node(code, url, home / "keys"))
            made[code] = (node, Inside(home, url, code=code))
        yield made


def test_what_a_peer_sent_shows_where_it_comes_from(nodes: Nodes) -> None:
    (xa, _), (xb, ncen) = nodes["XA"], nodes["XB"]
    to_b, from_a = meet(xa, xb)
    for node in (xa, xb):
        node.do(premise(), LAWYER)
    recorded = xa.do(seizure())
    xa.do(CorrectGoods(line=1, goods=goods(amount="4"), reason=Reason.RECOUNT), record_id=recorded.record_id)
    xa.export(to_b)
    carry(xa, xb, to_b, from_a)

    told = ncen.tells("history", str(recorded.record_id))
    assert (told["not_received"], [entry["version"] for entry in told["entries"]]) == ([2], [1, 3])
    first = told["entries"][0]
    assert (first["node"], first["by"], first["provenance"]["peer"], first["provenance"]["number"]) == (
        "XA",
        None,
        "XA",
        1,
    )
    read = ncen.does("history", str(recorded.record_id))
    assert "Who acted was withheld by its origin XA." in read
    assert "2. XA did not send this entry to us." in read
    assert f"from XA as number 1 of its feed, under {INSTRUMENT} version" in read
    shown = ncen.does("seizure", "show", str(recorded.record_id))
    assert f"received from XA under {INSTRUMENT}" in shown


def test_why_an_entry_goes_or_stays(nodes: Nodes) -> None:
    (xa, ncen), (xb, other) = nodes["XA"], nodes["XB"]
    recorded = xa.do(seizure())
    xa.seal()
    record = str(recorded.record_id)
    assert "XB is not a peer of this node." in ncen.fails(ExitCode.NOT_FOUND, "feed", "explain", record, "--peer", "xb")
    to_b, from_a = meet(xa, xb)

    told = ncen.tells("feed", "explain", record, "--peer", "xb")
    assert (told["going"], {entry["now"]["reason"] for entry in told["entries"]}) == (0, {"no-premise"})
    for node in (xa, xb):
        node.do(premise(), LAWYER)
    xa.seal()
    told = ncen.tells("feed", "explain", record, "--peer", "XB")
    assert [entry["now"]["goes"] for entry in told["entries"]] == [True, False]
    assert told["entries"][0]["now"]["instrument"] == INSTRUMENT
    assert told["entries"][0]["decided"] == [], "asking decides nothing"
    assert xa.messages(to_b) == [], "and sends nothing"

    xa.export(to_b)
    carry(xa, xb, to_b, from_a)
    read = ncen.does("feed", "explain", record, "--peer", "XB")
    assert "1 of 2 entries would go. Nothing was sent." in read
    assert f"goes     It goes on the legal premise {INSTRUMENT}." in read
    assert "released as number 1" in read
    assert "does not cover this category of data" in read
    [feed] = ncen.tells("feed", "status")["feeds"]
    assert (feed["peer"], feed["sending"]["released"], feed["sending"]["withheld"]["data-category"]) == ("XB", 1, 1)
    assert "1 of them recorded" in other.does("feed", "status")


def test_what_the_cen_would_be_told(nodes: Nodes) -> None:
    xa, ncen = nodes["XA"]
    recorded = xa.do(seizure())
    xa.seal()
    record = str(recorded.record_id)
    assert "not been put forward" in ncen.does("cen", "preview", record)
    ncen.does("seizure", "submit", record, "--wait", "0")
    xa.seal()
    told = ncen.tells("cen", "preview", record)
    assert (told["notice"]["country"], told["notice"]["lines"][0]["thousandths"]) == ("XA", 3217)
    assert "office" not in told["notice"]
    read = ncen.does("cen", "preview", record)
    assert "The notice would be sent as it stands here. Nothing was sent." in read
    assert "An account of the seizure was written in words." in read
    assert SECRET not in read
    assert "No entry of a seizure" in ncen.fails(ExitCode.NOT_FOUND, "cen", "preview", str(uuid.uuid4()))


def test_a_feed_is_audited_against_what_the_peer_signed(nodes: Nodes) -> None:
    (xa, ncen), (xb, other) = nodes["XA"], nodes["XB"]
    to_b, from_a = meet(xa, xb)
    for node in (xa, xb):
        node.do(premise(), LAWYER)
    xa.do(seizure())
    xa.export(to_b)
    carry(xa, xb, to_b, from_a)
    told = ncen.tells("feed", "audit", "--peer", "xb")
    assert (told["sound"], told["lines"], told["faults"]) == (True, 1, [])
    assert "Everything fits." in ncen.does("feed", "audit", "--peer", "XB")
    xa.session.execute("UPDATE exchange.feed_out SET core = replace(encode(core, 'escape'), 'H0', 'H1')::bytea")
    found = ncen.run("feed", "audit", "--peer", "XB")
    assert found.returncode == ExitCode.NOT_VERIFIED
    assert "changed after it was released" in found.stdout
    ncen.fails(ExitCode.NOT_FOUND, "feed", "audit", "--peer", "XC")
    assert other.tells("feed", "resume", "--peer", "XA") == {"peer": "XA", "was_stopped": False}
    xb.session.execute("UPDATE exchange.inbox_feed SET stopped = 'A line did not fit.', stopped_at = now()")
    assert "goes on" in other.does("feed", "resume", "--peer", "XA")
    assert other.tells("feed", "status")["feeds"][0]["receiving"]["stopped"] is None
    other.fails(ExitCode.NOT_FOUND, "feed", "resume", "--peer", "XC")


def test_a_loss_is_acknowledged_told_and_accepted(nodes: Nodes) -> None:
    (xa, one), (xb, other) = nodes["XA"], nodes["XB"]
    _, from_a = meet(xa, xb)
    folder = Path(one.environment(None)["NCEN_HOME"]) / "checkpoints"
    xa.do(seizure())
    xa.seal()
    Prover.open(xa.keys, node="XA", folder=folder).look(xa.session)
    assert "Nothing was lost" in one.run("loss", "acknowledge", "--reason", "x").stderr
    for _ in range(2):
        xa.do(seizure())
    xa.seal()
    Prover.open(xa.keys, node="XA", folder=folder).look(xa.session)
    size = xa.reader.head()
    for table in ("entry", "sealed", "subtree", "checkpoint"):
        xa.session.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER insert_only".encode())
    cut_off(xa.session, 2)
    Prover.open(xa.keys, node="XA", folder=folder).look(xa.session)
    found = one.run("status")
    assert found.returncode == ExitCode.NOT_VERIFIED
    assert "ncen loss acknowledge" in found.stdout

    said = one.tells("loss", "acknowledge", "--reason", "The disk failed.", "--cause", "media-failure", user="a.one")
    assert [(loss["kept"]["size"], loss["lost"]["size"], loss["by"]) for loss in said["losses"]] == [(2, size, "a.one")]
    Prover.open(xa.keys, node="XA", folder=folder).look(xa.session)
    assert one.run("verify").returncode == ExitCode.DONE
    shown = one.run("status")
    assert shown.returncode != ExitCode.NOT_VERIFIED
    assert "The disk failed." in shown.stdout

    assert other.run("peer", "accept-loss", "XA").returncode == ExitCode.NOT_FOUND
    [note] = Prover.open(xa.keys, node="XA", folder=folder).keys.notes
    witness.judge(xb.session, xb.own, from_a, witness.SUCCESSION + note.encode(), now())
    assert "`ncen peer accept-loss XA`" in other.run("status").stdout
    accepted = other.tells("peer", "accept-loss", "XA")
    assert (accepted["kept"], accepted["lost"]) == (2, size)

    xa.seal()
    [told] = xa.reader.record(record_id_of("XA", 1))
    assert told.event == LossAcknowledged(statement=1, kept=2, lost=size, cause=LossCause.MEDIA_FAILURE)
    assert told.by is not None
    assert (told.by.actor, told.by.role) == ("a.one", Role.ADMINISTRATOR)
    assert "were lost" in one.does("history", str(told.record_id))
    assert "Nothing was lost" in one.run("loss", "acknowledge", "--reason", "x", user="a.one").stderr


def test_a_loss_that_was_stated_and_not_put_on_record_is_when_it_is_said_again(nodes: Nodes) -> None:
    xa, one = nodes["XA"]
    folder = Path(one.environment(None)["NCEN_HOME"]) / "checkpoints"
    for _ in range(2):
        xa.do(seizure())
        xa.seal()
        Prover.open(xa.keys, node="XA", folder=folder).look(xa.session)
    for table in ("entry", "sealed", "subtree", "checkpoint"):
        xa.session.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER insert_only".encode())
    cut_off(xa.session, 2)
    prover = Prover.open(xa.keys, node="XA", folder=folder)
    loss.acknowledge(xa.session, prover, xa.keys, reason="The disk failed.", by="a.one")  # and was interrupted
    assert xa.ledger.entries(record_id_of("XA", 1)) == []
    one.does("loss", "acknowledge", "--reason", "The disk failed.", user="a.one")
    assert len(xa.ledger.entries(record_id_of("XA", 1))) == 1


def test_a_feed_that_begins_anew_is_told_by_the_verbs(nodes: Nodes) -> None:
    (_, one), (_, other) = nodes["XA"], nodes["XB"]
    two = Lost(lambda code: nodes[code][0], Path(one.environment(None)["NCEN_HOME"]) / "checkpoints")
    two.tell()
    assert "is closed" in one.run("status").stdout
    one.does("loss", "acknowledge", "--reason", "The disk failed.", user="a.one")
    two.xa.export(two.to_b)
    two.tell()
    assert "has begun anew after a loss" in one.run("status").stdout
    assert "is not accepted" in other.does("feed", "status")
    two.state()
    other.does("peer", "accept-loss", "XA")
    two.tell()
    two.tell()
    two.exchange()
    assert "begun anew after loss 1" in one.does("feed", "status")
    assert "3 of them signed for; the rest was lost" in one.does("feed", "status")
    assert "before that, until" in other.does("feed", "status")
    audited = one.tells("feed", "audit", "--peer", "xb")
    assert [(ended["epoch"], ended["lines"], ended["receipted"]) for ended in audited["ended"]] == [(0, 1, 3)]
    told = other.tells("feed", "lost", "--peer", "XA")
    assert (told["count"], {entry["record_id"] for entry in told["entries"]}) == (2, {str(two.kept), str(two.lost)})
    assert str(two.lost) in other.does("feed", "lost", "--peer", "XA")
    assert "nothing" in one.does("feed", "lost", "--peer", "XB")
    assert one.run("feed", "lost", "--peer", "XC").returncode == ExitCode.NOT_FOUND
    two.close()


def test_a_peer_is_suspended_resumed_and_removed(nodes: Nodes) -> None:
    (xa, ncen), (xb, _) = nodes["XA"], nodes["XB"]
    meet(xa, xb)

    def logins() -> int:
        return accounts.render(xa.own, peers.known(xa.url), node_password="p").count("X_XB")

    assert logins() > 0, "the control: a peer has a login"
    for verb, state in (("suspend", "suspended"), ("remove", "removed")):
        assert ncen.tells("peer", verb, "xb") == {"node": "XB", "state": state}
        assert logins() == 0
        assert peers.active(xa.session) == []
        assert ncen.tells("peer", "list")["peers"][0]["state"] == state
        assert state in ncen.run("status").stdout
        ncen.does("peer", "resume", "XB")
        assert logins() > 0
        assert [peer.node for peer in peers.active(xa.session)] == ["XB"]
    assert ncen.run("peer", "suspend", "XC").returncode == ExitCode.NOT_FOUND


def card_of(ncen: Ncen, folder: Path) -> tuple[str, str]:
    """A node's card as a file, and its fingerprint."""
    told = ncen.tells("peer", "card", "--nats-url", "nats://192.0.2.1:4222")
    path = folder / f"{told['card']['node']}-{told['fingerprint'][:4]}.json"
    path.write_text(json.dumps(told["card"]))
    return str(path), told["fingerprint"]


def test_keys_of_the_card_are_replaced_and_followed(nodes: Nodes, tmp_path: Path) -> None:
    (xa, one), (xb, other) = nodes["XA"], nodes["XB"]
    meet(xa, xb)
    stolen = tmp_path / "stolen"
    shutil.copytree(xa.keys, stolen)
    old = card_of(one, tmp_path)
    assert [key["why"] for key in one.tells("keys", "list", "--kind", "identity")["keys"]] == [None]
    for kind in ("identity", "box"):
        told = one.tells("keys", "rotate", "--kind", kind)
        assert [key["why"] for key in told["keys"]] == ["rotated", None]
    assert len(one.tells("keys", "list")["keys"]) == 2, "the ledger's key is another since"
    assert len(one.tells("keys", "rotate")["keys"]) == 3
    assert "have not met XB" in one.run("status").stdout
    assert "have not met XB" in one.does("feed", "status")
    assert one.tells("feed", "status")["feeds"][0]["waits_for_cards"]
    new = card_of(one, tmp_path)
    assert new[1] != old[1]
    assert "not the one that was given" in other.fails(ExitCode.USAGE, "peer", "add", new[0], "--fingerprint", old[1])
    assert other.tells("peer", "add", new[0], "--fingerprint", new[1])["fingerprint"] == new[1]
    assert "an older one" in other.fails(ExitCode.REFUSED, "peer", "add", old[0])
    assert "kept for XB" in one.does("keys", "list", "--kind", "box")
    fingerprint = one.tells("keys", "list", "--kind", "box")["keys"][0]["fingerprint"]
    assert one.tells("keys", "destroy") == {"destroyed": [], "kept": {fingerprint: ["XB"]}}
    assert one.tells("keys", "destroy", "--anyway") == {"destroyed": [fingerprint], "kept": {}}
    assert "no replaced box key" in one.does("keys", "destroy")
    assert one.run("verify").returncode == ExitCode.DONE

    one.does("keys", "revoke", "--kind", "identity")
    revoked = card_of(one, tmp_path)
    said = other.fails(ExitCode.REFUSED, "peer", "add", revoked[0], "--fingerprint", revoked[1])
    assert "has revoked the key by which we know it" in said
    assert other.tells("peer", "list")["peers"][0]["held"] == "revoked"
    for shown in (other.run("status"), other.run("feed", "status"), other.run("peer", "list")):
        assert "HELD" in shown.stdout
    assert "has revoked" in other.fails(ExitCode.REFUSED, "peer", "resume", "XA")
    other.fails(ExitCode.USAGE, "peer", "replace", revoked[0], "--fingerprint", new[1])
    taken = other.tells("peer", "replace", revoked[0], "--fingerprint", revoked[1])
    assert (taken["state"], taken["held"], taken["fingerprint"]) == ("active", None, revoked[1])

    renewing.replace(stolen, "XA", Kind.IDENTITY, Why.ROTATED, size=0)
    thiefs = tmp_path / "thief.json"
    thiefs.write_text(peers.write_card(peers.Identity.open(stolen, node="XA").card()))
    assert "the key was stolen" in other.fails(ExitCode.REFUSED, "peer", "add", str(thiefs))
    assert other.tells("peer", "list")["peers"][0] == taken | {"state": "suspended", "held": "two-successors"}
    assert other.tells("peer", "replace", revoked[0], "--fingerprint", revoked[1]) == taken
