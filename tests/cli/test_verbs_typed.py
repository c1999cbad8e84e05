"""The short forms that a person can type, and what is said of those that cannot be read."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import asking, typed
from cli.output import BadInput, Misused
from cli.seizures import FLAGS
from domain.codes import Outcome, Qualifier, Section
from domain.goods import Goods
from domain.seizure import RecordSeizure


def goods(text: str) -> Goods:
    return asking.from_flags(typed.goods(text), Goods)


def test_goods_as_typed_in_one_line() -> None:
    line = goods(
        "section=drugs, substance=cocaine, hs=2939.71, quantity=2,5 kg measured, origin=co,"
        "value=1 250 EUR, outcome=seized"
    )
    assert (line.section, line.origin, line.outcome) == (Section.DRUGS, "CO", Outcome.SEIZED)
    assert line.substance is not None
    assert (line.substance.list, line.substance.code) == ("SUBSTANCE", "cocaine")
    assert line.hs is not None
    assert (line.hs.edition, line.hs.digits) == ("2022", "293971")
    assert line.quantity is not None
    assert (line.quantity.amount, line.quantity.written, line.quantity.unit) == (Decimal("2.5"), "2,5", "KGM")
    assert line.quantity.qualifier is Qualifier.MEASURED
    assert line.value is not None
    assert (line.value.amount, line.value.currency) == (Decimal(1250), "EUR")


@pytest.mark.parametrize(
    ("text", "amount", "unit", "qualifier"),
    [
        ("2.5 kg", "2.5", "KGM", Qualifier.NOT_STATED),
        ("2.5kg", "2.5", "KGM", Qualifier.NOT_STATED),
        ("~40 l", "40", "LTR", Qualifier.ESTIMATED),
        ("about 1 200 cigarettes", "1200", "H87", Qualifier.ESTIMATED),
        ("12 KGM laboratory", "12", "KGM", Qualifier.LABORATORY),
        ("0,250 kg", "0.250", "KGM", Qualifier.NOT_STATED),
        ("1.500 kg", "1.500", "KGM", Qualifier.NOT_STATED),
    ],
)
def test_quantities_as_people_type_them(text: str, amount: str, unit: str, qualifier: Qualifier) -> None:
    told = typed.quantity(text)
    assert (told["amount"], told["unit"], told["qualifier"]) == (Decimal(amount), unit, qualifier)


@given(st.decimals(min_value=0, max_value=10**9, places=4).map(lambda amount: f"{amount:f}"))
def test_an_amount_is_never_changed_by_reading_it(text: str) -> None:
    assert typed.quantity(f"{text} kg")["amount"] == Decimal(text)
    assert typed.quantity(f"{text.replace('.', ',')} kg")["amount"] == Decimal(text)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("section=drugs,colour=red", "section"),
        ("drugs", "the beginning"),
        ("section=drugs,quantity=many", "quantity"),
        ("section=drugs,quantity=2 bushelfuls", "unit"),
        ("section=drugs,quantity=1,500 kg", "two things"),
        ("section=drugs,quantity=2 kg weighed", "laboratory"),
        ("section=drugs,value=lots", "value"),
        ("section=drugs,substance=a:b", "substance"),
        ("section=drugs,section=drugs", "section"),
        ("section=rugs", "section"),
        ("section=drugs,origin=Colombia", "origin"),
        ("quantity=2 kg", "section"),
    ],
)
def test_goods_that_cannot_be_read_are_refused_by_part(text: str, part: str) -> None:
    with pytest.raises(Misused, match=part):
        goods(text)


def test_an_empty_part_is_taken_back() -> None:
    assert typed.goods("section=drugs,origin=") == {"section": "drugs", "origin": None}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("co", {"country": "CO"}),
        ("COBOG", {"country": "CO", "locode": "COBOG"}),
        ("CO-DC", {"country": "CO", "subdivision": "CO-DC"}),
        ("cobog co-dc", {"country": "CO", "locode": "COBOG", "subdivision": "CO-DC"}),
    ],
)
def test_places_by_the_form_of_their_code(text: str, place: dict[str, str]) -> None:
    assert typed.place(text) == place


def test_a_number_keeps_its_colons_when_what_follows_is_no_country() -> None:
    assert typed.document("passport:AB:12:PT") == {"kind": "passport", "number": "AB:12", "country": "PT"}
    assert typed.document("invoice:2024:17") == {"kind": "invoice", "number": "2024:17"}
    assert typed.plate("B 1234 XY") == {"number": "B 1234 XY"}


def test_a_flag_is_named_as_it_is_typed() -> None:
    told = {"office": "not an office!", "place": {"country": "CO"}, "occurred_on": date(2024, 5, 1)}
    told["goods"] = [{"section": "drugs"}]
    with pytest.raises(Misused, match=r"^--office does not fit: expected is customs office, such as COBOG1\.$"):
        asking.from_flags(told, RecordSeizure, FLAGS)


FILES = {
    "is not JSON": "{",
    "office is missing": '{"place": {"country": "CO"}, "occurred_on": "2024-05-01", "goods": [{"section": "drugs"}]}',
    "goods 1, section does not fit: expected is one of drugs": (
        '{"office": "COBOG1", "place": {"country": "CO"}, "occurred_on": "2024-05-01", "goods": [{"section": "Ana"}]}'
    ),
    "colour is not a known part": '{"office": "COBOG1", "colour": "red"}',
    "occurred_on does not fit: expected is a day": (
        '{"office": "COBOG1", "place": {"country": "CO"}, "occurred_on": "May", "goods": [{"section": "drugs"}]}'
    ),
    "expected is `record-seizure`": '{"command": "cancel-seizure", "office": "COBOG1"}',
}


@pytest.mark.parametrize("sentence", FILES)
def test_a_bad_file_is_refused_by_part_and_never_quoted(sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "seizure.json"
    path.write_text(FILES[sentence], encoding="utf-8")
    with pytest.raises(BadInput) as refused:
        asking.from_file(str(path), RecordSeizure)
    assert sentence in str(refused.value)
    assert "Ana" not in str(refused.value)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        asking.from_file("/nowhere/seizure.json", RecordSeizure)


def test_a_file_and_flags_together_are_refused() -> None:
    with pytest.raises(Misused, match="leave out --office"):
        asking.is_asked_whole("seizure.json", {"--office": "COBOG1", "--on": None})
