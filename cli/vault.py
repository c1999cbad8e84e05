"""`ncen vault …`: under which epoch the keys of the subjects are wrapped, and how it is rotated.

A rotation wraps the living keys anew and destroys the old epoch's key, after which no copy of a deleted key opens. The
node does it by itself within a day of an erasure; nobody is ever shown a key. `scan` proves from outside what erasing
did: whoever knows on paper what was erased has all files searched for it.
"""

# a flag is described where it is declared: in the docstring or beside its type; cyclopts reads both

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from cli import output, show
from cli.output import BadInput, ExitCode, Misused

if TYPE_CHECKING:
    from cli.settings import Settings
    from projections.residues import Scanned

MOST_VALUES_BYTES = 4 * 1024 * 1024

app = App(name="vault", help="Show how the keys of the subjects are wrapped, and rotate their epoch.")


@app.command
def status() -> None:
    """Show the epoch, its age, how many keys are wrapped under which, and which erasures wait for the next one."""
    from cli.settings import load
    from cli.supervisor import database_url
    from ledger import epochs

    settings = load()
    stands = epochs.standing(database_url(settings), settings.keys)
    counted = ", ".join(f"{count} under epoch {epoch}" for epoch, count in stands.keys.items()) or "none"
    told = [
        ("epoch", f"{stands.epoch}, begun {show.when(stands.began_at)}"),
        ("keys", counted),
        ("erased", f"{stands.erased} subjects; {stands.not_destroyed} of them wait for the next epoch"),
    ]
    if stands.lost:
        told.append(("LOST", f"{stands.lost} keys are of an epoch whose key is not here: they open nothing."))
    output.show(show.plain(stands), show.laid_out(told))


@app.command
def rotate() -> None:
    """Wrap all living keys under a new epoch, destroy the old one, and clear the files of whom was erased."""
    from cli.settings import load
    from cli.supervisor import database_url
    from ledger import epochs
    from projections import forgetting

    settings = load()
    url = database_url(settings)
    done = epochs.rotate(url, settings.keys)
    cleared = forgetting.clear(url)
    gone = ", ".join(map(str, done.destroyed)) or "none"
    output.show(
        {"rotated": show.plain(done), "cleared": show.plain(cleared)},
        f"Epoch {done.epoch}: {done.rewrapped} keys wrapped anew in {done.seconds:.1f} s; epochs destroyed: {gone}.",
        f"Cleared {cleared.erasures} erasures from {cleared.tables} tables and {cleared.segments} log segments.",
        "Copy the keys folder now: an older copy no longer opens anything, and a backup is nothing without it.",
        *cleared.left,
    )


@app.command
def scan(
    values: Annotated[str, Parameter(name="FILE", allow_leading_hyphen=True)],
    /,
    *,
    also: list[Path] | None = None,
    words: bool = False,
) -> ExitCode:
    """Look for values of an erased subject in every file of the node; tell where they lie, and never the values.

    Looked through are the node's home with the files, log and archive of its PostgreSQL, its NATS store and all logs.
    Ends with 0 when nothing was found, 6 when something was, 1 when nothing was and some places could not be read.

    Args:
        values: A file with one value a line (a name, a number, an address), or - for standard input, so that the values
            lie on no disk.
        also: A backup, a dump or another place to look through, packed or not. Repeatable.
        words: Look for each word of a value by itself as well, as an index of words keeps them; it may be another's.
    """
    from cli.settings import load
    from projections.residues import Scan

    settings = load()
    told = _values(values)
    places, programs = _places(settings)
    try:
        looking = Scan(told, words=words, programs=programs)
    except ValueError as error:
        raise Misused(str(error)) from None
    looking.add(*places, *(also or ()), without=[] if values == "-" else [Path(values)])
    done = looking.scanned
    output.show(show.plain(done), *_told(done))
    if done.residues:
        return ExitCode.NOT_VERIFIED
    return ExitCode.REFUSED if done.unread else ExitCode.DONE


def _values(name: str) -> list[str]:
    from ledger import given_file

    try:
        lines = given_file.read(name, MOST_VALUES_BYTES).decode().splitlines()
    except given_file.Unusable as error:
        raise BadInput(f"{'standard input' if name == '-' else name}: {error}.") from None
    except UnicodeDecodeError:
        raise BadInput("The values are not in UTF-8.") from None
    told = [line.strip() for line in lines if line.strip()]
    if not told:
        raise Misused("There is no value to look for: one a line.")
    return told


def _places(settings: "Settings") -> tuple[list[Path], Path | None]:
    """Where the node's files lie, written out by its PostgreSQL, and the folder of PostgreSQL's programs."""
    import psycopg

    from cli.postgres import EmbeddedPostgres
    from cli.supervisor import database_url
    from projections.residues import write_out

    if not settings.home.is_dir():
        raise Misused(f"There is no node in {settings.home}.")
    places = [settings.home]
    programs = None
    for name in ("postgres", "nats"):
        note = settings.home / name / "place"
        if note.exists():
            places.append(Path(note.read_text(encoding="utf-8").strip()))
    if (settings.home / "postgres").is_dir():
        own = EmbeddedPostgres(settings.home / "postgres")
        programs = own.program("postgres").parent
        if own.is_running():
            with psycopg.connect(database_url(settings), autocommit=True) as connection:
                write_out(connection)
    return places, programs


def _told(done: "Scanned") -> list[object]:
    lines: list[object] = [f"{one.place} at {one.offset}: value {one.value}, {one.form}" for one in done.found]
    lines += [f"NOT LOOKED THROUGH: {place}" for place in done.unread]
    found = f"{done.residues} residues" if done.residues else "no residue"
    lines.append(f"{found} in {done.files} files, {done.bytes / 1_000_000:,.0f} MB.".capitalize())
    return lines
