"""`ncen soak`: try for hours what the node promises, with a seed that plays it again, and write the report.

It keeps these rules: a soak uses servers of its own and never a node's; it says its seed first; it ends with 1 when it
has not passed, and with 4 when this machine cannot do it.
"""

import secrets
from importlib import import_module
from pathlib import Path
from typing import Literal

import msgspec

from cli.output import ExitCode, Unreachable, say, show, table
from cli.processes import write_durably
from soak.report import Plan, Report, Skipped

Profile = Literal["crash", "power", "exchange", "privacy", "tamper"]


def soak(
    *,
    profile: Profile,
    hours: float = 1.0,
    seed: int | None = None,
    rounds: int | None = None,
    report: Path | None = None,
) -> ExitCode:
    """Try for hours what the node promises: nothing lost, nothing leaked, nothing changed unseen.

    Args:
        profile: What to try: kill -9, power cuts, the exchange, what reaches the CEN, or edits by an administrator.
        hours: How long; parts of an hour as 0.1.
        seed: Play this one again; a new one when nothing is said.
        rounds: Stop after so many rounds, if that is earlier.
        report: Write the report into this file too, as JSON.
    """
    plan = Plan(seed=secrets.randbits(32) if seed is None else seed, seconds=hours * 3600, rounds=rounds, tell=say)
    say(f"Soak {profile}, seed {plan.seed} (`ncen soak --profile {profile} --seed {plan.seed}` plays it again).")
    try:
        done: Report = import_module(f"soak.{profile}").run(plan)
    except Skipped as skipped:
        raise Unreachable(str(skipped)) from None
    if report is not None:
        write_durably(report.expanduser().absolute(), msgspec.json.encode(done).decode() + "\n")
    rows = [(control.name, control.expected, control.found) for control in done.controls]
    word = "passed" if done.passed else "NOT PASSED"
    line = f"{profile}: {word}. {done.rounds} rounds, {done.acknowledged} acknowledged, {done.lost} lost."
    show(done, line, table("", ("control", "expected>", "found>"), rows))
    return ExitCode.DONE if done.passed else ExitCode.REFUSED
