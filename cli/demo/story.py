"""What the demonstration tells a person at the end: asked of the nodes themselves, by the verbs that it shows."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cli.demo.closing import ROLES, Closed
from cli.demo.node import Node

if TYPE_CHECKING:
    from cli.demo.run import Told

MOST_HISTORY_LINES = 48
MOST_EXPLAINED_LINES = 24


def lines(nodes: tuple[Node, ...], told: "Told") -> Iterator[str]:
    """The story, line by line."""
    xa, xb, _ = nodes
    yield from _recorded(nodes, told)
    yield from _asked(xa, "stats", "seizures", "--by", "section,unit", "--where", "year=2025")
    yield from _asked(xb, "search", "--section", "weapons", "--limit", "5")
    story = told.filled[xa.code].story
    if story is not None:
        yield from _asked(xa, "history", str(story), most=MOST_HISTORY_LINES)
        yield from _asked(xa, "feed", "explain", str(story), "--peer", xb.code, most=MOST_EXPLAINED_LINES)
        yield from _asked(xa, "cen", "preview", str(story), most=MOST_EXPLAINED_LINES)
        yield from _asked(xb, "seizure", "show", str(story))
    yield from _exchanged(told)
    yield from _verified(nodes, told)


def ending(nodes: tuple[Node, ...], closed: Closed, *, keep: bool, seconds: float) -> Iterator[str]:
    """What happened when a node was closed, and how to go on."""
    if closed.lines:
        yield _heading(f"{nodes[0].code} closes its node")
        yield from closed.lines
    yield from _how_to_go_on(nodes, closed, keep=keep)
    yield f"All of this took {seconds:.0f} seconds."


def _recorded(nodes: tuple[Node, ...], told: "Told") -> Iterator[str]:
    yield _heading("What was recorded")
    for node in nodes[:2]:
        filled = told.filled[node.code]
        yield (
            f"{node.code} ({node.name}): {filled.seizures:,} seizures, {filled.offences:,} offences, {filled.people:,}"
            f" people, {filled.companies:,} companies; {filled.amendments:,} corrections, submissions and validations."
        )
        for file, outcome in told.imported[node.code].items():
            yield (
                f"  from {file}: {outcome.read:,} rows read, {outcome.recorded:,} recorded,"
                f" {outcome.flagged:,} flagged, {outcome.skipped:,} left out, {outcome.refused:,} refused."
            )
    if not any(told.imported.values()):
        yield "  No real files were found beside the repository, so none were imported."


def _asked(node: Node, *words: str, most: int = 40) -> Iterator[str]:
    """A verb as a person would type it, and the beginning of what it answers."""
    yield _heading(f"{node.code}$ ncen {' '.join(words)}")
    answer = node.says(*words).splitlines()
    yield from answer[:most]
    if len(answer) > most:
        yield f"… and {len(answer) - most} lines more."


def _exchanged(told: "Told") -> Iterator[str]:
    yield _heading("What was shared, and what was withheld")
    for feed in told.feeds:
        yield (
            f"{feed['from']} → {feed['to']}: {feed['released']:,} released, {feed['received']:,} received and"
            f" signed for, {feed['withheld']:,} withheld, {feed['quarantined']:,} quarantined."
        )
        for reason in feed["reasons"]:
            yield f"    {reason['entries']:>7,} withheld: {reason['sentence']}"


def _verified(nodes: tuple[Node, ...], told: "Told") -> Iterator[str]:
    yield _heading("ncen verify")
    for node in nodes:
        found: dict[str, Any] = told.verified[node.code]
        fault = f"DOES NOT FIT: {found['faults'][0]}" if found["faults"] else "every one fits its leaf and the tree"
        yield f"{node.code}: {found['entries']:,} sealed entries, {fault}; root {found['root'][:16]}…"


def _how_to_go_on(nodes: tuple[Node, ...], closed: Closed, *, keep: bool) -> Iterator[str]:
    yield _heading("How to go on")
    if not keep:
        yield "Everything has been stopped and removed. `make demo KEEP=1` leaves it running."
        yield "To set up a node of your own: docs/tutorial/first-node.md."
        return
    yield "The three nodes are running. Ask them with --home, as in:"
    for node in nodes:
        verb = "feed status" if node.role == "cen" else "search --section drugs"
        who = "" if node is nodes[0] and closed.lines else "--as analyst-01 "
        yield f"  ncen --home {node.home} {who}{verb}"
    if closed.lines:
        users = ", ".join(("boss", *ROLES))
        yield f"{nodes[0].code} is closed: first `ncen --home {nodes[0].home} login` as one of {users}; their password,"
        yield f"  made for this demonstration, is {closed.password}"
    yield "Stop one with `ncen --home … down`; remove the folder when all three are down."


def _heading(words: str) -> str:
    return f"\n── {words} " + "─" * max(0, 76 - len(words))
