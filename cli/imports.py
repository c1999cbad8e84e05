"""`ncen import …`: take a file of seizures in by a mapping, show what it would do, list the mappings that ncen ships.

The file and what is wrong with it are told by line, field and reason, never by a value that may be personal. Progress
is told on stderr: a bar for a person, a line now and then for a log. The same file may be given again and again.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from cli.acting import WHO, Acting, opened
from cli.consulting import Consulting, showing
from cli.output import BadInput, ExitCode, manner, say, show, table
from domain.attribution import Purpose, Role

if TYPE_CHECKING:
    from intake.importing import Foreseen
    from intake.outcome import Group, Outcome

SHOWN_REFUSALS = 20
SHOWN_AT_ONCE = 500
LOG_EVERY_S = 5.0

app = App(name="import", help="Take files of seizures in, by a mapping that says what their columns mean.")


@app.command
def seizures(  # noqa: PLR0913, D417  # one flag for each thing that can be said; some are described beside their type
    file: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    mapping: str,
    dry_run: bool = False,
    role: Annotated[Role | None, Parameter(group=WHO, show_choices=False, help="In which role you act.")] = None,
    purpose: Annotated[Purpose | None, Parameter(group=WHO, show_choices=False, help="For what purpose.")] = None,
    legal_basis: Annotated[str | None, Parameter(group=WHO, help="On what statute, as a code.")] = None,
) -> ExitCode:
    """Import the seizures of a file: record what is new, amend what its source changed, refuse what does not fit.

    Rows that are refused are told with their line, field and reason, and the others go in. The same file again writes
    nothing, and an import that was cut short goes on where it stopped. Ends with 0 when no row was refused, 1 when some
    were (or a check of the mapping does not hold, and nothing was written), 5 when file or mapping cannot be used.

    Args:
        file: A CSV, JSON, JSON lines or Excel file, also packed (.gz); - is standard input.
        mapping: A mapping (TOML), or the name of one that ncen ships: see `ncen import mappings`.
        dry_run: Show what would be recorded, amended and refused, field by field, and write nothing.
    """
    from intake.importing import MappingError, TooManyAlike, Unreadable, import_seizures
    from intake.mapping_file import load

    try:
        load(mapping)  # before the ledger is opened: a slip in the mapping needs no server
        with contextlib.ExitStack() as stack:
            ledger, settings = stack.enter_context(opened())
            tell = stack.enter_context(_progress())
            foreseen = stack.enter_context(_foreseeing(role, purpose, legal_basis)) if dry_run else None
            by = Acting(role=role, purpose=purpose, legal_basis=legal_basis).attribution(
                settings, role=Role.DATA_MANAGER, purpose=Purpose.ADMINISTRATION
            )
            outcome = import_seizures(
                ledger,
                file,
                mapping,
                by,
                dry_run=dry_run,
                on_progress=tell,
                on_foreseen=foreseen,
            )
    except Unreadable as error:
        raise BadInput(f"{'Standard input' if file == '-' else file}: {error}") from None
    except (MappingError, TooManyAlike) as error:
        raise BadInput(f"{mapping}: {error}" if isinstance(error, TooManyAlike) else str(error)) from None
    show(outcome.told(), *_lines(outcome, dry_run=dry_run))
    return ExitCode.REFUSED if outcome.refused else ExitCode.DONE


@app.command
def mappings() -> None:
    """List the mappings that ncen ships: whose file each is for, and where it lies, to copy and change it."""
    from intake.mapping_file import load, shipped

    found = [{"name": name, "title": load(path).source.title, "path": str(path)} for name, path in shipped().items()]
    rows = [(one["name"], one["title"], one["path"]) for one in found]
    show(found, table("", ("name", "whose file", "where"), rows))


# ---------------------------------------------------------------- progress


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Tell how many rows are done: a bar where a person looks on, else a line every few seconds."""
    if not sys.stderr.isatty():
        yield _Log()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, rows: bar.update(task, completed=done, total=rows)


class _Log:
    """Says how far it has come, no more often than every few seconds."""

    def __init__(self) -> None:
        self._said_at = time.monotonic()

    def __call__(self, done: int, rows: int) -> None:
        if time.monotonic() - self._said_at >= LOG_EVERY_S:
            self._said_at = time.monotonic()
            say(f"{done} of {rows} rows")


# ---------------------------------------------------------------- for people


@contextmanager
def _foreseeing(
    role: Role | None, purpose: Purpose | None, legal_basis: str | None
) -> "Iterator[Callable[[Foreseen], None]]":
    """Take what a dry run foresees, and tell it once the ids of the records it shows are committed to the log."""
    waiting: list[Foreseen] = []
    consulting = Consulting(role=role, purpose=purpose, legal_basis=legal_basis)
    with showing(consulting, dry_run=True) as shown:

        def flush() -> None:
            if known := [one.record_id for one in waiting if one.record_id is not None]:
                shown(known)
            for one in waiting if not manner.json else ():
                _tell_foreseen(one)
            waiting.clear()

        def take(foreseen: "Foreseen") -> None:
            waiting.append(foreseen)
            if len(waiting) >= SHOWN_AT_ONCE:
                flush()

        yield take
        flush()


def _tell_foreseen(foreseen: "Foreseen") -> None:
    from cli.output import clean
    from cli.show import said

    lines = ", ".join(map(str, foreseen.lines[:5])) + (", …" if len(foreseen.lines) > 5 else "")
    word = "line" if len(foreseen.lines) == 1 else "lines"
    sys.stdout.write(f"{word} {lines}: would {foreseen.action}\n")
    for change in foreseen.changes:
        sys.stdout.write(f"    {change.field}: {clean(said(change.was))} → {clean(said(change.now))}\n")


def _lines(outcome: "Outcome", *, dry_run: bool) -> Iterator[object]:
    if outcome.failed_checks:
        yield "Nothing was imported, since what the mapping checks does not hold."
    elif dry_run:
        yield "This is what would happen; nothing was written."
    counts = ("read", "recorded", "amended", "unchanged", "skipped", "refused", "flagged")
    yield table("", [f"{count}>" for count in counts], [[getattr(outcome, count) for count in counts]])
    yield from _grouped("Left out:", outcome.left_out)
    yield from _grouped("Flagged (recorded all the same):", outcome.flags)
    if outcome.refusals:
        yield "Refused:"
    for refusal in outcome.refusals[:SHOWN_REFUSALS]:
        where = f"line {refusal.line}, {refusal.field}" if refusal.line else "the file"
        yield f"  {where}: {refusal.reason}"
    if len(outcome.refusals) > SHOWN_REFUSALS:
        yield f"  … and {len(outcome.refusals) - SHOWN_REFUSALS} more: --json tells all of them."


def _grouped(title: str, groups: "Mapping[str, Group]") -> Iterator[str]:
    if groups:
        yield title
    for reason, group in sorted(groups.items(), key=lambda one: -one[1].rows):
        lines = ", ".join(map(str, group.lines)) + (", …" if group.rows > len(group.lines) else "")
        rows, at = ("row", "line") if group.rows == 1 else ("rows", "lines")
        yield f"  {group.rows} {rows} ({at} {lines}): {reason}"
