"""Many commands in one transaction, each whole or not at all and each with its own answer.

While the records seem to be new, nothing is read first, and lines are sent while the rest is still being decided; as
soon as one is not new, all that are left are read in one query. Several commands for one record work in order.
"""

from collections.abc import Callable, Iterator, Sequence
from uuid import UUID

import msgspec

from domain.refused import Refused
from ledger.append import Appender, Plan
from ledger.collecting import no_collection
from ledger.deciding import Asked, Deciding, Recorded
from ledger.insertion import InDoubt
from ledger.stand import Stand

Answer = Recorded | Refused
Load = Callable[[list[UUID]], dict[UUID, Stand]]


class Batch:
    """Commands on their way to being recorded together, and the answers to them."""

    def __init__(
        self, asked: Sequence[Asked], deciding: Callable[[], Deciding], load: Load, *, reads_first: bool
    ) -> None:
        """Take commands in; `reads_first` when records are expected to exist already."""
        self._asked = asked
        self._decide_now = deciding
        self._deciding = deciding()
        self._load = load
        self.reads_first = reads_first
        self.was_in_doubt = False
        self.found_any = False
        """Whether any of the records that were read existed."""
        self.answers: list[Answer] = []
        self._asks_again = len({each.record_id.int for each in asked}) < len(asked)
        self._stands: dict[UUID, Stand] = {}
        self._is_read = False

    def plans(self) -> Iterator[Plan]:
        """Decide command by command, noting the answers, and yield what is to be recorded."""
        self.answers = []
        self._stands = {}
        self._is_read = False
        self._deciding = self._decide_now()
        if self.reads_first:
            self._read(0)
        for place, asked in enumerate(self._asked):
            try:
                plan, answer = self._decide(place, asked)
            except Refused as refusal:
                self.answers.append(refusal.with_traceback(None))
                continue
            self.answers.append(answer)
            if plan.drafts:
                yield plan

    def write(self, appender: Appender) -> None:
        """Try to record the commands; tried again after a lost answer, those recorded meanwhile are found."""
        try:
            with no_collection():
                appender.append_all(self.plans())
        except InDoubt:
            self.was_in_doubt = self.reads_first = True
            raise

    def _decide(self, place: int, asked: Asked) -> tuple[Plan, Recorded]:
        stand = self._stands.get(asked.record_id)
        decided = None
        if stand is None and not self._is_read:
            stand = Stand(asked.record_id)
            decided = self._deciding.as_creation(stand, asked)
            if decided is None:  # only the record as it stands can tell
                self._read(place)
                stand = None
        if stand is None:
            stand = self._stands[asked.record_id]
        plan, answer = decided or self._deciding.on(stand, asked)
        if self._asks_again:
            self._stands[asked.record_id] = stand
            for entry in answer.entries if plan.drafts else ():
                stand.add(entry)
        if self.was_in_doubt and answer.is_repeated:
            answer = msgspec.structs.replace(answer, is_repeated=False)  # it was this very call that made them
        return plan, answer

    def _read(self, place: int) -> None:
        """Read all records from a place on that nothing is known of yet, in one query."""
        self._is_read = True
        unknown = {each.record_id for each in self._asked[place:]} - self._stands.keys()
        stands = self._load(list(unknown))
        self.found_any = any(stand.entries for stand in stands.values())
        self._stands.update(stands)
