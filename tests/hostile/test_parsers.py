"""Our own parsers, given anything at all: the answer or the documented error, and never for long."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import output, reading, typed
from cli.output import Misused
from domain.refused import Refused
from exchange.peers import read_card
from intake import dates, numbers, patterns
from intake.mapping_file import MappingError, read
from projections import text

SOME = st.text(max_size=60) | st.text("0123456789.,eE+-' \u00a0\u0663()[]{}?|\\aYMDhms/:T", max_size=60)
KEYS = st.sampled_from(
    ["source", "file", "identity", "seizure", "goods", "name", "columns", "check", "values", "x-[y]"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(SOME, st.sampled_from([".", ","]), st.sampled_from(["", " ", "'", "."]))
def test_a_number_is_read_or_refused(told: str, decimal: str, thousands: str) -> None:
    with contextlib.suppress(ValueError):
        amount, _ = numbers.reader(decimal, thousands, ())(told)
        assert amount.is_finite()


@given(SOME, SOME)
def test_a_day_is_read_or_refused_whatever_its_format(written: str, told: str) -> None:
    with contextlib.suppress(ValueError):
        dates.reader([written], day="first")(told)


@given(SOME, st.text("ab1 ", max_size=3))
def test_a_pattern_is_refused_or_finds_quickly(pattern: str, piece: str) -> None:
    with contextlib.suppress(ValueError):
        find = patterns.finder(pattern)
        began = time.monotonic()
        find((piece * 4_000)[:10_000])
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "pattern", ["a{0,99}a{0,9}b", "a?a?a?a?a?a?a?a?a?b", "(?:a|a|a|a)(?:a|a|a|a)b", "[ab]{1,200}c"]
)
def test_the_worst_pattern_that_is_let_in_is_quick(pattern: str) -> None:
    began = time.monotonic()
    patterns.finder(pattern)("a" * 10_000)
    assert time.monotonic() - began < 5


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_a_mapping_is_read_or_refused_in_sentences(told: dict[str, object]) -> None:
    with contextlib.suppress(MappingError):
        read(told, "m.toml")


@given(SOME)
def test_words_of_a_line_are_read_or_refused(told: str) -> None:
    for parse in (reading.moment, typed.goods, typed.quantity, typed.money, typed.place, typed.party, typed.hs):
        with contextlib.suppress(Misused):
            parse(told)


@given(st.text(max_size=80))
def test_words_to_look_for_make_a_query_or_none(told: str) -> None:
    assert "\0" not in text.query(told)


@given(st.binary(max_size=200) | st.text(max_size=80).map(str.encode))
def test_a_card_is_refused_in_a_sentence_that_repeats_nothing(raw: bytes) -> None:
    with pytest.raises(Refused) as refused:
        read_card(raw)
    assert not output.CONTROL.search(output.visible(str(refused.value)))
