"""What may be asked of a legal premise; one command registers it whole, and one each changes a side of it."""

from datetime import date

from domain.codes import InstrumentCode, Line
from domain.event import Command
from domain.handling import Handling, Onward, PremiseKind, PremiseReason
from domain.premise.events import DataCategories, Days, Nodes, OffenceTypes, Purposes, Sections


class RegisterPremise(Command, frozen=True, kw_only=True, tag="register-premise", omit_defaults=True):
    """Put a legal premise on record, with its scope, conditions and period; by default every party may send."""

    instrument: InstrumentCode
    kind: PremiseKind = PremiseKind.BINDING_INSTRUMENT
    parties: Nodes
    title: Line | None = None
    purposes: Purposes
    categories: DataCategories
    senders: Nodes = ()
    offence_types: OffenceTypes = ()
    sections: Sections = ()
    handling: Handling = Handling.H0
    onward: Onward = Onward.NONE
    retention_days: Days | None = None
    shows_attribution: bool = False
    in_force_from: date
    until: date | None = None


class TitlePremise(Command, frozen=True, kw_only=True, tag="title-premise"):
    """Give the premise a title in words; None takes it back."""

    title: Line | None


class SetScope(Command, frozen=True, kw_only=True, tag="set-premise-scope"):
    """Lay down what the premise covers, in place of what was laid down before."""

    purposes: Purposes
    categories: DataCategories
    senders: Nodes
    offence_types: OffenceTypes = ()
    sections: Sections = ()


class SetConditions(Command, frozen=True, kw_only=True, tag="set-premise-conditions"):
    """Lay down the conditions, in place of those laid down before."""

    handling: Handling
    onward: Onward
    retention_days: Days | None = None
    shows_attribution: bool = False


class SetPeriod(Command, frozen=True, kw_only=True, tag="set-premise-period"):
    """Lay down the period, in place of the one laid down before."""

    in_force_from: date
    until: date | None = None


class SuspendPremise(Command, frozen=True, kw_only=True, tag="suspend-premise"):
    """Suspend the premise."""

    reason: PremiseReason


class ResumePremise(Command, frozen=True, kw_only=True, tag="resume-premise"):
    """Lift the suspension."""


class EndPremise(Command, frozen=True, kw_only=True, tag="end-premise"):
    """End the premise for good."""

    reason: PremiseReason


PremiseCommand = (
    RegisterPremise | TitlePremise | SetScope | SetConditions | SetPeriod | SuspendPremise | ResumePremise | EndPremise
)
