"""THE permission matrix: which role may give which command, call which verb of `ncen`, and how far it sees.

One table of data, walked by a test: what it does not name is refused. A command or verb names the roles that may; a
role names how far it sees into personal data, and nobody holds a role that watches beside one that is watched.
"""

from collections.abc import Collection, Iterable
from enum import StrEnum

import msgspec

from domain.attribution import Role
from domain.handling import Handling

OFFICER, INVESTIGATOR, ANALYST, SUPERVISOR = Role.OFFICER, Role.INVESTIGATOR, Role.ANALYST, Role.SUPERVISOR
CUSTODIAN, DATA_MANAGER, CONTACT_POINT = Role.CUSTODIAN, Role.DATA_MANAGER, Role.CONTACT_POINT
PROTECTION, AUDITOR = Role.DATA_PROTECTION_OFFICER, Role.AUDITOR
LEGAL, ADMINISTRATOR, NODE = Role.LEGAL_OFFICER, Role.ADMINISTRATOR, Role.NODE

Roles = frozenset[Role]

FIELD: Roles = frozenset({OFFICER, INVESTIGATOR, SUPERVISOR})
"""Those who record what they find."""
ENTERING: Roles = FIELD | {DATA_MANAGER}
"""Those who put open facts on record, by hand or from files."""
PROCEEDING: Roles = frozenset({INVESTIGATOR, SUPERVISOR})
READING: Roles = frozenset(
    {OFFICER, INVESTIGATOR, ANALYST, SUPERVISOR, CUSTODIAN, DATA_MANAGER, CONTACT_POINT, PROTECTION, AUDITOR}
)
"""Those who read cases; how much of each, `SIGHTS` and the predicate of need-to-know say."""
READING_SUBJECTS: Roles = READING - {CUSTODIAN, DATA_MANAGER}
WATCHING: Roles = frozenset({PROTECTION, AUDITOR})
"""Those who watch the others, and do nothing that is watched."""
SHIELD: Roles = frozenset({PROTECTION})
"""Those who shield persons: restrict, hold and erase."""
LAW: Roles = frozenset({LEGAL})
HEAD: Roles = frozenset({SUPERVISOR})
OFFICE: Roles = frozenset({ADMINISTRATOR})
EXCHANGING: Roles = frozenset({CONTACT_POINT, LEGAL, AUDITOR})
ANYBODY: Roles = frozenset(Role) - {NODE}


class Host(StrEnum):
    """Stands in the matrix for verbs that need no sign-in: whoever runs the node's machine calls them."""

    HOST = "host"


HOST: frozenset[Host] = frozenset({Host.HOST})


def _each(names: str, roles: Roles) -> dict[str, Roles]:
    return dict.fromkeys(names.split(), roles)


COMMANDS: dict[str, Roles] = {
    **_each("record-seizure restate-seizure correct-seizure add-goods correct-goods withdraw-goods", ENTERING),
    **_each("name-party withdraw-party note-plates note-documents", ENTERING),
    **_each("write-narrative", FIELD),
    **_each("submit-seizure cancel-seizure", ENTERING),
    **_each("validate-seizure return-seizure", HEAD),
    **_each("record-offence correct-offence attach-seizure detach-seizure", FIELD),
    **_each("name-offence-party withdraw-offence-party write-offence-narrative", FIELD),
    **_each("change-offence-status impose-penalty lift-penalty cancel-offence", PROCEEDING),
    **_each("register-person assert-about-person retract-about-person", FIELD),
    **_each("register-business assert-about-business retract-about-business", FIELD),
    **_each("merge-person unmerge-person merge-business unmerge-business", PROCEEDING),
    **_each("restrict-person lift-restriction-of-person hold-person release-hold-of-person erase-person", SHIELD),
    **_each("restrict-business lift-restriction-of-business hold-business release-hold-of-business", SHIELD),
    **_each("erase-business", SHIELD),
    **_each("register-premise title-premise set-premise-scope set-premise-conditions set-premise-period", LAW),
    **_each("suspend-premise resume-premise end-premise", LAW),
    **_each("receive-notice take-back-notice", frozenset({NODE})),
    **_each("register-user grant-role withdraw-role place-user disable-user enable-user acknowledge-loss", OFFICE),
    **_each("assign-case withdraw-case", HEAD),
}
"""Each command by its tag, and the roles that may give it."""


def _verbs(lines: Iterable[tuple[str, Roles | frozenset[Host]]]) -> dict[str, Roles | frozenset[Host]]:
    return {verb.strip(): roles for verbs, roles in lines for verb in verbs.split(",")}


VERBS: dict[str, Roles | frozenset[Host]] = _verbs(
    (
        ("up, down, status, work, demo, completion, login, logout, whoami, backup, restore, soak", HOST),
        ("vault scan", HOST),  # who can read the files themselves may look through them, with the server down as well
        ("import mappings, peer card, evidence check, evidence verifier", HOST),
        ("seizure record, seizure correct, seizure submit, seizure cancel", ENTERING),
        ("seizure goods add, seizure goods correct, seizure goods withdraw", ENTERING),
        ("seizure plate, seizure document, seizure party add, seizure party withdraw", ENTERING),
        ("seizure narrative", FIELD),
        ("seizure validate, seizure return", HEAD),
        ("seizure show, seizure list, offence show, offence list", READING),
        ("offence record, offence correct, offence attach, offence detach, offence narrative", FIELD),
        ("offence party add, offence party withdraw", FIELD),
        ("offence status, offence penalty impose, offence penalty lift, offence cancel", PROCEEDING),
        ("person record, person assert, person retract, business record, business assert, business retract", FIELD),
        ("person merge, person unmerge, business merge, business unmerge", PROCEEDING),
        ("person show, person list, business show, business list", READING_SUBJECTS),
        ("person erase, person restrict, person release, person hold", SHIELD),
        ("business erase, business restrict, business release, business hold", SHIELD),
        ("import seizures", frozenset({DATA_MANAGER})),
        ("history, search", READING),
        ("break-glass", READING_SUBJECTS - WATCHING),
        ("unmask", frozenset({ANALYST})),
        ("stats seizures", READING | LAW),
        ("verify, fsck, proof, proof entry, proof checkpoint, proof tiles, evidence make", WATCHING | OFFICE | HEAD),
        ("loss acknowledge, peer accept-loss, peer suspend, peer resume, peer remove", OFFICE),
        ("loss list", WATCHING | OFFICE | HEAD),
        (
            "keys rotate, keys revoke, keys destroy, keys list, keys show, vault rotate, vault status, epoch rotate",
            OFFICE,
        ),
        ("premise add, premise suspend, premise resume, premise end, premise title", LAW),
        ("premise scope, premise conditions, premise period", LAW),
        ("premise show, premise list", EXCHANGING | HEAD),
        ("peer list, feed status", EXCHANGING | OFFICE),
        ("peer add, peer replace, feed resume", OFFICE | {CONTACT_POINT}),
        ("feed audit, feed lost", EXCHANGING | WATCHING),
        ("feed explain, cen preview", EXCHANGING | {DATA_MANAGER}),
        ("user add, user grant, user revoke, user place, user disable, user enable, user enrol", OFFICE),
        ("user assign, user unassign", HEAD),
        ("user list, user show", OFFICE | HEAD | WATCHING),
        ("user token add, user token list, user token revoke, user password, user totp", ANYBODY),
        ("log who-saw, log what-did, log sample, log gaps, log duties, log verify", WATCHING),
        ("log review", HEAD | WATCHING),
        ("log drop", SHIELD),
    )
)
"""Each verb of `ncen`, and the roles that may call it; a test fails when a verb is missing."""


class Scope(StrEnum):
    """Whose personal data a role sees by itself, without breaking a glass."""

    NONE = "none"
    OWN = "own"
    """What one recorded oneself."""
    CASES = "cases"
    """What one recorded, and the cases that were assigned to one."""
    OFFICE = "office"
    """As `cases`, and all cases of one's own customs office."""
    NATIONAL = "national"
    """All that is on record at this node."""


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """How far a role sees: the scope of its personal data, restricted subjects, and the tightest handling code.

    Who is `masked` sees pseudonyms in the place of persons and businesses, and nothing of what is said of them.
    """

    scope: Scope
    sees_restricted: bool = False
    handling: Handling = Handling.H2
    masked: bool = False


SIGHTS: dict[Role, Sight] = {
    OFFICER: Sight(scope=Scope.OFFICE),
    INVESTIGATOR: Sight(scope=Scope.CASES),
    ANALYST: Sight(scope=Scope.CASES, masked=True),
    SUPERVISOR: Sight(scope=Scope.OFFICE),
    CUSTODIAN: Sight(scope=Scope.OWN),
    DATA_MANAGER: Sight(scope=Scope.OWN),
    CONTACT_POINT: Sight(scope=Scope.NATIONAL, handling=Handling.H3),
    PROTECTION: Sight(scope=Scope.NATIONAL, sees_restricted=True, handling=Handling.H3),
    AUDITOR: Sight(scope=Scope.NATIONAL, sees_restricted=True, handling=Handling.H3),
    LEGAL: Sight(scope=Scope.NONE),
    ADMINISTRATOR: Sight(scope=Scope.NONE),
    NODE: Sight(scope=Scope.NONE),
}
"""How far each role sees into personal data; open facts, which name no one, are seen by all who read cases."""


def may_command(role: Role, tag: str) -> bool:
    """Whether somebody acting in this role may give the command with this tag; an unknown command nobody may."""
    return role in COMMANDS.get(tag, frozenset())


def may_call(roles: Collection[Role], verb: str) -> bool:
    """Whether somebody who holds these roles may call a verb; an unknown verb nobody may."""
    allowed = VERBS.get(verb, frozenset())
    return allowed == HOST or any(role in allowed for role in roles)


def needs_sign_in(verb: str) -> bool:
    """Whether a closed node asks who calls this verb; it does for every verb that is not the host's."""
    return VERBS.get(verb) != HOST


def conflicting(roles: Collection[Role]) -> tuple[Role, Role] | None:
    """Two of these roles that one person may not hold together, or None: who watches does nothing that is watched."""
    watching = sorted(set(roles) & WATCHING)
    others = sorted(set(roles) - WATCHING)
    return (watching[0], others[0]) if watching and others else None
