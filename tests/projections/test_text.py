"""Folding brings spellings of one word together, keeps different words apart, and never breaks on what people type."""

from hypothesis import given
from hypothesis import strategies as st

from projections.text import LAST_PLACE, compact, folded, latin, lexemes, query, vector

ANY_TEXT = st.text(max_size=60)


def test_spellings_of_one_word_meet() -> None:
    for spellings in (
        ("Straße", "STRASSE"),
        ("Łódź", "lodz"),
        ("Ørsted", "orsted"),
        ("İSTANBUL", "\u0131stanbul", "Istanbul"),
        ("إبراهيم", "ابراهيم", "أبراهيم"),
        ("مُحَمَّد", "محمد", "محمـــد"),
        ("فاطمة", "فاطمه"),
        ("على", "علي", "علی"),
        ("كريم", "کریم"),
        ("١٢٣", "۱۲۳", "123", "१२३"),
        ("ﻣﺤﻤﺪ", "محمد"),
        ("\uff21\uff22\uff23", "abc"),
        ("Хрущёв", "ХРУЩЕВ"),
        ("Νίκος", "νικος"),
        ("שָׁלוֹם", "שלום"),
    ):
        assert len({folded(spelling) for spelling in spellings}) == 1, spellings


def test_different_words_stay_apart() -> None:
    for one, other in (("ガ", "カ"), ("नमस", "नमस्"), ("محمد", "محمود"), ("rose", "roses"), ("김", "긴")):
        assert folded(one) != folded(other), (one, other)


def test_foreign_words_stand_beside_their_latin_reading() -> None:
    assert latin("Иван") == "ivan"
    assert lexemes("Иван Petrov") == [("иван", 1), ("ivan", 1), ("petrov", 2)]
    assert lexemes("东方贸易") == [
        ("东方", 1),
        ("dongfang", 1),
        ("方贸", 2),
        ("fangmao", 2),
        ("贸易", 3),
        ("maoyi", 3),
        ("易", 4),
        ("yi", 4),
    ]


def test_numbers_are_compared_without_their_spacing() -> None:
    assert compact("AB-123 CD") == compact("ab 123cd") == "ab123cd"
    assert "'ab123cd':16383" in vector((), ["AB-123 CD"])


def test_a_query_says_what_it_looks_for() -> None:
    assert query("seat driver") == "('seat') & ('driver')"
    assert query('"under the seat" -driver') == "('under' <-> 'the' <-> 'seat') & !('driver')"
    assert query("palle*") == "('palle':*)"
    assert query("Иван") == "(('иван' | 'ivan'))"
    assert query("?! ...") == ""


def test_a_place_never_exceeds_what_the_server_counts() -> None:
    assert max(int(at) for at in vector(["word " * 20_000]).split(":")[1].split(",")) <= LAST_PLACE


@given(ANY_TEXT)
def test_folding_again_changes_nothing(text: str) -> None:
    assert folded(folded(text)) == folded(text)


@given(ANY_TEXT, ANY_TEXT)
def test_whatever_is_typed_is_literals_to_the_server(one: str, other: str) -> None:
    for written in (vector([one, other], [other]), query(f"{one} {other}")):
        bare = written.replace("''", "").replace("\\\\", "")
        assert bare.count("'") % 2 == 0
        assert "\x00" not in written
