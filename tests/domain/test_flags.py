"""Soft rules flag and never refuse: numbers that are known to be good or bad, and what is unusual about a record."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import stdnum.imo
import stdnum.iso6346
import stdnum.iso7064.mod_97_10
import stdnum.lei
from hypothesis import given
from hypothesis import strategies as st

from domain.assertion import Asserted, Statement, StatementKind
from domain.business import Business
from domain.check_digits import (
    has_eori_form,
    is_container_number,
    is_legal_entity_identifier,
    is_machine_readable_zone,
    is_ship_number,
)
from domain.codes import (
    Coded,
    ConveyanceKind,
    DocumentKind,
    HsCode,
    OffenceType,
    PartyRole,
    Reason,
    Section,
    SubjectCategory,
)
from domain.flags import Flag, FlagCode, flags
from domain.goods import Goods, GoodsLine
from domain.identity import (
    Birth,
    BusinessName,
    Identifier,
    IdentifierScheme,
    IdentityDocument,
    Nationality,
    PersonName,
    Said,
)
from domain.offence import Offence, Penalty, PenaltyKind, PenaltyLine
from domain.party import Party
from domain.person import Person
from domain.place import Place
from domain.premise import Premise
from domain.quantity import Money, Quantity
from domain.seizure import Document, Plate, Seizure
from tests.domain.given import TODAY
from tests.domain.strategies import IDS

TD3 = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"
TD2 = "I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<\nD231458907UTO7408122F1204159<<<<<<<6"
TD1 = "I<UTOD231458907<<<<<<<<<<<<<<<\n7408122F1204159UTO<<<<<<<<<<<6\nERIKSSON<<ANNA<MARIA<<<<<<<<<<"
VISA = "V<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL8988901C4XXX4009078F96121096ZE184226B<<<<<<"
"""The specimens of ICAO Doc 9303, parts 4, 6, 5 and 7."""


# ---------------------------------------------------------------- check digits


@pytest.mark.parametrize(
    ("number", "is_good"),
    [
        ("CSQU3054383", True),
        ("csqu 305438-3", True),
        ("TCNU7200794", True),
        ("CSQU3054384", False),
        ("CSQX3054383", False),
        ("CSQU305438", False),
        ("CSQU30543833", False),
        ("", False),
        ("\u0391\u0392\u0393U3054383", False),
    ],
)
def test_container_numbers(number: str, *, is_good: bool) -> None:
    assert is_container_number(number) is is_good


@pytest.mark.parametrize(
    ("number", "is_good"),
    [
        ("IMO 9319466", True),
        ("8814275", True),
        ("9319465", False),
        ("931946", False),
        ("IMO", False),
        ("\u0669319466", False),
    ],
)
def test_ship_numbers(number: str, *, is_good: bool) -> None:
    assert is_ship_number(number) is is_good


@pytest.mark.parametrize(
    ("number", "is_good"),
    [
        ("213800KUD8LAJWSQ9D15", True),
        ("5493 0084 UKLV MY22 DS16", True),
        ("213800KUD8LXJWSQ9D15", False),
        ("213800KUD8LAJWSQ9D1", False),
        ("", False),
    ],
)
def test_legal_entity_identifiers(number: str, *, is_good: bool) -> None:
    assert is_legal_entity_identifier(number) is is_good


@pytest.mark.parametrize(
    ("number", "is_good"),
    [
        ("DE123456789012345", True),
        ("PL 1234567890", True),
        ("DE", False),
        ("123", False),
        ("DE1234567890123456", False),
    ],
)
def test_eori_numbers_have_a_form_and_no_check_digit(number: str, *, is_good: bool) -> None:
    assert has_eori_form(number) is is_good


@given(st.from_regex(r"[A-Z]{3}[UJZ][0-9]{7}", fullmatch=True))
def test_container_numbers_agree_with_an_independent_reading(number: str) -> None:
    assert is_container_number(number) == stdnum.iso6346.is_valid(number)


@given(st.from_regex(r"[0-9]{7}", fullmatch=True))
def test_ship_numbers_agree_with_an_independent_reading(number: str) -> None:
    assert is_ship_number(number) == stdnum.imo.is_valid(number)


@given(st.from_regex(r"[A-Z0-9]{18}", fullmatch=True), st.integers(-1, 1))
def test_entity_identifiers_agree_with_an_independent_reading(body: str, off_by: int) -> None:
    good = body + stdnum.iso7064.mod_97_10.calc_check_digits(body)
    number = f"{good[:18]}{(int(good[18:]) + off_by) % 100:02}"
    assert is_legal_entity_identifier(number) == stdnum.lei.is_valid(number)


@pytest.mark.parametrize("mrz", [TD1, TD2, TD3, VISA], ids=["TD1", "TD2", "TD3", "visa"])
def test_the_specimens_of_travel_documents_fit(mrz: str) -> None:
    assert is_machine_readable_zone(mrz)


CHECKED = [(TD1, 1, place) for place in range(7)] + [(TD3, 1, place) for place in range(10)] + [(TD2, 1, 13)]


@pytest.mark.parametrize(("mrz", "line", "place"), CHECKED)
def test_one_wrong_digit_in_a_travel_document_is_found(mrz: str, line: int, place: int) -> None:
    lines = mrz.split("\n")
    sign = lines[line][place]
    wrong = str((int(sign) + 1) % 10) if sign.isdigit() else chr(ord(sign) + 1)
    lines[line] = lines[line][:place] + wrong + lines[line][place + 1 :]
    assert not is_machine_readable_zone("\n".join(lines))


def test_a_long_document_number_goes_on_in_the_optional_field() -> None:
    """ICAO Doc 9303 part 5, section 4.2.2: the check digit's place is empty then."""
    long = "I<UTOD23145890<7349<<<<<<<<<<<\n3407127M9507122UTO<<<<<<<<<<<2\nSTEVENSON<<PETER<JOHN<<<<<<<<<"
    assert is_machine_readable_zone(long)
    assert not is_machine_readable_zone(long.replace("D23145890", "D23145891"))


def test_what_has_no_such_shape_does_not_fit() -> None:
    assert not is_machine_readable_zone("P<UTO")
    assert not is_machine_readable_zone("")


@given(st.text(max_size=50))
def test_any_text_at_all_is_answered(text: str) -> None:
    for check in (is_container_number, is_ship_number, is_legal_entity_identifier, has_eori_form):
        assert check(text) in (True, False)


# ---------------------------------------------------------------- records


def seized(*goods: Goods, **more: Any) -> Seizure:  # noqa: ANN401  # the fields of a seizure
    lines = tuple(GoodsLine(line=number, goods=one) for number, one in enumerate(goods, start=1))
    return Seizure(goods=lines, occurred_on=date(2026, 2, 1), **more)


def kilograms(amount: str, section: Section = Section.DRUGS, unit: str = "KGM", **more: Any) -> Goods:  # noqa: ANN401  # a line's fields
    return Goods(section=section, quantity=Quantity(amount=Decimal(amount), written=amount, unit=unit), **more)


def flag(code: FlagCode, field: str, line: int | None = None) -> Flag:
    return Flag(code=code, field=field, line=line)


def test_goods_disposed_of_before_they_were_seized_are_flagged() -> None:
    early = kilograms("1", outcome_on=date(2026, 1, 31))
    same_day = kilograms("2", outcome_on=date(2026, 2, 1))
    assert flags(seized(early, same_day)) == (flag(FlagCode.DAYS_OUT_OF_ORDER, "goods.outcome_on", 1),)


def test_a_unit_in_which_such_goods_are_not_told_is_flagged() -> None:
    litres_of_weapons = kilograms("1", Section.WEAPONS, "LTR")
    assert flags(seized(kilograms("1"), litres_of_weapons)) == (flag(FlagCode.UNUSUAL_UNIT, "goods.quantity", 2),)
    assert flags(seized(kilograms("1", Section.OTHER, "LTR"))) == ()


def test_a_line_told_twice_is_flagged_whatever_its_spelling() -> None:
    assert flags(seized(kilograms("1"), kilograms("2"), kilograms("1.0"))) == (
        flag(FlagCode.DUPLICATE_LINE, "goods", 3),
    )


def test_container_and_ship_numbers_that_do_not_fit_are_flagged() -> None:
    seizure = seized(
        conveyance=ConveyanceKind.VESSEL,
        plates=(Plate(number="IMO 9319466"), Plate(number="9319465"), Plate(number="MS Anna")),
        documents=(
            Document(kind=DocumentKind.CONTAINER, number="CSQU3054383"),
            Document(kind=DocumentKind.CONTAINER, number="CSQU3054384"),
            Document(kind=DocumentKind.INVOICE, number="CSQU3054384"),
        ),
    )
    assert flags(seizure) == (
        flag(FlagCode.SHIP_NUMBER, "plates", 2),
        flag(FlagCode.CONTAINER_NUMBER, "documents", 2),
    )


def test_codes_are_checked_against_the_lists_that_are_given_and_no_others() -> None:
    seizure = seized(
        kilograms(
            "1",
            hs=HsCode(edition="2022", digits="29393011"),
            substance=Coded(list="INCB", edition="2024", code="xyz"),
            origin="QQ",
            value=Money(amount=Decimal(1), written="1", currency="ZZZ"),
        ),
        office="NOWHERE",
        place=Place(country="XX", locode="QQQQQ", subdivision="KE-99"),
        route=("KE", "QQ"),
    )
    assert flags(seizure) == ()
    known = {
        "COUNTRY": {"KE"},
        "LOCODE": set(),
        "SUBDIVISION": set(),
        "OFFICE": set(),
        "UNIT": {"GRM"},
        "CURRENCY": {"KES"},
        "INCB": {"abc"},
        "HS-2022": {"293930"},
    }
    assert [(one.field, one.line) for one in flags(seizure, known)] == [
        ("office", None),
        ("place.locode", None),
        ("place.subdivision", None),
        ("route", None),
        ("goods.substance", 1),
        ("goods.origin", 1),
        ("goods.quantity", 1),
        ("goods.value", 1),
    ]
    assert [one.field for one in flags(seizure, {"HS-2022": {"010121"}})] == ["goods.hs"]


def test_a_person_in_a_case_without_a_category_is_flagged_and_a_business_is_not() -> None:
    seizure = seized(
        parties=(
            Party(party=IDS[0], role=PartyRole.DRIVER),
            Party(party=IDS[1], role=PartyRole.OWNER, is_business=True),
            Party(party=IDS[2], role=PartyRole.COURIER, category=SubjectCategory.SUSPECT),
        )
    )
    assert flags(seizure) == (flag(FlagCode.CATEGORY_MISSING, "parties", 1),)


def test_an_offence_is_punished_after_it_was_committed() -> None:
    early = Penalty(kind=PenaltyKind.FINE, imposed_on=date(2026, 1, 1))
    offence = Offence(
        offence_type=OffenceType.SMUGGLING,
        occurred_on=date(2026, 2, 1),
        status_on=date(2026, 1, 15),
        penalties=(PenaltyLine(number=4, penalty=early),),
    )
    assert flags(offence) == (
        flag(FlagCode.DAYS_OUT_OF_ORDER, "status_on"),
        flag(FlagCode.DAYS_OUT_OF_ORDER, "penalties.imposed_on", 4),
    )


def statements(*said: Said) -> tuple[Asserted[Any], ...]:
    return tuple(
        Asserted(number=number, statement=Statement(said=one, kind=StatementKind.FACT, source="x"))
        for number, one in enumerate(said, start=1)
    )


def test_what_is_unusual_about_what_is_said_of_a_person_is_flagged() -> None:
    backwards = IdentityDocument(
        kind=DocumentKind.PASSPORT, number="L1", issued_on=date(2030, 1, 1), expires_on=date(2020, 1, 1)
    )
    misread = IdentityDocument(kind=DocumentKind.PASSPORT, number="L1", mrz=TD3.replace("L898902C3", "L898902C4"))
    well_read = IdentityDocument(kind=DocumentKind.PASSPORT, number="L1", mrz=TD3)
    said = statements(backwards, misread, well_read, Birth(year=1880), Nationality(country="QQ"))
    assert flags(Person(statements=said), {"COUNTRY": {"KE"}}, today=TODAY) == (
        flag(FlagCode.DAYS_OUT_OF_ORDER, "statements.said.expires_on", 1),
        flag(FlagCode.MACHINE_READABLE_ZONE, "statements.said.mrz", 2),
        flag(FlagCode.UNLIKELY_AGE, "statements.said", 4),
        flag(FlagCode.UNKNOWN_CODE, "statements.said.country", 5),
    )


def test_identifiers_of_a_business_that_do_not_fit_are_flagged_unless_taken_back() -> None:
    said = statements(
        Identifier(scheme=IdentifierScheme.LEI, number="213800KUD8LXJWSQ9D15"),
        Identifier(scheme=IdentifierScheme.EORI, number="?"),
        Identifier(scheme=IdentifierScheme.TIN, number="?"),
    )
    business = Business(statements=said)
    assert [one.code for one in flags(business)] == [FlagCode.LEGAL_ENTITY_IDENTIFIER, FlagCode.EORI_NUMBER]
    retracted = tuple(
        Asserted(number=one.number, statement=one.statement, retracted=Reason.ENTRY_ERROR) for one in said
    )
    assert flags(Business(statements=retracted)) == ()


def test_a_name_with_letters_that_only_look_like_others_is_flagged_and_not_refused() -> None:
    names = (
        "\u0420\u0430vel Nov\u00e1k",
        "Pavel Nov\u00e1k",
        "Павел Nov\u00e1k",
        "Павел",
        "Müller-Łukasz",
        "\u0391lpha",
        "\uff30avel",
    )
    said = statements(*(PersonName(full=name) for name in names))
    assert flags(Person(statements=said)) == tuple(
        flag(FlagCode.MIXED_SCRIPTS, "statements.said.full", number) for number in (1, 6, 7)
    )
    assert flags(Business(statements=statements(BusinessName(name="\u0421\u041eCO Ltd")))) == (
        flag(FlagCode.MIXED_SCRIPTS, "statements.said.name", 1),
    )


def test_what_has_no_soft_rules_has_no_flags() -> None:
    assert flags(Premise()) == ()
    assert flags(None) == ()
