"""A sender that was restored, and has grown otherwise, does not go on in a stream with lines that were lost."""

import asyncio
from collections.abc import Callable

from cli.nats_server import EmbeddedNats
from exchange import accounts, jetstream
from exchange.nkey import login_key
from exchange.peers import Peer
from exchange.relay import Relay
from tests.exchange.conftest import MakeNode
from tests.exchange.nodes import LAWYER, Node, premise, seizure
from tests.exchange.test_network import serve

MOST_STEPS = 20


async def first_in_stream(node: Node, to: Peer, url: str, *, is_checked: bool) -> bytes | None:
    """Relay until there is nothing left to do, and return the first line in the stream."""
    sender = Relay(node.url, node.own, to, url, None)
    client = await jetstream.connect(url, login_key(node.own.signing_key, accounts.account_of(to.node)))
    try:
        stream = client.jetstream()
        if is_checked:
            await sender._drop_another_history(stream)
        for _ in range(MOST_STEPS):
            if await sender._step(client, stream):
                break
        return await jetstream.message_at(stream, to.node, 1)
    finally:
        sender._sessions.close()
        await client.close()


def test_lines_of_a_lost_history_are_not_sent(make_node: MakeNode, make_nats: Callable[[str], EmbeddedNats]) -> None:
    """Both histories are as long as each other: without the look at the stream the lost one would go on in it."""
    lost, xb = make_node("XA"), make_node("XB")
    restored = make_node("XA", keys=lost.keys)
    server = make_nats("a")
    to_b = lost.meet(xb)
    restored.meet(xb)
    serve(server, lost, to_b)
    for node in (lost, restored):
        node.do(premise(), LAWYER)
        node.do(seizure())
        node.export(to_b)
    [was], [is_now] = lost.messages(to_b), restored.messages(to_b)
    assert was != is_now

    def sent(node: Node, *, is_checked: bool) -> bytes | None:
        return asyncio.run(first_in_stream(node, to_b, server.url, is_checked=is_checked))

    assert sent(lost, is_checked=True) == was
    assert sent(restored, is_checked=False) == was, "the control"
    assert sent(restored, is_checked=True) == is_now
    assert sent(restored, is_checked=True) == is_now, "what is ours is left alone"
