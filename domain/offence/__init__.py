"""An offence: what the law calls it, how far the proceedings have come, and what was imposed.

It is tied to seizures and to parties, and may stand without either. Its status moves along a table of allowed moves
(`MOVES`) and goes back only where it was entered by mistake. A closed or cancelled offence refuses every change. Codes,
days and amounts are open; parties, account and remarks are personal.
"""

from domain.offence.commands import (
    AttachSeizure,
    CancelOffence,
    ChangeStatus,
    CorrectOffence,
    DetachSeizure,
    ImposePenalty,
    LiftPenalty,
    NameParty,
    OffenceCommand,
    RecordOffence,
    WithdrawParty,
    WriteNarrative,
)
from domain.offence.events import (
    NarrativeWritten,
    OffenceCancelled,
    OffenceCorrected,
    OffenceEvent,
    OffenceRecorded,
    PartyNamed,
    PartyWithdrawn,
    PenaltyImposed,
    PenaltyLifted,
    RemarkMade,
    SeizureAttached,
    SeizureDetached,
    StatusChanged,
)
from domain.offence.particulars import (
    KIND,
    MOST_PENALTIES,
    MOST_SEIZURES,
    MOVES,
    Number,
    OffenceStatus,
    Penalty,
    PenaltyKind,
)
from domain.offence.rules import decide
from domain.offence.state import FACTS, Offence, PenaltyLine, evolve

__all__ = [
    "FACTS",
    "KIND",
    "MOST_PENALTIES",
    "MOST_SEIZURES",
    "MOVES",
    "AttachSeizure",
    "CancelOffence",
    "ChangeStatus",
    "CorrectOffence",
    "DetachSeizure",
    "ImposePenalty",
    "LiftPenalty",
    "NameParty",
    "NarrativeWritten",
    "Number",
    "Offence",
    "OffenceCancelled",
    "OffenceCommand",
    "OffenceCorrected",
    "OffenceEvent",
    "OffenceRecorded",
    "OffenceStatus",
    "PartyNamed",
    "PartyWithdrawn",
    "Penalty",
    "PenaltyImposed",
    "PenaltyKind",
    "PenaltyLifted",
    "PenaltyLine",
    "RecordOffence",
    "RemarkMade",
    "SeizureAttached",
    "SeizureDetached",
    "StatusChanged",
    "WithdrawParty",
    "WriteNarrative",
    "decide",
    "evolve",
]
