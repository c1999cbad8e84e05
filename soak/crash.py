"""Profile `crash`: PostgreSQL, sealer, projector and exchange are killed with -9, at random and at the seam.

At the seam means right after something was acknowledged, when the next is on its way. Writers in processes of their own
note outside what was acknowledged; at the end each of it must be sealed, once, without a gap, and the projections,
which a crash of the server empties, must be built again to the end.
"""

import random
import time
from pathlib import Path

from cli.postgres import EmbeddedPostgres
from cli.processes import until
from exchange import peers, schema
from exchange.peers import Identity
from ledger.ledger import Ledger
from projections.catalogue import PROJECTIONS
from projections.positions import positions
from soak import careless, counting
from soak.invented import LAWYER, NODE, premise
from soak.place import DATABASE, Processes, folder, grows, kill, processes, server, variables_of
from soak.report import Control, Plan, Report, report

WORKERS = ("seal", "project", "exchange")
WRITERS = 3
AFTER_BYTES = 600
"""Some entries: so much is to be noted between two kills, so that each interrupts something."""
PROGRESS_WITHIN_S = 90.0
VICTIMS = ("postgres", "postgres", "postgres", *WORKERS, "everything")


def run(plan: Plan) -> Report:
    """Kill for as long as the plan says, then count."""
    dice = random.Random(plan.seed)
    with folder() as home, server(home) as running:
        url, keys = running.dsn(DATABASE), home / "keys"
        _prepare(url, keys)
        with processes(home) as children:
            for kind in WORKERS:
                children.worker(kind, kind, variables_of(home, url))
            notes = [children.writer(f"writer-{n}", url, keys, dice.getrandbits(32)) for n in range(WRITERS)]
            rounds = _rounds(plan, dice, running, children, notes)
            children.end(*(f"writer-{n}" for n in range(WRITERS)))
            running.start()
            children.revive()
            wanted = counting.acknowledged(notes)
            missing, wrong = counting.lost(url, keys, wanted)
            wrong += _behind(url)
        for sentence in wrong:
            plan.tell(sentence)
        controls = [Control("synchronous_commit=off loses at kill -9", 1, _control(running))]
    return report("crash", plan, rounds, (len(wanted), missing + len(wrong)), controls)


def _prepare(url: str, keys: Path) -> None:
    """Make the tables, and a peer to whom the exchange has something to tell."""
    with Ledger.open(url, node=NODE, keys=keys) as ledger:
        schema.prepare(url, node=NODE, role="nation")
        own = Identity.open(keys, node=NODE, role="nation")
        other = Identity.open(keys.with_name("keys-of-a-peer"), node="XB", role="nation")
        peers.add(url, own, other.card(None))
        ledger.execute(Ledger.new_id(), premise(), LAWYER)


def _rounds(plan: Plan, dice: random.Random, running: EmbeddedPostgres, children: Processes, notes: list[Path]) -> int:
    done = 0
    plan.begin()
    while plan.goes_on(done):
        if not grows(notes, AFTER_BYTES, PROGRESS_WITHIN_S):
            plan.tell("Nothing was acknowledged for a long time: the soak ends here.")
            break
        victim = dice.choice(VICTIMS)
        if dice.random() < 0.5:
            grows(notes, 1, 5.0)  # at the seam: the moment after an answer
        else:
            time.sleep(dice.uniform(0, 0.2))
        _strike(victim, running, children)
        done += 1
        if done % 25 == 0:
            plan.tell(f"{done} rounds")
    return done


def _strike(victim: str, running: EmbeddedPostgres, children: Processes) -> None:
    """Kill, and start again what was killed."""
    if victim in {"postgres", "everything"}:
        kill(running)
    if victim == "everything":
        children.kill(*WORKERS)
    elif victim != "postgres":
        children.kill(victim)
    running.start()
    children.revive()


def _behind(url: str) -> list[str]:
    """Say which projection does not come to the end, or has parked something."""
    until(lambda: _are_built(url), wait_s=PROGRESS_WITHIN_S)
    found = positions(url)
    wrong = [f"the projection {one.name} is {one.lag} behind" for one in found if one.lag]
    wrong += [f"the projection {name} is not built" for name in PROJECTIONS.keys() - {one.name for one in found}]
    wrong += [f"the projection {one.name} is not built" for one in found if not one.is_built]
    return wrong + [f"the projection {one.name} has parked {one.parked}" for one in found if one.parked]


def _are_built(url: str) -> bool:
    found = positions(url)
    return len(found) == len(PROJECTIONS) and all(one.is_built and one.lag == 0 for one in found)


def _control(running: EmbeddedPostgres) -> int:
    acknowledged = careless.write(running, synchronous_commit="off")
    return careless.lost(running, acknowledged, lambda: kill(running))
