"""`ncen feed …`: how the feeds to and from peers stand, and what would go to a peer of a record, and why not the rest.

Nothing is sent by asking. Each answer is the exporter's own, told in whole sentences: on which premise an entry goes,
or for which reason it stays, and what was decided about it before.
"""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import msgspec
from cyclopts import App, Parameter

from cli import output, show
from cli.acting import sentence_of
from cli.consulting import CONSULTING, Consulting, seen
from cli.output import Misused

if TYPE_CHECKING:
    from cli.settings import Settings
    from exchange import feed_epoch, inbox_epoch
    from exchange.audit import Audit, Epoch
    from exchange.erasing import Notices
    from exchange.explain import Decided, Explained
    from exchange.status import FeedStatus

app = App(name="feed", help="Show the feeds to and from peers, and explain what would go, and why not the rest.")


def prepared() -> tuple["Settings", str]:
    """This node's settings, and where its database is, with the tables of the exchange in it."""
    from cli.settings import load
    from cli.supervisor import database_url
    from exchange import schema

    settings = load()
    url = database_url(settings)
    schema.prepare(url, node=settings.node, role=settings.role)
    return settings, url


@app.command
def status() -> None:
    """Show for each peer what was released, withheld and signed for, and what came in and became of it."""
    from exchange.status import status as status_of_feeds
    from ledger import card_keys

    settings, url = prepared()
    feeds = status_of_feeds(url, card_keys.edition(settings.keys))
    data = {
        "feeds": [
            {**(told := show.plain(feed)), "sending": {**told["sending"], "lag": feed.sending.lag}} for feed in feeds
        ]
    }
    output.show(data, *([line for feed in feeds for line in _lines(feed)] or ["There are no peers yet."]))


def _lines(feed: "FeedStatus") -> list[object]:
    from exchange.renewing import WAITS
    from exchange.successors import SENTENCES

    sending, receiving = feed.sending, feed.receiving
    withheld = sum(sending.withheld.values())
    going = [
        ("to it", f"{sending.released} released, {withheld} withheld{_reasons(sending.withheld)}"),
        ("", f"{sending.waiting} entries are not decided about yet" if sending.waiting else ""),
        ("", f"{sending.lines} lines, {sending.receipted} of them signed for{_at(sending.receipted_at)}"),
        ("", f"{sending.held} lines went as a bare hash" if sending.held else ""),
        ("", f"{sending.quarantined} lines are in quarantine there" if sending.quarantined else ""),
        ("", f"STOPPED by the peer: {sending.stopped}" if sending.stopped else ""),
        ("", f"begun anew after loss {sending.epoch}" if sending.epoch else ""),
        *(("", f"{_ended(one)}, {one.receipted} of them signed for; the rest was lost") for one in sending.ended),
        ("erasures", _erasures(sending.erasures)),
    ]
    quarantined = sum(receiving.quarantined.values())
    coming = [
        ("from it", f"{receiving.lines} lines, {receiving.recorded} of them recorded"),
        ("", f"{quarantined} in quarantine{_reasons(receiving.quarantined)}" if quarantined else ""),
        ("", f"STOPPED{_at(receiving.stopped_at)}: {receiving.stopped}" if receiving.stopped else ""),
        ("", f"begun anew after its loss {receiving.epoch}" if receiving.epoch else ""),
        ("", f"it begins anew after its loss {receiving.waiting}, which is not accepted" if receiving.waiting else ""),
        *(("", _ended(one)) for one in receiving.ended),
    ]
    if feed.held is not None:
        going.insert(0, ("HELD", f"{feed.peer} {SENTENCES[feed.held]}"))
    if feed.waits_for_cards:
        going.insert(0, ("waits", WAITS.format(peer=feed.peer)))
    told = [(label, line) for label, line in going + coming if line]
    return [f"{feed.peer} ({feed.role.value})", show.laid_out(told, indent=2)]


def _ended(one: "feed_epoch.Before | inbox_epoch.Before") -> str:
    first = "before that" if one.epoch == 0 else f"after loss {one.epoch}"
    return f"{first}, until {show.when(one.ended_at)}: {one.lines} lines, root {one.root.hex()[:16]}…"


def _erasures(stands: "Notices") -> str:
    if not stands.noticed:
        return ""
    overdue = f"; OVERDUE: {', '.join(map(str, stands.overdue))}" if stands.overdue else ""
    return f"asked to erase {stands.noticed} subjects, {stands.confirmed} of them confirmed{overdue}"


def _reasons(counted: dict[str, int]) -> str:
    told = ", ".join(f"{reason} {count}" for reason, count in counted.items())
    return f" ({told})" if told else ""


def _at(moment: object) -> str:
    return f" at {show.said(moment)}" if moment is not None else ""


@app.command
def explain(
    record: Annotated[UUID, Parameter(name="ID", help="The id of a record.")],
    /,
    *,
    peer: Annotated[str, Parameter(help="The node that it would go to.")],
    consulting: Consulting = CONSULTING,
) -> None:
    """Say for each entry of a record whether it would go to a peer and on which premise, or why not; send nothing."""
    from exchange.explain import explain as explain_record

    settings, url = prepared()
    node = peer.upper()
    visible = seen(record, consulting, f"No entry of a record {record} is sealed.")
    try:
        explained = explain_record(url, node=settings.node, keys=settings.keys, record_id=record, peer=node)
    except ValueError as error:  # the peer is the CEN
        raise Misused(f"{error} `ncen cen preview {record}` shows it.") from None
    if visible is not None:
        explained = _as_seen(explained, {entry.position for entry in visible})
    going = sum(one.now.goes for one in explained)
    data = {
        "id": str(record),
        "peer": node,
        "going": going,
        "entries": [show.plain(one) for one in explained],
    }
    lines: list[object] = [f"{record} to {node}: {going} of {len(explained)} entries would go. Nothing was sent."]
    for one in explained:
        lines += ["", *_explained(one)]
    output.show(data, *lines)


def _as_seen(explained: "list[Explained]", positions: set[int | None]) -> "list[Explained]":
    """What the caller sees of it, numbered as seen, so that nothing shows what is kept from them."""
    kept = [one for one in explained if one.position in positions]
    return [msgspec.structs.replace(one, version=place) for place, one in enumerate(kept, 1)]


def _explained(one: "Explained") -> list[object]:
    personal = ", personal" if one.is_personal else ""
    told = [("goes" if one.now.goes else "stays", one.now.sentence)]
    if one.now.instrument and not one.now.goes:
        told.append(("nearest", f"{one.now.instrument} version {one.now.premise_version}"))
    if one.now.goes:
        shown = "with" if one.now.shows_attribution else "without"
        told.append(
            ("how", f"handling {one.now.handling}, {shown} who made it, premise version {one.now.premise_version}")
        )
    told += [("decided", _decided(decision)) for decision in one.decided]
    if one.is_receipted:
        told.append(("receipt", "The peer has signed for it."))
    return [f"{one.version}. position {one.position}{personal}: {sentence_of(one.name)}", show.laid_out(told, indent=3)]


def _decided(taken: "Decided") -> str:
    what = f"released as number {taken.number}" if taken.goes else f"withheld ({taken.reason})"
    on = f" on {taken.instrument} version {taken.premise_version}" if taken.instrument else ""
    return f"{show.when(taken.decided_at)}: {what}{on}"


@app.command
def audit(*, peer: Annotated[str, Parameter(help="The node that the feed goes to.")]) -> output.ExitCode:
    """Check a feed we send: do its lines, its decisions and what the peer has signed for say the same?"""
    from cli.output import ExitCode
    from exchange.audit import audit as audit_feed
    from exchange.peers import Identity

    settings, url = prepared()
    node = peer.upper()
    found = audit_feed(url, Identity.open(settings.keys, node=settings.node, role=settings.role), node)
    data = {"peer": node, "sound": not found.faults, **show.plain(found), "root": found.root.hex()}
    data["ended"] = [{**show.plain(one), "root": one.root.hex()} for one in found.ended]
    output.show(
        data,
        *(f"Epoch {one.epoch} of the feed to {node}, ended by a loss: {_audited(one)}" for one in found.ended),
        f"Feed to {node}: {_audited(found)}",
        *(found.faults or ["Everything fits."]),
    )
    return ExitCode.NOT_VERIFIED if found.faults else ExitCode.DONE


def _audited(found: "Audit | Epoch") -> str:
    return f"{found.lines} lines, {found.receipted} of them signed for, {found.receipts} receipts hold."


MOST_LOST = 1_000


@app.command
def lost(*, peer: Annotated[str, Parameter(help="The node that the feed comes from.")]) -> None:
    """List what a peer had sent before a loss of its ledger and has not sent again: it is still on our record.

    The peer has lost it, or may no longer send it. Tell its administrator what is told here.
    """
    from cli.output import NotFound
    from exchange import inbox_epoch
    from exchange.peers import known
    from ledger.sessions import connect

    _, url = prepared()
    node = peer.upper()
    if node not in {one.node for one in known(url)}:
        raise NotFound(f"{node} is not a peer of this node.")
    with connect(url) as connection:
        count, found = inbox_epoch.lost(connection, node, MOST_LOST)
    rows = [(str(one.record_id), one.version or "notice", one.epoch, one.number) for one in found]
    data = {"peer": node, "count": count, "entries": [show.plain(one) for one in found]}
    columns = ("record", "version>", "epoch>", "line>")
    told = f"{count} entries of {node} are on our record that it has not sent again since its loss."
    output.show(
        data, *([told, output.table("", columns, rows)] if rows else [f"There is nothing of {node}'s that it lost."])
    )


@app.command
def resume(*, peer: Annotated[str, Parameter(help="The node whose feed was stopped.")]) -> None:
    """Let a peer's stopped feed go on, after somebody has looked at the evidence, which is kept."""
    from cli.output import NotFound
    from exchange import inbox
    from exchange.peers import known

    _, url = prepared()
    node = peer.upper()
    if node not in {one.node for one in known(url)}:
        raise NotFound(f"{node} is not a peer of this node.")
    was_stopped = inbox.resume(url, node)
    output.show({"peer": node, "was_stopped": was_stopped}, _resumed(node, was_stopped=was_stopped))


def _resumed(node: str, *, was_stopped: bool) -> str:
    return f"The feed from {node} goes on." if was_stopped else f"The feed from {node} was not stopped."
