"""The simulated network between two nodes: a stream that may vanish, and a link that drops, doubles and delays.

The stream stands for the sender's JetStream as `exchange.jetstream` uses it; the link is worse than TCP ever is: each
message may be lost, come twice, or come late. The waits of `asyncio` are waits of the world, and every coroutine of
ours runs to its end in the turn-taking task that drives it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, tzinfo
from types import SimpleNamespace
from typing import Any, TypeVar

from exchange.jetstream import Displaced, StreamState
from tests.simulation.world import WallClock, World

T = TypeVar("T")
ACK_WAIT_S = 3.0
LONGEST_DELAY_S = 0.5


def drive(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end: whatever it waits for gives way to the world by itself."""
    try:
        work.send(None)
    except StopIteration as done:
        answer: T = done.value
        return answer
    raise RuntimeError("a coroutine waits for something outside the world")


class Link:
    """The link between two nodes."""

    def __init__(self, world: World) -> None:
        """Begin without faults."""
        self._world = world
        self.is_cut = False
        self.loss = 0.0
        self.doubling = 0.0
        self.delay = 0.0

    def mend(self) -> None:
        """Be without faults."""
        self.is_cut, self.loss, self.doubling, self.delay = False, 0.0, 0.0, 0.0

    def carries(self) -> bool:
        """Whether a message gets through."""
        return not self.is_cut and not self._world.chance(self.loss)

    def arrivals(self) -> list[float]:
        """When a message arrives: never, once or twice, now or later."""
        if not self.carries():
            return []
        copies = 1 + self._world.chance(self.doubling)
        late = [self._world.chance(self.delay) for _ in range(copies)]
        return [
            self._world.now_s + (self._world.random.random() * LONGEST_DELAY_S if is_late else 0) for is_late in late
        ]


class Stream:
    """The stream of one feed at its sender, and the consumer through which the receiver reads it."""

    def __init__(self, world: World) -> None:
        """There is none yet."""
        self._world = world
        self.state: StreamState | None = None
        self.messages: dict[int, bytes] = {}
        self.next: int | None = None
        self.acknowledged = 0
        self.acknowledged_at = 0.0
        self.is_down = False
        self.on_look: Callable[[], None] = _nothing
        self.on_publish: Callable[[Sequence[bytes], int], None] = _nothing_sent

    # -- disasters

    def wipe(self) -> None:
        """Lose it all."""
        self.state, self.messages, self.next = None, {}, None

    def rot(self) -> None:
        """Lose a message within."""
        if self.messages:
            del self.messages[sorted(self.messages)[self._world.below(len(self.messages))]]

    # -- what exchange.jetstream does

    async def look(self, _stream: object, _peer: str) -> StreamState | None:
        """Where it stands: `jetstream.state`.

        Raises:
            OSError: its server is down.
        """
        if self.is_down:
            raise OSError("there is no server")
        self.on_look()
        found = self.state
        if found is None:
            return None
        is_whole = len(self.messages) == found.last - found.first + 1
        return StreamState(generation=found.generation, first=found.first, last=found.last, is_whole=is_whole)

    async def rebuild(self, _stream: object, _peer: str, *, after: int, generation: int) -> None:
        """Make it anew, empty."""
        self.state = StreamState(generation=generation, first=after + 1, last=after, is_whole=True)
        self.messages = {}
        await self.deliver_from(None, "", after=after)

    async def drop(self, _stream: object, _peer: str) -> None:
        """Delete it."""
        self.wipe()

    async def deliver_from(self, _stream: object, _peer: str, *, after: int) -> None:
        """Make the consumer anew."""
        self.next, self.acknowledged, self.acknowledged_at = after + 1, after, self._world.now_s

    async def has_consumer(self, _stream: object, _peer: str) -> bool:
        """Whether there is a consumer."""
        return self.next is not None

    async def trim(self, _stream: object, _peer: str, *, until: int) -> None:
        """Drop what was signed for."""
        assert self.state is not None
        self.state = StreamState(generation=self.state.generation, first=until + 1, last=self.state.last, is_whole=True)
        self.messages = {number: raw for number, raw in self.messages.items() if number > until}

    async def publish_batch(self, _client: object, _peer: str, messages: Sequence[bytes], *, after: int) -> int:
        """Take a batch in, whole, if it follows what is there."""
        self._world.pause()
        if self.state is None or self.state.last != after:
            raise Displaced("another sequence")
        self.on_publish(messages, after)
        for number, message in enumerate(messages, start=after + 1):
            self.messages[number] = message
        found = self.state
        self.state = StreamState(
            generation=found.generation, first=found.first, last=after + len(messages), is_whole=True
        )
        self._world.pause()
        return after + len(messages)

    # -- delivery

    def take_next(self) -> tuple[int, bytes] | None:
        """What the consumer delivers next, None when there is nothing; again what was not acknowledged in time."""
        if self.is_down or self.next is None or self.state is None:
            return None
        if self.next > self.acknowledged + 1 and self._world.now_s - self.acknowledged_at > ACK_WAIT_S:
            self.next, self.acknowledged_at = self.acknowledged + 1, self._world.now_s
        while self.next <= self.state.last:
            number = self.next
            self.next += 1
            if number in self.messages:
                return number, self.messages[number]
        return None

    def acknowledge(self, number: int) -> None:
        """Note that all up to there was taken in."""
        self.acknowledged, self.acknowledged_at = max(self.acknowledged, number), self._world.now_s

    def module(self) -> SimpleNamespace:
        """What stands for the module `exchange.jetstream` in the relay."""
        return SimpleNamespace(
            state=self.look,
            rebuild=self.rebuild,
            drop=self.drop,
            deliver_from=self.deliver_from,
            has_consumer=self.has_consumer,
            trim=self.trim,
            publish_batch=self.publish_batch,
        )


def _nothing() -> None:
    """Nobody looks on."""


def _nothing_sent(_messages: Sequence[bytes], _after: int) -> None:
    """Nobody looks on."""


class Queue:
    """`asyncio.Queue` between the link and the receiver."""

    def __init__(self, world: World) -> None:
        """Begin empty."""
        self._world = world
        self._waiting: list[Any] = []

    def put(self, message: object) -> None:
        """Add a message."""
        self._waiting.append(message)

    def get(self) -> "Queue":
        """What `Asyncio.wait_for` waits for."""
        return self

    def take(self, seconds: float) -> object:
        """The next message.

        Raises:
            TimeoutError: none came in time.
        """
        if not self._world.wait_for(lambda: bool(self._waiting), seconds):
            raise TimeoutError
        return self._waiting.pop(0)


class Asyncio:
    """What stands for `asyncio` in the relay and the receiver."""

    TimeoutError = asyncio.TimeoutError

    def __init__(self, world: World) -> None:
        """Wait in this world."""
        self._world = world
        self.Queue = lambda: Queue(world)
        self.Event = asyncio.Event

    def time(self) -> float:
        """The time of the loop."""
        return self._world.now_s

    def get_running_loop(self) -> "Asyncio":
        """The loop: only its time is asked for."""
        return self

    async def to_thread(self, work: Callable[..., T], *arguments: object) -> T:
        """Do it here."""
        return work(*arguments)

    async def sleep(self, seconds: float) -> None:
        """Give way for a while."""
        self._world.pause(seconds)

    async def wait_for(self, queue: Queue, seconds: float) -> object:
        """Wait for a queue."""
        return queue.take(seconds)


def clock_of_whoever_asks(world: World) -> SimpleNamespace:
    """What stands for `datetime` where only `now` is asked: the clock of whose task asks, or a right one."""
    right = WallClock(world)

    def now(_zone: tzinfo) -> datetime:
        return (world.current.now if world.current and world.current.now else right.now)()

    return SimpleNamespace(now=now)
