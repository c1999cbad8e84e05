"""How a history reads where something is missing, when a record is asked about, and who is said to have acted."""

from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import pytest

from cli import history, reading
from cli.acting import Acting
from cli.output import Misused, manner
from cli.settings import Settings, load
from domain.attribution import Attribution, Purpose, Role
from domain.entry import Entry, Provenance
from domain.event import AnyEvent, Erased
from domain.seizure import NarrativeWritten, SeizureSubmitted

RECORD = UUID("01890000-0000-7000-8000-000000000001")
AT = datetime(2024, 5, 31, 12, tzinfo=UTC)
BY = Attribution(actor="officer-01", role=Role.OFFICER, purpose=Purpose.DETECTION, legal_basis="XA:CUSTOMS-ACT")
CAME = Provenance(
    peer="XB",
    number=7,
    instrument="TREATY:1",
    premise_version=2,
    handling="H1",
    received_at=datetime(2024, 6, 1, tzinfo=UTC),
)


def entry(event: AnyEvent | Erased, *, by: Attribution | None = BY, came: Provenance | None = None) -> Entry:
    node = "XB" if came else "XA"
    return Entry(
        record_id=RECORD, version=1, recorded_at=AT, node=node, event=event, by=by, position=4, provenance=came
    )


def read(one: Entry) -> str:
    [(_, changes)] = history.steps([one])
    return "\n".join(map(str, history._lines(one, changes)))


def test_what_was_erased_shows_that_it_was_there_and_why_it_went() -> None:
    told = read(entry(Erased(name="seizure.narrative-written")))
    assert told.splitlines() == [
        "1. 2024-05-31 12:00:00Z, position 4, XA",
        "   officer-01 as officer, for detection, on XA:CUSTOMS-ACT",
        "   An account of the seizure was written in words.",
        "   Erased: the key of the person it told of was destroyed; that it was here, and when, stays provable.",
    ]


def test_what_an_origin_withheld_is_not_called_erased_here() -> None:
    told = read(entry(Erased(name="seizure.narrative-written"), by=None, came=CAME))
    assert "Who acted was withheld by its origin XB." in told
    assert "Withheld by its origin XB, or erased" in told
    assert (
        "Received 2024-06-01 00:00:00Z from XB as number 7 of its feed, under TREATY:1 version 2, handling H1." in told
    )


def test_words_that_were_recorded_cannot_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    from cli import output

    output.show(None, read(entry(NarrativeWritten(text="a\x1b[2Jb"))))
    assert "\x1b" not in capsys.readouterr().out


def test_an_entry_that_changes_no_field_still_says_what_happened() -> None:
    assert "The seizure was put forward for validation." in read(entry(SeizureSubmitted()))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1234", 1234),
        ("2024-05-31", datetime(2024, 5, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        ("2024-05-31T12:00:00", AT),
        ("2024-05-31T14:00:00+02:00", AT),
        (None, None),
    ],
)
def test_a_moment_as_people_type_it(text: str | None, meant: object) -> None:
    assert reading.moment(text) == meant


@pytest.mark.parametrize("text", ["tomorrow", "2024-13-01", "-1", "2024-05-31T25:00:00Z"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(Misused, match="--as-of is a ledger position"):
        reading.moment(text)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("USER", "NODE", "ACTING_ROLE", "PURPOSE", "LEGAL_BASIS"):
        monkeypatch.delenv(f"NCEN_{name}", raising=False)
    monkeypatch.setenv("NCEN_HOME", str(tmp_path))
    monkeypatch.setattr(manner, "user", None)
    (tmp_path / "ncen.toml").write_text('node = "XA"\npurpose = "prosecution"\n', encoding="utf-8")
    return load()


def test_nobody_is_guessed(settings: Settings) -> None:
    with pytest.raises(Misused, match="Say who acts"):
        Acting().attribution(settings, role=Role.OFFICER, purpose=Purpose.DETECTION)


def test_flags_go_before_the_environment_before_the_file_before_the_verb(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manner, "user", "officer-01")
    by = Acting().attribution(settings, role=Role.SUPERVISOR, purpose=Purpose.DETECTION)
    assert (by.role, by.purpose, by.legal_basis) == (Role.SUPERVISOR, Purpose.PROSECUTION, "XA:CUSTOMS-ACT")
    monkeypatch.setenv("NCEN_PURPOSE", "statistics")
    monkeypatch.setenv("NCEN_ACTING_ROLE", "analyst")
    by = Acting(purpose=Purpose.EXCHANGE).attribution(load(), role=Role.SUPERVISOR, purpose=Purpose.DETECTION)
    assert (by.role, by.purpose) == (Role.ANALYST, Purpose.EXCHANGE)


@pytest.mark.parametrize(("user", "basis"), [("Ana Silva", None), ("officer-01", "the customs act")])
def test_a_name_or_a_sentence_is_no_code(settings: Settings, user: str, basis: str | None) -> None:
    manner.user = user
    with pytest.raises(Misused, match="does not fit") as refused:
        Acting(legal_basis=basis).attribution(settings, role=Role.OFFICER, purpose=Purpose.DETECTION)
    assert "Ana" not in str(refused.value)


def test_when_it_happened_is_told_apart_from_when_it_was_recorded() -> None:
    from domain.offence import OffenceStatus, StatusChanged

    changed = entry(StatusChanged(status=OffenceStatus.ESTABLISHED, on=date(2024, 5, 1)))
    assert history.occurred(changed) == date(2024, 5, 1)
    assert "happened 2024-05-01" in read(changed)
