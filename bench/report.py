"""How the result is told: a table on the screen, `latest.json` for programs, details beside it, and the docs' table.

`latest.json` holds the rows and nothing else; `details.json` holds every turn of every side, the machine and its load,
so that a figure can be judged. The docs' table is only ever written from a run in which every row was measured.
"""

import datetime as dt
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.rounds import Finding, Row

ROOT = Path(__file__).parent.parent
OUT = ROOT / "bench" / "out"
PAGE = ROOT / "docs" / "reference" / "benchmarks.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where and when it was run."""

    day: str
    cores: int
    kernel: str
    python: str
    server: str
    load_before: float
    load_after: float
    seconds: float


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run."""

    machine: Machine
    findings: tuple[Finding, ...]
    skipped: tuple[str, ...]


def machine(server: str, load_before: float, seconds: float) -> Machine:
    """Describe this machine at the end of a run."""
    return Machine(
        day=dt.datetime.now(dt.UTC).date().isoformat(),
        cores=len(os.sched_getaffinity(0)),
        kernel=platform.release().split("-")[0],
        python=platform.python_version(),
        server=server,
        load_before=round(load_before, 2),
        load_after=round(os.getloadavg()[0], 2),
        seconds=round(seconds),
    )


def line(found: Finding) -> str:
    """One line of the screen's table."""
    row = found.row
    least, middle, most = found.spread
    target = f"  target {found.target}" if found.target else ""
    note = f"; {found.note}" if found.note else ""
    return (
        f"{row.name:<30} {_figure(row.ours):>10} / {_figure(row.baseline):>10} {row.unit:<11}"
        f" = {row.ratio:7.2f}  [{least:.2f} {middle:.2f} {most:.2f}]{target}\n"
        f"{'':<30} against {row.baseline_name}{note}"
    )


def write(details: Details) -> None:
    """Write latest.json and details.json."""
    OUT.mkdir(exist_ok=True)
    rows = [found.row for found in details.findings]
    (OUT / "latest.json").write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")
    (OUT / "details.json").write_bytes(msgspec.json.format(msgspec.json.encode(details), indent=1) + b"\n")


def write_docs(expected: Sequence[str]) -> str:
    """Put the last run's figures into the docs; the sentence that comes back says what was done.

    Raises SystemExit when there is no run, or one in which a row is missing: figures of different runs never mix.
    """
    try:
        rows = msgspec.json.decode((OUT / "latest.json").read_bytes(), type=list[Row])
        details = msgspec.json.decode((OUT / "details.json").read_bytes(), type=Details)
    except FileNotFoundError:
        raise SystemExit("There is no run to write down: run `make bench` first.") from None
    missing = sorted(set(expected) - {row.name for row in rows})
    if missing:
        raise SystemExit(f"The last run did not measure {', '.join(missing)}: run `make bench` whole.")
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{_table(rows, details)}\n{END}{after}", encoding="utf-8")
    return f"Wrote {len(rows)} figures into {PAGE.relative_to(ROOT)}."


def _table(rows: Sequence[Row], details: Details) -> str:
    known = {found.row.name: found for found in details.findings}
    where = details.machine
    lines = [
        "",
        (
            f"Run on {where.day}: {where.cores} cores, Linux {where.kernel}, Python {where.python}, {where.server};"
            f" load {where.load_before} before and {where.load_after} after; {where.seconds} s in all."
        ),
        "",
        "| row | ours | baseline | unit | ratio | within rounds | target | baseline is |",
        "|---|--:|--:|---|--:|---|---|---|",
    ]
    for row in rows:
        found = known[row.name]
        least, _, most = found.spread
        lines.append(
            f"| `{row.name}` | {_figure(row.ours)} | {_figure(row.baseline)} | {row.unit} | {row.ratio:.2f}"
            f" | {least:.2f}-{most:.2f} of {row.runs} | {found.target or '-'} | {row.baseline_name} |"
        )
    lines += ["", *(f"Not measured: {line}." for line in details.skipped)]
    return "\n".join(lines)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"
