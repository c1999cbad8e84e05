"""What happened: events that name no one, and personal events.

The two kinds are siblings without a common base, so that code which accepts the one cannot accept the other by
accident. An `Event` holds codes, numbers, dates and opaque identifiers only; whatever tells something of a person,
singles one out or was typed by hand is a `PersonalEvent`. A wire name (the tag) is given once and never reused; a
changed meaning is a new name, a new field is optional, and a default is always "absent" (None, UNSET, empty, false).
"""

from typing import ClassVar
from uuid import UUID

import msgspec

from domain.refused import Refused


class Event(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="event", omit_defaults=True):
    """Something happened, told without naming anyone."""


class PersonalEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="event", omit_defaults=True):
    """Something happened that tells of a person, or was told in words typed by hand."""

    subject_field: ClassVar[str | None] = None
    """The field that holds the data subject's record id; None where the subject is the record itself."""

    def subject_of(self, record_id: UUID) -> UUID:
        """The record whose erasure destroys this event: the person or business spoken of, else `record_id` itself."""
        if self.subject_field is None:
            return record_id
        subject: UUID = getattr(self, self.subject_field)
        return subject


AnyEvent = Event | PersonalEvent


class Erased(msgspec.Struct, frozen=True, gc=False):
    """Stands where a personal event can no longer be read: its subject was erased, or it was withheld from us."""

    name: str


class Masked(Erased, frozen=True, gc=False):
    """Stands where a personal event was not opened for this reader; `of` is the pseudonym of whom it tells.

    None is of the case itself. A record folds from it as from what was erased: what it says is not there.
    """

    of: UUID | None = None


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="command", forbid_unknown_fields=True):
    """A wish: what somebody asks to be recorded."""

    other_field: ClassVar[str | None] = None
    """The field that holds the id of another record, with which this one is to become one."""

    def require_another(self, record_id: UUID) -> None:
        """Refuse to make a record one with itself.

        Raises:
            Refused: the other record that the command names is the one that it is given to.
        """
        if self.other_field is not None and getattr(self, self.other_field) == record_id:
            raise Refused("A record is not merged with itself: name the other one.")


def wire_name(event: AnyEvent | type[AnyEvent]) -> str:
    """The name under which an event is stored and sent, such as `seizure.recorded`."""
    tag = event.__struct_config__.tag
    if not isinstance(tag, str):
        raise TypeError(f"{event!r} has no wire name")
    return tag
