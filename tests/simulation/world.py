"""The simulated world: who moves when, what time it is, and the trace of all that happened.

Every task is a greenlet that gives way at each statement and each wait; who goes on is drawn from the seed and from
nothing else, so that a seed replays exactly. Time is virtual: when all wait, it jumps. A task that is killed goes no
further than the seam at which it stood.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from random import Random
from typing import Any

from greenlet import greenlet

EPOCH = datetime.fromisoformat("2026-03-01T08:00:00+00:00")
LOOK_EVERY = 8
"""How many turns are taken before it is looked again whether all is done."""
LONGEST_TURN_S = 0.02
"""A turn takes up to so long; what comes of it must not depend on how long."""


class Killed(BaseException):
    """The process in which this task ran is no more."""


class Amiss(BaseException):
    """Something that our own code must not catch: the simulation has something to say."""


class Unknown(Amiss):
    """A statement that the simulation was not told."""


class Broken(Amiss):
    """A promise was not kept; the message says which."""


class Stuck(Broken):
    """The work does not come to its end."""


class Task:
    """Something that runs by turns."""

    def __init__(self, world: "World", name: str, work: Callable[[], None]) -> None:
        """Begin with the first turn."""
        self.world = world
        self.name = name
        self.work = work
        self.wake_at = world.now_s
        self.is_ready: Callable[[], bool] | None = None
        self.is_killed = False
        self.is_done = False
        self.on_kill: list[Callable[[], None]] = []
        self.now: Callable[[], datetime] | None = None
        self.greenlet = greenlet(self._run, parent=world.main)

    def _run(self) -> None:
        try:
            self.work()
        except Killed:
            pass
        except Exception as error:
            if not self.is_killed:
                raise Broken(f"{self.name} died of {type(error).__name__}.") from error
        finally:
            self.is_done = True

    def kill(self) -> None:
        """End it where it stands: nothing of it runs any more, save what unwinds."""
        if self.is_done:
            return
        self.is_killed = True
        for told in self.on_kill:
            told()
        if self.greenlet.dead or not self.greenlet:
            self.is_done = True
            return
        before, self.world.current = self.world.current, self  # what unwinds finds itself killed wherever it waits
        try:
            self.greenlet.throw(Killed)
        finally:
            self.world.current = before


class World:
    """A seed's world."""

    def __init__(self, seed: int) -> None:
        """Begin at eight in the morning, with nobody in it."""
        self.seed = seed
        self.random = Random(seed)
        self.main = greenlet.getcurrent()
        self.now_s = 0.0
        self.turns = 0
        self.tasks: list[Task] = []
        self.current: Task | None = None
        self.servers: dict[str, Any] = {}
        self.checks: list[Callable[[], None]] = []
        self._trace = sha256(str(seed).encode())

    # -- the trace

    def note(self, *words: object) -> None:
        """Add to the trace what follows from the seed alone."""
        self._trace.update(" ".join(map(str, words)).encode() + b"\n")

    @property
    def trace(self) -> str:
        """The hash of all that happened."""
        return self._trace.hexdigest()

    # -- chance

    def chance(self, likelihood: float) -> bool:
        """Whether something of this likelihood happens now."""
        return self.random.random() < likelihood

    def below(self, bound: int) -> int:
        """A number from 0, below this bound."""
        return int(self.random.random() * bound)

    # -- tasks

    def spawn(self, name: str, work: Callable[[], None]) -> Task:
        """Let something begin to run by turns."""
        task = Task(self, name, work)
        self.tasks.append(task)
        return task

    def pause(self, seconds: float = 0.0) -> None:
        """Give way to the others, for at least so long.

        Raises:
            Killed: whoever called this is no more.
        """
        self._give_way(seconds, None)

    def wait_until(self, is_ready: Callable[[], bool]) -> None:
        """Give way until something holds."""
        self._give_way(0.0, is_ready)

    def wait_for(self, is_ready: Callable[[], bool], seconds: float) -> bool:
        """Give way until something holds or the time is over; whether it holds."""
        until = self.now_s + seconds
        while not is_ready():
            if self.now_s >= until:
                return False
            self.pause(min(0.05, max(until - self.now_s, 0.001)))
        return True

    def _give_way(self, seconds: float, is_ready: Callable[[], bool] | None) -> None:
        task = self.current
        if task is None:
            return  # the world itself looks: it needs nobody's leave
        if task.is_killed:
            raise Killed
        task.wake_at, task.is_ready = self.now_s + seconds, is_ready
        self.main.switch()
        if task.is_killed:
            raise Killed

    def turn(self) -> bool:
        """Let one task, drawn by lot, take its turn; False when there is none that could ever."""
        able = [task for task in self.tasks if task.wake_at <= self.now_s and (not task.is_ready or task.is_ready())]
        if not able:
            waiting = [task.wake_at for task in self.tasks if task.wake_at > self.now_s]
            if not waiting:
                return False
            self.now_s = min(waiting)
            return True
        task = able[self.below(len(able))]
        self.turns += 1
        self.now_s += self.random.random() * LONGEST_TURN_S
        self.note(self.turns, task.name)
        self.current = task
        try:
            task.greenlet.switch()
        finally:
            self.current = None
            if task.is_done:
                self.tasks = [one for one in self.tasks if not one.is_done]
        for check in self.checks:
            check()
        return True

    def run(self, turns: int, until: Callable[[], bool] | None = None) -> bool:
        """Let them all run for so many turns, or until something holds; whether it does."""
        for turn in range(turns):
            if until is not None and turn % LOOK_EVERY == 0 and until():
                return True
            if not self.turn():
                break
        return until is not None and until()

    def kill(self, tasks: list[Task]) -> None:
        """End tasks at once, as kill -9 of their process does."""
        for task in tasks:
            task.kill()
        self.tasks = [one for one in self.tasks if not one.is_done]

    def end(self) -> None:
        """Let nobody remain."""
        self.kill(list(self.tasks))


class WallClock:
    """The clock on a node's wall, which may be wrong and may be put right or wrong at any moment."""

    def __init__(self, world: World) -> None:
        """Begin right."""
        self._world = world
        self.wrong_by = timedelta(0)

    def now(self) -> datetime:
        """The time that it shows."""
        return EPOCH + timedelta(microseconds=int(self._world.now_s * 1_000_000)) + self.wrong_by

    def jump(self, by: timedelta) -> None:
        """Be set to another time."""
        self.wrong_by += by
