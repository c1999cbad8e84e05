"""A legal premise: the instrument on which data may go to another node, for what, of what, and under which conditions.

The law is data here: parties, who may send, purposes, offence types, commodity sections, data categories, handling,
onward rule, retention and period. What a premise does not clearly allow, it does not cover: an unknown section or
offence type is outside a premise that names some. An ended premise never changes again; a suspended one covers nothing
until it is resumed.
"""

from domain.premise.commands import (
    EndPremise,
    PremiseCommand,
    RegisterPremise,
    ResumePremise,
    SetConditions,
    SetPeriod,
    SetScope,
    SuspendPremise,
    TitlePremise,
)
from domain.premise.events import (
    KIND,
    ConditionsSet,
    DataCategories,
    Days,
    Nodes,
    OffenceTypes,
    PeriodSet,
    PremiseEnded,
    PremiseEvent,
    PremiseRegistered,
    PremiseResumed,
    PremiseSuspended,
    PremiseTitled,
    Purposes,
    ScopeSet,
    Sections,
)
from domain.premise.rules import Value, decide
from domain.premise.state import CONDITIONS, PERIOD, SCOPE, Gap, Premise, evolve, evolved

__all__ = [
    "CONDITIONS",
    "KIND",
    "PERIOD",
    "SCOPE",
    "ConditionsSet",
    "DataCategories",
    "Days",
    "EndPremise",
    "Gap",
    "Nodes",
    "OffenceTypes",
    "PeriodSet",
    "Premise",
    "PremiseCommand",
    "PremiseEnded",
    "PremiseEvent",
    "PremiseRegistered",
    "PremiseResumed",
    "PremiseSuspended",
    "PremiseTitled",
    "Purposes",
    "RegisterPremise",
    "ResumePremise",
    "ScopeSet",
    "Sections",
    "SetConditions",
    "SetPeriod",
    "SetScope",
    "SuspendPremise",
    "TitlePremise",
    "Value",
    "decide",
    "evolve",
    "evolved",
]
