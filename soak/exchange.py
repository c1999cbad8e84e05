"""Profile `exchange`: two nations, and everything between them killed: workers of both, NATS, and its whole store.

What one records and its premise lets go must be on record at the other, once, and both must hold the same feed tree,
with receipts for all of it. A round is a kill; `lost` counts what is missing, doubled, or left without a receipt.
"""

import contextlib
import random
import shutil
import time
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import psutil

from cli.nats_server import EmbeddedNats
from cli.postgres import EmbeddedPostgres
from cli.processes import until
from domain.premise import RegisterPremise
from exchange import accounts, peers, schema
from exchange.peers import Identity, Peer
from ledger.ledger import Asked, Ledger
from ledger.merkle import Frontier
from ledger.sessions import connect
from soak.invented import LAWYER, OFFICER, premise, seizure
from soak.place import Processes, folder, processes, server, variables_of
from soak.report import Control, Plan, Report, report

EACH_ROUND = 20
SETTLED_WITHIN_S = 240.0
VICTIMS = ("xa-exchange", "xb-exchange", "xa-seal", "xb-seal", "nats", "nats and its store", "everything")


class Side(NamedTuple):
    """One of the two nations."""

    code: str
    home: Path
    url: str

    @property
    def keys(self) -> Path:
        """Its keys."""
        return self.home / "keys"


def run(plan: Plan) -> Report:
    """Kill for as long as the plan says, then compare both sides."""
    dice = random.Random(plan.seed)
    with folder() as home, server(home) as running, contextlib.ExitStack() as stack:
        one, other = side(running, home, "XA"), side(running, home, "XB")
        nats = EmbeddedNats(home / "nats")
        nats.start()
        stack.callback(nats.stop)
        to_other = meet(one, other, nats)
        children = stack.enter_context(processes(home))
        work(children, one, NCEN_NATS_URL=nats.url)
        work(children, other)
        with Ledger.open(one.url, node=one.code, keys=one.keys) as ledger:
            rounds, recorded = _rounds(plan, dice, ledger, children, nats)
        children.revive()
        lost = _unsettled(one, other, to_other, plan) + _difference(other, recorded, plan)
        controls = [Control("an entry taken away on arrival is missed", 1, _control(other, recorded))]
    return report("exchange", plan, rounds, (len(recorded), lost), controls)


def side(running: EmbeddedPostgres, home: Path, code: str, agreed: RegisterPremise | None = None) -> Side:
    """Make a node with a premise; one that lets open data go, unless it is given."""
    running.create_database(code.lower())
    made = Side(code, home / code, running.dsn(code.lower()))
    made.home.mkdir(mode=0o700)
    with Ledger.open(made.url, node=code, keys=made.keys) as ledger:
        schema.prepare(made.url, node=code, role="nation")
        ledger.execute(Ledger.new_id(), agreed or premise(), LAWYER)
    return made


def meet(one: Side, other: Side, nats: EmbeddedNats) -> Peer:
    """Let each know the other, and the other log in at the first one's NATS."""
    mine, theirs = (Identity.open(side.keys, node=side.code, role="nation") for side in (one, other))
    to_other = peers.add(one.url, mine, theirs.card(None))
    peers.add(other.url, theirs, mine.card(nats.url))
    nats.write_accounts(accounts.render(mine, [to_other], node_password=nats.node_password))
    nats.reload()
    return to_other


def work(children: Processes, side: Side, **more: str) -> None:
    """Let a node seal and exchange, in processes of its own."""
    told = variables_of(side.home, side.url, node=side.code, **more)
    for kind in ("seal", "exchange"):
        children.worker(f"{side.code.lower()}-{kind}", kind, told)


def _rounds(
    plan: Plan, dice: random.Random, ledger: Ledger, children: Processes, nats: EmbeddedNats
) -> tuple[int, set[UUID]]:
    recorded: set[UUID] = set()
    done = 0
    plan.begin()
    while plan.goes_on(done):
        asked = [
            Asked(record_id=Ledger.new_id(), command=seizure(), command_id=Ledger.new_id()) for _ in range(EACH_ROUND)
        ]
        ledger.execute_all(asked, OFFICER)
        recorded |= {one.record_id for one in asked}
        time.sleep(dice.uniform(0, 1.0))
        _strike(dice.choice(VICTIMS), children, nats)
        done += 1
        if done % 25 == 0:
            plan.tell(f"{done} rounds")
    return done, recorded


def _strike(victim: str, children: Processes, nats: EmbeddedNats) -> None:
    if victim.startswith("nats") or victim == "everything":
        _kill_nats(nats, wipe=victim != "nats")
    if victim == "everything":
        children.kill()
    elif not victim.startswith("nats"):
        children.kill(victim)
    children.revive()


def _kill_nats(nats: EmbeddedNats, *, wipe: bool) -> None:
    """Kill NATS (SIGKILL), take its store away if asked to, and start it again."""
    if nats.pid is not None:
        process = psutil.Process(nats.pid)
        process.kill()
        with contextlib.suppress(psutil.NoSuchProcess):
            process.wait(20)
    if wipe:
        shutil.rmtree(nats._place() / "jetstream" / "jetstream", ignore_errors=True)
    nats._child = None
    nats.start()


# -- what it came to


def _unsettled(one: Side, other: Side, to_other: Peer, plan: Plan) -> int:
    """Wait until all is decided, sent, recorded and receipted; count what is not."""

    def lacking() -> int:
        with connect(one.url) as session:
            row = session.execute(
                "SELECT (SELECT size FROM ledger.seal_state) - feed.position"
                " + (SELECT count(*) FROM ledger.entry) - (SELECT count(*) FROM ledger.sealed)"
                " + feed.number - coalesce((SELECT max(size) FROM exchange.receipt WHERE peer = %(peer)s), 0)"
                " FROM exchange.feed WHERE peer = %(peer)s",
                {"peer": to_other.node},
            ).fetchone()
        return int(row[0]) if row is not None else 1

    until(lambda: lacking() == 0, wait_s=SETTLED_WITHIN_S, step_s=0.1)
    left = lacking()
    is_alike = _tree(one, "feed", "peer", other.code) == _tree(other, "inbox_feed", "origin", one.code)
    if left or not is_alike:
        plan.tell(f"{left} lines are not settled; the trees of both sides {'agree' if is_alike else 'differ'}.")
    return left + (not is_alike)


def _tree(side: Side, table: str, column: str, peer: str) -> tuple[int, bytes] | None:
    with connect(side.url) as session:
        query = f"SELECT number, frontier FROM exchange.{table} WHERE {column} = %s"
        row = session.execute(query.encode(), [peer]).fetchone()
    return None if row is None else (row[0], Frontier.from_bytes(*row).root())


def _difference(other: Side, recorded: set[UUID], plan: Plan) -> int:
    """Count what is missing or doubled at the other side."""
    with connect(other.url) as session:
        rows = session.execute("SELECT record_id FROM ledger.entry WHERE name = 'seizure.recorded'").fetchall()
    here = [record_id for (record_id,) in rows]
    missing, doubled = len(recorded - set(here)), len(here) - len(set(here))
    if missing or doubled:
        plan.tell(f"{missing} are missing, {doubled} are doubled.")
    return missing + doubled


def _control(other: Side, recorded: set[UUID]) -> int:
    """Take one entry away on the other side, as no part of the node could, and count what is missed."""
    with connect(other.url) as session:
        session.execute("ALTER TABLE ledger.entry DISABLE TRIGGER insert_only")
        session.execute("DELETE FROM ledger.entry WHERE record_id = %s", [min(recorded)])
    return _difference(other, recorded, Plan(seed=0, seconds=0))
