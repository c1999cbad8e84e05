"""The vault: a sealed body opens with its key, at its place, and in no other way."""

import time
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.event import Erased
from domain.seizure import NarrativeWritten
from ledger import vault
from ledger.errors import Damaged, NotFound
from ledger.keyring import Keyring
from ledger.ledger import Ledger, Reader
from ledger.sessions import Session
from ledger.vault import HeldKey, Vault
from tests.ledger.samples import OFFICER, seizure

KEY = HeldKey(UUID(int=1), bytes(range(32)), is_of_entry=False)
OTHER = HeldKey(UUID(int=2), bytes(range(1, 33)), is_of_entry=False)


@given(st.binary(max_size=500), st.binary(max_size=100))
def test_sealed_body_opens_with_its_key_and_header_only(body: bytes, header: bytes) -> None:
    sealed = vault.seal(KEY, header, body)
    assert vault.open_sealed(KEY, header, sealed) == body
    assert vault.open_with_entry_key(vault.entry_key_of(KEY, sealed), header, sealed) == body
    with pytest.raises(ValueError, match="another key"):
        vault.open_sealed(OTHER, header, sealed)
    with pytest.raises(ValueError, match="another entry"):
        vault.open_sealed(KEY, header + b"x", sealed)


@given(st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    sealed = vault.seal(KEY, b"header", b"a body of some bytes")
    place = data.draw(st.integers(min_value=0, max_value=len(sealed) - 1))
    flip = data.draw(st.integers(min_value=1, max_value=255))
    changed = sealed[:place] + bytes((sealed[place] ^ flip,)) + sealed[place + 1 :]
    for broken in (changed, sealed[:place]):
        with pytest.raises(ValueError, match="body"):
            vault.open_sealed(KEY, b"header", broken)


def test_entry_key_opens_one_entry_and_tells_nothing_of_others() -> None:
    one, other = vault.seal(KEY, b"1", b"one"), vault.seal(KEY, b"2", b"other")
    disclosed = vault.entry_key_of(KEY, one)
    assert disclosed != vault.entry_key_of(KEY, other) != KEY.secret
    assert vault.open_with_entry_key(disclosed, b"1", one) == b"one"
    with pytest.raises(ValueError, match="another key"):
        vault.open_with_entry_key(disclosed, b"2", other)
    received = HeldKey(UUID(int=3), disclosed, is_of_entry=True)
    assert vault.open_sealed(received, b"1", one) == b"one"


def test_ciphertext_commits_to_its_key() -> None:
    # AES-GCM alone opens under two keys if somebody arranges it; here the commitment must fit as well.
    sealed = vault.seal(KEY, b"", b"body")
    forged = sealed[:17] + vault.seal(OTHER, b"", b"body")[17:]
    for key in (KEY, OTHER):
        with pytest.raises(ValueError, match="another key"):
            vault.open_sealed(key, b"", forged)


def test_secrets_are_not_shown(ledger: Ledger) -> None:
    assert KEY.secret.hex() not in repr(KEY)
    assert "bytes" not in repr(KEY)
    assert "b'" not in repr(ledger.vault._keyring)


def test_wrapped_key_fits_its_place_only(ledger: Ledger) -> None:
    held, wrapped = ledger.vault.new_key(uuid4(), uuid4())
    assert ledger.vault.unwrap(wrapped) == held
    changes = {
        "key_id": uuid4(),
        "record_id": uuid4(),
        "subject_tag": bytes(32),
        "version": 1,
        "wrapped": wrapped.wrapped[:-1] + bytes((wrapped.wrapped[-1] ^ 1,)),
    }
    for field, value in changes.items():
        moved = vault.WrappedKey(**{**{f: getattr(wrapped, f) for f in wrapped.__struct_fields__}, field: value})
        with pytest.raises(Damaged, match="was changed"):
            ledger.vault.unwrap(moved)
    assert Vault(None).unwrap(wrapped) is None
    with pytest.raises(NotFound):
        Vault(None).new_key(uuid4(), uuid4())


def test_tag_does_not_tell_the_subject(ledger: Ledger) -> None:
    subject = uuid4()
    tag = ledger.vault.subject_tag(subject)
    assert tag == ledger.vault.subject_tag(subject) != ledger.vault.subject_tag(uuid4())
    assert subject.bytes not in tag


def test_erased_subject_reads_as_erased_everywhere(ledger: Ledger, session: Session, reader: Reader) -> None:
    from ledger.sealer import seal_once  # only here

    record_id = ledger.execute(ledger.new_id(), seizure(narrative="told by hand"), OFFICER).record_id
    seal_once(session)
    assert isinstance(reader.read(0, 10)[1].event, NarrativeWritten)
    session.execute("DELETE FROM ledger.subject_key")
    reader.vault.forget()
    ledger.vault.forget()
    gone = Erased("seizure.narrative-written")
    assert reader.read(0, 10)[1].event == reader.record(record_id)[1].event == gone
    assert ledger.entries(record_id)[1].event == gone
    assert ledger.entries(record_id)[1].is_personal
    assert ledger.state(record_id, "seizure").narrative is None  # type: ignore[union-attr]  # it is there


def test_destroyed_epoch_erases_also_what_is_restored(ledger: Ledger) -> None:
    record_id = ledger.execute(ledger.new_id(), seizure(narrative="told by hand"), OFFICER).record_id
    keyring = ledger.vault._keyring
    assert isinstance(keyring, Keyring)
    (keyring.folder / "epoch-1.key").unlink()
    keyring._epochs.clear()
    assert ledger.entries(record_id)[1].event == Erased("seizure.narrative-written")


def test_cache_forgets_after_a_time_and_is_bounded(
    ledger: Ledger, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        ledger.execute(ledger.new_id(), seizure(narrative=f"{number}"), OFFICER)
    key_ids = [row[0] for row in session.execute("SELECT key_id FROM ledger.subject_key")]
    own = ledger.vault
    own.forget()
    monkeypatch.setattr("ledger.vault.MOST_CACHED", 3)
    assert set(own.find(session, key_ids)) == set(key_ids)
    assert len(own._held) == 3
    session.execute("DELETE FROM ledger.subject_key")
    assert len(own.find(session, key_ids)) == 3
    later = time.monotonic() + vault.CACHED_FOR_S + 1
    monkeypatch.setattr("ledger.vault.time.monotonic", lambda: later)
    assert own.find(session, key_ids) == {}


def test_damaged_body_names_the_entry_and_no_value(ledger: Ledger, session: Session) -> None:
    record_id = ledger.execute(ledger.new_id(), seizure(narrative="Jan Jansen"), OFFICER).record_id
    session.execute("ALTER TABLE ledger.entry DISABLE TRIGGER insert_only")
    session.execute("UPDATE ledger.entry SET body = set_byte(body, 70, 0) WHERE version = 2")
    with pytest.raises(Damaged, match=f"Entry 2 of record {record_id}") as caught:
        ledger.entries(record_id)
    assert "Jansen" not in str(caught.value)
    assert (caught.value.record_id, caught.value.version) == (record_id, 2)
