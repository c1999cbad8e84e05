"""Whether the time of an answer tells that something is hidden: the same question with a hidden record, and without.

Two cases of an office are alike but for a restricted person who has a part in one; an officer opens both in turn. And
two names are sought, of which one is that of somebody in a case of another office. Welch's t of the looks tells whether
a difference shows, beside that of a wait that is planted. Each look leaves a line in the processing log.
"""

import math
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from uuid import UUID

import msgspec

from access import gate, logins, schema
from access.searching import GateTables
from bench.facts import BY, seizures
from bench.gating import asked_as, followed, signed_in
from bench.rounds import Finding, finding
from bench.server import Place, Server
from cli.demo.wares import AURIA
from domain.assertion import Statement, StatementKind
from domain.attribution import Role
from domain.codes import PartyRole
from domain.event import Command
from domain.identity import PersonName
from domain.party import Party
from domain.person import RegisterPerson, RestrictPerson
from domain.rights import RestrictionGrounds
from domain.seizure import NameParty
from ledger.keyring import Keyring
from ledger.ledger import Ledger
from ledger.sessions import Session, connect
from ledger.vault import Vault
from projections.search import search

NAMES = ("hidden-open", "hidden-search")
LOOKS, EVEN_LOOKS = 400, 100
"""Looks at each of both in a round; fewer where each takes a whole step of time."""
OFFICE, ELSEWHERE = AURIA.offices[0][0], AURIA.offices[1][0]
HIDDEN, OTHERS, NOBODY, SEEN = "Zacarias Quintanilha", "Iracema Vasconcelos", "Bartolomeu Lavrador", "Gloria Moreira"
PLANTED_S = 0.0005
LEAK = f"""
    ALTER FUNCTION gate.is_restricted(uuid) RENAME TO is_restricted_in_truth;
    CREATE FUNCTION gate.is_restricted(record uuid) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        IF gate.is_restricted_in_truth(record) THEN PERFORM pg_sleep({PLANTED_S}); RETURN true; END IF;
        RETURN false;
    END $$;
""".encode()
Look = Callable[[bool], float]


def measure(server: Server, wanted: set[str], *, rounds: int) -> Iterator[Finding]:
    """Make a closed node with two cases, and look at them in turn."""
    if not wanted & set(NAMES):
        return
    place = server.place("hiding")
    cases = _filled(place)
    with connect(place.url) as session:
        schema.prepare(session, Path(place.folder))
        secret = signed_in(session, "officer", Role.OFFICER, OFFICE)
    with gate.reader(logins.url(place.url, Path(place.folder), logins.Reading.GATE)) as reader:
        vault = Vault(Keyring.open(Path(place.folder)))
        if "hidden-open" in wanted:
            looks = [_opens(reader, secret, vault, cases, how) for how in (gate.evenly, nullcontext)]
            yield _opened(looks[0], looks[1], rounds, place)
        if "hidden-search" in wanted:
            yield _evened(reader, secret, rounds)
    server.drop(place)


def _filled(place: Place) -> dict[bool, UUID]:
    """Two cases with a person in each; in the first a restricted one too."""
    recorded = msgspec.structs.replace(seizures(variety=1)[0], office=OFFICE)
    entries = 0
    with Ledger.open(place.url, node="XA", keys=Path(place.folder)) as ledger:

        def do(record: UUID, command: Command) -> None:
            nonlocal entries
            entries += len(ledger.execute(record, command, BY).entries)

        def person(name: str) -> UUID:
            made = Ledger.new_id()
            said = Statement(said=PersonName(full=name), kind=StatementKind.FACT, source="OFFICER")
            do(made, RegisterPerson(statements=(said,)))
            return made

        cases = {True: Ledger.new_id(), False: Ledger.new_id()}
        for case in cases.values():
            do(case, recorded)
            do(case, NameParty(party=Party(party=person(SEEN), role=PartyRole.DRIVER)))
        hidden = person(HIDDEN)
        do(cases[True], NameParty(party=Party(party=hidden, role=PartyRole.COURIER)))
        do(hidden, RestrictPerson(grounds=RestrictionGrounds.UNDER_REVIEW))
        elsewhere = Ledger.new_id()
        do(elsewhere, msgspec.structs.replace(recorded, office=ELSEWHERE))
        do(elsewhere, NameParty(party=Party(party=person(OTHERS), role=PartyRole.COURIER)))
    followed(place, entries)
    return cases


def _opens(
    reader: Session,
    secret: str,
    vault: Vault,
    cases: dict[bool, UUID],
    evenly: Callable[[], AbstractContextManager[None]],
) -> Look:
    def look(with_hidden: bool) -> float:  # one of two
        case = cases[with_hidden]
        ticket = gate.ask(reader, secret, asked_as("seizure show", Role.OFFICER), [case], "x")
        began = time.perf_counter()
        with evenly():
            assert len(gate.open_record(reader, ticket, vault, case)) == 2
        return time.perf_counter() - began

    return look


def _seeks(reader: Session, secret: str, evenly: Callable[[], AbstractContextManager[None]]) -> Look:
    def look(with_hidden: bool) -> float:  # one of two
        ticket = gate.ask(reader, secret, asked_as("search", Role.OFFICER), [], "x")
        name = OTHERS if with_hidden else NOBODY
        began = time.perf_counter()
        with evenly():
            assert not search(reader, kind="person", name=name, tables=GateTables(Role.OFFICER, ticket)).hits
        return time.perf_counter() - began

    return look


def _opened(look: Look, bare: Look, rounds: int, place: Place) -> Finding:
    """Compare what is opened in the even steps in which the node answers.

    Without them, and when the gate takes longer wherever it finds somebody restricted, it must show.
    """
    measured = [_round(look, number, EVEN_LOOKS) for number in range(rounds)]
    uneven = _round(bare, rounds, LOOKS)
    with connect(place.url) as session:
        session.execute(LEAK)
    shown = _welch(_round(bare, rounds, LOOKS))
    with connect(place.url) as session:
        schema.prepare(session, Path(place.folder))  # what was planted goes
    planted = f"with a planted wait of {PLANTED_S * 1e3:.1f} ms too: {shown:.1f}"
    return _row("hidden-open", measured, f"{_bare(uneven)}, {planted}")


def _evened(reader: Session, secret: str, rounds: int) -> Finding:
    """Compare searches in the even steps in which the node answers; without them it shows."""
    measured = [_round(_seeks(reader, secret, gate.evenly), number, EVEN_LOOKS) for number in range(rounds)]
    return _row("hidden-search", measured, _bare(_round(_seeks(reader, secret, nullcontext), rounds, LOOKS)))


def _bare(took: dict[bool, list[float]]) -> str:
    plain = " and ".join(f"{statistics.median(took[side]) * 1e6:,.0f}" for side in (True, False))
    return f"Without the even steps ({plain} us): {_welch(took):.1f}"


def _row(name: str, measured: list[dict[bool, list[float]]], control: str) -> Finding:
    took = {side: [one for turn in measured for one in turn[side]] for side in (True, False)}
    medians = {side: [statistics.median(turn[side]) * 1e6 for turn in measured] for side in (True, False)}
    return finding(
        name,
        medians[True],
        medians[False],
        baseline_name="the same without what is hidden",
        unit="us",
        target="≤ 1.1",
        note=f"Welch's t of {len(took[True]):,} looks each: {_welch(took):.1f}; beyond 4.5 it shows. {control}",
    )


def _round(look: Look, number: int, looks: int) -> dict[bool, list[float]]:
    """Look at both, in an order that is drawn."""
    turns = [True, False] * looks
    random.Random(number).shuffle(turns)
    for turn in turns[:20]:
        look(turn)
    seen: dict[bool, list[float]] = {True: [], False: []}
    for turn in turns:
        seen[turn].append(look(turn))
    return seen


def _welch(took: dict[bool, list[float]]) -> float:
    """Welch's t of both samples, without the slowest tenth of each, which are the machine's."""
    one, other = (sorted(took[side])[: len(took[side]) * 9 // 10] for side in (True, False))
    spread = statistics.variance(one) / len(one) + statistics.variance(other) / len(other)
    return (statistics.fmean(one) - statistics.fmean(other)) / math.sqrt(spread)
