"""What an import may do to the ledger: new rows are recorded, changes amended, and nothing else is touched."""

from collections.abc import Callable
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.codes import Reason
from domain.goods import Goods
from domain.quantity import Quantity
from domain.seizure import CancelSeizure, CorrectGoods, GoodsCorrected, Seizure
from intake.importing import Foreseen
from intake.keys import Ids
from intake.outcome import Outcome
from ledger.ledger import Ledger
from ledger.sessions import connect
from tests.intake.conftest import BY, HEADER, REGISTER, ROWS, Imported, text_of

Events = Callable[[], list[str]]

ANONYMOUS = REGISTER.replace('columns = ["number"]', 'columns = ["day", "office", "what"]')
SHIPMENTS = REGISTER.replace("[seizure]", '[shipment]\nkey = ["number"]\n\n[seizure]', 1)


def counts(outcome: Outcome) -> dict[str, int]:
    told = {name: value for name, value in outcome.told().items() if isinstance(value, int) and value}
    parts = sum(told.get(name, 0) for name in ("recorded", "amended", "unchanged", "skipped", "refused"))
    assert parts == outcome.read, "every row counts in exactly one of them"
    return told


def record(ledger: Ledger, number: str, occurrence: int = 1) -> UUID:
    key = b"row" + len(number).to_bytes(4, "big") + number.encode()
    return Ids(ledger.intake_key, "XA-REGISTER").record(key, occurrence)


def seizure(ledger: Ledger, number: str) -> Seizure:
    state = ledger.state(record(ledger, number), "seizure")
    assert isinstance(state, Seizure)
    return state


def test_a_row_becomes_a_seizure_with_exactly_what_it_tells(imported: Imported, ledger: Ledger) -> None:
    assert counts(imported(text_of(*ROWS))) == {"read": 3, "recorded": 3}
    third, first = seizure(ledger, "3"), seizure(ledger, "1")
    assert third.goods[0].goods.quantity == Quantity(
        amount=Decimal("2077.902212529746"), written="2077.902212529746", unit="LBR"
    )
    assert (third.narrative, first.narrative) == (None, "hidden in the lining")
    assert first.source == "XA-REGISTER"


def test_the_same_file_again_writes_nothing(imported: Imported, events: Events) -> None:
    imported(text_of(*ROWS))
    before = events()
    assert counts(imported(text_of(*ROWS))) == {"read": 3, "unchanged": 3}
    assert events() == before


def test_another_spelling_of_the_same_writes_nothing(imported: Imported, events: Events) -> None:
    imported(text_of(*ROWS))
    before = events()
    spelled = (
        '1,XAPORT,01.05.2024,IN,cocaine,"2.500",KG,hidden in the lining ',
        "2, XAPORT ,02.05.2024,out,cigarettes,4e2,pcs,",
        "3,XAEAST,2024-05-03,in,cocaine,2077.9022125297456,lbs,-",
    )
    assert counts(imported(text_of(*spelled))) == {"read": 3, "unchanged": 3}
    assert events() == before


def test_an_amount_is_the_same_only_as_far_as_its_source_is_true(imported: Imported) -> None:
    imported(text_of(*ROWS))
    beyond = ROWS[2].replace("2077.902212529746", "2077.902214")
    assert counts(imported(text_of(*ROWS[:2], beyond))) == {"read": 3, "amended": 1, "unchanged": 2}


def test_one_changed_cell_makes_one_amendment_of_that_field(imported: Imported, ledger: Ledger, events: Events) -> None:
    imported(text_of(*ROWS))
    before = events()
    changed = ROWS[0].replace(",2.5,", ",2.418,")
    assert counts(imported(text_of(changed, *ROWS[1:]))) == {"read": 3, "amended": 1, "unchanged": 2}
    assert events() == [*before, "seizure.goods-corrected"]
    entry = ledger.entries(record(ledger, "1"))[-1]
    assert isinstance(entry.event, GoodsCorrected)
    assert (entry.event.line, entry.event.reason) == (1, Reason.SOURCE_STATED)
    assert seizure(ledger, "1").goods[0].goods.quantity == Quantity(
        amount=Decimal("2.418"), written="2.418", unit="KGM"
    )


def test_a_change_and_back_again_are_two_amendments(imported: Imported, events: Events) -> None:
    other = ROWS[0].replace(",2.5,", ",3,")
    for row, expected in ((ROWS[0], "recorded"), (other, "amended"), (ROWS[0], "amended"), (other, "amended")):
        assert counts(imported(text_of(row))) == {"read": 1, expected: 1}
    assert events().count("seizure.goods-corrected") == 3


def test_a_word_in_the_narrative_changes_the_narrative_alone(imported: Imported, events: Events) -> None:
    imported(text_of(*ROWS))
    before = events()
    imported(text_of(ROWS[0].replace("lining", "boot"), *ROWS[1:]))
    assert events() == [*before, "seizure.narrative-written"]


def test_a_row_put_in_front_is_recorded_and_amends_nothing(imported: Imported, events: Events) -> None:
    alike = [f"{n},XAPORT,2024-05-01,in,cocaine,{n}.5,kg," for n in range(1, 6)]
    imported(text_of(*alike), ANONYMOUS)
    before = events()
    new = "9,XAPORT,2024-05-01,in,cocaine,77,kg,"
    assert counts(imported(text_of(new, *alike), ANONYMOUS)) == {"read": 6, "recorded": 1, "unchanged": 5}
    assert events() == [*before, "seizure.recorded"]


def test_a_row_taken_out_changes_no_other(imported: Imported, events: Events) -> None:
    alike = [f"{n},XAPORT,2024-05-01,in,cocaine,{n}.5,kg," for n in range(1, 6)]
    imported(text_of(*alike), ANONYMOUS)
    before = events()
    for left in (alike[3:4], alike[1:]):
        assert counts(imported(text_of(*left), ANONYMOUS)) == {"read": len(left), "unchanged": len(left)}
    assert events() == before


def test_amounts_that_differ_by_rounding_alone_find_their_record_among_alike(
    imported: Imported, events: Events
) -> None:
    alike = [f"{n},XAPORT,2024-05-01,in,cocaine,{n}.123456,kg," for n in range(1, 6)]
    imported(text_of(*alike), ANONYMOUS)
    before = events()
    again = [row.replace(".123456", ".1234561") for row in reversed(alike)]
    assert counts(imported(text_of(*again), ANONYMOUS)) == {"read": 5, "unchanged": 5}
    assert events() == before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8)
@given(order=st.permutations(range(6)))
def test_another_order_of_rows_writes_nothing(imported: Imported, events: Events, order: list[int]) -> None:
    rows = [*ROWS, ROWS[0].replace("1,", "7,", 1), "8,XAPORT,2024-05-01,in,cocaine,9,kg,a", ROWS[1]]
    imported(text_of(*rows), ANONYMOUS)
    before = events()
    assert counts(imported(text_of(*(rows[place] for place in order)), ANONYMOUS))["unchanged"] == 6
    assert events() == before


def test_rows_that_repeat_are_flagged_and_kept(imported: Imported, events: Events) -> None:
    outcome = imported(text_of(ROWS[1], ROWS[1], ROWS[0]), ANONYMOUS)
    assert counts(outcome) == {"read": 3, "recorded": 3, "flagged": 1}
    [(reason, group)] = outcome.flags.items()
    assert (reason, group.lines) == ("The row repeats an earlier one of the file word for word.", [3])
    assert counts(imported(text_of(ROWS[1], ROWS[1], ROWS[0]), ANONYMOUS)) == {"read": 3, "unchanged": 3, "flagged": 1}
    assert events().count("seizure.recorded") == 3


def test_bad_rows_are_refused_with_line_field_and_reason_and_the_good_ones_go_in(imported: Imported) -> None:
    bad = (
        "4,xa port!,2024-05-03,in,cocaine,1,kg,",
        "5,XAPORT,31.02.2024,in,cocaine,1,kg,",
        "6,XAPORT,2024-05-03,sideways,cocaine,1,kg,",
        '7,XAPORT,2024-05-03,in,cocaine,"1,5",kg,',
        "8,XAPORT,2024-05-03,in,cocaine,0,kg,",
        "9,XAPORT,2024-05-03,in,cocaine,-1,kg,",
        "10,XAPORT,2999-01-01,in,cocaine,1,kg,",
        "11,XAPORT,2024-05-03,in,cocaine,1,,",
        "12,XAPORT,2024-05-03,in",
        "13,,2024-05-03,in,cocaine,1,kg,",
    )
    outcome = imported(text_of(ROWS[0], *bad, ROWS[1]))
    assert counts(outcome) == {"read": 12, "recorded": 2, "refused": 10}
    assert [(refusal.line, refusal.field) for refusal in outcome.refusals] == [
        (3, "office"),
        (4, "occurred_on"),
        (5, "direction"),
        (6, "quantity.amount"),
        (7, "quantity.amount"),
        (8, "quantity.amount"),
        (9, "occurred_on"),
        (10, "quantity.unit"),
        (11, "row"),
        (12, "office"),
    ]
    reasons = [refusal.reason for refusal in outcome.refusals]
    assert all(reason[0].isupper() or reason[0] == "“" for reason in reasons)
    assert all(reason.endswith(".") for reason in reasons)
    assert "“sideways”" in reasons[2]


def test_a_refusal_never_repeats_words_typed_by_hand(imported: Imported, ledger: Ledger) -> None:
    secret = "Amina \u202eExample"
    outcome = imported(text_of(ROWS[0], f"4,XAPORT,2024-05-03,in,cocaine,1,kg,{secret}"))
    [refusal] = outcome.refusals
    assert (refusal.line, refusal.field) == (3, "narrative")
    assert "Amina" not in refusal.reason
    assert ledger.state(record(ledger, "4"), "seizure") is None


def test_an_officers_correction_stands_between_two_imports(imported: Imported, ledger: Ledger, events: Events) -> None:
    imported(text_of(*ROWS))
    weighed = Quantity(amount=Decimal("2.418"), written="2.418", unit="KGM")
    goods = seizure(ledger, "1").goods[0].goods
    corrected = Goods(section=goods.section, substance=goods.substance, quantity=weighed)
    ledger.execute(record(ledger, "1"), CorrectGoods(line=1, goods=corrected, reason=Reason.LABORATORY_RESULT), BY)
    before = events()
    assert counts(imported(text_of(*ROWS))) == {"read": 3, "unchanged": 3}
    assert events() == before
    imported(text_of(ROWS[0].replace(",in,", ",out,"), *ROWS[1:]))
    assert seizure(ledger, "1").goods[0].goods.quantity == weighed


def test_a_cancelled_seizure_stays_cancelled(imported: Imported, ledger: Ledger, events: Events) -> None:
    imported(text_of(*ROWS))
    ledger.execute(record(ledger, "1"), CancelSeizure(reason=Reason.DUPLICATE), BY)
    before = events()
    assert counts(imported(text_of(ROWS[0].replace(",2.5,", ",3,")))) == {"read": 1, "unchanged": 1}
    assert events() == before


def test_a_shipment_is_one_seizure_of_many_lines(imported: Imported, ledger: Ledger, events: Events) -> None:
    lines = [f"S1,XAPORT,2024-05-01,in,cocaine,{amount},kg," for amount in ("1", "2", "3")]
    rows = [lines[0], ROWS[0], lines[1], ROWS[1], lines[2]]
    assert counts(imported(text_of(*rows), SHIPMENTS)) == {"read": 5, "recorded": 5}
    assert events().count("seizure.recorded") == 3
    changed = [lines[2], lines[1].replace(",2,", ",2.5,"), ROWS[1], ROWS[0], lines[0]]
    assert counts(imported(text_of(*changed), SHIPMENTS)) == {"read": 5, "amended": 1, "unchanged": 4}
    assert events()[-1] == "seizure.goods-corrected"
    assert counts(imported(text_of(*lines[:2], ROWS[0], ROWS[1]), SHIPMENTS))["amended"] == 1
    assert events()[-2:] == ["seizure.goods-corrected", "seizure.goods-withdrawn"]
    key = b"shipment" + (2).to_bytes(4, "big") + b"s1"
    state = ledger.state(Ids(ledger.intake_key, "XA-REGISTER").record(key, 1), "seizure")
    assert [line.goods.quantity.amount for line in state.goods if line.goods.quantity] == [1, 2]  # type: ignore[union-attr]  # it is there


def test_a_bad_line_refuses_its_shipment_and_no_other(imported: Imported, events: Events) -> None:
    rows = [
        "S1,XAPORT,2024-05-01,in,cocaine,1,kg,",
        "S2,XAPORT,2024-05-01,in,cocaine,1,kg,",
        "S1,XAPORT,2024-05-01,in,cocaine,much,kg,",
        "S2,XAPORT,2024-05-09,in,cocaine,1,kg,",
        "S3,XAPORT,2024-05-01,in,cocaine,1,kg,",
        "S3,XAPORT,2024-05-01,in,cocaine,2,kg,",
    ]
    outcome = imported(text_of(*rows), SHIPMENTS)
    assert counts(outcome) == {"read": 6, "recorded": 2, "refused": 4}
    assert [(refusal.line, refusal.field) for refusal in outcome.refusals] == [
        (2, "shipment"),
        (3, "occurred_on"),
        (4, "quantity.amount"),
        (5, "occurred_on"),
    ]
    assert events() == ["seizure.recorded"]


def test_a_footer_is_left_out_and_can_be_reconciled_against(imported: Imported, events: Events) -> None:
    mapping = (
        REGISTER
        + """
[[leave_out]]
name = "total"
when = { column = "number", equals = ["TOTAL"] }
reason = "the sum of the rows above"

[[check]]
name = "sum of the amounts"
sum = "amount"
equals_left_out = "total"

[[check]]
name = "number of rows"
rows = 2
"""
    )
    wrong = imported(text_of(*ROWS[:2], "TOTAL,,,,,402.6"), mapping)
    assert counts(wrong) == {"read": 3, "skipped": 1, "refused": 2}
    assert [(refusal.line, refusal.field) for refusal in wrong.refusals] == [(0, "check")]
    assert "402.5" in wrong.refusals[0].reason
    assert "402.6" in wrong.refusals[0].reason
    assert events() == []
    right = imported(text_of(*ROWS[:2], "TOTAL,,,,,402.5"), mapping)
    assert counts(right) == {"read": 3, "skipped": 1, "recorded": 2}
    assert right.left_out["the sum of the rows above"].lines == [4]


def test_a_dry_run_shows_everything_and_writes_nothing(imported: Imported, events: Events) -> None:
    imported(text_of(*ROWS))
    before = events()
    seen: list[Foreseen] = []
    rows = (
        ROWS[0].replace(",2.5,", ",3,").replace("lining", "boot"),
        ROWS[1],
        "4,XAPORT,2024-05-03,in,cocaine,1,kg,",
        "5",
    )
    outcome = imported(text_of(*rows), dry_run=True, on_foreseen=seen.append)
    assert counts(outcome) == {"read": 4, "recorded": 1, "amended": 1, "unchanged": 1, "refused": 1}
    assert events() == before
    by_line = {foreseen.lines: foreseen for foreseen in seen}
    assert by_line[4,].action == "record"
    changes = {change.field: (change.was, change.now) for change in by_line[2,].changes}
    assert changes["narrative"] == ("(personal)", "(personal)")
    was, now = changes["goods.1.quantity"]
    assert (was.amount, now.amount) == (Decimal("2.5"), Decimal(3))
    assert counts(imported(text_of(*rows))) == counts(outcome), "what was foreseen is what happens"


def test_ids_tell_nothing_and_lie_together(imported: Imported, ledger: Ledger) -> None:
    imported(text_of(*ROWS))
    ids = [record(ledger, str(number)) for number in (1, 2, 3)]
    assert {one.version for one in ids} == {8}
    assert len({one.bytes[:6] for one in ids}) == 1
    other = Ids(b"another key of thirty-two bytes..", "XA-REGISTER").record(b"row\0\0\0\x011", 1)
    assert other != ids[0]


@pytest.mark.parametrize("gone", ["office", "amount"])
def test_a_column_that_is_gone_stops_the_import_before_it_begins(imported: Imported, gone: str, events: Events) -> None:
    from intake.mapping_file import MappingError

    with pytest.raises(MappingError, match=f"no column `{gone}`"):
        imported(text_of(*ROWS, header=HEADER.replace(gone, "another")))
    assert events() == []


def test_of_a_shipment_told_in_several_ways_the_preferred_code_counts(imported: Imported, ledger: Ledger) -> None:
    kind = 'column = "words", values = { "S" = "seizure", "C" = "detention" }, prefer = ["seizure", "detention"]'
    mapping = SHIPMENTS.replace('kind = { constant = "seizure" }', f'kind = {{ {kind} }}\nroute = ["from"]').replace(
        '[personal]\nnarrative = "words"', ""
    )
    rows = [
        "S1,XAPORT,2024-05-01,in,cocaine,1,kg,C,ES",
        "S1,XAPORT,2024-05-01,in,cocaine,2,kg,S,CO",
        "S1,XAPORT,2024-05-01,in,cocaine,3,kg,C,ES",
    ]
    header = f"{HEADER},from"
    assert counts(imported(text_of(*rows, header=header), mapping)) == {"read": 3, "recorded": 3}
    key = b"shipment" + (2).to_bytes(4, "big") + b"s1"
    state = ledger.state(Ids(ledger.intake_key, "XA-REGISTER").record(key, 1), "seizure")
    assert isinstance(state, Seizure)
    assert (state.kind, state.route) == ("seizure", ("CO", "ES"))
    again = imported(text_of(*reversed(rows), header=header), mapping)
    assert counts(again) == {"read": 3, "unchanged": 3}


def test_what_was_erased_is_not_told_again(
    imported: Imported, ledger: Ledger, events: Events, database_url: str
) -> None:
    imported(text_of(*ROWS))
    with connect(database_url) as session:
        session.execute("DELETE FROM ledger.subject_key WHERE record_id = %s", [record(ledger, "1")])
    ledger.vault.forget()
    before = events()
    assert counts(imported(text_of(*ROWS))) == {"read": 3, "unchanged": 3}
    assert events() == before
    assert seizure(ledger, "1").narrative is None
