"""How personal data are consulted at a closed node: for a purpose, on grounds, by a ticket that is committed first.

On an open node nothing of this is asked. A consultation that the predicate of need-to-know denies finds nothing, in the
very words of what is not there; `--break-glass` opens it for a justification, and goes to the review queue. Whoever is
masked sees pseudonyms, and may give one wherever an id is asked for; `--unmask` shows who it is, and is reviewed too.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import msgspec
from cyclopts import Group, Parameter

from cli.output import Misused, NotAllowed, NotFound
from cli.signing import connected, signing
from domain import forms
from domain.attribution import LegalBasis, Purpose, Role
from domain.consultation import Justification, Reference
from domain.pseudonym import Pseudonym, pseudonym_in

if TYPE_CHECKING:
    from access.gate import Asked, Ticket
    from access.searching import GateTables
    from cli.settings import Settings
    from domain.entry import Entry
    from ledger.sessions import Session
    from projections.search import Found
    from projections.statistics import Statistics

WHY = Group("Who looks, and why (at a closed node)", sort_key=90)
ALL = 2
"""The level at which a record is seen whole."""
OPEN_FACTS_ONLY = "You see the open facts of this record only."


@Parameter(name="*", group=WHY)
@dataclass(frozen=True, kw_only=True, slots=True)
class Consulting:
    """In which role, for what purpose and on what grounds somebody looks."""

    role: Annotated[Role | None, Parameter(show_choices=False)] = None
    """The role in which you look, where you hold several (or NCEN_ACTING_ROLE)."""
    purpose: Annotated[Purpose | None, Parameter(show_choices=False)] = None
    """What you look for: detection when nothing is said (or NCEN_PURPOSE)."""
    legal_basis: str | None = None
    """The statute it is done on, as a code (or NCEN_LEGAL_BASIS)."""
    because: Annotated[Justification | None, Parameter(show_choices=False)] = None
    """Why you look, such as own-case, border-check or threat-to-life."""
    reference: str | None = None
    """The number of the case, order or request that it rests on."""
    break_glass: bool = False
    """See what you may not see otherwise: needs --because, and is reviewed."""
    unmask: bool = False
    """See who stands behind pseudonyms: needs --because, and is reviewed."""

    def asked(self, settings: "Settings") -> "Asked":
        """What is asked of the gate.

        Raises:
            Misused: a part of it does not fit.
            NotAllowed: the caller may not look in this role.
        """
        from access.gate import Asked

        if self.break_glass and self.because is None:
            raise Misused("To break the glass, say why: --because threat-to-life, and --reference where there is one.")
        if self.unmask and self.because is None:
            raise Misused("To unmask, say why: --because own-case, and --reference where there is one.")
        told = {
            "legal_basis": self.legal_basis or settings.legal_basis or f"{settings.node[:2]}:CUSTOMS-ACT",
            "reference": self.reference,
        }
        try:
            checked = forms.convert(told, Checked)
        except msgspec.ValidationError as error:
            from cli.asking import sentence

            flags = {"legal_basis": "--legal-basis", "reference": "--reference"}
            raise Misused(sentence(str(error), Checked, flags)) from None
        return Asked(
            verb=signing.verb,
            role=signing.role(self.role or settings.acting_role),
            purpose=self.purpose or settings.purpose or Purpose.DETECTION,
            legal_basis=checked.legal_basis,
            justification=self.because,
            reference=checked.reference,
            breaks=self.break_glass,
            unmasks=self.unmask,
        )


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What of a consultation is typed by hand."""

    legal_basis: LegalBasis
    reference: Reference | None = None


CONSULTING = Consulting()


def id_of(record_id: UUID, consulting: Consulting) -> UUID:
    """The id of the record that is meant: the same, or whose pseudonym it is among those whom the caller sees.

    A pseudonym of nobody stays what it is, and is the id of no record. Looking for whose it is leaves a line.

    Raises:
        NotAllowed: the caller may not ask.
    """
    if signing.caller is None or not isinstance(record_id, Pseudonym):
        return record_id
    from access import gate
    from access.masking import subject_of
    from cli.settings import load
    from ledger.keyring import Keyring

    settings = load()
    asked = msgspec.structs.replace(consulting.asked(settings), breaks=False, unmasks=False)  # nothing is opened yet
    with gate.reader(reader_url(settings)) as session, gate.evenly():
        ticket = gate.ask(session, _secret(), asked, [], gate.words_of(pseudonym=record_id))
        found = subject_of(record_id, gate.subjects(session, ticket), Keyring.open(settings.keys))
        gate.shown(session, ticket, [] if found is None else [found])
    return found or record_id


def opened_entries(record_id: UUID, consulting: Consulting, until: int | datetime | None = None) -> "list[Entry]":
    """The entries of a record that the caller of a closed node may see, up to a position or moment; none is an answer.

    Raises:
        NotAllowed: the caller may not ask.
    """
    from access import gate
    from cli.settings import load
    from ledger.keyring import Keyring
    from ledger.vault import Vault

    settings = load()
    asked = consulting.asked(settings)
    with gate.reader(reader_url(settings)) as session, gate.evenly():
        args = gate.words_of(record=record_id)
        ticket = gate.ask(session, _secret(), asked, [record_id], args)
        return gate.open_record(session, ticket, Vault(Keyring.open(settings.keys)), record_id, until)


def seen(record_id: UUID, consulting: Consulting, sentence: str) -> "list[Entry] | None":
    """Log that the caller of a closed node looks at a record, and return what they see of it; None on an open node.

    Raises:
        NotFound: they see nothing of it: `sentence` is what is said of a record that is not there.
    """
    if signing.caller is None:
        return None
    entries = opened_entries(record_id, consulting)
    if not entries:
        raise NotFound(sentence)
    return entries


@contextmanager
def showing(consulting: Consulting, **told: Any) -> "Iterator[Callable[[Sequence[UUID]], None]]":  # noqa: ANN401  # whatever was asked
    """Commit a ticket before something is looked for; yield what commits the ids that are about to be shown.

    On an open node nothing is committed.

    Raises:
        NotAllowed: the caller may not ask.
    """
    if signing.caller is None:
        yield lambda _records: None
        return
    from access import gate
    from cli.settings import load

    settings = load()
    asked = consulting.asked(settings)
    with gate.reader(reader_url(settings)) as session:
        ticket = gate.ask(session, _secret(), asked, [], gate.words_of(**told))
        yield lambda records: gate.shown(session, ticket, records)


def search_for(settings: "Settings", consulting: Consulting, told: dict[str, Any]) -> "Found":
    """Search through the gate; the ids that are shown are committed to the log before they are.

    Raises:
        NotAllowed: the caller may not ask.
    """
    from access import gate
    from access.masking import masked_found
    from access.searching import GateTables
    from ledger.keyring import Keyring
    from projections.search import search

    asked = consulting.asked(settings)
    with gate.reader(reader_url(settings)) as session, gate.evenly():
        ticket = gate.ask(session, _secret(), asked, [], gate.words_of(**told))
        tables = GateTables(asked.role, ticket)
        with gate.answered():
            found = search(session, **_by_ids(told, session, ticket, tables, settings), tables=tables)
        gate.shown(session, ticket, [hit.record_id for hit in found.hits])
    if not gate.is_masked(asked):
        return found
    return masked_found(found, Keyring.open(settings.keys), tables.clear)


def _by_ids(
    told: dict[str, Any], session: "Session", ticket: "Ticket", tables: "GateTables", settings: "Settings"
) -> dict[str, Any]:
    """What was asked, with what is meant in the place of a pseudonym: as the mark of a page, or as a name.

    A pseudonym in the place of a name leads to the cases that whoever it stands for has a part in.
    """
    name, mark = (told[part] and pseudonym_in(told[part]) for part in ("name", "after"))
    if not name and not mark:
        return told
    from access import gate
    from access.masking import subject_of
    from ledger.keyring import Keyring
    from projections.search import CASES, following

    keys = Keyring.open(settings.keys)
    if mark:
        meant = subject_of(mark, gate.subjects(session, ticket), keys)
        told = told | {"after": "-" if meant is None else following(meant)}
    if name:
        meant = subject_of(name, gate.subjects(session, ticket), keys)
        tables.meant = frozenset() if meant is None else frozenset({meant})
        told = told | {"name": str(name.int), "kind": told["kind"] if told["kind"] in CASES else "seizure"}
    return told


def figures(settings: "Settings", by: Sequence[str], told: dict[str, Any]) -> "Statistics":
    """Figures as the reader may count them: open facts, up to the handling code of the caller's role."""
    from access import gate
    from access.searching import GateTables
    from projections.statistics import seizure_statistics

    assert signing.caller is not None  # noqa: S101  # asked on a closed node only
    allowed = signing.caller.may_call(signing.verb)
    role = settings.acting_role if settings.acting_role in allowed else allowed[0]
    with gate.reader(reader_url(settings)) as session:
        return seizure_statistics(session, by, **told, tables=GateTables(role, None))


def require_sight(record_id: UUID, kind: str | None) -> None:
    """Refuse to change what the caller of a closed node does not see whole; what they do not see is not there.

    Raises:
        NotFound: they do not see it.
        NotAllowed: they see its open facts only.
    """
    reached = _level(record_id)
    if reached == 0:
        raise NotFound(f"There is no {kind or 'record'} with the id {record_id}.")
    if reached < ALL:
        raise NotAllowed(f"{OPEN_FACTS_ONLY[:-1]}, and cannot change it or add to it.")


def require_known(record_ids: Sequence[UUID], consulting: Consulting, *, opens: bool = False) -> None:
    """Log that these records are proven to the caller of a closed node; refuse what is not there for them.

    Of what `opens`, they must see all, and no line is left yet: `consult` leaves one for each.

    Raises:
        NotFound: they see nothing of one of them: in the words for what is on no record.
        NotAllowed: it is to be opened, and they see open facts of one of them only.
    """
    if signing.caller is None:
        return
    from access import gate
    from cli.settings import load

    settings = load()
    asked = consulting.asked(settings)
    with gate.reader(reader_url(settings)) as session:
        for record_id in record_ids:
            reached = gate.level(session, _secret(), asked.role, record_id)
            if reached == 0:
                raise NotFound(f"The record {record_id} has no sealed entry.")
            if opens and reached < ALL:
                raise NotAllowed(OPEN_FACTS_ONLY)
        if not opens:
            gate.ask(session, _secret(), asked, record_ids, gate.words_of(records=list(record_ids)))


def _level(record_id: UUID) -> int:
    """How far the caller sees a record; all of it on an open node."""
    if signing.caller is None:
        return ALL
    from access import gate
    from cli.settings import load

    settings = load()
    role = signing.acting or signing.role(settings.acting_role)
    with gate.reader(reader_url(settings)) as session:
        return gate.level(session, _secret(), role, record_id)


def version_seen(version: int, entries: "Callable[[], Sequence[Entry]]") -> int:
    """A version of a record as the caller counts it, who sees all of it but what tells of somebody restricted to them.

    It is the number under which the record and its history are shown to them. `entries` are those of the record.
    """
    if signing.caller is None:
        return version
    from access import gate
    from cli.settings import load

    told = [entry for entry in entries() if entry.version <= version]
    assert signing.acting is not None  # noqa: S101  # who wrote acted in a role
    if not any(map(gate.subjects_of, told)):
        return version
    with connected(load()) as session:
        hidden = gate.restricted(session, signing.acting, told)
    return sum(not gate.subjects_of(entry) & hidden for entry in told)


def consult(record_ids: Sequence[UUID], consulting: Consulting) -> "frozenset[int] | None":
    """Log that the caller of a closed node opens these records, which `require_known` let pass; what the gate opens.

    Gives the positions of the entries that the caller may see, since a record may tell of somebody who is restricted;
    None on an open node, for all of them.
    """
    if signing.caller is None:
        return None
    from access import gate
    from cli.settings import load
    from ledger.keyring import Keyring
    from ledger.vault import Vault

    settings = load()
    asked = consulting.asked(settings)
    vault = Vault(Keyring.open(settings.keys))
    positions: set[int] = set()
    with gate.reader(reader_url(settings)) as session:
        args = gate.words_of(records=list(record_ids))
        for record_id in record_ids:  # a ticket each: opening many may take longer than one is good for
            ticket = gate.ask(session, _secret(), asked, [record_id], args)
            opened = gate.open_record(session, ticket, vault, record_id)
            positions.update(entry.position for entry in opened if entry.position is not None)
    return frozenset(positions)


def reader_url(settings: "Settings", *, of_log: bool = False) -> str:
    """The address of the node's database for the login that only reads: through the gate, or the processing log.

    Raises:
        Unsafe: there is no such login.
    """
    from access import logins
    from cli.supervisor import database_url

    return logins.url(database_url(settings), settings.keys, logins.Reading.LOG if of_log else logins.Reading.GATE)


def _secret() -> str:
    assert signing.caller is not None  # noqa: S101  # asked on a closed node only
    return signing.caller.secret
