"""A closed node for the tests of access: users of several roles, signed in without the cost of a password.

Lines run in this process, as the command runs them; the gate can also be asked directly, as the reader.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from access import accounts, callers, gate, logins, schema
from domain.attribution import Attribution, Purpose, Role
from domain.user import RegisterUser, User, record_id_of
from ledger.ledger import Ledger
from ledger.sessions import Session, connect
from tests.cli.closed import Closed
from tests.cli.node import node

BOSS = Attribution(actor="boss", role=Role.ADMINISTRATOR, purpose=Purpose.ADMINISTRATION, legal_basis="XA:CUSTOMS-ACT")
HERE, ELSEWHERE = "COBOG1", "COMDE1"
WAIT = ("--wait", "20")
USERS: dict[str, tuple[Role, str | None]] = {
    "boss": (Role.ADMINISTRATOR, None),
    "anna": (Role.OFFICER, HERE),
    "olaf": (Role.OFFICER, HERE),
    "otto": (Role.OFFICER, ELSEWHERE),
    "ivan": (Role.INVESTIGATOR, None),
    "sofia": (Role.SUPERVISOR, HERE),
    "dora": (Role.DATA_PROTECTION_OFFICER, None),
    "udo": (Role.AUDITOR, None),
    "cora": (Role.CONTACT_POINT, None),
    "ada": (Role.ANALYST, None),
}


class World:
    """A closed node with its users."""

    def __init__(self, home: Path, database_url: str) -> None:
        """Put the users on record and begin a session for each."""
        self.home, self.database_url = home, database_url
        self.secrets: dict[str, str] = {}
        with Ledger.open(database_url, node="XA", keys=home / "keys") as ledger, connect(database_url) as session:
            schema.prepare(session, home / "keys")
            for user, (role, office) in USERS.items():
                command = RegisterUser(user=user, roles=(role,), office=office)
                ledger.execute(record_id_of("XA", user), command, BOSS)
                stands = User(user=user, roles=(role,), office=office)
                accounts.write(session, record_id_of("XA", user), stands)
                self.secrets[user], _ = callers.begin(session, user, datetime.now(UTC))

    @property
    def reader_url(self) -> str:
        """Where the reader's login finds the database."""
        return logins.url(self.database_url, self.home / "keys", logins.Reading.GATE)

    @property
    def log_reader_url(self) -> str:
        """Where the login of the log's reader finds the database."""
        return logins.url(self.database_url, self.home / "keys", logins.Reading.LOG)

    def as_(self, user: str) -> Closed:
        """The node as this user calls it."""
        return Closed(self.home, self.database_url).as_(user, token=self.secrets[user])

    def with_user(self, user: str, role: Role) -> Closed:
        """One more user, of no office, signed in."""
        with (
            Ledger.open(self.database_url, node="XA", keys=self.home / "keys") as ledger,
            connect(self.database_url) as session,
        ):
            ledger.execute(record_id_of("XA", user), RegisterUser(user=user, roles=(role,)), BOSS)
            accounts.write(session, record_id_of("XA", user), User(user=user, roles=(role,)))
            self.secrets[user], _ = callers.begin(session, user, datetime.now(UTC))
        return self.as_(user)

    def seizure(self, by: str = "anna", *, office: str = HERE) -> str:
        """The id of a seizure at an office in which nobody has a part."""
        goods = ("--goods", "section=tobacco,quantity=12 kg")
        where = ("--office", office, "--place", "CO", "--on", "2024-05-31")
        return self.as_(by).does("seizure", "record", *where, *goods, *WAIT).strip()

    def case(
        self, by: str = "anna", *, office: str = HERE, name: str = "Pablo Quintana", words: str = ""
    ) -> tuple[str, str]:
        """A seizure at an office in which a person of this name has a part: the ids of both."""
        them = self.as_(by)
        person = them.does("person", "record", "--name", name, *WAIT).strip()
        seizure = self.seizure(by, office=office)
        them.does("seizure", "party", "add", seizure, f"{person}:courier", *WAIT)
        if words:
            them.does("seizure", "narrative", seizure, words, *WAIT)
        return seizure, person

    @contextmanager
    def reader(self) -> Iterator[Session]:
        """A session of the reader, as whoever has only its login would have it."""
        with gate.reader(self.reader_url) as session:
            yield session

    @contextmanager
    def owner(self) -> Iterator[Session]:
        """A session of the database's owner."""
        with connect(self.database_url) as session:
            yield session

    def log(self, columns: str = "verb, user_id, records") -> list[tuple[Any, ...]]:
        """The processing log, oldest first."""
        with self.owner() as session:
            return session.execute(f"SELECT {columns} FROM processing.log ORDER BY number".encode()).fetchall()


@contextmanager
def world(home: Path, database_url: str) -> Iterator[World]:
    """A closed node with its workers."""
    with node(home, database_url, kind=Closed):
        yield World(home, database_url)


def asked(
    verb: str = "person show", role: Role = Role.OFFICER, *, breaks: bool = False, why: Sequence[str] = ()
) -> gate.Asked:
    """What is asked of the gate."""
    return gate.Asked(
        verb=verb,
        role=role,
        purpose=Purpose.DETECTION,
        legal_basis="XA:CUSTOMS-ACT",
        justification=why[0] if why else None,
        breaks=breaks,
    )
