"""`ncen log …`: what the processing log tells of who saw whom and who did what, and whether it is whole.

The log follows the ledger each time it is asked. Who reads it leaves a line in it too. It holds record ids and staff
identifiers, and nothing that tells of a person otherwise.
"""

# ruff: noqa: D417  # a flag is described where it is declared: in the docstring or beside its type; cyclopts reads both

import json
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

from cyclopts import App, Parameter

from cli import output, show
from cli.consulting import CONSULTING, Consulting, reader_url
from cli.output import ExitCode, Misused, NotFound
from cli.processes import write_durably
from cli.settings import load
from cli.signing import connected, signing

if TYPE_CHECKING:
    from pathlib import Path

    from access.log_losses import Acknowledged
    from access.reports import Line
    from cli.settings import Settings
    from ledger.sessions import Session

app = App(name="log", help="Tell who saw whom and who did what, from the processing log, and whether it is whole.")

Since = Annotated[date | None, Parameter(help="From this day on.")]
Finding = Literal["justified", "not-justified", "needs-inquiry"]
DAYS_SAMPLED = 30
ANCHOR = "processing.anchor"
"""The file in the node's home that says up to where the log was verified last."""


@contextmanager
def _log(consulting: Consulting | None, records: Sequence[UUID] = ()) -> "Iterator[tuple[Session, Settings]]":
    """The log as its reader sees it, up to now; that it is read is logged first, where it tells of single persons."""
    if signing.caller is None:
        raise Misused("This node is open, and keeps no processing log: `ncen user add` closes it.")
    from access import gate
    from access.following import follow
    from access.reports import log_reader
    from cli.supervisor import database_url
    from ledger.reader import Reader

    settings = load()
    url = database_url(settings)
    if consulting is not None:
        with gate.reader(reader_url(settings)) as session:
            ticket = gate.ask(session, signing.caller.secret, consulting.asked(settings), records, "log")
            if not records:
                gate.shown(session, ticket, [])
    with connected(settings) as session, Reader.open(url, keys=None) as reader:
        follow(session, reader)
    with log_reader(reader_url(settings, of_log=True)) as session:
        yield session, settings


def _moment(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, datetime.min.time(), UTC)


def _tell(lines: "list[Line]", none: str, **more: Any) -> None:  # noqa: ANN401  # whatever belongs to the answer
    rows = (
        [
            line.number,
            show.when(line.at),
            line.user,
            line.role,
            f"{line.operation}: {line.verb}" + (" (shown)" if line.answers else ""),
            line.purpose,
            " ".join(part for part in (line.justification, line.reference) if part),
            "BROKEN GLASS" if line.is_break_glass else "UNMASKED" if line.is_unmasking else "",
            line.ticket,
        ]
        for line in lines
    )
    columns = ("number>", "when", "who", "as", "what", "for", "because", "", "ticket")
    told: list[object] = [output.table("", columns, rows)] if lines else [none]
    output.show({"lines": [show.plain(line) for line in lines], **more}, *told)


@app.command
def who_saw(record: UUID, /, *, since: Since = None, consulting: Consulting = CONSULTING) -> None:
    """Tell who looked at a record, when, for what and on what grounds: opened, or shown by a search.

    Args:
        record: The id of the record, such as a person's.
    """
    from access.reports import who_saw as find

    with _log(consulting, [record]) as (session, _):
        lines = find(session, record, _moment(since))
    _tell(lines, "Nobody looked.")


@app.command
def what_did(user: str, /, *, since: Since = None, limit: int = 100, consulting: Consulting = CONSULTING) -> None:
    """Tell what somebody did, newest first.

    Args:
        user: The user's staff identifier.
        limit: At most so many lines.
    """
    from access.reports import what_did as find

    with _log(consulting) as (session, _):
        lines = find(session, user, _moment(since), limit)
    _tell(lines, "Nothing.")


@app.command
def sample(
    *, count: int = 20, since: Since = None, seed: str | None = None, consulting: Consulting = CONSULTING
) -> None:
    """Draw consultations at random, to review whether they were justified; the same seed draws the same ones.

    Args:
        count: How many.
        seed: What to draw by; printed, so that the draw can be repeated.
    """
    from access.reports import sample as draw

    seed = seed or secrets.token_hex(8)
    from_when = _moment(since) or datetime.now(UTC) - timedelta(days=DAYS_SAMPLED)
    with _log(consulting) as (session, _):
        lines = draw(session, count, from_when, seed)
    output.say(f"Drawn with --seed {seed}.")
    _tell(lines, "Nobody looked at anything.", seed=seed)


@app.command
def gaps() -> ExitCode:
    """Tell what is missing: lines of the chain, and searches that never said what they showed."""
    from access.reports import unanswered
    from access.reports import verify as recompute

    with _log(None) as (session, _):
        found, open_ = recompute(session).gaps, unanswered(session)
    lines = [f"Line {gap.number} {gap.what}." for gap in found]
    lines += [f"Line {line.number}: {line.user} searched, and what was shown was not told." for line in open_]
    output.show(
        {"gaps": [show.plain(gap) for gap in found], "unanswered": [show.plain(line) for line in open_]},
        *(lines or ["Nothing is missing."]),
    )
    return ExitCode.NOT_VERIFIED if found else ExitCode.DONE


@app.command
def duties() -> None:
    """Tell where one person did what is another's to do."""
    from access.reports import duties as find

    with _log(None) as (session, _):
        found = find(session)
    output.show(
        {"duties": [show.plain(one) for one in found]},
        *([f"{one.user} {one.what}: {one.record}" for one in found] or ["Nobody did what is another's to do."]),
    )


@app.command
def verify() -> ExitCode:
    """Recompute the log's chain and tree, name what does not fit, and tell up to which line peers have witnessed it.

    The log is compared with the head that was signed last, with its own head when it was last verified, both kept
    outside the database, and with what peers said. Ends with 6 when something does not fit.
    """
    from access import log_losses, log_prover
    from access.reports import erased
    from access.reports import verify as recompute

    with _log(None) as (session, settings):
        anchor = settings.home / ANCHOR
        prover = log_prover.LogProver.open(settings.keys, node=settings.node, folder=settings.checkpoints)
        lost = log_losses.listed(session, prover)
        verdict = recompute(session, _anchored(anchor, lost))
        newest, peers, months = prover.newest(session), log_prover.witnessed(session), erased(session)
        faults = [*newest.faults, *log_prover.misfits_of_tree(session, newest.signed)]
    faults += [one.problem for one in peers if one.problem is not None]
    is_sound = not verdict.gaps and not faults
    if is_sound:
        write_durably(anchor, json.dumps({"number": verdict.last, "hash": verdict.hash, "losses": len(lost)}))
    signed = newest.signed.size if newest.signed else 0
    lines = [f"Line {gap.number} {gap.what}." for gap in verdict.gaps] + faults
    told = [f"The month {one.month} was erased by {one.by}, up to line {one.last}." for one in months]
    told += [
        f"What was signed from line {one.kept} to {one.lost} was lost, as was acknowledged at {show.when(one.at)}"
        f" by {one.by or 'somebody'}: {one.reason or 'the reason was lost too'}"
        for one in lost
    ]
    told += [f"Its head is signed up to line {signed}."] if signed else []
    told += [f"{one.witness} has witnessed it up to line {one.size}." for one in peers if one.problem is None]
    data = {
        **show.plain(verdict),
        "faults": faults,
        "signed": signed,
        "witnessed": [show.plain(one) for one in peers],
        "erased": [show.plain(one) for one in months],
        "lost": [show.plain(one) for one in lost],
    }
    output.show(data, *(lines or [f"{verdict.lines} lines fit, up to {verdict.last}: {verdict.hash}"]), *told)
    return ExitCode.DONE if is_sound else ExitCode.NOT_VERIFIED


def _anchored(file: "Path", lost: "list[Acknowledged]") -> tuple[int, str] | None:
    """The line and hash up to which the log was verified last, unless that line was lost since, as was acknowledged."""
    if not file.exists():
        return None
    kept = json.loads(file.read_text(encoding="utf-8"))
    number = int(kept["number"])
    is_lost = any(number > one.kept for one in lost[int(kept.get("losses", 0)) :])
    return None if is_lost else (number, str(kept["hash"]))


@app.command
def review(ticket: UUID | None = None, /, *, finding: Finding | None = None) -> None:
    """List the broken glasses and unmaskings that nobody has reviewed; with a ticket, record what a review found.

    Args:
        ticket: The ticket of a broken glass or an unmasking.
        finding: What was found: justified, not-justified or needs-inquiry.
    """
    from access import reports

    if (ticket is None) != (finding is None):
        raise Misused("A review names a ticket and its --finding.")
    if ticket is None or finding is None:
        with _log(None) as (session, _):
            lines = reports.to_review(session)
        _tell(lines, "Nothing waits for review.")
        return
    assert signing.caller is not None  # noqa: S101  # the matrix lets nobody else come here
    with connected(load()) as session:
        if not reports.review(session, ticket, finding, signing.caller.user):
            raise NotFound("There is no such look of somebody else's that waits for review.")
    output.show({"ticket": str(ticket), "finding": finding}, f"Reviewed: {finding}.")


@app.command
def drop(*, before: str) -> None:
    """Erase the log's months before one: its erasure date has passed. The chain stays whole.

    Args:
        before: The first month to stay, such as 2026-01.
    """
    from access.reports import drop_before

    if re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", before) is None or before > f"{datetime.now(UTC):%Y-%m}":
        raise Misused("--before is a month such as 2026-01, and not one to come.")
    with _log(None), connected(load()) as session:
        assert signing.caller is not None  # noqa: S101  # asked by `_log`
        months = drop_before(session, before, signing.caller.user)
    output.show({"dropped": months}, f"Erased: {', '.join(months)}." if months else "There is nothing so old.")
