"""What access control costs: opening a person's record by a ticket, and searching through the gate.

Openings come a hundred a second, each timed from the moment it was due, so that one that waits for another counts its
wait: the ticket is committed, then the record is read and opened. A search is asked by name and by filter, through the
gate as an officer and as a contact point, beside the same question put to the tables themselves.
"""

import statistics
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg

from access import accounts, callers, gate, logins, schema
from access.searching import GateTables
from bench.facts import BY
from bench.rounds import Finding, alternate, finding
from bench.server import Place, Server
from domain.assertion import Statement, StatementKind
from domain.attribution import Purpose, Role
from domain.identity import PersonName
from domain.person import RegisterPerson
from domain.user import User, record_id_of
from ledger import sealer
from ledger.keyring import Keyring
from ledger.ledger import Asked, Ledger
from ledger.sessions import Session, connect
from ledger.vault import Vault
from projections import positions, projector
from projections.search import search
from projections.tables import READ, Tables

NAMES = ("open-p99-ms", "search-gated-vs-open")
PERSONS = 10_000
EACH_S = 0.01
OPENINGS = 300
FIRST = ("Ana", "Bruno", "Carla", "Duarte", "Elsa", "Filipe", "Gloria", "Hugo", "Ines", "Jorge")
LAST = ("Moreira", "Quintana", "Barros", "Teixeira", "Figueira", "Lacerda", "Pinheiro", "Salgado", "Vidigal", "Xavier")
ROLES = {"officer": Role.OFFICER, "contact": Role.CONTACT_POINT}


def measure(server: Server, wanted: set[str], *, rounds: int) -> Iterator[Finding]:
    """Make a closed node with many persons, and measure what is wanted of it."""
    if not wanted & set(NAMES):
        return
    place = server.place("gating")
    persons = _filled(place)
    with connect(place.url) as session:
        schema.prepare(session, Path(place.folder))
        secrets = {user: signed_in(session, user, role) for user, role in ROLES.items()}
    with gate.reader(logins.url(place.url, Path(place.folder), logins.Reading.GATE)) as reader:
        if "open-p99-ms" in wanted:
            turns = [_p99_ms(reader, place, secrets["contact"], persons) for _ in range(rounds)]
            yield finding(
                "open-p99-ms",
                turns,
                [25.0],
                baseline_name="the target",
                unit="ms",
                target="≤ 1 (25 ms)",
                note=f"{OPENINGS} openings a turn, {1 / EACH_S:.0f} a second, each with its flushed line in the log",
            )
        if "search-gated-vs-open" in wanted:
            yield _searches(place, reader, secrets, rounds)
    server.drop(place)


def _filled(place: Place) -> list[UUID]:
    commands = [
        RegisterPerson(
            statements=(
                Statement(
                    said=PersonName(full=f"{FIRST[n % 10]} {LAST[n // 10 % 10]} {FIRST[n // 100 % 10]}a{n}"),
                    kind=StatementKind.FACT,
                    source="OFFICER",
                ),
            )
        )
        for n in range(PERSONS)
    ]
    ids = [Ledger.new_id() for _ in commands]
    with Ledger.open(place.url, node="XA", keys=Path(place.folder)) as ledger:
        for start in range(0, PERSONS, 500):
            asked = [
                Asked(record_id=one, command=command, command_id=one)
                for one, command in zip(ids[start : start + 500], commands[start : start + 500], strict=True)
            ]
            ledger.execute_all(asked, BY)
    followed(place, 2 * PERSONS)
    return ids


def followed(place: Place, until: int) -> None:
    """Let sealer and projector run until the tables have reached a position."""
    stop = threading.Event()
    workers = [
        threading.Thread(target=sealer.run, args=(place.url,), kwargs={"stop": stop}),
        threading.Thread(target=projector.run, args=(place.url,), kwargs={"keys": Path(place.folder), "stop": stop}),
    ]
    for worker in workers:
        worker.start()
    assert positions.wait_for(place.url, until, 300.0), "the tables follow"
    stop.set()
    for worker in workers:
        worker.join()


def signed_in(session: Session, user: str, role: Role, office: str | None = None) -> str:
    """Put a user on record and begin a session; give its secret."""
    accounts.write(session, record_id_of("XA", user), User(user=user, roles=(role,), office=office))
    return callers.begin(session, user, datetime.now(UTC))[0]


def asked_as(verb: str, role: Role) -> gate.Asked:
    """What is asked of the gate."""
    return gate.Asked(verb=verb, role=role, purpose=Purpose.DETECTION, legal_basis="XA:CUSTOMS-ACT")


def _p99_ms(reader: Session, place: Place, secret: str, persons: list[UUID]) -> float:
    vault, took = Vault(Keyring.open(Path(place.folder))), []
    due = time.perf_counter()
    for number in range(OPENINGS):
        due += EACH_S
        time.sleep(max(0.0, due - time.perf_counter()))
        person = persons[number * 31 % len(persons)]
        ticket = gate.ask(reader, secret, asked_as("person show", Role.CONTACT_POINT), [person], "x")
        assert gate.open_record(reader, ticket, vault, person)
        took.append(time.perf_counter() - due)
    return statistics.quantiles(took, n=100)[98] * 1000


def _searches(place: Place, reader: Session, secrets: dict[str, str], rounds: int) -> Finding:
    names = [f"{first} {last}" for first in FIRST[:4] for last in LAST[:4]]
    with psycopg.connect(place.url, autocommit=True) as owner:

        def turn(who: str) -> float:
            took = []
            for name in names:
                if who == "open":
                    took.append(_seconds(owner, name, READ))
                    continue
                ticket = gate.ask(reader, secrets[who], asked_as("search", ROLES[who]), [], "x")
                took.append(_seconds(reader, name, GateTables(ROLES[who], ticket)))
            return statistics.median(took) * 1000

        measured = alternate({side: lambda side=side: turn(side) for side in ("contact", "open")}, rounds)  # type: ignore[misc]  # a default binds the loop's value
        officer = turn("officer")
    return finding(
        "search-gated-vs-open",
        measured["contact"],
        measured["open"],
        baseline_name="the same search of the tables themselves",
        unit="ms",
        target="≤ 2",
        note=f"by name among {PERSONS:,} persons, the query alone; by an officer who sees none {officer:.1f} ms",
    )


def _seconds(connection: "psycopg.Connection[tuple[object, ...]]", name: str, tables: Tables) -> float:
    began = time.perf_counter()
    search(connection, kind="person", name=name, tables=tables)
    return time.perf_counter() - began
