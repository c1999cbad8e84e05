"""`ncen demo`: two nations and a CEN sink on one machine do the whole work of a node, and tell what happened.

Three homes in one temporary folder, three PostgreSQL servers, three NATS servers and their workers, started by the same
commands that an administration types. Everything is stopped and removed at the end unless it is to be kept.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from cli import output
from cli.demo import closing, story
from cli.demo.filling import Filled, fill, import_real
from cli.demo.node import Node
from cli.demo.wares import AURIA, BOREA
from cli.output import Failure
from exchange.peers import Role
from exchange.release import Reason
from exchange.status import status
from exchange.telling import Kept
from intake.importing import Outcome
from projections.positions import positions

SEIZURES = 1_500
SEED = 2026
QUIET_WAIT_S = 120.0
INSTRUMENT = "TREATY:XA-XB:2024"
SECTIONS = ("drugs", "tobacco", "weapons", "wildlife")
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "seizures"


class Told(msgspec.Struct, kw_only=True):
    """What is known at the end, for the story and for `--json`."""

    filled: dict[str, Filled]
    imported: dict[str, dict[str, Outcome]]
    feeds: list[dict[str, Any]]
    verified: dict[str, dict[str, Any]]


def demo(*, keep: bool = False, seizures: int = SEIZURES, seed: int = SEED, data: Path = DATA) -> None:
    """Show the whole node on this machine: two invented nations and a CEN sink, in under three minutes.

    Args:
        keep: Leave it running, and say how to go on.
        seizures: How many seizures each nation invents.
        seed: The same seed invents the same seizures.
        data: Where real files are, as far as you have them; nothing happens when the folder is missing.
    """
    began = time.monotonic()
    # A folder of its own at a short, open place: the servers of root's nodes run as another user and must reach it.
    folder = Path(tempfile.mkdtemp(prefix="ncen-demo-"))
    folder.chmod(0o755)
    xa, xb, cen = (
        Node(code=code, name=name, role=role, home=folder / code.lower())
        for code, name, role in (
            (AURIA.code, AURIA.name, "nation"),
            (BOREA.code, BOREA.name, "nation"),
            ("CEN", "CEN sink", "cen"),
        )
    )
    nodes = (xa, xb, cen)
    with _kept_or_removed(nodes, folder, keep=keep):
        _start(nodes)
        _introduce(xa, xb, cen)
        filled, imported = _fill(xa, xb, seed=seed, seizures=seizures, data=data)
        feeds = _until_quiet(nodes)
        verified = {node.code: node.ncen("verify", user="auditor-01") for node in nodes}
        told = Told(filled=filled, imported=imported, feeds=feeds, verified=verified)
        _tell(nodes, told, keep=keep, began=began)


@contextmanager
def _kept_or_removed(nodes: tuple[Node, ...], folder: Path, *, keep: bool) -> Iterator[None]:
    """Stop and remove everything at the end; a demonstration that failed is removed as well."""
    is_done = False
    try:
        yield
        is_done = True
    finally:
        if not (keep and is_done):
            _at_once([partial(node.ncen, "down") for node in nodes if node.home.exists()])
            shutil.rmtree(folder, ignore_errors=True)


def _start(nodes: tuple[Node, ...]) -> None:
    _step("Starting three nodes: XA (Auria), XB (Borea) and the CEN sink, each with its own PostgreSQL and NATS …")
    _at_once([partial(node.ncen, "up", "--node", node.code, "--role", node.role, "--nats", "always") for node in nodes])


def _introduce(xa: Node, xb: Node, cen: Node) -> None:
    """Hand the cards around and record the premise on both sides."""
    _step("The nations hand each other their cards and record the treaty on which they exchange …")
    cards = {}
    for node in (xa, xb, cen):
        cards[node.code] = node.home / "card.json"
        cards[node.code].write_bytes(msgspec.json.encode(node.ncen("peer", "card")["card"]))
    for node, peers in ((xa, (xb, cen)), (xb, (xa, cen)), (cen, (xa, xb))):
        for peer in peers:
            node.ncen("peer", "add", str(cards[peer.code]))
    for node in (xa, xb):
        parties = ("--party", xa.code, "--party", xb.code)
        scope = [word for section in SECTIONS for word in ("--section", section)]
        period = ("--from", date(2024, 1, 1).isoformat(), "--handling", "h1", "--retention-days", "1825")
        what = ("--for", "detection", "--for", "investigation", "--category", "open", "--category", "nominal")
        title = ("--title", "Treaty on mutual assistance between Auria and Borea")
        node.ncen(
            "premise", "add", "--instrument", INSTRUMENT, *parties, *what, *scope, *period, *title, user="legal-01"
        )


def _fill(
    xa: Node, xb: Node, *, seed: int, seizures: int, data: Path
) -> tuple[dict[str, Filled], dict[str, dict[str, Outcome]]]:
    _step(f"Each nation records {seizures:,} seizures with people, companies, offences and amendments …")
    filled: dict[str, Filled] = {}
    imported: dict[str, dict[str, Outcome]] = {}

    def work(node: Node, nation: Any) -> None:  # noqa: ANN401  # a Nation; closures stay short
        with node.ledger() as ledger:
            filled[node.code] = fill(ledger, nation, seed=seed, seizures=seizures)
            imported[node.code] = import_real(ledger, node.code, data)

    _at_once([partial(work, xa, AURIA), partial(work, xb, BOREA)])
    return filled, imported


def _until_quiet(nodes: tuple[Node, ...]) -> list[dict[str, Any]]:
    """Wait until everything is sealed, shown, exchanged and receipted; return the state of the feeds.

    Raises:
        Failure: it is not, after two minutes.
    """
    _step("Waiting until everything is sealed, searchable, exchanged and receipted …")
    deadline = time.monotonic() + QUIET_WAIT_S
    while time.monotonic() < deadline:
        if all(_is_shown(node) for node in nodes) and not any(_is_moving(node) for node in nodes):
            return [feed for node in nodes for feed in _feeds(node)]
        time.sleep(1.0)
    raise Failure("It did not come to rest in two minutes. " + " ".join(_unrest(node) for node in nodes))


def _is_shown(node: Node) -> bool:
    found = positions(node.database_url)
    return bool(found) and all(one.lag == 0 for one in found)


def _is_moving(node: Node) -> bool:
    """Whether entries wait for a decision, or lines for a signature; a CEN node sends nothing."""
    sending = [feed.sending for feed in status(node.database_url) if node.role != "cen"]
    return any(one.waiting or one.lag for one in sending)


def _unrest(node: Node) -> str:
    """What of a node is still under way, for the person who wonders."""
    behind = [f"{one.name} {one.lag} behind" for one in positions(node.database_url) if one.lag]
    feeds = [
        f"to {feed.peer} {feed.sending.waiting} undecided, {feed.sending.lag} not signed for"
        for feed in status(node.database_url)
        if node.role != "cen"
    ]
    return f"{node.code}: {', '.join(behind + feeds)}."


def _feeds(node: Node) -> list[dict[str, Any]]:
    """The feeds of a node as they stand, each with why entries were withheld; a CEN node sends nothing."""
    if node.role == "cen":
        return []
    return [
        {
            "from": node.code,
            "to": feed.peer,
            "released": feed.sending.lines,
            "withheld": sum(feed.sending.withheld.values()),
            "received": feed.sending.receipted,
            "quarantined": feed.sending.quarantined,
            "reasons": [
                {"entries": entries, "sentence": sentence_of(feed.role, reason)}
                for reason, entries in sorted(feed.sending.withheld.items(), key=lambda one: -one[1])
            ],
        }
        for feed in status(node.database_url)
    ]


def sentence_of(role: Role, reason: str) -> str:
    """Why an entry stayed, as a sentence: a nation's feed and the CEN's have reasons of their own."""
    kinds: tuple[type[Reason | Kept], ...] = (Kept, Reason) if role is Role.CEN else (Reason, Kept)
    return next((kind(reason).sentence for kind in kinds if reason in set(kind)), reason)


def _tell(nodes: tuple[Node, ...], told: Told, *, keep: bool, began: float) -> None:
    """Tell it all; the node that is closed in between answers nobody afterwards who is not signed in."""
    lines = [] if output.manner.json else list(story.lines(nodes, told))
    _step("XA closes its node …")
    xa, xb = nodes[:2]
    closed = closing.close(xa, xb)
    seconds = time.monotonic() - began
    cen = nodes[-1]
    notices = sum(feed["released"] for feed in told.feeds if feed["to"] == cen.code)
    data = {
        "nodes": [
            {
                "name": node.code,
                "entries": told.verified[node.code]["entries"] + told.verified[node.code]["unsealed"],
                "sealed": told.verified[node.code]["entries"],
                "verified": not told.verified[node.code]["faults"],
            }
            for node in nodes
        ],
        "feeds": [
            {name: feed[name] for name in ("from", "to", "released", "withheld", "received", "quarantined")}
            for feed in told.feeds
        ],
        "cen": {"notices": notices},
        "closed": {
            "refused": closed.refused,
            "reviewed": closed.reviewed,
            "proven": closed.proven,
            "confirmed_by": closed.confirmed_by,
        },
        "seconds": round(seconds, 1),
    }
    output.show(data, *lines, *story.ending(nodes, closed, keep=keep, seconds=seconds))


def _at_once(works: list[Callable[[], Any]]) -> None:
    """Do these side by side and raise the first fault."""
    with ThreadPoolExecutor(len(works) or 1) as threads:
        for future in [threads.submit(work) for work in works]:
            future.result()


def _step(sentence: str) -> None:
    output.say(sentence)
