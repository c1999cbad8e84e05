"""Profile `tamper`: a database administrator rewrites history at random places, and verifying must find and locate it.

Every edit is made as a superuser would make it, triggers off, and undone after it was looked for. A history that was
recomputed throughout fits itself: only the root that was kept outside tells of it, and the control shows that.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from ledger import leaf, merkle
from ledger.clock import to_us
from ledger.ledger import Asked, Ledger
from ledger.sealer import seal_once
from ledger.sessions import Session, connect
from ledger.verify import Verdict, verify
from soak.invented import NODE, OFFICER, more_goods, seizure
from soak.place import DATABASE, folder, server
from soak.report import Control, Plan, Report, report

RECORDS = 400
TABLES = ("entry", "sealed", "subtree")
KEPT = (*TABLES, "seal_state")
BLOCK = 256
_AT = "WHERE (record_id, version) = (SELECT record_id, version FROM ledger.sealed WHERE position = %s)"
_AFTER = "WHERE (record_id, version) IN (SELECT record_id, version FROM ledger.sealed WHERE position >= %s)"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an edit is made: a position, another one, the number of entries, and a number for a choice of bytes."""

    at: int
    other: int
    size: int
    number: int


Where = tuple[int, int]
"""The first and last position at which the fault may be named."""


def _body(session: Session, place: Place) -> Where:
    query = f"""UPDATE ledger.entry SET body = set_byte(body, %s %% length(body),
                get_byte(body, %s %% length(body)) # 1) {_AT}"""
    session.execute(query.encode(), [place.number, place.number, place.at])
    return place.at, place.at


def _time(session: Session, place: Place) -> Where:
    query = f"UPDATE ledger.entry SET recorded_at = recorded_at - make_interval(secs => %s) {_AT}"
    session.execute(query.encode(), [1 + place.number, place.at])
    return place.at, place.at


def _name(session: Session, place: Place) -> Where:
    session.execute(f"UPDATE ledger.entry SET name = name || 'x' {_AT}".encode(), [place.at])
    return place.at, place.at


def _attribution(session: Session, place: Place) -> Where:
    query = f"""UPDATE ledger.entry SET attribution = set_byte(attribution, %s %% length(attribution),
                get_byte(attribution, %s %% length(attribution)) # 1) {_AT}"""
    session.execute(query.encode(), [place.number, place.number, place.at])
    return place.at, place.at


def _node(session: Session, place: Place) -> Where:
    session.execute(f"UPDATE ledger.entry SET node = 'ZZ' {_AT}".encode(), [place.at])
    return place.at, place.at


def _gone(session: Session, place: Place) -> Where:
    session.execute(f"DELETE FROM ledger.entry {_AT}".encode(), [place.at])
    return place.at, place.at


def _tail(session: Session, place: Place) -> Where:
    session.execute(f"DELETE FROM ledger.entry {_AFTER}".encode(), [place.at])
    session.execute("DELETE FROM ledger.sealed WHERE position >= %s", [place.at])
    return place.at, place.at


def _swapped(session: Session, place: Place) -> Where:
    query = """
        UPDATE ledger.entry e SET body = o.body, name = o.name FROM ledger.sealed s, ledger.sealed t, ledger.entry o
        WHERE (s.position, t.position) IN ((%(a)s, %(b)s), (%(b)s, %(a)s))
          AND (e.record_id, e.version) = (s.record_id, s.version)
          AND (o.record_id, o.version) = (t.record_id, t.version)
    """
    session.execute(query, {"a": place.at, "b": place.other})
    return min(place.at, place.other), min(place.at, place.other)


def _positions(session: Session, place: Place) -> Where:
    first, last = sorted((place.at, place.other))
    for now, then in ((first, -1), (last, first), (-1, last)):
        session.execute("UPDATE ledger.sealed SET position = %s WHERE position = %s", [then, now])
    return first, first + 1


def _forged(session: Session, place: Place) -> Where:
    """Change a body and its leaf: found by the tree, which narrows it down to a block."""
    _body(session, place)
    session.execute("UPDATE ledger.sealed SET leaf = %s WHERE position = %s", [_leaf(session, place.at), place.at])
    first = (place.at - 1) // BLOCK * BLOCK + 1
    return first, place.at


def _recomputed(session: Session, place: Place) -> Where:
    """Change a body, its leaf, and the whole tree above it: nothing inside can tell."""
    _forged(session, place)
    rows = session.execute("SELECT leaf FROM ledger.sealed ORDER BY position").fetchall()
    frontier = merkle.Frontier()
    for level, number, root in frontier.extend([row[0] for row in rows]):
        session.execute("UPDATE ledger.subtree SET hash = %s WHERE (level, number) = (%s, %s)", [root, level, number])
    session.execute("UPDATE ledger.seal_state SET frontier = %s", [frontier.to_bytes()])
    return 0, place.size


def _leaf(session: Session, position: int) -> bytes:
    """Make a leaf as one would who knows the format."""
    query = f"""SELECT record_id, version, recorded_at, node, name, personal, body, attribution, attribution_salt
                FROM ledger.entry {_AT}"""
    row = session.execute(query.encode(), [position]).fetchone()
    assert row is not None  # noqa: S101  # the position is sealed
    header = leaf.header(
        record_id=row[0], version=row[1], recorded_at_us=to_us(row[2]), node=row[3], name=row[4], is_personal=row[5]
    )
    return leaf.leaf_hash(leaf.leaf_bytes(header, row[6], leaf.attribution_hash(row[8], row[7])))


EDITS: dict[str, Callable[[Session, Place], Where]] = {
    "body": _body,
    "time": _time,
    "name": _name,
    "attribution": _attribution,
    "node": _node,
    "deleted row": _gone,
    "deleted tail": _tail,
    "swapped rows": _swapped,
    "swapped positions": _positions,
    "recomputed leaf": _forged,
    "recomputed chain": _recomputed,
}


def run(plan: Plan) -> Report:
    """Edit, verify and undo for as long as the plan says."""
    dice = random.Random(plan.seed)
    with folder(in_memory=True) as home, server(home) as running:
        url = running.dsn(DATABASE)
        size = _fill(url, home / "keys")
        with connect(url) as session:
            _open_for_rewriting(session)
            kept = verify(url)
            made, missed, inside = 0, 0, 0
            plan.begin()
            while plan.goes_on(made):
                name = _kind(dice, made)
                place = Place(dice.randint(1, size - 1), dice.randint(1, size - 1), size, dice.getrandbits(24))
                if place.at == place.other:
                    continue
                where = EDITS[name](session, place)
                verdict = verify(url)
                is_found = _is_located(verdict, where) if name != "recomputed chain" else verdict.root != kept.root
                inside += name == "recomputed chain" and not verdict.is_sound
                if not is_found:
                    plan.tell(f"{name} at {place.at} was not found there: {verdict.faults[:1]}")
                missed += not is_found
                made += 1
                _undo(session)
            controls = [
                Control("an untouched ledger has no fault", 0, len(verify(url, stop_at_first=False).faults)),
                Control("a recomputed chain shows inside, without the root kept outside", 0, inside),
            ]
    return report("tamper", plan, made, (made, missed), controls)


def _kind(dice: random.Random, made: int) -> str:
    """Take every kind once, then any."""
    names = list(EDITS)
    return names[made] if made < len(names) else dice.choice(names)


def _is_located(verdict: Verdict, where: Where) -> bool:
    position = verdict.faults[0].position if verdict.faults else None
    return position is not None and where[0] <= position <= where[1]


def _fill(url: str, keys: Path) -> int:
    with Ledger.open(url, node=NODE, keys=keys) as ledger:
        ids: list[UUID] = [ledger.new_id() for _ in range(RECORDS)]
        for give in (lambda n: seizure(f"told {n}", amount=f"{n + 1}"), lambda n: more_goods(amount=f"{n + 1}")):
            asked = [
                Asked(record_id=each, command=give(number), command_id=ledger.new_id())
                for number, each in enumerate(ids)  # no two alike: swapping equal rows changes nothing
            ]
            ledger.execute_all(asked, OFFICER)
    with connect(url) as session:
        while seal_once(session):
            pass
        row = session.execute("SELECT size FROM ledger.seal_state").fetchone()
    return int(row[0]) if row is not None else 0


def _open_for_rewriting(session: Session) -> None:
    session.execute("CREATE SCHEMA kept")
    for table in TABLES:
        session.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER insert_only".encode())
    for table in KEPT:
        session.execute(f"CREATE TABLE kept.{table} AS TABLE ledger.{table}".encode())


def _undo(session: Session) -> None:
    with session.transaction():
        for table in KEPT:
            session.execute(f"DELETE FROM ledger.{table}".encode())
            session.execute(f"INSERT INTO ledger.{table} SELECT * FROM kept.{table}".encode())
