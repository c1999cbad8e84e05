"""How commands that wait at the same moment in one process share a flush, and how a lost answer is found out.

One of the waiting threads (the leader) commits for all of them, then hands over to the next that waits. A place that is
taken fails only the command that wanted it. When the answer to a commit is lost, the same lines are sent once more:
the server makes them wait for the doubtful transaction, so that its outcome becomes certain.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import psycopg

from ledger import insertion
from ledger.insertion import InDoubt, Plan, Taken
from ledger.sessions import Session

MOST_LINES_TOGETHER = 500
LEADERS = 2
"""While one group is being flushed the next can be sent: the server's work and the flush overlap."""
RECONNECT_AFTER_S = (0.0, 0.05, 0.2, 0.5, 1.0)

__all__ = ["Appender", "Plan", "Taken"]


class _Waiting:
    """A thread that waits for a leader to commit its plan, or to lead; without a plan it can only lead."""

    __slots__ = ("fault", "is_done", "plan", "turn")

    def __init__(self, plan: Plan | None) -> None:
        self.plan = plan
        self.turn = threading.Lock()
        self.turn.acquire()  # released by whoever lets this thread go on
        self.is_done = False
        self.fault: BaseException | None = None


class Appender:
    """Writes through a few sessions, each with a leader; any number of threads may call it."""

    def __init__(self, database_url: str, leaders: int = LEADERS) -> None:
        """Connect when first used."""
        self._database_url = database_url
        self._sessions: list[Session] = []
        self._guard = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._places = leaders
        self._is_closed = False

    def close(self) -> None:
        """Close the sessions: those that are free now, the others when their leaders are done."""
        self._is_closed = True
        while self._sessions:
            self._sessions.pop().close()

    def append(self, plan: Plan) -> None:
        """Record the lines of a plan, flushed to disk, together with those that wait at the same moment.

        Raises:
            Taken: another command took the place; nothing was recorded.
            psycopg.OperationalError: the server is gone. Whether the plan was recorded shows when it is asked again.
        """
        try:
            self._append_once(plan)
        except InDoubt:
            certainly(lambda: self._append_once(plan), was_in_doubt=True)

    def append_all(self, plans: Iterable[Plan]) -> None:
        """Record all plans in one transaction, while they are still being produced.

        Raises Taken, InDoubt, and whatever the producer raises; what is in doubt is for the caller to find out.
        """
        with self._leadership():
            session = self._take_session()
            try:
                insertion.copy(session, plans)
            finally:
                self._give_back(session)

    # -- leader and followers

    def _append_once(self, plan: Plan) -> None:
        mine = self._waiting(plan)
        if mine is None:
            try:
                self._insert((plan,))
            finally:
                self._hand_over()
            return
        mine.turn.acquire()
        if not mine.is_done:
            self._lead(mine)
        if mine.fault is not None:
            raise mine.fault

    def _waiting(self, plan: Plan | None) -> _Waiting | None:
        """Take a leader's place (None), or a place in the queue, which is empty while a leader's place is free."""
        with self._guard:
            if self._places:
                self._places -= 1
                return None
            mine = _Waiting(plan)
            self._queue.append(mine)
            return mine

    def _hand_over(self) -> None:
        with self._guard:
            if self._queue:
                self._queue.popleft().turn.release()
            else:
                self._places += 1

    @contextmanager
    def _leadership(self) -> Iterator[None]:
        mine = self._waiting(None)
        if mine is not None:
            mine.turn.acquire()
        try:
            yield
        finally:
            self._hand_over()

    def _lead(self, mine: _Waiting) -> None:
        with self._guard:
            group = [mine, *self._followers(mine)]
        try:
            self._commit(group)
        finally:
            self._hand_over()
            for waiting in group[1:]:
                waiting.is_done = True
                waiting.turn.release()

    def _followers(self, mine: _Waiting) -> list[_Waiting]:
        """Take those who wait off the queue, first come first served, as many as one statement may hold."""
        followers, lines = [], len(mine.plan.drafts) if mine.plan else 0
        while self._queue and self._queue[0].plan is not None:
            lines += len(self._queue[0].plan.drafts)
            if lines > MOST_LINES_TOGETHER:
                break
            followers.append(self._queue.popleft())
        return followers

    def _commit(self, group: list[_Waiting]) -> None:
        """Commit plans together; if they cannot be, each by itself, so that only what conflicts fails."""
        group = _without_rivals(group)
        try:
            self._insert([waiting.plan for waiting in group if waiting.plan is not None])
        except BaseException as fault:  # noqa: BLE001  # it belongs to the threads whose plans these are
            if len(group) == 1 or isinstance(fault, InDoubt | psycopg.OperationalError):
                for waiting in group:
                    waiting.fault = fault
                return
            for waiting in group:
                try:
                    self._insert([waiting.plan] if waiting.plan is not None else [])
                except BaseException as own_fault:  # noqa: BLE001  # the same
                    waiting.fault = own_fault

    def _insert(self, plans: Sequence[Plan]) -> None:
        session = self._take_session()
        try:
            insertion.insert(session, plans)
        finally:
            self._give_back(session)

    def _take_session(self) -> Session:
        try:
            return self._sessions.pop()
        except IndexError:
            return insertion.open_session(self._database_url)

    def _give_back(self, session: Session) -> None:
        if session.closed or self._is_closed:
            session.close()
        else:
            self._sessions.append(session)


def _without_rivals(group: list[_Waiting]) -> list[_Waiting]:
    """Fail those who want a place that somebody before them in the group wants: they cannot both have it."""
    places: set[tuple[bytes, int]] = set()
    rest = []
    for waiting in group:
        first = waiting.plan.drafts[0] if waiting.plan else None
        if first is not None and (place := (first.record_id, first.version)) in places:
            waiting.fault = Taken()
            continue
        if first is not None:
            places.add(place)
        rest.append(waiting)
    return rest


def certainly(write: Callable[[], None], *, was_in_doubt: bool = False) -> None:
    """Write, and where the answer is lost write the same again until it is known or the server stays away."""
    for wait_s in RECONNECT_AFTER_S:
        if wait_s:
            time.sleep(wait_s)
        try:
            write()
        except InDoubt:
            was_in_doubt = True
        except Taken:
            raise Taken(was_in_doubt=was_in_doubt) from None
        except psycopg.OperationalError:
            if not was_in_doubt:
                raise
        else:
            return
    raise psycopg.OperationalError("the connection was lost while committing: ask again with the same command id")
