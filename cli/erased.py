"""How the erasure of a record stands, as `person show` and `business show` tell it: each step, and what peers answered.

It says when and by whom, and nothing of whom it was: that is gone.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from cli import show

if TYPE_CHECKING:
    from cli.settings import Settings
    from exchange.erasing import Answer
    from ledger.erasure import Erasure
    from ledger.refused_erasures import RefusedErasure
    from ledger.sessions import Session


Told = tuple[list[dict[str, Any]], list[str]]
KINDS = ("person", "business")
NONE: Told = ([], [])


def standing(settings: "Settings", record: UUID) -> Told:
    """The erasures of a record that were asked for, as JSON and as lines; nothing where there is none."""
    from cli.supervisor import database_url
    from exchange import erasing
    from ledger import erasure, refused_erasures
    from ledger.sessions import connect

    with connect(database_url(settings)) as session:
        refused = refused_erasures.of_subject(session, record)
        asked = erasure.of_subject(session, record) if _is_kept(session) else []
        answers = erasing.answers(session, record) if asked else []
    data = [*map(_data_of_refused, refused), *(_data(one, answers) for one in asked)]
    return data, [*map(_line_of_refused, refused), *(line for one in asked for line in _lines(one, answers))]


def _is_kept(session: "Session") -> bool:
    return session.execute("SELECT to_regclass('ledger.erasure')").fetchone() != (None,)


def _data_of_refused(one: "RefusedErasure") -> dict[str, Any]:
    return {
        "erasure": str(one.erasure_id),
        "grounds": one.grounds.value,
        "asked_by": one.by.actor,
        "refused_at": show.plain(one.refused_at),
    }


def _line_of_refused(one: "RefusedErasure") -> str:
    said = f"{show.when(one.refused_at)} ({one.grounds.value}) by {one.by.actor}"
    return show.laid_out([("erasure asked", f"{said}, and REFUSED: it was on hold or forbidden otherwise")])


def _data(one: "Erasure", answers: "Sequence[Answer]") -> dict[str, Any]:
    return {
        "erasure": str(one.erasure_id),
        "grounds": one.grounds.value,
        "asked_at": show.plain(one.asked_at),
        "erased_at": show.plain(one.erased_at),
        "cleared_at": show.plain(one.cleared_at),
        "destroyed_at": show.plain(one.destroyed_at),
        "promised_by": show.plain(one.promised_by),
        "peers": [show.plain(answer) for answer in answers],
    }


def _lines(one: "Erasure", answers: "Sequence[Answer]") -> list[str]:
    told = [("erasure asked", f"{show.when(one.asked_at)} ({one.grounds.value})")]
    if one.erased_at is None:
        told.append(("PENDING", "it was begun and is not finished: the worker `project` goes on with it"))
        return [show.laid_out(told)]
    told.append(("erased", show.when(one.erased_at)))
    told.append(("files cleared", show.when(one.cleared_at) if one.cleared_at else "not yet"))
    gone = show.when(one.destroyed_at) if one.destroyed_at else f"not yet, promised by {show.when(one.promised_by)}"
    told.append(("beyond recall", gone))
    told += [(f"peer {answer.peer}", _answered(answer)) for answer in answers]
    return [show.laid_out(told)]


def _answered(answer: "Answer") -> str:
    answered = f"signed for it {show.when(answer.confirmed_at)}" if answer.confirmed_at else "HAS NOT CONFIRMED"
    return f"told {show.when(answer.noticed_at)}, {answered}"
