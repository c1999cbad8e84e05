"""What a peer may do on our NATS: ask for its next messages, acknowledge them, hand in receipts; and nothing else."""

import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from cli.nats_server import EmbeddedNats
from domain.refused import Refused
from exchange import accounts, jetstream, peers
from exchange.nkey import KeyedClient, login_key, meeting_key, public_text
from exchange.peers import Identity, Peer, Role, read_card, write_card
from tests.exchange.authority import Authority

FORBIDDEN = (
    "$JS.API.INFO",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.INFO.OUT_XB",
    "$JS.API.STREAM.PURGE.OUT_XB",
    "$JS.API.STREAM.DELETE.OUT_XB",
    "$JS.API.STREAM.UPDATE.OUT_XB",
    "$JS.API.STREAM.CREATE.MINE",
    "$JS.API.STREAM.MSG.GET.OUT_XB",
    "$JS.API.STREAM.MSG.DELETE.OUT_XB",
    "$JS.API.STREAM.SNAPSHOT.OUT_XB",
    "$JS.API.DIRECT.GET.OUT_XB",
    "$JS.API.DIRECT.GET.OUT_XB.out.XB",
    "$JS.API.CONSUMER.NAMES.OUT_XB",
    "$JS.API.CONSUMER.INFO.OUT_XB.feed",
    "$JS.API.CONSUMER.CREATE.OUT_XB",
    "$JS.API.CONSUMER.CREATE.OUT_XB.mine",
    "$JS.API.CONSUMER.DURABLE.CREATE.OUT_XB.mine",
    "$JS.API.CONSUMER.DELETE.OUT_XB.feed",
    "$JS.API.CONSUMER.PAUSE.OUT_XB.feed",
    "$JS.API.CONSUMER.UNPIN.OUT_XB.feed",
    "$JS.API.CONSUMER.RESET.OUT_XB.feed",
    "$JS.API.CONSUMER.MSG.NEXT.OUT_XB.other",
    "$JS.API.CONSUMER.MSG.NEXT.OUT_XC.feed",
    "$SYS.REQ.SERVER.PING",
    "out.XB",
    "out.XC",
    "rcpt.XC",
    "_INBOX_XA.x",
)


def identity(node: str) -> Identity:
    return Identity(
        node=node,
        role=Role.NATION,
        signing_key=Ed25519PrivateKey.generate(),
        box_key=X25519PrivateKey.generate(),
    )


def peer_of(one: Identity) -> Peer:
    return Peer(
        node=one.node,
        role=one.role,
        signing_key=one.signing_key.public_key(),
        box_key=one.box_key.public_key(),
    )


XA, XB, XC = identity("XA"), identity("XB"), identity("XC")


async def try_all(url: str) -> dict[str, str]:
    """Publish to each forbidden subject as XB and tell what was answered."""
    ours = await jetstream.connect(url, login_key(XA.signing_key, accounts.account_of("XB")))
    await jetstream.rebuild(ours.jetstream(), "XB", after=0, generation=0)
    await jetstream.publish_batch(ours, "XB", [b"one", b"two"], after=0)
    guest = meeting_key(XB.box_key, XA.box_key.public_key(), host="XA", guest="XB")
    client = await jetstream.connect(url, guest, inbox_prefix="_INBOX_XB")
    denied: list[str] = []

    async def note(error: Exception) -> None:
        denied.append(str(error).lower())

    client._error_cb = note
    for subject in FORBIDDEN:
        body = json.dumps({"name": "MINE", "subjects": ["mine"], "last_by_subj": "out.XB"}).encode()
        await client.publish(subject, body, reply="_INBOX_XB.reply")
    await client.flush()
    for subject in ("out.>", ">", "rcpt.XB", "_INBOX.>", "$JS.>", "$SYS.>"):
        await client.subscribe(subject)
        await client.flush()
    await asyncio.sleep(0.3)
    answers = {subject: "denied" for subject in FORBIDDEN if any(f'"{subject.lower()}"' in one for one in denied)}
    heard = [one for one in denied if "subscription" in one]
    answers["subscriptions denied"] = str(len(heard))
    answers["stream"] = str(await jetstream.state(ours.jetstream(), "XB"))
    answers["given"] = await next_messages(client)
    await client.close()
    await ours.close()
    return answers


async def next_messages(client: KeyedClient) -> str:
    inbox = await client.subscribe("_INBOX_XB.next")
    await client.publish(
        "$JS.API.CONSUMER.MSG.NEXT.OUT_XB.feed", b'{"batch":2,"expires":1000000000}', reply="_INBOX_XB.next"
    )
    return b" ".join([(await inbox.next_msg(timeout=3)).data for _ in range(2)]).decode()


async def refusal(url: str, key: Ed25519PrivateKey, tls: ssl.SSLContext | None = None) -> type[BaseException] | None:
    """What kept a key (and certificate) from logging in, None where nothing did."""
    try:
        client = await asyncio.wait_for(jetstream.connect(url, key, tls=tls), 5)
        await client.flush()
    except (nats.errors.Error, OSError, TimeoutError) as error:
        return type(error)
    await client.close()
    return None


@pytest.fixture
def url(make_nats: Callable[[str], EmbeddedNats]) -> str:
    server = make_nats("rights")
    server.write_accounts(accounts.render(XA, [peer_of(XB), peer_of(XC)], node_password=server.node_password))
    server.reload()
    return peers.without_login(server.url)


def test_a_peer_can_fetch_what_is_meant_for_it_and_nothing_else(url: str) -> None:
    answers = asyncio.run(try_all(url))
    assert {subject: answers.get(subject) for subject in FORBIDDEN} == dict.fromkeys(FORBIDDEN, "denied")
    assert answers["subscriptions denied"] == "6"
    assert "last=2" in answers["stream"]
    assert answers["given"] == "one two"


def test_only_the_keys_of_peers_open_the_door(url: str) -> None:
    stranger = Ed25519PrivateKey.generate()
    at_another = meeting_key(XB.box_key, XC.box_key.public_key(), host="XC", guest="XB")
    turned_round = meeting_key(XB.box_key, XA.box_key.public_key(), host="XB", guest="XA")
    right = meeting_key(XB.box_key, XA.box_key.public_key(), host="XA", guest="XB")
    for key in (stranger, at_another, turned_round, XB.signing_key):
        assert asyncio.run(refusal(url, key)) is not None
    assert asyncio.run(refusal(url, right)) is None


def test_host_and_guest_compute_the_same_login() -> None:
    one = meeting_key(XA.box_key, XB.box_key.public_key(), host="XA", guest="XB")
    other = meeting_key(XB.box_key, XA.box_key.public_key(), host="XA", guest="XB")
    assert public_text(one.public_key()) == public_text(other.public_key())
    assert public_text(one.public_key()).startswith("U")
    assert len(public_text(one.public_key())) == 56


def test_a_card_is_read_as_it_was_written_and_holds_nothing_secret() -> None:
    card = XA.card("nats://node:secret@127.0.0.1:4222")
    text = write_card(card)
    assert read_card(text) == card
    assert "secret" not in text
    assert card.nats_url == "nats://127.0.0.1:4222"
    secrets = (XA.signing_key.private_bytes_raw(), XA.box_key.private_bytes_raw())
    assert not any(secret.hex() in text or str(secret) in text for secret in secrets)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "x" * 5_000, '{"card":"ncen-card/2"}', '{"card":"ncen-card/1","node":"xa"}', b"\xff\xfe"],
)
def test_what_is_no_card_is_refused(text: Any) -> None:  # noqa: ANN401  # text or bytes
    with pytest.raises(Refused):
        read_card(text)


def test_our_own_card_and_changed_keys_are_refused(make_node: Any) -> None:  # noqa: ANN401  # the fixture
    node = make_node("XA")
    with pytest.raises(Refused):
        peers.add(node.url, node.own, node.own.card())
    peers.add(node.url, node.own, XB.card("nats://127.0.0.1:1"))
    assert peers.add(node.url, node.own, XB.card("nats://127.0.0.1:2")).nats_url == "nats://127.0.0.1:2"
    with pytest.raises(Refused):
        peers.add(node.url, node.own, identity("XB").card())
    assert [peer.node for peer in peers.known(node.url)] == ["XB"]


def test_a_cen_node_serves_nobody() -> None:
    cen = Identity(node="ZZ-CEN", role=Role.CEN, signing_key=XA.signing_key, box_key=XA.box_key)
    assert "X_XB" not in accounts.render(cen, [peer_of(XB)], node_password="x")


def test_with_certificates_only_those_of_our_authority_get_in(
    make_nats: Callable[[str], EmbeddedNats], open_folder: Path
) -> None:
    ours, strange = Authority(open_folder, "ours"), Authority(open_folder, "strange")
    cert, key = ours.issue("server")
    server = make_nats("tls")
    tls = accounts.Tls(cert_file=cert, key_file=key, ca_file=ours.file)
    server.write_accounts(accounts.render(XA, [peer_of(XB)], node_password=server.node_password, tls=tls))
    server.stop()
    server.start()
    url = peers.without_login(server.url).replace("nats://", "tls://")
    login = meeting_key(XB.box_key, XA.box_key.public_key(), host="XA", guest="XB")
    assert asyncio.run(refusal(url, login, ours.context(*ours.issue("guest")))) is None
    assert asyncio.run(refusal(url, login, ours.context(*strange.issue("guest")))) is not None
    assert asyncio.run(refusal(url, login, ours.context())) is not None
    assert asyncio.run(refusal(url, login, strange.context(*ours.issue("guest")))) is not None
    assert asyncio.run(refusal(url, XB.signing_key, ours.context(*ours.issue("guest")))) is not None
    assert asyncio.run(refusal(url, login, None)) is not None


def test_an_address_that_says_it_encrypts_is_never_spoken_to_in_the_clear(
    make_nats: Callable[[str], EmbeddedNats], open_folder: Path
) -> None:
    """Somebody on the way could say that no encryption is asked for."""
    ours = Authority(open_folder, "ours")
    server = make_nats("plain")
    server.write_accounts(accounts.render(XA, [peer_of(XB)], node_password=server.node_password))
    server.reload()
    url = peers.without_login(server.url)
    login = meeting_key(XB.box_key, XA.box_key.public_key(), host="XA", guest="XB")
    context = ours.context(*ours.issue("guest"))
    assert asyncio.run(refusal(url, login, context)) is None, "negative control: the server itself would let it in"
    assert asyncio.run(refusal(url.replace("nats://", "tls://"), login, context)) is not None
