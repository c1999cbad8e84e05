"""The decision whether an entry that a peer sent may be recorded here: pure, and denying by default.

The sender's signature has been verified before; here the entry must be what it says it is (its leaf, its key, its form)
and stand on a legal premise that we know, that is in force, and whose conditions it keeps. What fails is quarantined
with its reason: stored, shown and not projected, and judged again when our own premises change.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from domain import records
from domain.entry import Provenance
from domain.event import PersonalEvent
from domain.handling import DataCategory, PremiseKind
from domain.premise import Gap
from exchange.box import unbox_by_any
from exchange.envelope import Core
from exchange.release import CASES, FOLLOWING, PARTIES, KnownPremise
from ledger import attributed, leaf, vault
from ledger.received import Received


class Fault(StrEnum):
    """Why an entry was quarantined: a closed list."""

    UNKNOWN_NAME = "unknown-name"
    KIND = "kind"
    LEAF = "leaf"
    ATTRIBUTION = "attribution"
    KEY = "key"
    BODY = "body"
    NO_PREMISE = "no-premise"
    NOT_IN_FORCE = "not-in-force"
    SENDER = "sender"
    DATA_CATEGORY = "data-category"
    HANDLING = "handling"
    PURPOSE = "purpose"
    CONFLICT = "conflict"
    DIFFERS = "differs"
    NOTICE = "notice"

    @property
    def sentence(self) -> str:
        """The fault as a whole sentence."""
        return SENTENCES[self]


SENTENCES: dict[Fault, str] = {
    Fault.UNKNOWN_NAME: "Its event has a name that this node does not know: it comes from a newer program.",
    Fault.KIND: "Records of this kind are not exchanged.",
    Fault.LEAF: "The leaf that it names does not follow from what it shows.",
    Fault.ATTRIBUTION: "Its attribution does not fit the hash beside it.",
    Fault.KEY: "Its entry key was not boxed for us and for this entry, or does not open it.",
    Fault.BODY: "Its body is not the event that its name says.",
    Fault.NO_PREMISE: "We have no legal premise of this instrument to which both nodes are parties.",
    Fault.NOT_IN_FORCE: "The legal premise is, on our record, not in force today.",
    Fault.SENDER: "The legal premise, on our record, does not let this node send to us.",
    Fault.DATA_CATEGORY: "The legal premise, on our record, does not cover this category of data.",
    Fault.HANDLING: "Its handling code is looser than the legal premise asks on our record.",
    Fault.PURPOSE: "It was sent for a purpose that the legal premise does not cover on our record.",
    Fault.CONFLICT: "It speaks for a record that is not its sender's.",
    Fault.DIFFERS: "Its sender had sent another entry under this record and version before, which is on our record, or "
    "an earlier version of this record was set aside for that.",
    Fault.NOTICE: "The notice contradicts the one that is on record.",
}

_FAULT_OF = {Gap.SENDER: Fault.SENDER, Gap.RECIPIENT: Fault.SENDER}


def accept(
    core: Core,
    boxed_key: bytes | None,
    box_keys: Sequence[X25519PrivateKey],
    premises: Sequence[KnownPremise],
    now: datetime,
) -> Received | Fault:
    """Decide whether an entry may be recorded; `premises` are those on our own record.

    `box_keys` are our key and those before it that something may still be boxed to.
    """
    fault = _fault_of_form(core) or _fault_of_premise(core, premises, now)
    if fault is not None:
        return fault
    key = None
    if core.is_personal:
        key = unbox_by_any(boxed_key, box_keys, recipient=core.recipient, header=core.header) if boxed_key else None
        if key is None:
            return Fault.KEY
    fault = _fault_of_body(core, key)
    return fault if fault is not None else _received(core, key, now)


def _fault_of_form(core: Core) -> Fault | None:
    event = records.EVENTS.get(core.name)
    if event is None:
        return Fault.UNKNOWN_NAME
    if core.name.partition(".")[0] not in CASES | PARTIES or issubclass(event, PersonalEvent) is not core.is_personal:
        return Fault.KIND
    return Fault.LEAF if core.leaf != core.computed_leaf else _fault_of_attribution(core)


def _fault_of_attribution(core: Core) -> Fault | None:
    if (core.attribution is None) != (core.attribution_salt is None):
        return Fault.ATTRIBUTION
    if core.attribution is not None and core.attribution_salt is not None:
        if leaf.attribution_hash(core.attribution_salt, core.attribution) != core.attribution_hash:
            return Fault.ATTRIBUTION
        try:
            attributed.decode(core.attribution)
        except (ValueError, msgspec.MsgspecError):
            return Fault.ATTRIBUTION
    return None


def _fault_of_premise(core: Core, premises: Sequence[KnownPremise], now: datetime) -> Fault | None:
    """What no premise of this instrument allows; of several, the last one's fault is told."""
    fault: Fault | None = Fault.NO_PREMISE
    for known in premises:
        if known.premise.instrument == core.instrument and {core.origin, core.recipient} <= set(known.premise.parties):
            fault = _fault_under(core, known, now)
            if fault is None:
                return None
    return fault


def _fault_under(core: Core, known: KnownPremise, now: datetime) -> Fault | None:
    premise = known.premise
    if core.name in FOLLOWING:  # it takes away what was given, and is heard also when the premise has ended
        return None
    if premise.gap_in_time(now.astimezone(UTC).date()) is not None or premise.kind is PremiseKind.DEROGATION:
        return Fault.NOT_IN_FORCE
    if (gap := premise.gap_between(core.origin, core.recipient)) is not None:
        return _FAULT_OF.get(gap, Fault.SENDER)
    is_nominal = core.is_personal or core.name.partition(".")[0] in PARTIES
    if (DataCategory.NOMINAL if is_nominal else DataCategory.OPEN) not in premise.categories:
        return Fault.DATA_CATEGORY
    if premise.handling is None or core.handling < premise.handling:
        return Fault.HANDLING
    return None if set(core.purposes) <= set(premise.purposes) else Fault.PURPOSE


def _fault_of_body(core: Core, key: bytes | None) -> Fault | None:
    try:
        body = vault.open_with_entry_key(key, core.header, core.body) if key is not None else core.body
    except ValueError:
        return Fault.KEY
    try:
        event = records.read(core.name, body)
    except (ValueError, msgspec.MsgspecError):
        return Fault.BODY
    return None if records.is_personal(core.name) is isinstance(event, PersonalEvent) else Fault.BODY


def _received(core: Core, key: bytes | None, now: datetime) -> Received:
    return Received(
        record_id=core.record_id,
        version=core.version,
        recorded_at=core.recorded_at,
        node=core.origin,
        name=core.name,
        is_personal=core.is_personal,
        body=core.body,
        attribution=core.attribution,
        attribution_salt=core.attribution_salt,
        attribution_hash=core.attribution_hash,
        entry_key=key,
        provenance=Provenance(
            peer=core.origin,
            number=core.number,
            instrument=core.instrument,
            premise_version=core.premise_version,
            handling=core.handling,
            received_at=now,
        ),
    )
