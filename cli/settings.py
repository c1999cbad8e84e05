"""What this node is and where its things lie: flags go before the environment (NCEN_…), which goes before ncen.toml.

It keeps these rules: the home and all in it are made for the owner alone; a value that does not fit is named, with
what would fit; addresses that may hold a password are never shown.
"""

import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cli.output import BadInput, Misused
from cli.processes import write_durably
from domain.attribution import Purpose, Role
from ledger import given_file

NODE_NAME = r"[A-Z]{2}[A-Z0-9-]{0,10}"
LEGAL_BASIS = r"[A-Z0-9][A-Z0-9.:/-]{1,39}"
MOST_FILE_BYTES = 4 * 1024  # what it holds is short, and a reader of TOML takes long over keys of many parts
NAMELESS = "XX"  # ISO 3166 leaves it to its users: a node that has not been given a name
IN_FILE = (
    *("node", "role", "nats", "nats_listen", "tls_cert", "tls_key", "tls_ca"),
    *("acting_role", "purpose", "legal_basis"),
)


def default_home() -> Path:
    """Return the home of a node whose home nobody has set: /var/lib/ncen for root, else in the user's data folder."""
    if os.geteuid() == 0:
        return Path("/var/lib/ncen")
    data = os.environ.get("XDG_DATA_HOME", "")
    return (Path(data) if data.startswith("/") else Path.home() / ".local" / "share") / "ncen"


def _text(value: object) -> str:
    if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError("it is text in UTF-8")
    return value


def _path(value: object) -> Path:
    return Path(value if isinstance(value, Path) else _text(value)).expanduser().absolute()


def _address(value: object) -> str:
    host, port = _split_address(_text(value))
    ipaddress.ip_address(host)
    if not 0 <= port <= 65_535:
        raise ValueError("a port is a number from 0 to 65535")
    return _text(value)


def _matching(pattern: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if re.fullmatch(pattern, _text(value)) is None:
            raise ValueError("it does not have the form of one")
        return _text(value)

    return read


def _one_of(*known: str) -> Callable[[object], Any]:
    def read(value: object) -> Any:  # noqa: ANN401  # one of the known, whose type the field tells
        if value not in known:
            raise ValueError(f"it is one of {', '.join(known)}")
        return value

    return read


READERS: dict[str, Callable[[object], Any]] = {
    "home": _path,
    "database_url": _text,
    "nats_url": _text,
    "user": _text,
    "acting_role": lambda value: Role(_text(value)),
    "purpose": lambda value: Purpose(_text(value)),
    "legal_basis": _matching(LEGAL_BASIS),
    "pg_bin": _path,
    "node": _matching(NODE_NAME),
    "role": _one_of("nation", "cen"),
    "nats": _one_of("auto", "always", "never"),
    "nats_listen": _address,
    "tls_cert": _path,
    "tls_key": _path,
    "tls_ca": _path,
}
"""How each setting is read from a flag, a variable or the file; what does not fit raises ValueError."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings of one node. Read them with `load`, which turns a wrong value into a sentence."""

    home: Path = field(default_factory=default_home)
    database_url: str | None = field(default=None, repr=False)
    nats_url: str | None = field(default=None, repr=False)
    user: str | None = None
    acting_role: Role | None = None
    purpose: Purpose | None = None
    legal_basis: str | None = None
    pg_bin: Path | None = None
    node: str = NAMELESS
    role: Literal["nation", "cen"] = "nation"
    nats: Literal["auto", "always", "never"] = "auto"
    nats_listen: str = "127.0.0.1:0"
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None

    @property
    def file(self) -> Path:
        """The node's own settings, written by `ncen up`."""
        return self.home / "ncen.toml"

    @property
    def keys(self) -> Path:
        """The folder of the node's keys: outside PostgreSQL, for the owner alone."""
        return self.home / "keys"

    @property
    def checkpoints(self) -> Path:
        """The folder of signed checkpoints and tiles: outside PostgreSQL, so that an older copy of it is noticed."""
        return self.home / "checkpoints"

    @property
    def run(self) -> Path:
        """The folder of locks, process ids and the supervisor's state."""
        return self.home / "run"

    @property
    def log(self) -> Path:
        """The folder of the node's logs."""
        return self.home / "log"

    @property
    def nats_address(self) -> tuple[str, int]:
        """Where the node's NATS listens for peers: an IP address and a port, 0 for any that is free."""
        return _split_address(self.nats_listen)

    def make_folders(self) -> None:
        """Make the home and its private folders, as far as they are missing."""
        if not self.home.exists():
            self.home.mkdir(parents=True)
            # The servers of root's node run as another user, who passes through the home and sees nothing of it.
            self.home.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for folder in (self.keys, self.run, self.log):
            folder.mkdir(mode=0o700, exist_ok=True)

    def named(self, **changes: str | None) -> "Settings":
        """Write what this node is into its file and return the settings with it; None leaves a value as it is.

        Raises Misused when the node already has another name or role: the ledger's entries carry them.
        """
        wanted = {name: value for name, value in changes.items() if value is not None}
        stored = _read_file(self.file)
        for name in ("node", "role"):
            if name in wanted and stored.get(name, wanted[name]) != wanted[name]:
                raise Misused(
                    f"This home's {name} is {stored[name]}, and what is recorded in it says so: it stays. "
                    "Another node needs another home (--home, NCEN_HOME)."
                )
        if not wanted:
            return self
        fresh = load(home=self.home, **wanted)
        kept = {name: value for name, value in {**stored, **wanted}.items() if name in IN_FILE}
        if kept != stored:
            self.make_folders()
            write_durably(self.file, "".join(f"{name} = {json.dumps(value)}\n" for name, value in kept.items()))
        return fresh


def load(**flags: Any) -> Settings:  # noqa: ANN401  # flags of any verb; each is checked by its field
    """Read the settings; flags that are None do not count.

    Raises Misused for a wrong flag or variable, BadInput for a wrong ncen.toml.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    variables = {name: value for name in READERS if (value := os.environ.get(f"NCEN_{name.upper()}"))}
    home = Path(given.get("home") or variables.get("home") or default_home()).expanduser()
    told, problems = {}, []
    for name, value in (_read_file(home / "ncen.toml") | variables | given).items():
        try:
            told[name] = READERS[name](value)
        except ValueError as error:
            problems.append(_problem(name, str(error), given))
    if problems:
        raise Misused(" ".join(problems))
    settings = Settings(**told)
    if settings.home.exists() and not os.access(settings.home, os.R_OK | os.W_OK | os.X_OK):
        raise Misused(f"{settings.home} belongs to another user; set NCEN_HOME to a home of your own.")
    return settings


def _problem(name: str, message: str, given: dict[str, Any]) -> str:
    variable = f"NCEN_{name.upper()}"
    where = f"--{name.replace('_', '-')}" if name in given else variable if variable in os.environ else "ncen.toml"
    hints = {
        "node": "a node's name is two capital letters, then up to ten capitals, digits or hyphens (FR, DE-NORTH)",
        "nats_listen": "it is an IP address and a port, as in 0.0.0.0:4222",
        "role": "it is nation or cen",
        "nats": "it is auto, always or never",
        "acting_role": f"it is one of {', '.join(Role)}",
        "purpose": f"it is one of {', '.join(Purpose)}",
        "legal_basis": "it is the code of a statute, as in FR:CUSTOMS-CODE:60",
    }
    return f"{where}: {hints.get(name, message)}."


def _split_address(value: str) -> tuple[str, int]:
    found = re.fullmatch(r"\[?([0-9A-Fa-f.:]+?)\]?:(\d{1,5})", value)
    if found is None:
        raise ValueError("an address is HOST:PORT")
    return found[1], int(found[2])


def _read_file(path: Path) -> dict[str, Any]:
    """Read ncen.toml; empty when there is none. Raises BadInput when it is not TOML or holds what we do not know."""
    try:
        path.lstat()
        found = tomllib.loads(given_file.read(path, MOST_FILE_BYTES).decode())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except PermissionError:
        raise Misused(f"{path} belongs to another user; set NCEN_HOME to a home of your own.") from None
    except given_file.Unusable as error:
        raise BadInput(f"{path}: {error}.") from None
    except (ValueError, RecursionError) as error:  # TOML's own errors are ValueErrors, and so is a number without end
        known = isinstance(error, tomllib.TOMLDecodeError | UnicodeDecodeError)
        reason = error if known else "it is nested too deeply, or holds a number without end"
        raise BadInput(f"{path} is not valid TOML: {reason}.") from None
    unknown = sorted(set(found) - set(IN_FILE))
    if unknown:
        raise BadInput(f"{path} holds {', '.join(unknown)}, which ncen does not know; it knows {', '.join(IN_FILE)}.")
    return found
