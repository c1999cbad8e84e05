"""Verifying: every way in which a superuser could rewrite history is found, and the first entry concerned is named."""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from ledger import merkle
from ledger.ledger import Asked, Ledger, Reader
from ledger.sealer import seal_once
from ledger.sessions import Session
from ledger.verify import Verdict, verify
from soak.sealing import seal_all
from tests.ledger.forging import AT, forge_leaf
from tests.ledger.samples import OFFICER, more_goods, seizure

COUNT = 600
TABLES = ("entry", "sealed", "subtree", "numbering")


@pytest.fixture
def rewriting(ledger: Ledger, session: Session, database_url: str) -> Session:
    """Record and seal 600 entries of 400 records, and open the tables for rewriting, as a superuser can."""
    record_ids = [ledger.new_id() for _ in range(300)]
    asked = [Asked(record_id=each, command=seizure(), command_id=ledger.new_id()) for each in record_ids]
    asked += [Asked(record_id=each, command=more_goods(), command_id=ledger.new_id()) for each in record_ids[:200]]
    ledger.execute_all(asked, OFFICER)
    personal = [
        Asked(record_id=ledger.new_id(), command=seizure(narrative=f"{n}"), command_id=ledger.new_id())
        for n in range(50)
    ]
    ledger.execute_all(personal, OFFICER)
    seal_all(session)
    verdict = verify(database_url)
    assert (verdict.is_sound, verdict.entries, verdict.unsealed) == (True, COUNT, 0)
    for table in TABLES:
        session.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER insert_only".encode())
    return session


def _place(session: Session, position: int) -> tuple[UUID, int]:
    row = session.execute("SELECT record_id, version FROM ledger.sealed WHERE position = %s", [position]).fetchone()
    assert row is not None
    return row[0], row[1]


Rewrite = Callable[[Session], object]
EDITS: dict[str, tuple[Rewrite, int | None, str]] = {
    "edited body": (
        lambda s: s.execute(f"UPDATE ledger.entry SET body = set_byte(body, 20, 65) {AT}", [123]),
        123,
        "not what was sealed",
    ),
    "re-dated": (
        lambda s: s.execute(f"UPDATE ledger.entry SET recorded_at = recorded_at - interval '1 day' {AT}", [77]),
        77,
        "not what was sealed",
    ),
    "re-dated by a microsecond": (
        lambda s: s.execute(f"UPDATE ledger.entry SET recorded_at = recorded_at + interval '1 us' {AT}", [78]),
        78,
        "not what was sealed",
    ),
    "renamed event": (
        lambda s: s.execute(f"UPDATE ledger.entry SET name = 'seizure.submitted' {AT}", [5]),
        5,
        "not what was sealed",
    ),
    "other node": (lambda s: s.execute(f"UPDATE ledger.entry SET node = 'BE' {AT}", [5]), 5, "not what was sealed"),
    "name beyond words": (
        lambda s: s.execute(f"UPDATE ledger.entry SET name = repeat('\u00e9', 300) {AT}", [6]),
        6,
        "not what was sealed",
    ),
    "time beyond time": (
        lambda s: s.execute(f"UPDATE ledger.entry SET recorded_at = 'infinity' {AT}", [7]),
        7,
        "not what was sealed",
    ),
    "no longer personal": (
        lambda s: s.execute(f"UPDATE ledger.entry SET personal = NOT personal {AT}", [550]),
        550,
        "not what was sealed",
    ),
    "changed attribution": (
        lambda s: s.execute(f"UPDATE ledger.entry SET attribution = set_byte(attribution, 20, 66) {AT}", [400]),
        400,
        "not what was sealed",
    ),
    "changed command id": (
        lambda s: s.execute(f"UPDATE ledger.entry SET attribution = set_byte(attribution, 3, 66) {AT}", [401]),
        401,
        "not what was sealed",
    ),
    "changed salt": (
        lambda s: s.execute(
            f"UPDATE ledger.entry SET attribution_salt = '\\x000102030405060708090a0b0c0d0e0f' {AT}", [402]
        ),
        402,
        "not what was sealed",
    ),
    "attribution taken away": (
        lambda s: s.execute(f"UPDATE ledger.entry SET attribution = NULL, attribution_salt = NULL {AT}", [403]),
        403,
        "not what was sealed",
    ),
    "changed leaf": (
        lambda s: s.execute(
            "UPDATE ledger.sealed SET leaf = set_byte(leaf, 0, 1 - get_byte(leaf, 0) %% 2) WHERE position = %s", [300]
        ),
        300,
        "not what was sealed",
    ),
    "deleted row": (lambda s: s.execute(f"DELETE FROM ledger.entry {AT}", [256]), 256, "is gone"),
    "deleted with its position": (
        lambda s: (
            s.execute(f"DELETE FROM ledger.entry {AT}", [257]),
            s.execute("DELETE FROM ledger.sealed WHERE position = 257"),
        ),
        257,
        "no such position",
    ),
    "deleted and renumbered": (
        lambda s: (
            s.execute(f"DELETE FROM ledger.entry {AT}", [100]),
            s.execute("DELETE FROM ledger.sealed WHERE position = 100"),
            s.execute("UPDATE ledger.sealed SET position = -position WHERE position > 100"),
            s.execute("UPDATE ledger.sealed SET position = -position - 1 WHERE position < 0"),
        ),
        1,
        "together with its leaf",
    ),
    "deleted tail": (
        lambda s: (
            s.execute(
                "DELETE FROM ledger.entry WHERE (record_id, version) IN "
                "(SELECT record_id, version FROM ledger.sealed WHERE position > 590)"
            ),
            s.execute("DELETE FROM ledger.sealed WHERE position > 590"),
        ),
        591,
        "everything is gone",
    ),
    "deleted tail with the size set back": (
        lambda s: (
            s.execute(
                "DELETE FROM ledger.entry WHERE (record_id, version) IN "
                "(SELECT record_id, version FROM ledger.sealed WHERE position > 590)"
            ),
            s.execute("DELETE FROM ledger.sealed WHERE position > 590"),
            s.execute("UPDATE ledger.seal_state SET size = 590"),
        ),
        None,
        "right edge",
    ),
    "everything deleted": (
        lambda s: (s.execute("DELETE FROM ledger.entry"), s.execute("DELETE FROM ledger.sealed")),
        1,
        "everything is gone",
    ),
    "swapped bodies": (
        lambda s: s.execute(
            "UPDATE ledger.entry e SET body = o.body FROM ledger.sealed s, ledger.sealed t, ledger.entry o "
            "WHERE (s.position, t.position) IN ((510, 512), (512, 510)) "
            "AND (e.record_id, e.version) = (s.record_id, s.version) "
            "AND (o.record_id, o.version) = (t.record_id, t.version)"
        ),
        510,
        "not what was sealed",
    ),
    "swapped positions": (
        lambda s: (
            s.execute("UPDATE ledger.sealed SET position = -20 WHERE position = 20"),
            s.execute("UPDATE ledger.sealed SET position = 20 WHERE position = 30"),
            s.execute("UPDATE ledger.sealed SET position = 30 WHERE position = -20"),
        ),
        21,
        "order in which",
    ),
    "moved in its transaction": (
        lambda s: s.execute(f"UPDATE ledger.entry SET ordinal = ordinal + 1000 {AT}", [44]),
        44,
        "place in its transaction",
    ),
    "changed subtree": (
        lambda s: s.execute(
            "UPDATE ledger.subtree SET hash = set_byte(hash, 0, 1 - get_byte(hash, 0) % 2) WHERE number = 1"
        ),
        257,
        "together with its leaf",
    ),
    "changed edge of the tree": (
        lambda s: s.execute(
            "UPDATE ledger.seal_state SET frontier = set_byte(frontier, 40, 1 - get_byte(frontier, 40) % 2)"
        ),
        513,
        "together with its leaf",
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_rewritten_history_is_found_and_named(rewriting: Session, database_url: str, edit: str) -> None:
    rewrite, position, what = EDITS[edit]
    place = _place(rewriting, position) if position else None
    rewrite(rewriting)
    verdict = verify(database_url)
    assert not verdict.is_sound
    fault = verdict.faults[0]
    assert what in fault.what
    assert fault.position == position
    if fault.record_id is not None and edit != "swapped positions":
        assert (fault.record_id, fault.version) == place
    assert verify(database_url, stop_at_first=False).faults[0] == fault


@pytest.mark.parametrize(
    ("position", "first", "last"), [(10, 1, 256), (300, 257, 512), (520, 513, 576), (600, 593, 600)]
)
def test_entry_forged_with_its_leaf_is_narrowed_down(
    rewriting: Session, database_url: str, position: int, first: int, last: int
) -> None:
    forge_leaf(rewriting, position)
    fault = verify(database_url).faults[0]
    assert fault.position == first
    assert f"between here and position {last} " in fault.what


def test_root_tells_of_a_history_that_was_forged_throughout(
    rewriting: Session, database_url: str, reader: Reader
) -> None:
    """Nothing inside the database can tell; whoever has seen the root can."""
    seen = verify(database_url).root
    forge_leaf(rewriting, 10)
    leaves = [line.leaf for line in reader.read_stored(0, COUNT)]
    frontier = merkle.Frontier()
    for level, number, root in frontier.extend(leaves):
        rewriting.execute("UPDATE ledger.subtree SET hash = %s WHERE level = %s AND number = %s", [root, level, number])
    rewriting.execute("UPDATE ledger.seal_state SET frontier = %s", [frontier.to_bytes()])
    verdict = verify(database_url)
    assert verdict.is_sound
    assert verdict.root != seen


def test_row_put_in_behind_the_sealer_is_found(rewriting: Session, database_url: str, ledger: Ledger) -> None:
    forged = ledger.new_id()
    rewriting.execute(
        f"""INSERT INTO ledger.entry SELECT xid, ordinal, %s, 1, recorded_at, node, name, personal, body, attribution,
            attribution_salt, attribution_hash, key_id, provenance FROM ledger.entry {AT}""",
        [forged, 9],
    )
    fault = verify(database_url).faults[0]
    assert (fault.record_id, fault.version) == (forged, 1)
    assert "put in behind the sealer" in fault.what
    assert str(forged) in str(fault)


def test_row_that_claims_a_transaction_to_come_is_found(rewriting: Session, database_url: str, ledger: Ledger) -> None:
    forged = ledger.new_id()
    rewriting.execute(
        f"""INSERT INTO ledger.entry SELECT '999999999999', ordinal, %s, 1, recorded_at, node, name, personal, body,
            attribution, attribution_salt, attribution_hash, key_id, provenance FROM ledger.entry {AT}""",
        [forged, 9],
    )
    fault = verify(database_url).faults[0]
    assert fault.record_id == forged
    assert "has not been yet" in fault.what


def test_gap_in_a_record_is_found(rewriting: Session, database_url: str, ledger: Ledger) -> None:
    """Somebody inserted, by hand and through the sealer, a version that follows upon nothing."""
    record_id, version = _place(rewriting, 600)
    rewriting.execute(
        f"""INSERT INTO ledger.entry (ordinal, record_id, version, recorded_at, node, name, personal, body,
            attribution, attribution_salt) SELECT 0, record_id, version + 5, recorded_at, node, name, personal, body,
            attribution, attribution_salt FROM ledger.entry {AT}""",
        [600],
    )
    assert seal_once(rewriting) == 1
    fault = verify(database_url).faults[0]
    assert (fault.position, fault.record_id, fault.version) == (601, record_id, version + 5)
    assert f"follows upon version {version}" in fault.what
    assert ledger.node


@pytest.mark.usefixtures("rewriting")
def test_entries_that_wait_are_no_fault(database_url: str, ledger: Ledger) -> None:
    ledger.execute(ledger.new_id(), seizure(narrative="new"), OFFICER)
    verdict = verify(database_url)
    assert (verdict.is_sound, verdict.entries, verdict.unsealed) == (True, COUNT, 2)


def test_keys_open_what_is_sealed_and_tell_what_is_gone(rewriting: Session, database_url: str, keys: Path) -> None:
    assert _counts(verify(database_url)) == (0, 0)
    assert _counts(verify(database_url, keys=keys)) == (50, 0)
    rewriting.execute(f"DELETE FROM ledger.subject_key WHERE key_id = (SELECT key_id FROM ledger.entry {AT})", [600])
    assert _counts(verify(database_url, keys=keys)) == (49, 1)
    assert verify(database_url, keys=keys).is_sound
    rewriting.execute(f"UPDATE ledger.entry SET key_id = (SELECT key_id FROM ledger.entry {AT}) {AT}", [550 - 12, 550])
    fault = verify(database_url, keys=keys).faults[0]
    assert (fault.position, fault.what) == (550, "its body cannot be read as the event it says it is.")
    rewriting.execute("UPDATE ledger.subject_key SET wrapped = set_byte(wrapped, 30, 1)")
    assert "was changed" in verify(database_url, keys=keys).faults[0].what


def _counts(verdict: Verdict) -> tuple[int, int]:
    return verdict.opened, verdict.erased


def test_empty_ledger_is_sound(ledger: Ledger, database_url: str) -> None:
    verdict = verify(database_url)
    assert ledger.node
    assert (verdict.entries, verdict.root, verdict.faults) == (0, merkle.EMPTY_ROOT, ())
