"""A seizure: goods found by customs, where, when and how, and what became of them.

Open facts (codes, numbers, dates) and personal ones (narrative, parties, plates, document numbers) are told by events
of the two kinds and recorded in one transaction. A validated seizure changes only by a correction with its reason, or
is cancelled; it never disappears. Nobody validates a seizure that they recorded or changed. Telling a seizure again
(`RestateSeizure`, as an import does) records what changed in meaning and nothing else.
"""

from domain.party import Party
from domain.place import Place
from domain.seizure.commands import (
    AddGoods,
    CancelSeizure,
    CorrectGoods,
    CorrectSeizure,
    NameParty,
    NoteDocuments,
    NotePlates,
    RecordSeizure,
    RestateSeizure,
    ReturnSeizure,
    SeizureCommand,
    SubmitSeizure,
    ValidateSeizure,
    WithdrawGoods,
    WithdrawParty,
    WriteNarrative,
)
from domain.seizure.events import (
    CircumstancesCorrected,
    DocumentsNoted,
    GoodsAdded,
    GoodsCorrected,
    GoodsWithdrawn,
    NarrativeWritten,
    PartyNamed,
    PartyWithdrawn,
    PlatesNoted,
    RemarkMade,
    SeizureCancelled,
    SeizureEvent,
    SeizureRecorded,
    SeizureReturned,
    SeizureSubmitted,
    SeizureValidated,
)
from domain.seizure.particulars import KIND, MOST_LINES, Document, Lines, Plate, Route
from domain.seizure.rules import decide
from domain.seizure.state import AUTHORING, CIRCUMSTANCES, Seizure, Status, evolve

__all__ = [
    "AUTHORING",
    "CIRCUMSTANCES",
    "KIND",
    "MOST_LINES",
    "AddGoods",
    "CancelSeizure",
    "CircumstancesCorrected",
    "CorrectGoods",
    "CorrectSeizure",
    "Document",
    "DocumentsNoted",
    "GoodsAdded",
    "GoodsCorrected",
    "GoodsWithdrawn",
    "Lines",
    "NameParty",
    "NarrativeWritten",
    "NoteDocuments",
    "NotePlates",
    "Party",
    "PartyNamed",
    "PartyWithdrawn",
    "Place",
    "Plate",
    "PlatesNoted",
    "RecordSeizure",
    "RemarkMade",
    "RestateSeizure",
    "ReturnSeizure",
    "Route",
    "Seizure",
    "SeizureCancelled",
    "SeizureCommand",
    "SeizureEvent",
    "SeizureRecorded",
    "SeizureReturned",
    "SeizureSubmitted",
    "SeizureValidated",
    "Status",
    "SubmitSeizure",
    "ValidateSeizure",
    "WithdrawGoods",
    "WithdrawParty",
    "WriteNarrative",
    "decide",
    "evolve",
]
