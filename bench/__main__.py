"""`python -m bench [names…]`: run the measurements, print them, and write bench/out/latest.json.

Everything is measured in one run on one machine; the named rows may be chosen, and `--long` takes more rounds, longer
turns and a ledger of a million entries. `--write-docs` runs nothing: it puts the last whole run into the docs.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator

from bench import (
    appending,
    gating,
    hiding,
    importing,
    projecting,
    proving,
    reading,
    report,
    rewrapping,
    sealing,
    uma,
    upkeep,
)
from bench.rounds import Finding
from bench.server import Server, running

Measurement = Callable[[Server, set[str], "argparse.Namespace"], Iterator[Finding]]

MEASUREMENTS: tuple[tuple[tuple[str, ...], Measurement], ...] = (
    (
        appending.NAMES,
        lambda server, wanted, told: appending.measure(server, wanted, rounds=told.rounds, seconds=told.seconds),
    ),
    (
        sealing.NAMES,
        lambda server, wanted, told: sealing.measure(
            server, wanted, rounds=told.rounds, seconds=60.0 if told.long else 15.0
        ),
    ),
    (reading.NAMES, lambda server, wanted, told: reading.measure(server, wanted, rounds=told.rounds)),
    (proving.NAMES, lambda server, wanted, told: proving.measure(server, wanted, rounds=told.rounds)),
    (projecting.NAMES, lambda server, wanted, told: projecting.measure(server, wanted, rounds=told.rounds)),
    (importing.NAMES, lambda server, wanted, told: importing.measure(server, wanted, rounds=told.rounds)),
    (gating.NAMES, lambda server, wanted, told: gating.measure(server, wanted, rounds=told.rounds)),
    (hiding.NAMES, lambda server, wanted, told: hiding.measure(server, wanted, rounds=told.rounds)),
    (upkeep.NAMES, lambda server, wanted, told: upkeep.measure(server, wanted, rounds=told.rounds, seconds=3.0)),
    (
        rewrapping.NAMES,
        lambda server, wanted, told: rewrapping.measure(server, wanted, rounds=told.rounds, is_long=told.long),
    ),
    (projecting.LONG_NAMES, lambda server, wanted, _: projecting.measure_rebuild(server, wanted)),
)
NEVER = (
    "message-db: its SQL may not be copied into this repository",
    "Emmett: it runs on Node.js, which this project does not install",
)
NO_UMADB = "UmaDB: its wheel is not installed (`pip install umadb`)"


def main() -> None:
    """Read what is wanted, measure it, tell it."""
    told = _arguments()
    quick = [name for names, _ in MEASUREMENTS if names is not projecting.LONG_NAMES for name in names]
    if not uma.is_installed():
        quick = [name for name in quick if not name.endswith("-vs-umadb")]
    everything = [*quick, *projecting.LONG_NAMES]
    if told.write_docs:
        print(report.write_docs(quick))
        return
    unknown = sorted(set(told.names) - set(everything))
    if unknown:
        raise SystemExit(f"There is no measurement {', '.join(unknown)}. There are: {', '.join(everything)}.")
    wanted = set(told.names or (everything if told.long else quick))
    skipped = NEVER if uma.is_installed() else (*NEVER, NO_UMADB)
    load, began = os.getloadavg()[0], time.monotonic()
    findings: list[Finding] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped on the way out
    with running() as server:
        about = server.describe()
        print(f"{about}; load {load:.2f}; {told.rounds} rounds\nours / baseline = ratio [within rounds]\n", flush=True)
        for _, measurement in MEASUREMENTS:
            for found in measurement(server, wanted, told):
                findings.append(found)
                print(report.line(found), flush=True)
    done = report.Details(
        machine=report.machine(about, load, time.monotonic() - began), findings=tuple(findings), skipped=skipped
    )
    report.write(done)
    print(f"\nnot measured: {'; '.join(skipped)}")
    print(f"{done.machine.seconds:.0f} s; load {load:.2f} before, {done.machine.load_after:.2f} after")
    print(f"written: {(report.OUT / 'latest.json').relative_to(report.ROOT)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Ours beside what one would write without us.")
    parser.add_argument("names", nargs="*", metavar="name", help="rows to measure (default: all quick ones)")
    parser.add_argument("--long", action="store_true", help="more rounds, longer turns, a million entries")
    parser.add_argument("--rounds", type=int, help="rounds of each measurement (default 5, long 11)")
    parser.add_argument("--seconds", type=float, help="length of a writing turn (default 1, long 4)")
    parser.add_argument("--write-docs", action="store_true", help="put the last whole run into the docs, run nothing")
    told = parser.parse_args()
    told.rounds = told.rounds or (11 if told.long else 5)
    told.seconds = told.seconds or (4.0 if told.long else 1.0)
    return told


if __name__ == "__main__":
    main()
