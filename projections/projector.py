"""The projector: keeps every projection in step with the sealed ledger, and rebuilds it when its code has changed.

One thread and one connection for each projection, and one runner for each in all processes (an advisory lock).
Following live, catching up and rebuilding are the same step: read a batch, apply it, commit it with the position. A
runner never gives up: what is wrong with the server or the connection is waited out with a bounded back-off, and it
starts again from the position in the database, so that kill -9 at any moment repeats nothing and loses nothing. Where
the server itself crashed there are no positions and no rows: then all is built again from the ledger.
"""

import gc
import logging
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from domain.records import is_personal
from projections import forgetting, fresh, keeping, positions
from projections.catalogue import PROJECTIONS
from projections.feed import Feed
from projections.positions import Connection
from projections.projection import Projection
from projections.slot import Slot, connect, take

POLL_S = 0.5
LOCK_POLL_S = 1.0
FIRST_BACK_OFF_S = 0.1
FILLED_IN_PLACE = 5_000
"""A ledger of so many entries is told into tables that serve at once; a longer one is told into fresh tables first."""
LONGEST_BACK_OFF_S = 5.0
log = logging.getLogger(__name__)


def run(
    database_url: str, *, keys: Path | None, stop: threading.Event, projections: Iterable[Projection] | None = None
) -> None:
    """Keep projections (all, unless given) in step until told to stop; without keys personal events are left out.

    Raises:
        Unsafe: the keys are not those of this ledger, or the server would lose what it was given.
    """
    chosen = tuple(PROJECTIONS.values() if projections is None else projections)
    opens_personal = any(is_personal(name) for projection in chosen for name in projection.NAMES)
    feed = Feed(database_url, keys if opens_personal else None)  # who listens to nothing personal holds no keys
    feed.require_keys()
    runners = [Runner(projection, database_url, feed, stop) for projection in chosen]
    threads = [
        threading.Thread(target=feed.watch, args=[stop], name="watch"),
        threading.Thread(target=feed.read_ahead, args=[stop], name="read ahead"),
        threading.Thread(target=forgetting.run, args=[database_url], kwargs={"stop": stop}, name="forget"),
        *(threading.Thread(target=runner.run, name=runner.name) for runner in runners),
    ]
    if keys is not None:
        keeper = threading.Thread(target=keeping.run, args=[database_url], kwargs={"keys": keys, "stop": stop})
        threads.append(keeper)
    with seldom_collecting():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    feed.close()


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Look for cyclic garbage seldom: batches of entries are large, free of cycles, and would be searched in vain.

    Measured: reading and folding take half the time of what they take with Python's own thresholds.
    """
    before = gc.get_threshold()
    gc.set_threshold(200_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


class Runner:
    """Keeps one projection in step."""

    def __init__(self, projection: Projection, database_url: str, feed: Feed, stop: threading.Event) -> None:
        """Name the projection and where its entries come from and its rows go."""
        self.name = projection.NAME
        self._projection = projection
        self._database_url = database_url
        self._feed = feed
        self._stop = stop
        self._built_since = 0.0

    def run(self) -> None:
        """Serve until told to stop; whatever fails is logged by its type alone and tried again."""
        back_off_s = FIRST_BACK_OFF_S
        while not self._stop.is_set():
            try:
                with connect(self._database_url, self.name) as connection:
                    if self._taken(connection):
                        serving, building = self._slots(connection)
                        while not self._stop.is_set():
                            self.step(connection, serving, building)
                            back_off_s = FIRST_BACK_OFF_S
            except Exception as error:  # noqa: BLE001  # a projection never gives up
                log.warning("projection %s waits after %s", self.name, type(error).__name__)
                self._stop.wait(back_off_s)
                back_off_s = min(back_off_s * 2, LONGEST_BACK_OFF_S)

    def _taken(self, connection: Connection) -> bool:
        positions.prepare(connection)
        while not self._stop.is_set():
            if take(connection, self.name):
                return True
            self._stop.wait(LOCK_POLL_S)
        return False

    def _slots(self, connection: Connection) -> tuple[Slot, Slot]:
        serving = Slot(connection, self._feed, self._projection, is_fresh=False)
        building = Slot(connection, self._feed, self._projection, is_fresh=True)
        serving.look()
        if fresh.are_logged(connection, self._projection):
            positions.start_fresh(connection, self._projection)
        elif serving.position is None:
            self._begin(connection, serving)
        return serving, building

    def _begin(self, connection: Connection, serving: Slot) -> None:
        """Make what was never made, or was lost when the server crashed; nothing read before that is told."""
        self._forget()
        if positions.head(connection) <= FILLED_IN_PLACE:
            fresh.make_serving(serving, self._projection)

    def _forget(self) -> None:
        """What was erased before may not come from what was read before."""
        self._feed.forget()
        self._built_since = time.monotonic()

    def step(self, connection: Connection, serving: Slot, building: Slot) -> None:
        """Do the next piece of work, or wait for some; each piece is short and leaves everything consistent."""
        serving.look()
        building.look()
        if building.version not in (None, self._projection.VERSION) or (
            building.position is None and serving.version != self._projection.VERSION
        ):
            positions.start_fresh(connection, self._projection)
            return
        has_worked = serving.version == self._projection.VERSION and self._follow(serving)
        if building.position is not None:
            self._build(connection, building, least=serving.position or 0)
        elif not has_worked:
            self._feed.await_more(serving.position or 0, POLL_S)

    def _follow(self, slot: Slot) -> bool:
        has_more = self._feed.head > (slot.position or 0)
        if has_more:
            self._advance(slot)
        return slot.retell_asked() or has_more

    def _advance(self, slot: Slot) -> None:
        who = f"{self.name} {slot.schema}"
        if batch := self._feed.read(slot.position or 0, who=who, since=self._built_since):
            slot.advance(batch)

    def _build(self, connection: Connection, building: Slot, *, least: int) -> None:
        """Bring fresh tables one piece nearer to serving: made, filled, indexed, filled up, swapped in.

        They never take over at less than the position that the serving tables had reached.
        """
        if building.position == -1:
            self._forget()
            fresh.make_fresh(building, self._projection)
            return
        if max(self._feed.head, least) > (building.position or 0):
            self._advance(building)
            return
        if building.retell_asked():
            return
        if fresh.build_next_index(connection, building, self._projection):
            return
        fresh.gather_statistics(connection, building, self._projection)
        if not fresh.swap(building, self._projection):
            self._stop.wait(POLL_S)
