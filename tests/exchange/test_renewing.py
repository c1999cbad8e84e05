"""Keys replaced while feeds run: nothing is lost or doubled, what was signed holds, an old key signs nothing more."""

import asyncio
import contextlib
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.errors import Error as NatsError

from cli import certificates
from cli.nats_server import EmbeddedNats
from cli.settings import load
from domain.handling import DataCategory
from domain.rights import ErasureGrounds
from domain.seizure import NameParty, SubmitSeizure
from exchange import (
    accounts,
    checkpoint,
    envelope,
    erasing,
    jetstream,
    nkey,
    peers,
    premises,
    relay,
    renewing,
    witness,
    worker,
)
from exchange.audit import audit
from exchange.inbox import Inbox, Stopped
from exchange.peers import Identity, Peer, without_login
from exchange.relay import STORED, Relay, Standing
from exchange.status import status
from exchange.verifying import FormerKey
from exchange.witnessing import Submitter
from ledger import card_keys, note
from ledger.card_keys import Kind, Why
from ledger.erasure import Eraser
from ledger.prover import Prover
from tests.exchange.authority import Authority
from tests.exchange.conftest import MakeNode
from tests.exchange.nodes import LAWYER, Node, now, party, person, premise, seizure
from tests.exchange.test_erasing import DPO
from tests.exchange.test_network import at_work, names, serve, until
from tests.exchange.test_storm import Process, kill_nats
from tests.exchange.test_two_nodes import carry

BOTH = (DataCategory.OPEN, DataCategory.NOMINAL)


def renew(node: Node, kind: Kind, why: Why = Why.ROTATED) -> Identity:
    """Replace a key, as the verb does; return the card's keys as they were."""
    before = node.own
    size = node.session.execute("SELECT size FROM ledger.seal_state").fetchone()
    renewing.replace(node.keys, node.code, kind, why, size=size[0] if size else 0)
    node.own = Identity.open(node.keys, node=node.code, role=node.own.role)
    return before


def peer(node: Node, other: Node) -> Peer:
    return next(one for one in peers.listed(node.session) if one.node == other.code)


def agree(*nodes: Node) -> None:
    for node in nodes:
        node.do(premise(categories=BOTH), LAWYER)


class Pair:
    """Two nations that know each other and have agreed on everything."""

    def __init__(self, make_node: MakeNode) -> None:
        self.xa, self.xb = make_node("XA"), make_node("XB")
        self.introduce()
        agree(self.xa, self.xb)

    def introduce(self) -> None:
        """Hand each other the newest card."""
        self.xa.meet(self.xb)
        self.xb.meet(self.xa)

    @property
    def to_b(self) -> Peer:
        return peer(self.xa, self.xb)

    @property
    def of_a(self) -> Peer:
        return peer(self.xb, self.xa)

    def relay(self) -> Relay:
        return Relay(self.xa.url, self.xa.own, self.to_b, "nats://127.0.0.1:1", None)

    def inbox(self) -> Inbox:
        return self.xb.inbox(self.of_a)

    def carry(self) -> None:
        self.xa.export(self.to_b)
        carry(self.xa, self.xb, self.to_b, self.of_a)

    def receipt(self) -> bytes:
        """What XB hands in."""
        box = self.inbox()
        standing = box.standing()
        box.close()
        return msgspec.json.encode(standing)

    def outcomes(self) -> dict[str, int]:
        return dict(self.xb.session.execute("SELECT outcome, count(*) FROM exchange.inbox GROUP BY outcome").fetchall())


@pytest.fixture
def pair(make_node: MakeNode) -> Pair:
    return Pair(make_node)


# ---------------------------------------------------------------- what was on its way


def test_undelivered_lines_are_signed_anew_and_the_key_before_signs_nothing_more(pair: Pair) -> None:
    told = pair.xa.do(seizure()).record_id
    pair.xa.export(pair.to_b)
    by_the_old = pair.xa.batches(pair.to_b)
    old = renew(pair.xa, Kind.IDENTITY)
    by_the_new = pair.xa.batches(pair.to_b)
    assert by_the_new != by_the_old
    pair.xb.seal()
    premises.refresh(pair.xb.session, pair.xb.reader)
    box = pair.inbox()
    with pytest.raises(Stopped, match="not signed by the key"):
        box.take(by_the_new[0][1], 1, now())
    pair.xb.session.execute("UPDATE exchange.inbox_feed SET stopped = NULL")
    box.close()
    pair.introduce()
    box = pair.inbox()
    with pytest.raises(FormerKey):
        box.take(by_the_old[0][1], 1, now())
    assert (box.number(), status(pair.xb.url)[0].receiving.stopped) == (0, None), "it waits, and nothing is taken"
    [(first, lines)] = by_the_new
    assert box.take(lines, first, now()) == len(lines)
    box.close()
    pair.xb.seal()
    assert names(pair.xb, told) == names(pair.xa, told)
    forged = checkpoint.sign(
        checkpoint.Checkpoint(origin="XA", recipient="XB", size=len(lines), root=bytes(32)), old.signing_key
    )
    assert renewing.head(pair.xa.own, forged) != forged, "what bears our former signature was ours"
    stranger = note.sign(forged.partition("\n\n")[0] + "\n", "XA", Ed25519PrivateKey.generate())
    assert renewing.head(pair.xa.own, stranger) == stranger, "and what does not was not, and is signed by nobody anew"


def test_held_lines_are_signed_anew(pair: Pair) -> None:
    for _ in range(3):
        pair.xa.do(seizure())
    pair.xa.export(pair.to_b)
    own = pair.xa.own
    row = pair.xa.session.execute("SELECT number, leaf_hash FROM exchange.feed_out ORDER BY number LIMIT 1").fetchone()
    assert row is not None
    signature = envelope.sign_held(own.signing_key, "XA", "XB", *row)
    pair.xa.session.execute("UPDATE exchange.feed_out SET held = %s WHERE number = %s", [signature, row[0]])
    renew(pair.xa, Kind.IDENTITY)
    pair.introduce()
    carry(pair.xa, pair.xb, pair.to_b, pair.of_a)
    assert pair.outcomes()["held"] == 1
    assert renewing.held(pair.xa.own, "XB", 0, row[0], row[1], bytes(64)) == bytes(64)


def test_receipt_on_its_way_is_taken_and_the_feed_stays_open(pair: Pair) -> None:
    pair.xa.do(seizure())
    pair.carry()
    under_the_old_head = pair.receipt()
    renew(pair.xa, Kind.IDENTITY)
    pair.introduce()
    work = pair.relay()
    assert work._take(under_the_old_head) == STORED
    assert pair.xa.receipted(pair.to_b) == len(pair.xa.messages(pair.to_b))
    assert work._plan().is_open
    pair.xa.session.execute("UPDATE exchange.feed_out SET checkpoint = replace(checkpoint, E'\\n', E'0\\n')")
    assert not work._plan().is_open, "of another feed it is no receipt"
    work._sessions.close()


def test_receipts_and_confirmations_are_signed_anew(pair: Pair) -> None:
    courier = pair.xa.do(person()).record_id
    told = pair.xa.do(seizure()).record_id
    pair.xa.do(NameParty(party=party(courier)), record_id=told)
    pair.carry()
    with Eraser.open(pair.xa.url, node="XA", keys=pair.xa.keys) as eraser:
        eraser.erase(courier, "person", ErasureGrounds.UNLAWFUL, DPO)
    pair.xa.reader.vault.forget()
    pair.carry()
    pair.carry()
    before = msgspec.json.decode(pair.receipt(), type=Standing)
    assert before.receipt is not None
    assert len(before.erased) == 1
    renew(pair.xb, Kind.IDENTITY)
    pair.introduce()
    work = pair.relay()
    assert work._take(msgspec.json.encode(before)) == relay.REFUSED, "by the key before, nothing is taken"
    after = msgspec.json.decode(pair.receipt(), type=Standing)
    assert pair.receipt() == msgspec.json.encode(after), "it is signed anew once"
    assert work._take(msgspec.json.encode(after)) == STORED
    assert erasing.notices(pair.xa.session, "XB").confirmed == 1
    work._sessions.close()
    for _ in range(2):
        assert audit(pair.xa.url, pair.xa.own, "XB").faults == ()
        renew(pair.xb, Kind.IDENTITY)  # and what was confirmed before holds
        pair.introduce()
    stranger = note.sign(after.erased[0].partition("\n\n")[0] + "\n", "XB", Ed25519PrivateKey.generate())
    pair.xa.session.execute("UPDATE exchange.erasure_notice SET confirmation = %s", [stranger])
    assert any("confirmation" in fault for fault in audit(pair.xa.url, pair.xa.own, "XB").faults)
    box = pair.inbox()
    box.stored(after.number, now(), after.erased)
    assert box.standing().erased == ()
    box.close()


def test_what_was_receipted_is_audited_over_replacements_of_both(pair: Pair) -> None:
    for number, (who, kind) in enumerate(
        (("xa", Kind.IDENTITY), ("xb", Kind.IDENTITY), ("xb", Kind.BOX), ("xa", Kind.BOX), ("xb", Kind.IDENTITY)), 1
    ):
        pair.xa.do(seizure())
        pair.carry()
        work = pair.relay()
        assert work._take(pair.receipt()) in {STORED, b"stored 0"}
        work._sessions.close()
        renew(getattr(pair, who), kind)
        pair.introduce()
        found = audit(pair.xa.url, pair.xa.own, "XB")
        assert (found.faults, found.receipts) == ((), number)
    row = pair.xa.session.execute("SELECT size, note FROM exchange.receipt ORDER BY size LIMIT 1").fetchone()
    assert row is not None
    late = pair.to_b.keys.identities[0].ended_at
    assert late is not None
    thief = Ed25519PrivateKey.generate()
    pair.xa.session.execute("UPDATE exchange.receipt SET note = %s WHERE size = %s", [_by(row[1], thief), row[0]])
    assert audit(pair.xa.url, pair.xa.own, "XB").faults


def _by(receipt: str, key: Ed25519PrivateKey, at: datetime | None = None) -> str:
    """The same receipt, cosigned by another key."""
    text, _, lines = receipt.rpartition("\n\n")
    ours = [line for line in lines.splitlines() if line.startswith("\u2014 XA ")]
    return checkpoint.cosign("\n".join([f"{text}\n", *ours, ""]), "XB", key, at or datetime.now(UTC))


def test_receipt_that_an_ended_key_signs_later_is_no_receipt(pair: Pair) -> None:
    pair.xa.do(seizure())
    pair.carry()
    work = pair.relay()
    assert work._take(pair.receipt()) == STORED
    old = renew(pair.xb, Kind.IDENTITY, Why.ROTATED)
    pair.introduce()
    assert audit(pair.xa.url, pair.xa.own, "XB").faults == ()
    row = pair.xa.session.execute("SELECT note FROM exchange.receipt").fetchone()
    assert row is not None
    later = _by(row[0], old.signing_key, datetime.now(UTC) + 2 * renewing.STILL_SIGNED)
    pair.xa.session.execute("UPDATE exchange.receipt SET note = %s", [later])
    assert any("replaced before" in fault for fault in audit(pair.xa.url, pair.xa.own, "XB").faults)
    work._sessions.close()


def test_witness_goes_on_over_replacements_of_both(pair: Pair, tmp_path: Path) -> None:
    def look() -> None:
        pair.xa.do(seizure())
        pair.xa.seal()
        assert Prover.open(pair.xa.keys, node="XA", folder=tmp_path / "c").look(pair.xa.session).is_sound

    def ask(asking: Submitter, own: Identity) -> str | None:
        due = asking.due()
        while due is not None:
            size = due.head.size
            answer = witness.judge(pair.xb.session, own, pair.of_a, due.asked.encode(), now())
            old = asking.take(due, answer.encode())
            due = None if old is None else asking.due(old)
        asking.close()
        row = pair.xa.session.execute("SELECT max(size) FROM ledger.cosignature").fetchone()
        return None if row == (size,) else "not cosigned"

    def asking() -> Submitter:
        return Submitter(pair.xa.url, pair.xa.own, pair.to_b, None)

    look()
    assert ask(asking(), pair.xb.own) is None
    old = renew(pair.xb, Kind.IDENTITY)
    pair.introduce()
    look()
    assert ask(asking(), old) == "not cosigned", "a former key cosigns nothing that counts"
    assert ask(asking(), pair.xb.own) is None, "for the head that the former key has cosigned already"
    renew(pair.xa, Kind.IDENTITY)
    pair.introduce()
    [succession] = card_keys_of(pair.xa)
    led = witness.judge(pair.xb.session, pair.xb.own, pair.of_a, witness.SUCCESSION + succession.encode(), now())
    assert led.status == witness.COSIGNED
    look()
    assert ask(asking(), pair.xb.own) is None
    keys = {bytes(key) for (key,) in pair.xa.session.execute("SELECT public_key FROM ledger.cosignature").fetchall()}
    assert keys == {one.signing_key.public_key().public_bytes_raw() for one in (old, pair.xb.own)}


def card_keys_of(node: Node) -> tuple[str, ...]:
    from ledger import node_keys

    return node_keys.successions(node.keys)


# ---------------------------------------------------------------- the box key


def test_lines_boxed_to_the_key_before_open_as_long_as_it_is_kept(pair: Pair) -> None:
    told = [pair.xa.do(seizure()).record_id]
    pair.xa.export(pair.to_b)  # boxed to the old key, not delivered
    renew(pair.xb, Kind.BOX)
    [key] = renewing.needing(pair.xb.session, pair.xb.own)
    assert renewing.needing(pair.xb.session, pair.xb.own) == {key: ["XA"]}
    pair.introduce()
    told.append(pair.xa.do(seizure()).record_id)
    pair.carry()
    for one in told:
        assert names(pair.xb, one) == names(pair.xa, one) != []
    assert pair.outcomes().keys() == {"recorded"}
    assert renewing.destroy(pair.xb.session, pair.xb.keys, pair.xb.own) == [], "XA has not told that this was all"
    work = pair.relay()
    assert work._take(pair.receipt()) == STORED
    box = pair.inbox()
    assert pair.to_b.boxed_from > 0
    box.arrived(pair.to_b.boxed_from - 1, pair.to_b.boxed_from)
    assert renewing.needing(pair.xb.session, pair.xb.own) == {key: ["XA"]}, "not all of it has come"
    box.arrived(box.number(), pair.to_b.boxed_from)
    box.close()
    work._sessions.close()
    assert renewing.destroy(pair.xb.session, pair.xb.keys, pair.xb.own) == [key]
    assert not (pair.xb.keys / "box.key").exists()
    pair.xb.own = Identity.open(pair.xb.keys, node="XB")
    told.append(pair.xa.do(seizure()).record_id)
    pair.carry()
    assert pair.outcomes().keys() == {"recorded"}


def test_without_the_key_before_they_do_not_open(pair: Pair) -> None:
    pair.xa.do(seizure())
    pair.xa.export(pair.to_b)
    renew(pair.xb, Kind.BOX)
    pair.introduce()
    assert len(renewing.destroy(pair.xb.session, pair.xb.keys, pair.xb.own, is_needed_too=True)) == 1
    pair.xb.own = Identity.open(pair.xb.keys, node="XB")
    pair.carry()
    assert pair.outcomes()["quarantined"] == 1


def test_key_is_kept_for_what_waits_in_quarantine(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    xa.meet(xb)
    xb.meet(xa)
    xa.do(premise(categories=BOTH), LAWYER)  # XB has none: all is quarantined
    told = xa.do(seizure()).record_id
    xa.export(peer(xa, xb))
    carry(xa, xb, peer(xa, xb), peer(xb, xa))
    renew(xb, Kind.BOX)
    xa.meet(xb)
    box = xb.inbox(peer(xb, xa))
    box.arrived(box.number(), peer(xa, xb).boxed_from)
    box.close()
    [(key, nodes)] = renewing.needing(xb.session, xb.own).items()
    assert nodes == ["XA"]
    xb.do(premise(categories=BOTH), LAWYER)
    carry(xa, xb, peer(xa, xb), peer(xb, xa))
    assert names(xb, told) == names(xa, told)
    assert renewing.needing(xb.session, xb.own) == {key: []}


def test_nothing_is_boxed_to_a_key_that_was_replaced(pair: Pair) -> None:
    stale = pair.to_b
    renew(pair.xb, Kind.BOX)
    pair.introduce()
    assert stale.box_key != pair.to_b.box_key
    told = pair.xa.do(seizure()).record_id
    pair.xa.export(stale)  # an exporter that has not looked again
    assert renewing.destroy(pair.xb.session, pair.xb.keys, pair.xb.own, is_needed_too=True)
    pair.xb.own = Identity.open(pair.xb.keys, node="XB")
    carry(pair.xa, pair.xb, pair.to_b, pair.of_a)
    assert names(pair.xb, told) == names(pair.xa, told)


# ---------------------------------------------------------------- while feeds run


@contextmanager
def recording(*nodes: Node) -> Iterator[dict[str, list[object]]]:
    """Record without pause at these nodes; what was recorded."""
    stop = threading.Event()
    made: dict[str, list[object]] = {node.code: [] for node in nodes}

    def record(node: Node) -> None:
        while not stop.wait(0.05):
            made[node.code].append(node.do(seizure()).record_id)
            if len(made[node.code]) % 5 == 0:
                node.do(SubmitSeizure(), record_id=made[node.code][-1])  # type: ignore[arg-type]  # a UUID

    threads = [threading.Thread(target=record, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def waited_for_by(node: Node) -> set[str]:
    """Whom a node has not met under the newest cards."""
    return {one.peer for one in status(node.url, node.own.edition) if one.waits_for_cards}


@pytest.mark.timeout(400)
def test_running_feeds_go_on_over_replacements_at_all_ends(  # noqa: C901  # one story, told once
    make_node: MakeNode, make_nats: Callable[[str], EmbeddedNats]
) -> None:
    xa, xb, cen = make_node("XA"), make_node("XB"), make_node("ZZ-CEN", "cen")
    servers = {"XA": make_nats("a"), "XB": make_nats("b")}
    urls = {code: server.url for code, server in servers.items()} | {"ZZ-CEN": None}
    pairs = ((xa, xb), (xb, xa), (xa, cen), (cen, xa))

    def introduce(node: Node) -> None:
        """Hand a node's card to all who exchange with it, and let their NATS know."""
        for other, one in pairs:
            if one is node:
                other.meet(one, urls[one.code])
        renew_logins()

    def renew_logins() -> None:
        for node in (xa, xb):
            serve(servers[node.code], node, *peers.listed(node.session))

    for node in (xa, xb, cen):
        introduce(node)
    agree(xa, xb)
    replaced = 0
    with at_work((xa, urls["XA"]), (xb, urls["XB"]), (cen, None)), recording(xa, xb) as made:
        until(lambda: xa.receipted(peer(xa, xb)) > 5 < xb.receipted(peer(xb, xa)))
        for node, kind in (
            (xa, Kind.IDENTITY),
            (xb, Kind.BOX),
            (cen, Kind.IDENTITY),
            (xb, Kind.IDENTITY),
            (xa, Kind.BOX),
        ):
            renew(node, kind)
            renew_logins()
            time.sleep(1.5)  # nobody knows the new card: what comes up meanwhile waits
            assert waited_for_by(node) == {one.code for one, other in pairs if other is node}
            for guest in [one for one, other in pairs if other is node and node is not cen]:
                until(lambda: node.code in waited_for_by(guest))  # noqa: B023  # it was not told, and is not let in
            introduce(node)
            until(lambda: not any(waited_for_by(one) for one in (xa, xb, cen)))
            replaced += 1
            before = {one.code: len(made[one.code]) for one in (xa, xb)}
            until(lambda: all(len(made[code]) > count + 10 for code, count in before.items()))  # noqa: B023  # at once
        until(lambda: xb.own.old_box_keys != () and not any(renewing.needing(xb.session, xb.own).values()))
        until(lambda: not any(renewing.needing(xa.session, xa.own).values()))
    with at_work((xa, urls["XA"]), (xb, urls["XB"]), (cen, None)):
        for node, other in ((xa, xb), (xb, xa)):
            until(lambda: all(names(other, one) == names(node, one) for one in made[node.code]), 60)  # noqa: B023
            until(lambda: node.receipted(peer(node, other)) == len(node.messages(peer(node, other))))  # noqa: B023
        until(lambda: cen.reader.head() == len(xa.messages(peer(xa, cen))))
    assert replaced == 5
    assert all(len(made[code]) > 50 for code in ("XA", "XB"))
    for node, other in ((xa, xb), (xb, xa)):
        rows = other.session.execute(
            "SELECT outcome, count(*), count(DISTINCT (record_id, version)) FROM exchange.inbox GROUP BY outcome"
        ).fetchall()
        sent = len(node.messages(peer(node, other)))
        assert rows == [("recorded", sent, sent)], "each once, and none quarantined"
        assert audit(node.url, node.own, other.code).faults == ()
        assert [one.receiving.stopped for one in status(other.url)] == [None] * len(status(other.url))
    assert audit(xa.url, xa.own, "ZZ-CEN").faults == ()


@pytest.mark.timeout(400)
def test_killed_processes_go_on_over_replacements(
    make_node: MakeNode, make_nats: Callable[[str], EmbeddedNats]
) -> None:
    """Both workers are killed around each replacement, at another moment each time; the stream is wiped once."""
    xa, xb, nats = make_node("XA"), make_node("XB"), make_nats("a")
    xa.meet(xb), xb.meet(xa, nats.url)
    serve(nats, xa, peer(xa, xb))
    agree(xa, xb)
    with recording(xa) as made:
        sender, receiver = Process(xa, nats.url), Process(xb, "")
        try:
            until(lambda: xa.receipted(peer(xa, xb)) > 0, 60)
            for number, (node, kind) in enumerate(
                ((xa, Kind.IDENTITY), (xb, Kind.IDENTITY), (xb, Kind.BOX), (xa, Kind.IDENTITY))
            ):
                killed = (sender, receiver)[number % 2]
                if number % 2 == 0:
                    killed.kill()
                renew(node, kind)
                if number % 2:
                    killed.kill()
                serve(nats, xa, peer(xa, xb))
                if number == 2:
                    kill_nats(nats, wipe=True)
                killed.start()
                xa.meet(xb), xb.meet(xa, nats.url)
                serve(nats, xa, peer(xa, xb))
                reached = xa.receipted(peer(xa, xb))
                until(lambda: xa.receipted(peer(xa, xb)) > reached + 10, 60)  # noqa: B023  # at once
        finally:
            sender.kill()
            receiver.kill()
    with at_work((xa, nats.url), (xb, None)):
        until(lambda: all(names(xb, one) == names(xa, one) for one in made["XA"]), 60)
        until(lambda: xa.receipted(peer(xa, xb)) == len(xa.messages(peer(xa, xb))))
    sent = len(xa.messages(peer(xa, xb)))
    rows = xb.session.execute(
        "SELECT outcome, count(*), count(DISTINCT (record_id, version)) FROM exchange.inbox GROUP BY outcome"
    ).fetchall()
    assert rows == [("recorded", sent, sent)]
    assert audit(xa.url, xa.own, "XB").faults == ()


@pytest.mark.timeout(120)
def test_over_encrypted_links_too(
    make_node: MakeNode, make_nats: Callable[[str], EmbeddedNats], open_folder: Path
) -> None:
    authority = Authority(open_folder, "ours")
    cert, key = authority.issue("node")
    encrypted = load(home=open_folder / "home", tls_cert=cert, tls_key=key, tls_ca=authority.file)
    xa, xb, nats = make_node("XA"), make_node("XB"), make_nats("a")
    url = without_login(nats.url).replace("nats://", "tls://")
    tls = certificates.given_to(nats, encrypted)

    def introduce() -> None:
        xa.meet(xb), xb.meet(xa, url)
        nats.write_accounts(accounts.render(xa.own, [peer(xa, xb)], node_password=nats.node_password, tls=tls))
        nats.reload()

    introduce()
    agree(xa, xb)
    told = []
    with at_work((xa, nats.url), (xb, None), tls=encrypted):
        for kind in (None, Kind.IDENTITY, Kind.BOX):
            for node in (xa, xb) if kind is not None else ():
                renew(node, kind)  # type: ignore[arg-type]  # it is one
            introduce()
            told.append(xa.do(seizure()).record_id)
            until(lambda: all(names(xb, one) == names(xa, one) for one in told))
    assert certificates.of_links(encrypted) is not None, "a certificate is the operator's, and no key of the card"


def test_part_that_misses_its_cancellation_is_ended_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "HEARD_WITHIN_S", 0.1)

    async def deaf() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(600)
        await asyncio.sleep(600)

    async def end() -> tuple[bool, bool]:
        one, other = asyncio.create_task(deaf()), asyncio.create_task(deaf())
        await asyncio.sleep(0.01)
        one.cancel()
        _, pending = await asyncio.wait([one], timeout=0.5)
        await asyncio.wait_for(worker.ended([one, other]), 10)
        return bool(pending), one.done() and other.done()

    assert asyncio.run(end()) == (True, True), "the control: said once, it goes on"


def test_former_logins_are_closed(make_node: MakeNode, make_nats: Callable[[str], EmbeddedNats]) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    nats = make_nats("a")
    xa.meet(xb), xb.meet(xa, nats.url)
    serve(nats, xa, peer(xa, xb))
    url = peer(xb, xa).nats_url or ""

    def may(key: Ed25519PrivateKey) -> bool:
        async def ask() -> bool:
            try:
                client = await jetstream.connect(url, key)
            except (NatsError, OSError):
                return False
            await client.close()
            return True

        return asyncio.run(ask())

    old_a, old_b = xa.own, xb.own
    account = accounts.account_of("XB")
    old_own, old_guest = nkey.login_key(old_a.signing_key, account), accounts.login_at(old_b, peer(xb, xa))
    assert may(old_own)
    assert may(old_guest)
    renew(xa, Kind.IDENTITY)
    renew(xb, Kind.BOX)
    serve(nats, xa, peer(xa, xb))
    assert not may(old_guest)
    xa.meet(xb), xb.meet(xa, nats.url)
    serve(nats, xa, peer(xa, xb))
    assert not may(old_own)
    assert not may(old_guest)
    assert not may(accounts.login_at(old_b, peer(xb, xa)))
    assert may(accounts.login_at(xb.own, peer(xb, xa)))
    assert may(nkey.login_key(xa.own.signing_key, account))


# ---------------------------------------------------------------- killed

LOOP = """
import sys
from pathlib import Path
from exchange import renewing
from ledger.card_keys import Kind, Why
for number in range(100):
    renewing.replace(Path(sys.argv[1]), "XA", list(Kind)[number % 2], Why.ROTATED, size=0)
    print(number, flush=True)
"""


def test_killed_at_any_moment_the_keys_hold(tmp_path: Path) -> None:
    keys = tmp_path / "k"
    Identity.open(keys, node="XA")
    seeds = random.Random(20_261_201)
    told = 0
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", LOOP, str(keys)], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(seeds.random() * 0.05)
            child.kill()
            said = 1 + len(child.stdout.readlines())
        own = Identity.open(keys, node="XA")
        assert own.keys is not None
        assert said <= len(own.keys.notes) - told <= said + 1, "what was said to be done is done, and at most one more"
        told = len(own.keys.notes)
        names_now = {path.name for path in keys.glob("identity-*.key")}
        newest = card_keys.file_of(own.keys.identities[-1])
        assert newest in names_now
        following = [name for name in names_now if int(name[9:-4]) > told]
        assert names_now <= {newest, *following}, "a replaced identity is gone when the folder is opened"
