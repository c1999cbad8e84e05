"""The form of a text is checked wherever a value comes from outside, at any depth, and the text is never quoted."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import forms, records
from domain.codes import CountryCode, Line
from domain.event import AnyEvent, wire_name
from domain.notice import OpenSeizureEvent
from domain.records import EVENTS
from domain.seizure import SeizureRecorded
from tests.domain.strategies import of


class Within(msgspec.Struct):
    """A struct with a code in every kind of place where one can stand."""

    one: CountryCode
    maybe: CountryCode | None = None
    unset: CountryCode | msgspec.UnsetType = msgspec.UNSET
    many: tuple[CountryCode, ...] = ()
    listed: list[CountryCode] | None = None
    by: dict[CountryCode, Line] | None = None
    pair: tuple[int, CountryCode] | None = None


class Outer(msgspec.Struct):
    """A struct around it."""

    inner: tuple[Within, ...]


FITS = {"one": "FR", "maybe": "DE", "many": ["FR"], "listed": ["IT"], "by": {"ES": "words"}, "pair": [1, "PT"]}
WORDS = ("France", "Germany", "Greece", "Italy", "Spain", "Portugal", "two")


@pytest.mark.parametrize(
    ("broken", "where"),
    [
        ({"one": "France"}, "$.inner[0].one"),
        ({"maybe": "Germany"}, "$.inner[0].maybe"),
        ({"unset": "Greece"}, "$.inner[0].unset"),
        ({"many": ["FR", "fr"]}, "$.inner[0].many[1]"),
        ({"listed": ["Italy"]}, "$.inner[0].listed[0]"),
        ({"by": {"Spain": "words"}}, "key in $.inner[0].by"),
        ({"by": {"ES": "two\nlines"}}, "$.inner[0].by[...]"),
        ({"pair": [1, "Portugal"]}, "$.inner[0].pair[1]"),
        ({"one": 5}, "$.inner[0].one"),
    ],
)
def test_a_text_without_its_form_is_refused_where_it_stands(broken: dict[str, object], where: str) -> None:
    def doors(told: dict[str, Any]) -> Any:  # noqa: ANN401  # the doors there are
        yield lambda: forms.convert({"inner": [told]}, Outer)
        yield lambda: forms.from_json(msgspec.json.encode({"inner": [told]}), Outer)
        yield lambda: forms.from_msgpack(msgspec.msgpack.encode({"inner": [told]}), Outer)

    assert all(door() == msgspec.convert({"inner": [FITS]}, Outer) for door in doors(FITS))
    for door in doors(FITS | broken):
        with pytest.raises(msgspec.ValidationError) as found:
            door()
        assert f"`{where}`" in str(found.value)
        assert not any(word in str(found.value) for word in WORDS)


def test_of_a_union_the_member_that_came_is_checked() -> None:
    told = {
        "event": "seizure.recorded",
        "kind": "seizure",
        "office": "COBOG1",
        "place": {"country": "CO"},
        "occurred_on": "2024-05-31",
        "goods": [{"line": 1, "goods": {"section": "drugs"}}],
    }
    for kind in (OpenSeizureEvent, SeizureRecorded):
        assert forms.convert(told, kind).office == "COBOG1"
        with pytest.raises(msgspec.ValidationError, match=r"\$\.office"):
            forms.convert(told | {"office": "Ivan Petrov"}, kind)
    assert forms.convert({"event": "seizure.goods-withdrawn", "line": 1, "reason": "duplicate"}, OpenSeizureEvent).line


@pytest.mark.parametrize("kind", EVENTS.values(), ids=wire_name)
@given(st.data())
def test_what_has_its_form_is_read_from_outside_as_from_our_own_store(
    kind: type[AnyEvent], data: st.DataObject
) -> None:
    event = data.draw(of(kind))
    stored = records.encode(event)
    assert records.read(wire_name(event), stored) == records.decode(wire_name(event), stored) == event
