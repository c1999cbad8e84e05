"""Which record a row is, where several rows share an identity.

Rows that tell what a record's source told before are that record, wherever they stand in the file; the rest are taken
in order, and what is left over is new. So a row put in front of others amends nothing, and a changed row amends one
record.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence

import msgspec

from domain.attribution import Occasion
from domain.event import Erased
from domain.goods import meaning
from domain.refused import Refused
from domain.seizure import CIRCUMSTANCES, RecordSeizure, RestateSeizure, Seizure, Status, decide
from intake.telling import Telling
from ledger.ledger import Stand

MOST_COMPARED = 10_000
"""How many pairs are compared by meaning; what is beyond is taken in order."""

ERASABLE = {
    "seizure.narrative-written": "narrative",
    "seizure.plates-noted": "plates",
    "seizure.documents-noted": "documents",
}


def assigned(
    tellings: Sequence[Telling], stands: Sequence[Stand], true_to_places: int | None, occasion: Occasion
) -> Iterator[tuple[Telling, Stand | None]]:
    """Pair the tellings of one identity with its records; None stands for a record that is yet to be made."""
    if not stands or len(tellings) == len(stands) == 1:
        yield from ((telling, stands[0] if stands else None) for telling in tellings)
        return
    pairs, left, told = _exactly_told(list(stands), list(tellings))
    yield from pairs
    if true_to_places is not None and len(left) * len(told) <= MOST_COMPARED:
        pairs, left, told = _closely_told(left, told, true_to_places, occasion)
        yield from pairs
    for place, telling in enumerate(told):
        yield telling, left[place] if place < len(left) else None


_Paired = tuple[list[tuple[Telling, Stand]], list[Stand], list[Telling]]


def _exactly_told(stands: list[Stand], tellings: list[Telling]) -> _Paired:
    waiting: dict[Hashable, list[Stand]] = defaultdict(list)
    for stand in reversed(stands):
        waiting[_said(told_by_source(stand))].append(stand)
    pairs, rest, used = [], [], set()
    for telling in tellings:
        same = waiting.get(_said(telling.facts))
        if same:
            stand = same.pop()
            used.add(stand.record_id)
            pairs.append((telling, stand))
        else:
            rest.append(telling)
    return pairs, [stand for stand in stands if stand.record_id not in used], rest


def _closely_told(stands: list[Stand], tellings: list[Telling], true_to_places: int, occasion: Occasion) -> _Paired:
    """Pair what means the same as far as its source is true."""
    pairs, rest = [], []
    for telling in tellings:
        command = restating(telling.facts, None, true_to_places)
        same = next((stand for stand in stands if _is_told(stand, command, occasion)), None)
        if same is None:
            rest.append(telling)
        else:
            stands.remove(same)
            pairs.append((telling, same))
    return pairs, stands, rest


def _is_told(stand: Stand, command: RestateSeizure, occasion: Occasion) -> bool:
    try:
        told = msgspec.structs.replace(told_by_source(stand), status=Status.DRAFT, told=None)
        return not decide(told, command, occasion)
    except Refused:
        return False


def told_by_source(stand: Stand) -> Seizure:
    """The record as its source alone tells it."""
    state: Seizure = stand.state
    return state.told or state


def _said(facts: RecordSeizure | Seizure) -> Hashable:
    goods = (line.goods for line in facts.goods) if isinstance(facts, Seizure) else facts.goods
    circumstances = tuple(getattr(facts, name) for name in CIRCUMSTANCES)
    return circumstances, tuple(map(meaning, goods)), facts.narrative, facts.plates, facts.documents


def restating(facts: RecordSeizure, stand: Stand | None, true_to_places: int | None) -> RestateSeizure:
    """The command that tells a record anew. What was erased of it is not told again: the source does not know."""
    if stand is not None:
        erased = {ERASABLE.get(entry.name) for entry in stand.entries if isinstance(entry.event, Erased)} - {None}
        told = told_by_source(stand)
        facts = msgspec.structs.replace(facts, **{name: getattr(told, name) for name in erased if name is not None})
    return RestateSeizure(facts=facts, true_to_places=true_to_places)
