"""Lines of goods: what was found, how much of it, and what became of each line.

A line keeps its number for ever; the outcome belongs to the line, not to the shipment. Telling the same lines again is
compared by meaning: lines that mean the same are paired first, then those of the same goods whose amounts or outcome
changed, then the rest in order, so that one changed row changes one line and a row put in front changes none.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from datetime import date

import msgspec

from domain.codes import Coded, CountryCode, HsCode, Outcome, Section
from domain.quantity import Money, Quantity, is_same_amount, is_same_quantity, require_sound
from domain.refused import Refused


class Goods(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What is said of one line of goods."""

    section: Section
    hs: HsCode | None = None
    substance: Coded | None = None
    description: Coded | None = None
    origin: CountryCode | None = None
    quantity: Quantity | None = None
    value: Money | None = None
    outcome: Outcome | None = None
    outcome_on: date | None = None


class GoodsLine(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A line of goods under its number, counted from 1 within the seizure."""

    line: int
    goods: Goods


class Pairing(msgspec.Struct, frozen=True, kw_only=True):
    """How lines told again relate to the lines on record."""

    changed: tuple[GoodsLine, ...]
    added: tuple[GoodsLine, ...]
    withdrawn: tuple[int, ...]


def require_sound_goods(goods: Goods) -> None:
    """Refuse goods of which nothing is said, or whose amounts no scale or count can give."""
    if goods.quantity is not None:
        require_sound(goods.quantity.amount, "quantity")
        if goods.quantity.amount == 0:
            raise Refused("The quantity is zero: a line of goods needs an amount above zero, or none stated.")
    if goods.value is not None:
        require_sound(goods.value.amount, "value")


def is_same_goods(one: Goods, other: Goods, true_to_places: int | None = None) -> bool:
    """Whether two statements about a line mean the same, whatever their spelling."""
    if (one.quantity is None) != (other.quantity is None) or (one.value is None) != (other.value is None):
        return False
    if one.quantity and other.quantity and not is_same_quantity(one.quantity, other.quantity, true_to_places):
        return False
    if one.value and other.value:
        if one.value.currency != other.value.currency:
            return False
        if not is_same_amount(one.value.amount, other.value.amount, true_to_places):
            return False
    return msgspec.structs.replace(one, quantity=None, value=None) == msgspec.structs.replace(
        other, quantity=None, value=None
    )


def restated(one: Goods, told: Goods, true_to_places: int | None) -> Goods:
    """`told`, with the amounts on record kept where they mean the same: a new spelling is no change."""
    quantity, value = told.quantity, told.value
    if one.quantity and quantity and is_same_quantity(one.quantity, quantity, true_to_places):
        quantity = one.quantity
    if (
        one.value
        and value
        and one.value.currency == value.currency
        and is_same_amount(one.value.amount, value.amount, true_to_places)
    ):
        value = one.value
    return msgspec.structs.replace(told, quantity=quantity, value=value)


def with_changes(stands: Goods, before: Goods, now: Goods) -> Goods:
    """What stands, with only those facts replaced that changed from `before` to `now`."""
    changed = {
        name: getattr(now, name) for name in Goods.__struct_fields__ if getattr(before, name) != getattr(now, name)
    }
    return msgspec.structs.replace(stands, **changed)


def pair(on_record: tuple[GoodsLine, ...], told: Iterable[Goods], true_to_places: int | None) -> Pairing:
    """Pair lines told with those on record: equal in meaning first, then the same goods, then in order.

    What is left over on either side is new or gone.
    """
    left, unpaired = list(on_record), list(told)
    _, left, unpaired = _paired(left, unpaired, meaning)
    left, unpaired = _without_nearly_equal(left, unpaired, true_to_places)
    same_goods, left, unpaired = _paired(left, unpaired, _what_it_is)
    changed = [*same_goods, *zip(left, unpaired, strict=False)]
    return Pairing(
        changed=tuple(
            GoodsLine(line=line.line, goods=restated(line.goods, goods, true_to_places))
            for line, goods in sorted(changed, key=lambda one: one[0].line)
        ),
        added=tuple(GoodsLine(line=0, goods=goods) for goods in unpaired[len(left) :]),
        withdrawn=tuple(line.line for line in left[len(unpaired) :]),
    )


def _what_it_is(goods: Goods) -> Hashable:
    return (goods.section, goods.hs, goods.substance, goods.description, goods.origin)


def meaning(goods: Goods) -> Hashable:
    """What a line says, whatever its spelling: lines with one meaning are duplicates of each other."""
    quantity, value = goods.quantity, goods.value
    return (
        _what_it_is(goods),
        goods.outcome,
        goods.outcome_on,
        quantity and (quantity.amount, quantity.unit, quantity.qualifier),
        value and (value.amount, value.currency),
    )


def _paired(
    lines: list[GoodsLine], told: list[Goods], key: Callable[[Goods], Hashable]
) -> tuple[list[tuple[GoodsLine, Goods]], list[GoodsLine], list[Goods]]:
    """Pair what has the same key, in order, in one pass: what was paired, and what is left on either side."""
    waiting: dict[Hashable, list[GoodsLine]] = defaultdict(list)
    for line in reversed(lines):
        waiting[key(line.goods)].append(line)
    paired, unpaired = [], []
    for goods in told:
        same = waiting[key(goods)]
        if same:
            paired.append((same.pop(), goods))
        else:
            unpaired.append(goods)
    used = {line.line for line, _ in paired}
    return paired, [line for line in lines if line.line not in used], unpaired


def _without_nearly_equal(
    lines: list[GoodsLine], told: list[Goods], true_to_places: int | None
) -> tuple[list[GoodsLine], list[Goods]]:
    """Leave out what means the same as far as its source is true: amounts that differ by its rounding only."""
    if true_to_places is None:
        return lines, told
    waiting: dict[Hashable, list[GoodsLine]] = defaultdict(list)
    for line in lines:
        waiting[_what_it_is(line.goods)].append(line)
    paired: set[int] = set()
    unpaired: list[Goods] = []
    for goods in told:
        candidates = waiting[_what_it_is(goods)]
        same = next((line for line in candidates if is_same_goods(line.goods, goods, true_to_places)), None)
        if same is None:
            unpaired.append(goods)
        else:
            candidates.remove(same)
            paired.add(same.line)
    return [line for line in lines if line.line not in paired], unpaired
