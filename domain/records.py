"""All kinds of record, all events by wire name, and their stored form.

Stored bytes are MessagePack maps whose `event` key is the wire name; they are decoded by closed unions, so that a name
that comes from outside never resolves to code. What cannot be read back is never stored.
"""

from collections.abc import Callable, Iterable
from typing import Any, get_args

import msgspec

from domain import business, forms, loss, notice, offence, person, premise, seizure, user
from domain.attribution import Occasion
from domain.entry import Entry
from domain.event import AnyEvent, Command, Event, PersonalEvent, wire_name
from domain.refused import Refused
from domain.soundness import IsSound, soundness_of


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of record: its commands, its events, its state, and its two functions."""

    name: str
    commands: tuple[type[Command], ...]
    events: tuple[type[AnyEvent], ...]
    state: type[msgspec.Struct]
    decide: Callable[[Any, Any, Occasion], tuple[AnyEvent, ...]]
    evolve: Callable[[Any, Any, Occasion], Any]


def _kind(module: Any, command: Any, event: Any, state: type[msgspec.Struct]) -> Kind:  # noqa: ANN401  # modules and unions have no narrower type
    return Kind(
        name=module.KIND,
        commands=get_args(command) or (command,),
        events=get_args(event) or (event,),
        state=state,
        decide=module.decide,
        evolve=module.evolve,
    )


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        _kind(seizure, seizure.SeizureCommand, seizure.SeizureEvent, seizure.Seizure),
        _kind(offence, offence.OffenceCommand, offence.OffenceEvent, offence.Offence),
        _kind(person, person.PersonCommand, person.PersonEvent, person.Person),
        _kind(business, business.BusinessCommand, business.BusinessEvent, business.Business),
        _kind(premise, premise.PremiseCommand, premise.PremiseEvent, premise.Premise),
        _kind(notice, notice.NoticeCommand, notice.NoticeEvent, notice.NoticeOnRecord),
        _kind(user, user.UserCommand, user.UserEvent, user.User),
        _kind(loss, loss.LossCommand, loss.LossEvent, loss.Loss),
    )
}

EVENTS: dict[str, type[AnyEvent]] = {wire_name(event): event for kind in KINDS.values() for event in kind.events}
OPEN_EVENTS = tuple(event for event in EVENTS.values() if issubclass(event, Event))
PERSONAL_EVENTS = tuple(event for event in EVENTS.values() if issubclass(event, PersonalEvent))
COMMANDS: dict[str, tuple[Kind, type[Command]]] = {
    str(command.__struct_config__.tag): (kind, command) for kind in KINDS.values() for command in kind.commands
}
_KIND_OF_COMMAND: dict[type[Command], Kind] = {command: kind for kind, command in COMMANDS.values()}

_encoder = msgspec.msgpack.Encoder(decimal_format="string")
_decoders: dict[str, msgspec.msgpack.Decoder[Any]] = {
    name: msgspec.msgpack.Decoder(event) for name, event in EVENTS.items()
}


_is_sound: dict[type[AnyEvent], IsSound] = {}


def kind_of(command: Command) -> Kind:
    """The kind of record that answers this command."""
    return _KIND_OF_COMMAND[type(command)]


def encode(event: AnyEvent) -> bytes:
    """The stored form of an event.

    Raises:
        Refused: a value does not have the form its field asks for, so that it could not be read back.
    """
    body = _encoder.encode(event)
    kind = type(event)
    is_sound = _is_sound.get(kind)
    if is_sound is None:
        is_sound = _is_sound[kind] = soundness_of(kind)
    if is_sound(event):
        return body  # msgspec need not read it back to find that it can
    try:
        read(wire_name(event), body)
    except msgspec.ValidationError as error:
        raise Refused(f"A field of {wire_name(event)} does not have the form it needs{_place(error)}.") from None
    return body


def _place(error: msgspec.ValidationError) -> str:
    """Where a value has not the form it needs, and what is expected there; never the value, which may be personal."""
    told, _, path = str(error).rpartition(" - at ")
    told = told.partition(" matching regex")[0]
    expected = f" (expected {told.removeprefix('Expected ')})" if told.startswith("Expected") else ""
    return f" at {path.strip('`').removeprefix('$.')}{expected}" if path.startswith("`") else ""


def decode(name: str, body: bytes) -> AnyEvent:
    """The event that we stored under a wire name: the forms of its texts were checked by `encode`, and are not again.

    Raises:
        KeyError: no event has this name.
        msgspec.DecodeError: the bytes are not such an event.
    """
    event: AnyEvent = _decoders[name].decode(body)
    return event


def read(name: str, body: bytes) -> AnyEvent:
    """The event under a wire name in bytes that came from outside, with everything about it checked.

    Raises:
        KeyError: no event has this name.
        msgspec.DecodeError: the bytes are not such an event.
    """
    try:
        return forms.checked(decode(name, body), EVENTS[name])
    except RecursionError:  # parts that we do not know are passed over, however deep they lie
        raise msgspec.DecodeError(forms.TOO_DEEP) from None


def is_personal(name: str) -> bool:
    """Whether the event of this wire name tells of a person."""
    return issubclass(EVENTS[name], PersonalEvent)


def fold(entries: Iterable[Entry], state: Any = None) -> Any:  # noqa: ANN401  # the state of whichever kind the entries are of
    """The record as it stands after these entries, in order; entries of an unknown kind leave it as it was."""
    for entry in entries:
        kind = KINDS.get(entry.kind)
        if kind is not None:
            state = kind.evolve(state, entry.event, entry.occasion)
    return state
