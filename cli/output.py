"""What a verb says and how it ends: exit codes, errors as sentences, tables for people and JSON for programs.

Data go to stdout and messages to stderr. An error shows a sentence, never a traceback (unless NCEN_DEBUG is set), and
never a value that may be personal: of an unexpected error only its type and place are shown. What a record holds is
written to a terminal as text alone: it cannot bring control codes along.
"""

import os
import re
import sys
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domain.refused import Refused

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_WIDTH = 400  # columns when nobody looks: wide enough that no value is cut
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
QUOTED = re.compile(r"'[^']*'")
TYPED = (  # what cyclopts says of a line it cannot understand, without what was typed: that may be a name
    (re.compile(r'^Invalid value ".*" for (--?[\w-]+|[A-Z_]+)', re.DOTALL), r"The value for \1 does not fit"),
    (re.compile(r'unable to convert ".*" into', re.DOTALL), "it cannot be read as"),
    (re.compile(r'^Unknown command ".*?"\.', re.DOTALL), "There is no such verb."),
    (re.compile(r"^Unused Tokens: .*", re.DOTALL), "There are more words on the line than this verb takes."),
)


FLAG = re.compile(r"--?[a-z][a-z0-9-]{0,30}(?=[=. ]|$)")
MEANT = re.compile(r" Did you mean --[a-z-]+\?\Z")


class ExitCode(IntEnum):
    """How every `ncen` verb ends."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    NOT_FOUND = 3
    UNREACHABLE = 4
    BAD_INPUT = 5
    NOT_VERIFIED = 6
    NOT_ALLOWED = 7
    FAULT = 70
    INTERRUPTED = 130


class Failure(Exception):  # noqa: N818  # like Refused: the answer to a person who asked
    """A verb cannot do what was asked; the message is the sentence to show, the class decides the exit code."""

    code = ExitCode.REFUSED


class Misused(Failure):
    """The verb was asked in a way that makes no sense."""

    code = ExitCode.USAGE


class NotFound(Failure):
    """What was asked for is not there."""

    code = ExitCode.NOT_FOUND


class Unreachable(Failure):
    """A server could not be started or does not answer."""

    code = ExitCode.UNREACHABLE


class BadInput(Failure):
    """A file that was given cannot be used."""

    code = ExitCode.BAD_INPUT


class NotAllowed(Failure):
    """Nobody is signed in, or who is has no right to this."""

    code = ExitCode.NOT_ALLOWED


class VerificationFailed(Failure):
    """Something stored does not fit its proof."""

    code = ExitCode.NOT_VERIFIED


# Errors of other rooms and libraries, by name, so that none of them is imported for it. The nearest class counts.
CODES = {
    "ledger.errors.NotFound": ExitCode.NOT_FOUND,
    "access.accounts.NotAdmitted": ExitCode.NOT_ALLOWED,
    "access.gate.Withheld": ExitCode.NOT_ALLOWED,
    "ledger.errors.Conflict": ExitCode.REFUSED,
    "ledger.errors.Unsafe": ExitCode.UNREACHABLE,
    "projections.asking.NotReady": ExitCode.UNREACHABLE,
    "projections.asking.Unanswerable": ExitCode.USAGE,
    "ledger.errors.Damaged": ExitCode.NOT_VERIFIED,
    "psycopg.errors.DataCorrupted": ExitCode.NOT_VERIFIED,
    "psycopg.errors.IndexCorrupted": ExitCode.NOT_VERIFIED,
    "psycopg.OperationalError": ExitCode.UNREACHABLE,
    "psycopg.InterfaceError": ExitCode.UNREACHABLE,
    "nats.errors.Error": ExitCode.UNREACHABLE,
    "msgspec.DecodeError": ExitCode.BAD_INPUT,
    "msgspec.ValidationError": ExitCode.BAD_INPUT,
    "pydantic_core._pydantic_core.ValidationError": ExitCode.BAD_INPUT,
}
OF_SERVER = {  # what PostgreSQL refuses for a reason of its own
    "DiskFull": "PostgreSQL has no room left on its disk, and nothing was recorded. Make room, then ask again.",
    "TooManyConnections": "PostgreSQL has no connection free. Ask again, or let fewer ask at once.",
    "DataCorrupted": "A page of the database is damaged on disk. Keep everything as it is, and restore a backup.",
    "IndexCorrupted": "An index of the database is damaged on disk. Keep everything as it is, and restore a backup.",
}
FULL = re.compile(r"too many clients|remaining connection slots")  # told without a code when the session begins
WITH_SENTENCES = (
    "ledger.errors.",
    "projections.asking.",
    "access.",
)  # written for people, with nothing recorded in them


@dataclass(slots=True)
class Manner:
    """How this call of `ncen` speaks: JSON or for people, and for whom it acts."""

    json: bool = False
    user: str | None = None


manner = Manner()


def show(data: Any, *lines: object) -> None:  # noqa: ANN401  # whatever msgspec can write as JSON
    """Print the answer of a verb on stdout: `data` as JSON under --json, else the `lines` (text or rich tables)."""
    if manner.json:
        import msgspec

        sys.stdout.write(f"{msgspec.json.encode(data).decode()}\n")
        sys.stdout.flush()
        return
    console = _console()
    for line in lines:
        console.print(clean(line) if isinstance(line, str) else line, soft_wrap=isinstance(line, str))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> object:
    """Return a table for people; cells are shown as text, None as an empty cell. A heading in '>' aligns right."""
    from rich import box
    from rich.table import Table

    is_seen = sys.stdout.isatty()
    made = Table(
        title=title or None,
        title_justify="left",
        box=box.SIMPLE_HEAD if is_seen else box.ASCII2,
        collapse_padding=is_seen,
        pad_edge=not is_seen,
    )
    for column in columns:
        made.add_column(
            clean(column.removesuffix(">")),
            justify="right" if column.endswith(">") else "left",
            overflow="fold",  # nothing is cut off
        )
    for row in rows:
        made.add_row(*(clean("" if cell is None else str(cell)) for cell in row))
    return made


def clean(text: str) -> Any:  # noqa: ANN401  # rich's Text, imported where it is needed
    """Return text that a terminal shows and does not obey: control and direction-overriding codes become visible."""
    from rich.text import Text

    return Text(visible(text).replace("\t", "    "))


def say(message: str) -> None:
    """Tell the person something that is not part of the answer (stderr)."""
    sys.stderr.write(f"{visible(message)}\n")
    sys.stderr.flush()


def visible(text: str) -> str:
    """Return the text with control and direction-changing codes, and what is no character, made visible."""
    return CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def require_text(words: Iterable[str]) -> None:
    """Refuse a line that holds bytes that were no UTF-8: no record, name or address may hold them.

    Raises:
        Misused: it does.
    """
    if any("\ud800" <= letter <= "\udfff" for word in words if not word.isascii() for letter in word):
        raise Misused("The line holds bytes that are no text in UTF-8: is the terminal's encoding another?")


def _console() -> "Console":
    from rich.console import Console

    # NO_COLOR, FORCE_COLOR and TERM=dumb are rich's own to respect.
    return Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)


def fail(error: BaseException) -> ExitCode:
    """Say why a verb failed, as a sentence on stderr (as JSON on stdout under --json), and return its exit code."""
    code = code_of(error)
    message = visible(sentence_of(error, code))
    if os.environ.get("NCEN_DEBUG"):
        traceback.print_exception(error)
    if manner.json:
        import msgspec

        sys.stdout.write(f"{msgspec.json.encode({'error': {'code': int(code), 'message': message}}).decode()}\n")
    else:
        say(f"ncen: {message}")
    return code


def code_of(error: BaseException) -> ExitCode:
    """Return the exit code for an error."""
    if isinstance(error, Failure):
        return error.code
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    for kind in type(error).__mro__:
        known = CODES.get(f"{kind.__module__}.{kind.__qualname__}")
        if known is not None:
            return known
        if kind is Refused:
            return ExitCode.REFUSED
        if kind.__module__.startswith("cyclopts."):
            return ExitCode.USAGE
    return ExitCode.FAULT


def sentence_of(error: BaseException, code: ExitCode) -> str:
    """Return what to say of an error: its own sentence where it was written for people, else none of its text."""
    kind = type(error)
    if code is ExitCode.USAGE and kind.__module__.startswith("cyclopts."):
        return _without_words(error)
    if isinstance(error, Failure | Refused) or f"{kind.__module__}.".startswith(WITH_SENTENCES):
        return str(error) or kind.__name__
    reason = _of_server(error) if f"{kind.__module__}.".startswith("psycopg.") else None
    if reason is not None or code is ExitCode.UNREACHABLE:
        server = "NATS" if kind.__module__.startswith("nats.") else "PostgreSQL"
        silent = f"{server} does not answer ({kind.__name__}). `ncen status` shows the node, `ncen up` starts it."
        return reason or silent
    if code is ExitCode.BAD_INPUT:
        return f"The input does not fit: {_without_values(error)}."
    if code is ExitCode.INTERRUPTED:
        return "Interrupted."
    return f"A fault in ncen itself: {kind.__module__}.{kind.__qualname__} at {place_of(error)}."


def _of_server(error: BaseException) -> str | None:
    """Say what PostgreSQL refuses for a reason of its own, None where it is not one that we know."""
    named = OF_SERVER.get(type(error).__name__)
    return named or (OF_SERVER["TooManyConnections"] if FULL.search(str(error)) else None)


def _without_words(error: BaseException) -> str:
    text = str(error)
    if type(error).__name__ == "UnknownOptionError":
        token = getattr(error, "token", None)
        flag = FLAG.match(getattr(token, "keyword", None) or getattr(token, "value", None) or "")
        meant = MEANT.search(text)
        return f"Unknown option{f': {flag[0]}' if flag else ''}.{meant[0] if meant else ''}"
    for pattern, instead in TYPED:
        text = pattern.sub(instead, text)
    return text


def _without_values(error: BaseException) -> str:
    """Describe a failed validation by field and kind of problem, without the value that was given."""
    parts = getattr(error, "errors", None)
    if callable(parts):  # pydantic
        return "; ".join(f"{'.'.join(map(str, part['loc']))} ({part['type']})" for part in parts())
    return QUOTED.sub("'…'", str(error))  # msgspec


def place_of(error: BaseException) -> str:
    """Return where in our own code an error came up (else where it was raised), as `cli/main.py:12`."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "an unknown place"
    house = Path(__file__).parents[1]
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(house) and ".venv" not in frame.filename]
    last = (ours or frames)[-1]
    return f"{'/'.join(Path(last.filename).parts[-2:])}:{last.lineno}"
