"""Keys of a card that follow upon each other: what a peer takes, what it refuses, and what it leaves to a person."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from access.log_prover import LogProver
from domain.refused import Refused
from exchange import accounts, nkey, peers, renewing
from exchange.peers import Card, Identity, Peer, State, read_card, write_card
from exchange.successors import Held
from ledger import card_keys, checkpoint, node_keys, note, whole_file
from ledger.card_keys import CardKeys, Kind, Statement, Why
from ledger.checkpoint import Head, NotCheckpoint
from ledger.errors import Conflict, Unsafe
from ledger.keyring import Keyring
from tests.exchange.conftest import MakeNode
from tests.exchange.nodes import Node


def opened(keys: Path, node: str = "XA") -> Identity:
    return Identity.open(keys, node=node)


def renewed(keys: Path, kind: Kind, why: Why = Why.ROTATED, node: str = "XA") -> Identity:
    renewing.replace(keys, node, kind, why, size=0)
    return opened(keys, node)


def restored(keys: Path, into: Path) -> Path:
    """A copy of a keys folder, as a thief of a backup has it."""
    into.mkdir(mode=0o700)
    for path in keys.iterdir():
        (into / path.name).write_bytes(path.read_bytes())
        (into / path.name).chmod(0o600)
    return into


def signed(told: Statement, *keys: Ed25519PrivateKey, name: str = "ncen/XA") -> str:
    first, *others = keys
    return note.sign(told.text, name, first) + "".join(
        note.sign(told.text, name, key).removeprefix(f"{told.text}\n") for key in others
    )


# ---------------------------------------------------------------- the chain


def test_keys_follow_upon_each_other(tmp_path: Path) -> None:
    own = opened(tmp_path / "k")
    first = own.signing_key.public_key().public_bytes_raw(), own.box_key.public_key().public_bytes_raw()
    assert own.edition == b""
    plain = own.card()
    assert b"successions" not in write_card(plain).encode(), "a card without statements is what it was before"
    seen = {plain.fingerprint}
    for kind in (Kind.IDENTITY, Kind.BOX, Kind.IDENTITY, Kind.BOX):
        before, own = own, renewed(tmp_path / "k", kind)
        is_identity = kind is Kind.IDENTITY
        assert (own.signing_key.public_key() != before.signing_key.public_key()) is is_identity
        assert (own.box_key.public_key() != before.box_key.public_key()) is not is_identity
        assert read_card(write_card(own.card())) == own.card()
        seen.add(own.card().fingerprint)
    assert len(seen) == 5
    assert own.keys is not None
    assert (own.keys.first_identity, own.keys.boxes[0].public_key) == first
    assert [len(own.keys.identities), len(own.keys.boxes), len(own.former), len(own.old_box_keys)] == [3, 3, 2, 2]
    names = {path.name for path in (tmp_path / "k").glob("*.key")}
    assert names >= {"identity-3.key", "box.key", "box-2.key", "box-4.key", "ledger-1.key"}
    assert not names & {"signing.key", "identity-1.key"}, "a replaced identity is destroyed"


def test_what_the_first_identity_signed_stays_verifiable(tmp_path: Path) -> None:
    keys = tmp_path / "k"
    first = Keyring.open(keys).signing_key
    old = checkpoint.sign(Head("ncen/XA", 7, bytes(32)), first)
    renewing.replace(keys, "XA", Kind.IDENTITY, Why.ROTATED, size=7)
    keyring = Keyring.open(keys)
    known = node_keys.known(keys, "XA", keyring.first_identity)
    assert known.read(old).size == 7
    new = checkpoint.sign(Head("ncen/XA", 9, bytes(32)), node_keys.signer(keys, known, keyring.signing_key))
    assert known.read(new).size == 9
    for stranger in (first, keyring.signing_key):
        with pytest.raises(NotCheckpoint):
            known.read(checkpoint.sign(Head("ncen/XA", 9, bytes(32)), stranger))
    renewing.replace(keys, "XA", Kind.IDENTITY, Why.ROTATED, size=9)
    keyring = Keyring.open(keys)
    log, signs = LogProver.open(keys, node="XA", folder=None).keys()
    assert (log, signs.public_key().public_bytes_raw()) == (known, known.keys[-1].public_key)
    assert node_keys.known(keys, "XA", keyring.first_identity) == known, "the ledger's key is another since the first"


def _forgeries(tmp_path: Path) -> tuple[CardKeys, dict[str, tuple[str, ...]]]:
    keys = tmp_path / "k"
    first = Keyring.open(keys).signing_key
    kept = restored(keys, tmp_path / "copy")
    renewed(keys, Kind.IDENTITY)
    second = Keyring.open(keys).signing_key
    renewed(keys, Kind.BOX)
    own = renewed(keys, Kind.IDENTITY)
    thief, known = Ed25519PrivateKey.generate(), own.keys
    assert known is not None
    one, two, three = known.notes
    told_one, told_two, told_three = known.statements
    mine = thief.public_key().public_bytes_raw()
    boxed = X25519PrivateKey.generate().public_key().public_bytes_raw()

    def but(told: Statement, **changes: object) -> Statement:
        return msgspec.structs.replace(told, **changes)

    thieves = renewed(kept, Kind.IDENTITY).keys
    assert thieves is not None
    return known, {
        "one left out": (one, three),
        "the first left out": (two, three),
        "turned round": (one, three, two),
        "one twice": (one, one, two, three),
        "signed by nobody who may": (one, two, signed(but(told_three, new=mine), thief, thief)),
        "not signed by the old identity": (one, two, signed(told_three, own.signing_key)),
        "not signed by the new identity": (one, two, signed(told_three, second)),
        "another's new key": (one, two, signed(but(told_three, new=mine), second)),
        "by an identity that was replaced": (
            one,
            two,
            signed(but(told_three, old=told_one.old, new=mine), first, thief),
        ),
        "a box key signed by a replaced identity": (one, signed(but(told_two, new=boxed), first), three),
        "put in from another chain": (thieves.notes[0], two, three),
        "another node's": tuple(text.replace("ncen/XA card", "ncen/XB card") for text in known.notes),
        "another time": (one, two, three.replace(f"at {int(told_three.at.timestamp())}", "at 1")),
        "rotated instead of revoked": (one, two, three.replace("because rotated", "because revoked")),
        "a former key again": (
            one,
            two,
            three,
            signed(
                but(told_three, serial=4, after=told_three.digest, old=told_three.new, new=told_three.old),
                own.signing_key,
                second,
            ),
        ),
        "leads elsewhere": (one, two),
        "goes further": (*known.notes, three),
        "a further signature": (one, two, three + f"\u2014 ncen/XA {base64.b64encode(bytes(68)).decode()}\n"),
        "empty": ("", "", ""),
        "not a statement": (one, two, "ncen/XA\n"),
        "too long": (one, two, three + "x" * card_keys.MOST_NOTE_BYTES),
    }


def test_forged_chains_are_refused(tmp_path: Path) -> None:
    known, forged = _forgeries(tmp_path)
    assert len(forged) >= 20
    card = opened(tmp_path / "k").card()
    assert read_card(write_card(card)).keys == known
    for how, notes in forged.items():
        told = json.loads(write_card(card)) | {"successions": notes}
        with pytest.raises(Refused):
            read_card(json.dumps(told))
        if how != "leads elsewhere":  # but to another card
            with pytest.raises(NotCheckpoint):
                card_keys.chain("ncen/XA", known.first_identity, known.boxes[0].public_key, notes)


def test_card_has_room_for_as_many_as_it_may_tell(tmp_path: Path) -> None:
    keys = tmp_path / "k"
    identity, own = Keyring.open(keys), opened(keys)
    known = card_keys.begin("XA", own.signing_key, own.box_key)
    for _ in range(card_keys.MOST_STATEMENTS):
        known = card_keys.replace(keys, known, Kind.BOX, identity.signing_key, Why.ROTATED)
    card = opened(keys).card("tls://a-host-of-a-very-long-name.customs.example:4222")
    assert read_card(write_card(card)) == card
    with pytest.raises(Conflict, match="no room"):
        card_keys.replace(keys, known, Kind.BOX, identity.signing_key, Why.ROTATED)
    with pytest.raises(Refused, match="too large"):
        read_card(write_card(card) + " " * peers.MOST_CARD_BYTES)


# ---------------------------------------------------------------- interrupted


@pytest.mark.parametrize("why", list(Why))
@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("step", range(1, 6))
def test_interrupted_replacement_is_finished(
    kind: Kind, why: Why, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after each file that is written or taken away: what is there then holds, and saying it again ends it."""
    keys = tmp_path / "k"
    first = opened(keys)
    done = 0

    def killed(work: Callable[..., object]) -> Callable[..., object]:
        def then(*arguments: object) -> object:
            nonlocal done
            answer = work(*arguments)
            done += 1
            if done == step:
                raise KeyboardInterrupt
            return answer

        return then

    with monkeypatch.context() as patch:
        for module in (card_keys, node_keys):
            patch.setattr(module, "write_whole", killed(module.write_whole))
        patch.setattr("ledger.card_keys.destroy", killed(whole_file.destroy))
        try:
            renewing.replace(keys, "XA", kind, why, size=3)
        except KeyboardInterrupt:
            was_killed = True
        else:
            was_killed = False
    own = opened(keys)
    is_done = own.edition != b""
    assert was_killed or is_done
    keyring = Keyring.open(keys)
    known = node_keys.known(keys, "XA", keyring.first_identity)
    signs = node_keys.signer(keys, known, keyring.signing_key).public_key()
    assert signs.public_bytes_raw() == known.keys[-1].public_key
    assert known.keys[0].public_key == first.signing_key.public_key().public_bytes_raw()
    if not is_done:
        assert own.signing_key.public_key() == first.signing_key.public_key()
        own = renewed(keys, kind, why)
    assert own.keys is not None
    assert [one.kind for one in own.keys.statements] == [kind], "it is stated once"
    assert [key.why for key in known.keys][:1] == ([node_keys.Why(why.value)] if known.notes else [None])
    assert len(node_keys.known(keys, "XA", keyring.first_identity).notes) == (1 if kind is Kind.IDENTITY else 0)
    assert (keys / "signing.key").exists() is (kind is Kind.BOX), "what was replaced is destroyed"


def test_lost_or_foreign_files_are_told(tmp_path: Path) -> None:
    keys = tmp_path / "k"
    renewed(keys, Kind.IDENTITY)
    path = keys / "identity-1.key"
    secret = path.read_bytes()
    path.unlink()
    with pytest.raises(Unsafe, match="missing"):
        opened(keys)
    assert not (keys / "signing.key").exists(), "no other is made in its place"
    path.write_bytes(bytes(32))
    path.chmod(0o600)
    with pytest.raises(Unsafe, match="not the key"):
        opened(keys)
    path.write_bytes(secret)
    with pytest.raises(Unsafe, match="another node"):
        opened(keys, "XB")
    (keys / "succession-1.note").rename(tmp_path / "away")
    keyring = Keyring.open(keys)
    with pytest.raises(Unsafe, match="first key is missing"):
        node_keys.signer(keys, node_keys.known(keys, "XA", keyring.first_identity), keyring.signing_key)
    (keys / "card-1.note").write_text("nonsense")
    with pytest.raises(Unsafe, match="do not hold"):
        opened(keys)


# ---------------------------------------------------------------- how a peer takes it


class Met:
    """XB, which knows XA by its first card, and XA's keys; and what a thief of those has."""

    def __init__(self, make_node: MakeNode, tmp_path: Path) -> None:
        self.keys = tmp_path / "XA"
        self.first = opened(self.keys)
        self.stolen = restored(self.keys, tmp_path / "stolen")
        self.xb: Node = make_node("XB")
        self.add(self.first.card())

    def add(self, card: Card) -> Peer:
        return peers.add(self.xb.url, self.xb.own, card)

    def known(self) -> Peer:
        [found] = peers.listed(self.xb.session)
        return found

    def refuses(self, card: Card, why: str) -> None:
        before = self.known()
        with pytest.raises(Refused, match=why):
            self.add(card)
        after = self.known()
        assert (after.signing_key, after.box_key, after.successions) == (
            before.signing_key,
            before.box_key,
            before.successions,
        )


@pytest.fixture
def met(make_node: MakeNode, tmp_path: Path) -> Met:
    return Met(make_node, tmp_path)


def test_successor_card_is_taken_by_the_same_verb(met: Met) -> None:
    old = met.first.card()
    for kind, why in ((Kind.IDENTITY, Why.ROTATED), (Kind.BOX, Why.ROTATED), (Kind.BOX, Why.REVOKED)):
        own = renewed(met.keys, kind, why)
        taken = met.add(own.card("nats://192.0.2.7:4222"))
        assert (taken.fingerprint, taken.state, taken.held) == (own.card().fingerprint, State.ACTIVE, None)
        assert taken.signing_key == own.signing_key.public_key()
        assert met.add(own.card("nats://192.0.2.8:4222")).nats_url == "nats://192.0.2.8:4222"
    met.refuses(old, "an older one")
    assert taken.keys.first_identity == met.first.signing_key.public_key().public_bytes_raw()


def test_several_statements_are_taken_at_once(met: Met) -> None:
    for kind in (Kind.IDENTITY, Kind.BOX, Kind.IDENTITY):
        own = renewed(met.keys, kind)
    assert met.add(own.card()).edition == own.edition


def test_card_of_another_is_refused(met: Met, tmp_path: Path) -> None:
    other = renewed(tmp_path / "other", Kind.IDENTITY)
    met.refuses(other.card(), "does not follow upon them")
    met.refuses(opened(tmp_path / "another").card(), "does not follow upon them")
    with pytest.raises(Refused, match="does not follow upon them"):
        peers.replace(met.xb.url, other.card())
    assert met.known().state is State.ACTIVE, "which anybody can make, and holds nobody"


def test_two_successors_of_one_key_hold_the_peer(met: Met) -> None:
    theirs = renewed(met.stolen, Kind.IDENTITY)  # the thief is first
    met.add(theirs.card())
    ours = renewed(met.keys, Kind.IDENTITY, Why.REVOKED)
    met.refuses(ours.card(), "the key was stolen")
    held = met.known()
    assert (held.state, held.held) == (State.SUSPENDED, Held.TWO_SUCCESSORS)
    [kept] = met.xb.session.execute("SELECT held_card FROM exchange.peer").fetchall()
    assert read_card(kept[0]) == ours.card()
    assert not peers.active(met.xb.session), "nothing is sent to it or taken from it"
    with pytest.raises(Refused, match="stolen"):
        peers.put(met.xb.session, "XA", State.ACTIVE)
    met.refuses(renewed(met.stolen, Kind.BOX).card(), "stolen")
    met.refuses(theirs.card(), "stolen")
    decided = peers.replace(met.xb.url, ours.card())
    assert (decided.state, decided.held, decided.fingerprint) == (State.ACTIVE, None, ours.card().fingerprint)
    met.refuses(theirs.card(), "stolen")
    assert met.known().held is Held.TWO_SUCCESSORS, "and who comes with the thief's card again is told of again"


def test_stolen_box_statement_is_noticed_too(met: Met) -> None:
    met.add(renewed(met.keys, Kind.BOX).card())
    met.refuses(renewed(met.stolen, Kind.BOX).card(), "stolen")
    mine = opened(met.keys).card()
    assert peers.replace(met.xb.url, mine).is_active, "a person may decide for the card that is known"


def test_revoked_identity_is_not_believed_by_statements_alone(met: Met) -> None:
    own = renewed(met.keys, Kind.IDENTITY, Why.REVOKED)
    met.refuses(own.card(), "has revoked")
    assert (met.known().state, met.known().held) == (State.SUSPENDED, Held.REVOKED)
    further = renewed(met.keys, Kind.BOX)
    met.refuses(further.card(), "has revoked")
    assert peers.replace(met.xb.url, further.card()).edition == further.edition
    assert met.add(renewed(met.keys, Kind.BOX).card()).is_active, "and from then on by statements again"
    with pytest.raises(Refused, match="older"):
        peers.replace(met.xb.url, own.card())


def test_removed_peer_that_is_held_stays_removed(met: Met) -> None:
    peers.put(met.xb.session, "XA", State.REMOVED)
    met.refuses(renewed(met.keys, Kind.IDENTITY, Why.REVOKED).card(), "has revoked")
    assert met.known().state is State.REMOVED


def test_logins_change_with_either_card(tmp_path: Path) -> None:
    a, b = opened(tmp_path / "a", "XA"), opened(tmp_path / "b", "XB")

    def peer_of(own: Identity) -> Peer:
        card = own.card()
        return Peer(
            node=own.node,
            role=own.role,
            signing_key=own.signing_key.public_key(),
            box_key=own.box_key.public_key(),
            successions=card.successions,
        )

    def text(key: Ed25519PrivateKey) -> str:
        return nkey.public_text(key.public_key())

    before = text(nkey.meeting_key(a.box_key, b.box_key.public_key(), host="XA", guest="XB"))
    assert text(accounts.login_of(a, peer_of(b))) == before, "who replaced nothing logs in as ever"
    seen = {before}
    for kind in (Kind.IDENTITY, Kind.BOX):
        known = peer_of(a)
        a = renewed(tmp_path / "a", kind, node="XA")
        assert text(accounts.login_at(b, known)) != text(accounts.login_of(a, peer_of(b))), "not yet of one mind"
        assert text(accounts.login_at(b, peer_of(a))) == text(accounts.login_of(a, peer_of(b)))
        seen.add(text(accounts.login_of(a, peer_of(b))))
        b = renewed(tmp_path / "b", kind, node="XB")
        assert text(accounts.login_at(b, peer_of(a))) == text(accounts.login_of(a, peer_of(b)))
        seen.add(text(accounts.login_of(a, peer_of(b))))
    assert len(seen) == 5
