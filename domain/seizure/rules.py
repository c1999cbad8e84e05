"""How a seizure answers what is asked of it: with events, with none, or with a refusal."""

from collections.abc import Iterator
from datetime import date

import msgspec
from msgspec import UNSET

from domain.attribution import Occasion
from domain.codes import Reason
from domain.day import require_past
from domain.goods import Goods, GoodsLine, is_same_goods, pair, require_sound_goods, with_changes
from domain.party import Party
from domain.refused import Refused
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
from domain.seizure.particulars import MOST_LINES, UNNAMED_SOURCE
from domain.seizure.state import CIRCUMSTANCES, Seizure, Status


def decide(seizure: Seizure | None, command: SeizureCommand, occasion: Occasion) -> tuple[SeizureEvent, ...]:
    """Answer a command with what happens: events, none (nothing to do), or Refused."""
    if getattr(command, "reason", None) is Reason.SOURCE_STATED:
        raise Refused("That its source says so is an import's reason: say why you change it.")
    match command, seizure:
        case RecordSeizure(), None:
            return tuple(_recorded(command, occasion))
        case RestateSeizure(facts=facts), None:
            # what comes from a source stays known as such, or the next telling would undo corrections made here
            return tuple(_recorded(msgspec.structs.replace(facts, source=facts.source or UNNAMED_SOURCE), occasion))
        case RecordSeizure(), Seizure():
            raise Refused("This seizure is already on record.")
        case _, None:
            raise Refused("There is no such seizure on record.")
        case CancelSeizure(), Seizure(is_cancelled=True):
            return ()
        case RestateSeizure(), Seizure(is_cancelled=True):
            return ()  # its source does not know that it is void; that decision stands
        case _, Seizure(is_cancelled=True):
            raise Refused("This seizure has been cancelled and can no longer be changed.")
        case RestateSeizure(), Seizure():
            return tuple(_restated(seizure, command, occasion))
        case ((SubmitSeizure() | ReturnSeizure() | ValidateSeizure() | CancelSeizure()), Seizure()):
            return tuple(_moved(seizure, command, occasion))
        case _, Seizure():
            return tuple(_changed(seizure, command, occasion))
    raise AssertionError("every command is answered above")


def _recorded(facts: RecordSeizure, occasion: Occasion) -> Iterator[SeizureEvent]:
    require_past(facts.occurred_on, "the seizure", occasion)
    for goods in facts.goods:
        require_sound_goods(goods)
    yield SeizureRecorded(  # field by field: an import does this thousands of times a second
        kind=facts.kind,
        office=facts.office,
        place=facts.place,
        occurred_on=facts.occurred_on,
        direction=facts.direction,
        detection=facts.detection,
        concealment=facts.concealment,
        conveyance=facts.conveyance,
        route=facts.route,
        source=facts.source,
        goods=tuple([GoodsLine(line=number, goods=goods) for number, goods in enumerate(facts.goods, start=1)]),
    )
    reason = Reason.SOURCE_STATED if facts.source else None
    if facts.narrative is not None:
        yield NarrativeWritten(text=facts.narrative, reason=reason)
    for party in _unique(facts.parties):
        yield _named(party, reason)
    if facts.plates:
        yield PlatesNoted(plates=facts.plates, reason=reason)
    if facts.documents:
        yield DocumentsNoted(documents=facts.documents, reason=reason)


def _restated(seizure: Seizure, command: RestateSeizure, occasion: Occasion) -> Iterator[SeizureEvent]:
    facts, reason, told = command.facts, Reason.SOURCE_STATED, seizure.told or seizure
    yield from _corrected(told, {field: getattr(facts, field) for field in CIRCUMSTANCES}, reason, occasion)
    pairing = pair(told.goods, facts.goods, command.true_to_places)
    for line in pairing.changed:
        yield _goods_restated(seizure, told, line)
    for offset, line in enumerate(pairing.added, start=1):
        require_sound_goods(line.goods)
        yield GoodsAdded(line=seizure.last_line + offset, goods=line.goods, reason=reason)
    for number in pairing.withdrawn:
        yield GoodsWithdrawn(line=number, reason=reason)
    if facts.narrative != told.narrative:
        yield NarrativeWritten(text=facts.narrative, reason=reason)
    yield from _parties_restated(seizure, _unique(facts.parties))
    if facts.plates != told.plates:
        yield PlatesNoted(plates=facts.plates, reason=reason)
    if facts.documents != told.documents:
        yield DocumentsNoted(documents=facts.documents, reason=reason)


def _parties_restated(seizure: Seizure, parties: tuple[Party, ...]) -> Iterator[SeizureEvent]:
    """Name those whom the source newly names, withdraw those whom it named before and no longer does."""
    before = seizure.told.parties if seizure.told else ()
    for party in parties:
        if party not in before and party not in seizure.parties:
            yield _named(party, Reason.SOURCE_STATED)
    still = {(party.party, party.role) for party in parties}
    for party in before:
        if (party.party, party.role) not in still:
            yield PartyWithdrawn(party=party.party, role=party.role, reason=Reason.SOURCE_STATED)


def _unique(parties: tuple[Party, ...]) -> tuple[Party, ...]:
    """One statement for each party in each role: the last that is told."""
    return tuple({(party.party, party.role): party for party in parties}.values())


def _goods_restated(seizure: Seizure, told: Seizure, line: GoodsLine) -> GoodsCorrected:
    require_sound_goods(line.goods)
    stands, before = seizure.line(line.line), told.line(line.line)
    held = line.goods if stands is None or before is None else with_changes(stands, before, line.goods)
    stated = None if held == line.goods else line.goods
    return GoodsCorrected(line=line.line, goods=held, reason=Reason.SOURCE_STATED, stated=stated)


def _corrected(
    seizure: Seizure, told: dict[str, object], reason: Reason, occasion: Occasion
) -> Iterator[CircumstancesCorrected]:
    changes = {field: value for field, value in told.items() if value is not UNSET and value != getattr(seizure, field)}
    if isinstance(day := changes.get("occurred_on"), date):
        require_past(day, "the seizure", occasion)
    if changes:
        yield msgspec.structs.replace(CircumstancesCorrected(reason=reason), **changes)


def _changed(seizure: Seizure, command: SeizureCommand, occasion: Occasion) -> Iterator[SeizureEvent]:
    match command:
        case CorrectSeizure(reason=reason, remark=remark):
            told = {field: getattr(command, field) for field in CIRCUMSTANCES}
            changes = tuple(_corrected(seizure, told, reason, occasion))
            yield from changes
            if changes and remark is not None:
                yield RemarkMade(text=remark)
        case AddGoods(goods=goods, reason=reason):
            require_sound_goods(goods)
            if len(seizure.goods) >= MOST_LINES:
                raise Refused(f"A seizure holds at most {MOST_LINES} lines of goods.")
            yield GoodsAdded(line=seizure.last_line + 1, goods=goods, reason=reason)
        case CorrectGoods(line=number, goods=goods, reason=reason, remark=remark):
            require_sound_goods(goods)
            if is_same_goods(_require_line(seizure, number), goods):
                return
            yield GoodsCorrected(line=number, goods=goods, reason=reason)
            if remark is not None:
                yield RemarkMade(text=remark)
        case WithdrawGoods(line=number, reason=reason):
            _require_line(seizure, number)
            if len(seizure.goods) == 1:
                raise Refused("A seizure needs at least one line of goods: cancel it instead.")
            yield GoodsWithdrawn(line=number, reason=reason)
        case WriteNarrative(text=text):
            if text != seizure.narrative:
                yield NarrativeWritten(text=text)
        case NameParty(party=party):
            if party not in seizure.parties:
                yield _named(party)
        case WithdrawParty(party=party_id, role=role, reason=reason):
            if not any((party.party, party.role) == (party_id, role) for party in seizure.parties):
                raise Refused("Nobody with that record id is on this seizure in that role.")
            yield PartyWithdrawn(party=party_id, role=role, reason=reason)
        case NotePlates(plates=plates):
            if plates != seizure.plates:
                yield PlatesNoted(plates=plates)
        case NoteDocuments(documents=documents):
            if documents != seizure.documents:
                yield DocumentsNoted(documents=documents)


def _moved(seizure: Seizure, command: SeizureCommand, occasion: Occasion) -> Iterator[SeizureEvent]:
    match command, seizure.status:
        case SubmitSeizure(), Status.DRAFT:
            yield SeizureSubmitted()
        case SubmitSeizure(), Status.SUBMITTED:
            return
        case SubmitSeizure(), _:
            raise Refused("This seizure has been validated already.")
        case ReturnSeizure(reason=reason), Status.SUBMITTED:
            yield SeizureReturned(reason=reason)
        case ReturnSeizure(), _:
            raise Refused("Only a submitted seizure can be handed back.")
        case ValidateSeizure(), Status.SUBMITTED:
            if occasion.actor in seizure.authors:
                raise Refused("A seizure is validated by somebody other than those who recorded or changed it.")
            yield SeizureValidated()
        case ValidateSeizure(), Status.VALIDATED:
            return
        case ValidateSeizure(), _:
            raise Refused("Only a submitted seizure can be validated: submit it first.")
        case CancelSeizure(reason=reason, remark=remark), _:
            yield SeizureCancelled(reason=reason)
            if remark is not None:
                yield RemarkMade(text=remark)


def _require_line(seizure: Seizure, number: int) -> Goods:
    goods = seizure.line(number)
    if goods is None:
        raise Refused(f"This seizure has no line {number}.")
    return goods


def _named(party: Party, reason: Reason | None = None) -> PartyNamed:
    return PartyNamed(
        party=party.party, is_business=party.is_business, role=party.role, category=party.category, reason=reason
    )
