"""Erasure: the keys go from every record, asking twice changes nothing, and no crash or restore brings them back."""

import random
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from domain.assertion import Statement, StatementKind
from domain.attribution import Attribution, Purpose, Role
from domain.business import RegisterBusiness
from domain.codes import PartyRole
from domain.event import Erased
from domain.identity import BusinessName, PersonName
from domain.party import Party
from domain.person import HoldPerson, MergePerson, PersonErased, RegisterPerson, ReleaseHoldOfPerson
from domain.refused import Refused
from domain.rights import ErasureGrounds, HoldGrounds
from ledger import certificates, erasure, note
from ledger.erasure import Eraser
from ledger.errors import NotFound
from ledger.keyring import Keyring
from ledger.ledger import Ledger, Reader
from ledger.sessions import Session
from soak.sealing import seal_all
from tests.ledger.samples import OFFICER, seizure

CUSTODIAN = Attribution(actor="dpo.one", role=Role.DATA_MANAGER, purpose=Purpose.ADMINISTRATION, legal_basis="LED:16-2")
EXPIRED = ErasureGrounds.RETENTION_EXPIRED


def person(name: str) -> RegisterPerson:
    said = Statement(said=PersonName(full=name), kind=StatementKind.FACT, source="OFFICER")
    return RegisterPerson(statements=(said,))


def on_record(ledger: Ledger, name: str = "Xaverius Quackenbosch") -> tuple[UUID, UUID]:
    """A person, and a seizure in which the person has a part."""
    who = ledger.execute(ledger.new_id(), person(name), OFFICER).record_id
    told = seizure(parties=(Party(party=who, role=PartyRole.DRIVER),), narrative="found at the border")
    return who, ledger.execute(ledger.new_id(), told, OFFICER).record_id


def readable(ledger: Ledger, record_id: UUID) -> list[bool]:
    return [not isinstance(entry.event, Erased) for entry in ledger.entries(record_id)]


def erase(database_url: str, keys: Path, subject: UUID, erasure_id: UUID | None = None) -> erasure.Erasure:
    with Eraser.open(database_url, node="NL", keys=keys) as eraser:
        return eraser.erase(subject, "person", EXPIRED, CUSTODIAN, erasure_id=erasure_id)


def test_an_erased_person_is_gone_from_every_record_and_history_says_why(
    ledger: Ledger, database_url: str, keys: Path
) -> None:
    who, case = on_record(ledger)
    other, other_case = on_record(ledger, "Wilhelmina Zzyzx")
    ledger.execute(other, MergePerson(other=who), OFFICER)
    ledger.execute(who, MergePerson(other=other, basis="same passport"), OFFICER)
    done = erase(database_url, keys, who)
    ledger.vault.forget()
    entries = ledger.entries(who)
    assert [not isinstance(entry.event, Erased) for entry in entries] == [True, False, False, True]
    assert entries[-1].event == PersonErased(grounds=EXPIRED)
    assert entries[-1].by == CUSTODIAN
    assert readable(ledger, case) == [True, True, False], "the narrative stays, the part of the person goes"
    assert readable(ledger, other) == [True, True, False], "what was said of the other stays"
    assert readable(ledger, other_case) == [True, True, True]
    assert len(done.keys) == 4
    assert set(done.records) == {who, case, other}


def test_the_certificate_says_what_was_done_and_is_signed(ledger: Ledger, database_url: str, keys: Path) -> None:
    who, _ = on_record(ledger)
    done = erase(database_url, keys, who)
    assert done.certificate is not None
    text = note.verify(done.certificate, "NL", Keyring.open(keys).signing_key.public_key())
    told = certificates.told(text)
    assert (told.subject, told.grounds, told.by, told.entries, told.records) == (who, EXPIRED, CUSTODIAN, 2, 2)
    assert told.keys == tuple(done.keys)
    assert told.promised_by - told.erased_at == erasure.PROMISE
    assert "Quackenbosch" not in text
    assert certificates.read(keys) == [told]
    assert (keys / certificates.FILE).stat().st_mode & 0o077 == 0


def test_a_hold_forbids_it_until_it_is_released(
    ledger: Ledger, session: Session, database_url: str, keys: Path
) -> None:
    who, _ = on_record(ledger)
    ledger.execute(who, HoldPerson(grounds=HoldGrounds.PROCEEDINGS), CUSTODIAN)
    with pytest.raises(Refused, match="on hold"):
        erase(database_url, keys, who)
    assert all(readable(ledger, who))
    assert erasure.listed(session) == []
    assert certificates.read(keys) == []
    ledger.execute(who, ReleaseHoldOfPerson(), CUSTODIAN)
    erase(database_url, keys, who)
    ledger.vault.forget()
    assert not all(readable(ledger, who))


def test_asked_twice_under_one_id_it_is_done_once(ledger: Ledger, database_url: str, keys: Path) -> None:
    who, _ = on_record(ledger)
    asked = uuid4()
    assert erase(database_url, keys, who, asked) == erase(database_url, keys, who, asked)
    assert len(certificates.read(keys)) == 1
    assert [entry.name for entry in ledger.entries(who)].count("person.erased") == 1
    with pytest.raises(Refused, match="another record"):
        erase(database_url, keys, on_record(ledger)[0], asked)


def test_nobody_is_erased_who_is_not_on_record(ledger: Ledger, database_url: str, keys: Path) -> None:
    with pytest.raises(NotFound):
        erase(database_url, keys, uuid4())
    _, case = on_record(ledger)
    with pytest.raises(NotFound, match="id of a seizure"):
        erase(database_url, keys, case)


def test_for_whom_only_a_case_names_a_record_is_opened_that_says_it(
    ledger: Ledger, database_url: str, keys: Path, session: Session
) -> None:
    who = ledger.new_id()
    told = seizure(parties=(Party(party=who, role=PartyRole.DRIVER),))
    case = ledger.execute(ledger.new_id(), told, OFFICER).record_id
    first = erase(database_url, keys, who)
    again = erase(database_url, keys, who, first.erasure_id)
    assert (len(first.keys), again.keys) == (1, first.keys)
    assert [entry.name for entry in ledger.entries(who)] == ["person.registered", "person.erased"]
    ledger.vault.forget()
    assert readable(ledger, case)[-1] is False
    with pytest.raises(Refused, match="was erased"):
        ledger.execute(who, person("Xaverius Quackenbosch"), OFFICER)
    session.execute("DELETE FROM ledger.erasure")
    assert erasure.replay(database_url, keys) == 1
    assert len(ledger.entries(who)) == 2, "done again, nothing is told again"


def test_a_business_is_erased_likewise(ledger: Ledger, database_url: str, keys: Path) -> None:
    said = Statement(said=BusinessName(name="Quackenbosch BV"), kind=StatementKind.FACT, source="OFFICER")
    firm = ledger.execute(ledger.new_id(), RegisterBusiness(statements=(said,)), OFFICER).record_id
    with Eraser.open(database_url, node="NL", keys=keys) as eraser:
        eraser.erase(firm, "business", EXPIRED, CUSTODIAN)
    ledger.vault.forget()
    assert readable(ledger, firm) == [True, False, True]


STEPS = ("_tell", "destroy", "keep", "_delete")


@pytest.mark.parametrize("step", STEPS)
def test_what_a_crash_interrupted_is_finished_by_whoever_comes_next(  # noqa: PLR0917  # fixtures
    step: str, ledger: Ledger, session: Session, database_url: str, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    who, case = on_record(ledger)

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    at = {
        "_tell": "ledger.erasure.Eraser._tell",
        "destroy": "ledger.erasure.destroy",
        "keep": "ledger.certificates.keep",
        "_delete": "ledger.erasure._delete",
    }[step]
    with monkeypatch.context() as broken:
        broken.setattr(at, crash)
        with pytest.raises(KeyboardInterrupt):
            erase(database_url, keys, who)
    assert [one.erased_at for one in erasure.listed(session)] == [None], "it is on record that it was asked"
    assert readable(ledger, case) == [True, True, True]
    with Eraser.open(database_url, node="NL", keys=keys) as eraser:
        assert eraser.finish() == 1
        assert eraser.finish() == 0
    ledger.vault.forget()
    assert readable(ledger, case) == [True, True, False]
    assert len(certificates.read(keys)) == 1


def test_killed_while_erasing_many_it_is_finished(
    ledger: Ledger, session: Session, database_url: str, keys: Path
) -> None:
    people = [on_record(ledger)[0] for _ in range(30)]
    program = (
        "from pathlib import Path; from uuid import UUID\n"
        "from tests.ledger.test_erasure import CUSTODIAN, EXPIRED; from ledger.erasure import Eraser\n"
        f"with Eraser.open({database_url!r}, node='NL', keys=Path({str(keys)!r})) as eraser:\n"
        f"    for one in {[str(one) for one in people]!r}:\n"
        "        print('at work', flush=True)\n"
        "        eraser.erase(UUID(one), 'person', EXPIRED, CUSTODIAN)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(4):
            process.stdout.readline()
        time.sleep(random.Random(20_260_302).uniform(0.0, 0.05))
        process.kill()
    with Eraser.open(database_url, node="NL", keys=keys) as eraser:
        eraser.finish()
    asked = erasure.listed(session)
    ledger.vault.forget()
    assert 0 < len(asked) < len(people), "it was killed at work"
    assert all(one.erased_at for one in asked)
    assert {one.subject for one in asked} == {one.subject for one in certificates.read(keys)}
    erased = {one.subject for one in asked}
    assert [all(readable(ledger, one)) for one in people] == [one not in erased for one in people]


def test_a_restored_database_is_erased_again_before_it_opens(
    ledger: Ledger, session: Session, reader: Reader, database_url: str, keys: Path
) -> None:
    who, case = on_record(ledger)
    seal_all(session)
    kept = session.execute("SELECT * FROM ledger.subject_key").fetchall()
    erase(database_url, keys, who)
    for row in kept:  # a database restored from before: the keys are back, and nobody there knows of the erasure
        session.execute("INSERT INTO ledger.subject_key VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING", row)
    session.execute("DELETE FROM ledger.erasure")
    reader.vault.forget()
    assert len([one for one in reader.record(case) if isinstance(one.event, Erased)]) == 0
    assert erasure.replay(database_url, keys) == 1
    reader.vault.forget()
    assert len([one for one in reader.record(case) if isinstance(one.event, Erased)]) == 1
    assert [one.subject for one in erasure.listed(session, "erased_at IS NOT NULL")] == [who]
    assert erasure.replay(database_url, keys) == 0


def test_without_the_certificates_a_restore_brings_the_erased_back(
    ledger: Ledger, session: Session, database_url: str, keys: Path
) -> None:
    """The control: the list must lie outside of the database."""
    who, case = on_record(ledger)
    kept = session.execute("SELECT * FROM ledger.subject_key").fetchall()
    erase(database_url, keys, who)
    for row in kept:
        session.execute("INSERT INTO ledger.subject_key VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING", row)
    session.execute("DELETE FROM ledger.erasure")
    (keys / certificates.FILE).unlink()
    assert erasure.replay(database_url, keys) == 0
    assert all(readable(ledger, case))


def test_a_torn_line_of_the_list_hides_no_other(ledger: Ledger, database_url: str, keys: Path) -> None:
    path = keys / certificates.FILE
    path.write_bytes(b'"{\\"certificate\\": \\"ncen-era')
    path.chmod(0o600)
    who, _ = on_record(ledger)
    erase(database_url, keys, who)
    assert [one.subject for one in certificates.read(keys)] == [who]
