"""Mappings: what they may say, what is wrong with one in sentences, and that those we ship are whole."""

import re
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from intake import dates, mapping_page, numbers, patterns, reference
from intake.mapping import Mapping
from intake.mapping_file import MappingError, load, read, shipped
from intake.meaning import Meaning, columns_of
from tests.intake.conftest import REGISTER, Imported, text_of

SEIZURE = {
    "kind": {"constant": "seizure"},
    "office": "office",
    "occurred_on": "day",
    "place": {"country": {"constant": "PT"}},
}
SMALL = {
    "source": {"name": "S"},
    "identity": {"columns": ["number"]},
    "seizure": SEIZURE,
    "goods": {"section": {"constant": "drugs"}},
}
COLUMNS = ["number", "office", "day", "words", "amount", "unit"]


def told(**parts: object) -> Mapping:
    return read(SMALL | parts, "m.toml")


@pytest.mark.parametrize("name", list(shipped()))
def test_every_mapping_that_ships_is_whole(name: str) -> None:
    mapping = load(name)
    assert mapping.source.title
    Meaning(mapping, columns_of(mapping), name)


def test_three_mappings_ship() -> None:
    assert list(shipped()) == ["colombia", "lemis", "poland"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"source": {}}, "[source] needs `name`"),
        ({"source": {"name": "S", "nmae": "x"}}, "[source] has no key `nmae` (is it `name`?)"),
        ({"seizure": SEIZURE | {"ofice": "x"}}, "[seizure] has no key `ofice` (is it `office`?)"),
        (
            {"seizure": SEIZURE | {"office": {"constant": "X", "column": "y"}}},
            "one of `column`, `columns` and `constant`",
        ),
        ({"seizure": SEIZURE | {"occurred_on": {"column": "d", "formats": ["DD.MM"]}}}, "needs a year"),
        ({"seizure": SEIZURE | {"occurred_on": {"column": "d", "formats": ["MM/YYYY"]}}}, 'day = "first"'),
        ({"seizure": SEIZURE | {"office": {"column": "o", "unmapped": "leave out"}}}, "there are no `values`"),
        ({"goods": []}, "`goods`: at least one is needed"),
        ({"goods": [{"section": "s"}, {}]}, "[goods] (number 2) needs `section`"),
        ({"check": {"name": "n"}}, "a check has either `rows` or `sum`"),
        ({"flag": {"reason": "r"}}, "a flag has either `when`"),
        ({"leave_out": {"reason": "r", "when": {"column": "c"}}}, "a condition says what must hold"),
        ({"personal": {"plates": {"column": "c", "pattern": "[A-Z]+"}}}, "write {1,20} in place of +"),
        (
            {
                "goods": {
                    "section": "s",
                    "quantity": {"amount": {"column": "a", "decimal": ",", "thousands": ","}, "unit": "u"},
                }
            },
            "same sign",
        ),
        ({"elsewhere": {}}, "The mapping has no key `elsewhere`"),
    ],
)
def test_what_is_wrong_with_a_mapping_is_told_by_table_and_key(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(MappingError, match=re.escape(sentence)) as told_error:
        told(**change)
    assert str(told_error.value).startswith("m.toml: ")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seizure": SEIZURE | {"kind": {"constant": "theft"}}}, "kind: “theft” is none of seizure"),
        ({"seizure": SEIZURE | {"office": {"constant": "a b"}}}, "office: “a b” does not have the form of a code"),
        ({"seizure": SEIZURE | {"direction": {"column": "words", "values": {"x": "inward"}}}}, "direction: “inward”"),
        (
            {"seizure": SEIZURE | {"direction": {"column": "words", "values": "ways"}}},
            "there is no table [values.ways]",
        ),
        ({"goods": {"section": {"column": "words", "values": {"x": "drug"}}}}, "section: “drug”"),
        (
            {
                "goods": {
                    "section": {"constant": "drugs"},
                    "substance": {"column": "words", "list": "my list", "edition": "2024"},
                }
            },
            "substance.list",
        ),
        ({"identity": {"columns": ["gone"]}}, "no column `gone`"),
        (
            {"seizure": SEIZURE | {"office": "words"}, "personal": {"narrative": "words"}},
            "would tell openly what `words` holds",
        ),
        ({"personal": {"documents": {"column": "words", "kind": "letter"}}}, "documents.kind: “letter”"),
    ],
)
def test_what_a_mapping_says_of_our_codes_is_checked_before_the_first_row(
    change: dict[str, object], sentence: str
) -> None:
    with pytest.raises(MappingError, match=re.escape(sentence)):
        Meaning(told(**change), COLUMNS, "m.toml")


def test_words_typed_by_hand_become_a_code_only_through_values() -> None:
    values = {"column": "words", "values": {"x": "PTLIS1"}}
    change = {"seizure": SEIZURE | {"office": values}, "personal": {"narrative": "words"}}
    Meaning(told(**change), COLUMNS, "m.toml")
    with pytest.raises(MappingError, match="would tell openly"):
        Meaning(
            told(seizure=SEIZURE | {"office": values | {"unmapped": "as given"}}, personal=change["personal"]),
            COLUMNS,
            "m",
        )


@pytest.mark.parametrize("text", ["", "[source", "a = 1\na = 2", "\x00"])
def test_what_is_no_toml_is_told_with_its_place(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("m") / "m.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MappingError, match=r"m\.toml"):
        load(path)


# ---------------------------------------------------------------- numbers, days, patterns


@pytest.mark.parametrize(
    ("text", "amount", "written"),
    [
        ("19 000,00 zł", "19000", "19 000,00"),
        ("8\u00a0120,5", "8120.5", "8\u00a0120,5"),
        ("1\u2009000", "1000", "1\u202f000"),
        ("0,0010", "0.001", "0,0010"),
        (",5", "0.5", ",5"),
        ("1,5E-3", "0.0015", "1,5E-3"),
        ("2e3", "2000", "2e3"),
        ("\u0663\u0664", "34", "34"),
        ("-1,5", "-1.5", "-1,5"),
    ],
)
def test_numbers_are_read_by_the_signs_that_are_stated(text: str, amount: str, written: str) -> None:
    assert numbers.reader(",", " ", ["zł"])(text) == (Decimal(amount), written)


@pytest.mark.parametrize(
    "text", ["1.5", "1 00", "1,2,3", "12 3456", "", "-", "1e999", "9" * 49, "0x10", "1_000", "½", "nan"]
)
def test_no_other_number_is_guessed(text: str) -> None:
    with pytest.raises(ValueError, match=r"number|digits"):
        numbers.reader(",", " ", [])(text)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**12, places=6))
def test_a_number_comes_back_exactly_however_it_is_written(amount: Decimal) -> None:
    comma = f"{amount:,f}"
    swapped = comma.translate(str.maketrans(",.", ".,"))
    assert numbers.reader(".", ",", [])(comma)[0] == amount
    assert numbers.reader(",", ".", [])(swapped)[0] == amount
    assert numbers.reader(",", " ", [])(swapped.replace(".", "\u00a0"))[0] == amount


@pytest.mark.parametrize(
    ("written", "text", "day"),
    [
        ("DD.MM.YYYY", "01.02.2024", date(2024, 2, 1)),
        ("M/D/YYYY", "2/1/2024", date(2024, 2, 1)),
        ("YYYY-MM-DDThh:mm:ss.fff", "2018-01-03T00:00:00.000", date(2018, 1, 3)),
        ("D MON YYYY", "3 March 2020", date(2020, 3, 3)),
        ("DD-MON-YY", "03-mar-99", date(1999, 3, 3)),
        ("[Tag] DD/MM/YY", "Tag 03/04/21", date(2021, 4, 3)),
    ],
)
def test_days_are_read_by_the_formats_that_are_stated(written: str, text: str, day: date) -> None:
    assert dates.reader([written])(text) == day


def test_a_month_is_a_day_only_where_the_mapping_says_which() -> None:
    assert dates.reader(["YYYY MON"], day="last")("2024 FEB") == date(2024, 2, 29)
    months = ("sty", "lut", "mar", "kwi", "maj", "cze", "lip", "sie", "wrz", "paź", "lis", "gru")
    assert dates.reader(["D MON YYYY"], months)("5 paź 2023") == date(2023, 10, 5)


@pytest.mark.parametrize("text", ["31.02.2024", "1.2.2024", "2024-02-01", "00.01.2024", "01.13.2024"])
def test_no_other_day_is_guessed(text: str) -> None:
    with pytest.raises(ValueError, match="day"):
        dates.reader(["DD.MM.YYYY"])(text)


@pytest.mark.parametrize(
    "pattern", ["a+", "a*", "a{2,}", "(a|b){3}", r"(a)\1", "(?=a)", "(?i)a", "(", "(a)(b)", "a{0,40}" * 3, "a{0,900}"]
)
def test_a_pattern_that_could_run_away_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        patterns.bounded(pattern)


def test_a_pattern_takes_its_group_and_a_name_stands_for_one() -> None:
    assert patterns.finder(r"No[ .]{0,2}([A-Z0-9]{3,9})")("No. AB12 and No CD3") == ["AB12", "CD3"]
    assert patterns.finder("vin")("VIN: VF3M45GXVKS350000, PRZEPROWADZAJACYM") == ["VF3M45GXVKS350000"]
    assert patterns.finder("container")("CSQU3054383 / MSKU 123456-5") == ["CSQU3054383", "MSKU 123456-5"]


# ---------------------------------------------------------------- what a mapping can tell


def test_several_lines_of_goods_in_one_row(imported: Imported) -> None:
    wide = (
        REGISTER[: REGISTER.index("[goods]")]
        + """
[[goods]]
needs = "cocaine"
section = { constant = "drugs" }
substance = { constant = "cocaine", list = "SUBSTANCE", edition = "2026" }
quantity = { amount = "cocaine", unit = { constant = "KGM" } }

[[goods]]
needs = ["heroin"]
section = { constant = "drugs" }
substance = { constant = "heroin", list = "SUBSTANCE", edition = "2026" }
quantity = { amount = "heroin", unit = { constant = "GRM" } }
"""
    )
    header = "number,office,day,way,cocaine,heroin"
    rows = ["1,XAPORT,2024-05-01,in,2,0", "2,XAPORT,2024-05-01,in,1.5,3", "3,XAPORT,2024-05-01,in,,0.0"]
    outcome = imported(text_of(*rows, header=header), wide)
    assert (outcome.recorded, outcome.refused) == (2, 1)
    assert outcome.refusals[0].field == "goods"


def test_codes_we_do_not_know_are_flagged_and_recorded(imported: Imported) -> None:
    mapping = (
        REGISTER.replace('{ constant = "PT" }', '"country"')
        + "\n[[flag]]\nreason = 'a day too late'\n"
        + ("first = 'day'\nthen = 'entered'\n")
    )
    mapping = mapping.replace(
        'unit = { column = "unit", values = { "kg" = "KGM", "lbs" = "LBR", "pcs" = "H87" } }', 'unit = "unit"'
    )
    header = "number,office,day,way,what,amount,unit,words,country,entered"
    rows = [
        "1,XAPORT,2024-05-01,in,cocaine,2,KGM,,NA,2024-05-01",
        "2,XAPORT,2024-05-01,in,cocaine,2,ZZZ,,ZR,2024-04-30",
        "3,XAPORT,2024-05-01,in,cocaine,2,ST,,QQ,",
    ]
    outcome = imported(text_of(*rows, header=header), mapping)
    assert (outcome.recorded, outcome.flagged) == (3, 2)
    said = " ".join(outcome.flags)
    for words in ("ZZZ is not in", "ST was withdrawn", "ZR was withdrawn", "QQ is not in", "A day too late"):
        assert words in said


@pytest.mark.parametrize(
    ("check", "code", "is_flagged"),
    [
        (reference.country, "NA", False),
        (reference.country, "XX", False),
        (reference.country, "AN", True),
        (reference.subdivision, "CO-ANT", False),
        (reference.subdivision, "CO-XXX", True),
        (reference.currency, "PLN", False),
        (reference.currency, "DEM", True),
        (reference.unit, "LBR", False),
        (reference.unit, "05", True),
        (reference.hs, "770000", True),
        (reference.hs, "240220", False),
    ],
)
def test_the_lists_we_know(check: object, code: str, *, is_flagged: bool) -> None:
    assert (check(code) is not None) == is_flagged  # type: ignore[operator]  # one of several functions


def test_every_key_is_on_the_reference_page() -> None:
    page = mapping_page.page()
    tables: list[type[BaseModel]] = [Mapping, *mapping_page.TITLES]
    for table in tables + [table for _, table in mapping_page._places(Mapping)]:
        for key, field in table.model_fields.items():
            assert f"| `{key}` |" in page
            assert field.description, f"{table.__name__}.{key} says nothing of itself"


def test_the_reference_page_sends_nobody_astray() -> None:
    page = mapping_page.page()
    headings = {re.sub(r"[^\w -]", "", found.lower()).replace(" ", "-") for found in re.findall(r"(?m)^#+ (.+)$", page)}
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= headings
