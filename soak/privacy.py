"""Profile `privacy`: pairs of histories that differ only in what is personal must give the CEN the same bytes.

Twins live through pair after pair, and what each adds to its stream is compared; at the end twenty planted leaks must
all be found in a few of the pairs. A round is a pair; `acknowledged` counts the lines that the CEN was told.
"""

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg import sql

from cli.postgres import EmbeddedPostgres
from ledger.sessions import connect
from soak.leaks import LEAKS
from soak.place import folder, server
from soak.report import Control, Plan, Report, report
from soak.twins import Personal, Twins, many_batches

TOGETHER = 5
"""Pairs between two comparisons."""
FOR_LEAKS: tuple[Personal, ...] = ((None, 1), (2, 3), (4, None), (5, 6), (7, 8), (None, 9))
"""What is personal in the histories in which planted leaks are looked for; they are told anew for each."""
DATABASES = ("one", "other")
STRETCH = 500
"""Pairs that one pair of databases lives through: then they are dropped, so that a long soak needs no more room."""


def run(plan: Plan) -> Report:
    """Compare pairs for as long as the plan says, then look for the planted leaks."""
    dice = random.Random(plan.seed)
    with folder(in_memory=True) as home, server(home) as running:
        pairs, lines, differing = _compare(plan, dice, home, running)
        with _twins(running, home / "leaking") as twins:
            live(twins)
            found = sum(is_found(twins, name) for name in LEAKS) if _is_silent(twins) else 0
    controls = [Control(f"{len(LEAKS)} planted leaks are found", len(LEAKS), found)]
    return report("privacy", plan, pairs, (lines, differing), controls)


@contextmanager
def _twins(running: EmbeddedPostgres, keys: Path) -> Iterator[Twins]:
    """Open twins in two empty databases, which are dropped afterwards."""
    for name in DATABASES:
        running.create_database(name)
    with Twins.open((running.dsn(DATABASES[0]), running.dsn(DATABASES[1])), keys) as twins:
        yield twins
    with connect(running.dsn()) as session:
        for name in DATABASES:
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    shutil.rmtree(keys)


def _compare(plan: Plan, dice: random.Random, home: Path, running: EmbeddedPostgres) -> tuple[int, int, int]:
    pairs = lines = differing = 0
    plan.begin()
    while plan.goes_on(pairs):
        last = pairs + STRETCH if plan.rounds is None else min(pairs + STRETCH, plan.rounds)
        with _twins(running, home / "keys") as twins, many_batches():
            while pairs < last and plan.goes_on(pairs):
                together = min(TOGETHER, last - pairs)
                for _ in range(together):
                    twins.live(dice.getrandbits(60), (_personal(dice), _personal(dice)))
                pairs += together
                mine, others = twins.news()
                lines += len(mine)
                if mine != others:
                    differing += 1
                    plan.tell(f"The streams differ after pair {pairs}.")
                if pairs % 500 == 0:
                    plan.tell(f"{pairs} pairs")
    return pairs, lines, differing


def _personal(dice: random.Random) -> int | None:
    return None if dice.random() < 0.2 else dice.getrandbits(32)


def live(twins: Twins) -> None:
    """Let twins live a little, so that there is something to leak."""
    for seed, personal in enumerate(FOR_LEAKS):
        twins.live(seed, personal)


def is_found(twins: Twins, leak: str) -> bool:
    """Plant a leak and tell whether the streams show it."""
    with many_batches():
        one, other = twins.streams(LEAKS[leak])
    return one != other


def _is_silent(twins: Twins) -> bool:
    """Tell whether the streams are equal without a leak: if they are not, finding leaks proves nothing."""
    with many_batches():
        one, other = twins.streams()
    return one == other
