"""`ncen status`: what of the node runs, how far the ledger is sealed, and how far projections and feeds have come.

It only asks and changes nothing, and shows what it can when a part does not answer. It ends with 0 when all runs that
should and no fault was found in the ledger, so that it serves as a health check.
"""

import re
from typing import Any

import msgspec

from cli.output import ExitCode, Unreachable, show, table
from cli.settings import Settings, load
from cli.supervisor import (
    KINDS,
    database_url,
    nats_of,
    postgres_of,
    running,
    state_of,
    wants_nats,
    worker_process,
)

FEEDS = """
SELECT peer.node, peer.role, coalesce(feed.position, 0), coalesce(feed.number, 0),
       coalesce((SELECT max(size) FROM exchange.receipt WHERE receipt.peer = peer.node), 0),
       coalesce(inbox_feed.number, 0), inbox_feed.stopped IS NOT NULL, peer.state,
       feed.epoch > 0 AND NOT EXISTS (SELECT FROM exchange.receipt WHERE receipt.peer = peer.node),
       EXISTS (SELECT FROM exchange.inbox_opening o WHERE o.origin = peer.node
               AND o.epoch > inbox_feed.epoch AND o.epoch > inbox_feed.passed)
FROM exchange.peer
LEFT JOIN exchange.feed ON feed.peer = peer.node
LEFT JOIN exchange.inbox_feed ON inbox_feed.origin = peer.node
ORDER BY peer.node
"""


LOSSES = "SELECT serial, kept_size, size, acknowledged_at, reason FROM ledger.loss ORDER BY serial"
PENDING = "SELECT origin, serial FROM exchange.peer_loss WHERE accepted_at IS NULL ORDER BY origin, serial"
HELD = "SELECT node, held FROM exchange.peer WHERE held IS NOT NULL ORDER BY node"
SHORT = re.compile(
    r"was signed (for )?up to (position|line)|the history is not the one|it was cut off, or this is an older copy"
)
"""What a fault says when the ledger is shorter than it was signed for, or has grown from an older copy."""
OLDER_COPY = (
    "The feed to {peer} is closed: {peer} has signed for lines that are not in this database, which is an older copy."
    " Restore everything that the backup holds; where that is lost, say `ncen loss acknowledge`."
)
BEGUN_ANEW = "The feed to {peer} has begun anew after a loss: it goes on when {peer} has accepted that."
BEGINS_ANEW = "The feed of {peer} begins anew, since it has lost what we signed for: `ncen peer accept-loss {peer}`."
CHECKED = {"full": "all entries", "tail": "the newest entries", "processing log": "the processing log"}
PROOF = "SELECT run, checked_at, size, faults, first_fault FROM ledger.proof_state ORDER BY run DESC"


def status() -> ExitCode:
    """Show what of this node runs, how far the ledger is sealed and checked, and how far the rest has come.

    Ends with 0 when all runs that should, with 4 when not, and with 6 when something in the ledger does not fit.
    """
    return tell(load())


def tell(settings: Settings) -> ExitCode:
    """Show how the node stands, and return 0, 4 or 6."""
    facts = gather(settings)
    show(facts, *_lines(facts))
    return _health(facts)


def gather(settings: Settings) -> dict[str, Any]:
    """Return all that `ncen status` shows; asks the servers, changes nothing."""
    supervisor = running(settings) if settings.run.is_dir() else None
    state = state_of(settings) if supervisor is not None else {}
    postgres = postgres_of(settings)
    nats = nats_of(settings)
    workers = []
    for kind in KINDS:
        process = worker_process(settings, kind) if settings.run.is_dir() else None
        restarts = state.get("workers", {}).get(kind, {}).get("restarts", 0)
        workers.append(
            {"kind": kind, "running": process is not None, "pid": process and process.pid, "restarts": restarts}
        )
    return {
        "node": settings.node,
        "role": settings.role,
        "home": str(settings.home),
        "supervisor": {"running": supervisor is not None, "pid": supervisor and supervisor.pid},
        "postgres": {"own": postgres is not None, **_postgres_facts(settings)},
        "nats": {
            "own": nats is not None,
            "wanted": settings.nats_url is not None or (nats is not None and wants_nats(settings)),
            "running": nats is not None and nats.is_running(),
            "port": nats.port if nats is not None and nats.is_running() else None,
        },
        "workers": workers,
        **_reached(settings),
    }


def _postgres_facts(settings: Settings) -> dict[str, Any]:
    import psycopg

    try:
        with psycopg.connect(database_url(settings), connect_timeout=5) as connection:
            version = connection.info.server_version
    except (psycopg.Error, Unreachable):
        return {"running": False, "version": None}
    return {"running": True, "version": f"{version // 10_000}.{version % 10_000}"}


def _reached(settings: Settings) -> dict[str, Any]:
    """Return how far ledger, projections and feeds have come; nothing of them when PostgreSQL does not answer."""
    import psycopg

    from exchange import feed_epoch, renewing
    from ledger import card_keys
    from projections.positions import positions

    reached: dict[str, Any] = {"sealed": None, "proof": [], "projections": [], "feeds": []}
    reached |= {"log": None, "losses": [], "log_losses": [], "peer_losses": [], "held": {}, "waiting_for_cards": []}
    try:
        with psycopg.connect(database_url(settings), connect_timeout=5, autocommit=True) as connection:
            row = connection.execute("SELECT size FROM ledger.seal_state").fetchone()
            reached["sealed"] = row[0] if row else 0
            checks = ("run", "checked_at", "size", "faults", "first_fault")
            reached["proof"] = [dict(zip(checks, row, strict=True)) for row in connection.execute(PROOF).fetchall()]
            reached["log"] = _log_lag(connection)
            reached["log_losses"] = _log_losses(connection)
            names = ("peer", "role", "decided", "released", "receipted", "received", "stopped", "state")
            anew = ("begun_anew", "begins_anew")
            feeds = connection.execute(FEEDS).fetchall()
            losses = ("statement", "kept", "lost", "acknowledged_at", "reason")
            reached["losses"] = [dict(zip(losses, row, strict=True)) for row in connection.execute(LOSSES).fetchall()]
            pending = [name.split("/")[1] for name, _ in connection.execute(PENDING).fetchall()]
            reached["peer_losses"] = list(dict.fromkeys(pending))
            closed = feed_epoch.closed(connection)
            reached["feeds"] = [
                dict(zip((*names, *anew), feed, strict=True)) | {"older_copy": feed[0] in closed} for feed in feeds
            ]
            reached["held"] = dict(connection.execute(HELD).fetchall())
            reached["waiting_for_cards"] = renewing.waiting(connection, card_keys.edition(settings.keys))
        reached["projections"] = [msgspec.to_builtins(position) for position in positions(database_url(settings))]
    except (psycopg.Error, Unreachable):
        pass
    return reached


def _log_lag(connection: Any) -> dict[str, Any] | None:  # noqa: ANN401  # a session, of a module imported when called
    """Return how far the processing log has followed ledger and feeds; None on an open node."""
    from access.following import lag

    found = lag(connection)
    return None if found is None else msgspec.to_builtins(found)


def _log_losses(connection: Any) -> list[dict[str, Any]]:  # noqa: ANN401  # as above
    """Return what of the processing log was lost, as was acknowledged; none on an open node."""
    from ledger.log_loss import unsigned

    if connection.execute("SELECT to_regclass('processing.loss')").fetchone() == (None,):
        return []
    rows = connection.execute("SELECT note, reason, acknowledged_at FROM processing.loss ORDER BY serial").fetchall()
    told = [(unsigned(note), reason, at) for note, reason, at in rows]
    return [
        {"statement": one.serial, "kept": one.kept, "lost": one.lost, "acknowledged_at": at, "reason": reason}
        for one, reason, at in told
    ]


def _health(facts: dict[str, Any]) -> ExitCode:
    nats = facts["nats"]
    is_sound = (
        facts["supervisor"]["running"]
        and facts["postgres"]["running"]
        and (nats["running"] or not (nats["own"] and nats["wanted"]))
        and all(worker["running"] for worker in facts["workers"])
    )
    if any(check["faults"] for check in facts["proof"]):
        return ExitCode.NOT_VERIFIED
    return ExitCode.DONE if is_sound else ExitCode.UNREACHABLE


def _lines(facts: dict[str, Any]) -> list[object]:
    def word(part: dict[str, Any]) -> str:
        return "running" if part["running"] else "not running"

    postgres, nats = facts["postgres"], facts["nats"]
    nats_word = word(nats) if nats["own"] else "another's"
    rows: list[tuple[object, ...]] = [
        ("supervisor", word(facts["supervisor"]), facts["supervisor"]["pid"]),
        ("postgres", word(postgres), postgres["version"] and f"version {postgres['version']}"),
        ("nats", nats_word if nats["wanted"] else "not wanted", nats["port"] and f"port {nats['port']}"),
    ]
    rows += [(f"work {part['kind']}", word(part), part["pid"]) for part in facts["workers"]]
    head = f"Node {facts['node']} ({facts['role']}) in {facts['home']}"
    lines: list[object] = [head, table("", ("part", "state", "detail"), rows)]
    if facts["sealed"] is not None:
        lines.append(f"The ledger is sealed to position {facts['sealed']}.")
    lines += _of_proof(facts)
    if facts["projections"]:
        reached = [
            (part["name"], part["position"], part["lag"], part["parked"] or "", part["rebuilding_at"])
            for part in facts["projections"]
        ]
        lines.append(table("", ("projection", "position>", "behind>", "parked>", "rebuilt to>"), reached))
        if not all(part["is_built"] for part in facts["projections"]):
            lines.append("Searches, lists and figures wait until the tables are built from the ledger.")
    if facts["feeds"]:
        columns = ("peer", "decided", "released", "receipted", "received")
        feeds = [(*(feed[name] for name in columns), _word_of(feed)) for feed in facts["feeds"]]
        lines.append(table("", ("peer", "decided to>", "released>", "receipted>", "received>", ""), feeds))
    lines += [OLDER_COPY.format(peer=feed["peer"]) for feed in facts["feeds"] if feed["older_copy"]]
    lines += [BEGUN_ANEW.format(peer=feed["peer"]) for feed in facts["feeds"] if feed["begun_anew"]]
    waiting = {feed["peer"] for feed in facts["feeds"] if feed["begins_anew"]} - set(facts["peer_losses"])
    lines += [BEGINS_ANEW.format(peer=peer) for peer in sorted(waiting)]
    lines += [
        f"{peer} has lost a part of its history: `ncen peer accept-loss {peer}`." for peer in facts["peer_losses"]
    ]
    return lines + _of_cards(facts)


def _of_cards(facts: dict[str, Any]) -> list[object]:
    """Who is held until a person decides, and which feeds wait because a key was replaced."""
    from exchange.renewing import WAITS
    from exchange.successors import SENTENCES, Held

    lines: list[object] = [f"HELD: {node} {SENTENCES[Held(why)]}" for node, why in facts["held"].items()]
    return lines + [WAITS.format(peer=peer) for peer in facts["waiting_for_cards"]]


def _word_of(feed: dict[str, Any]) -> str:
    if feed["state"] != "active":
        return str(feed["state"])
    return "stopped" if feed["stopped"] else "closed" if feed["older_copy"] else ""


def _of_proof(facts: dict[str, Any]) -> list[str]:
    """How checking stands, what was lost, and what to do about a loss that nobody has acknowledged."""
    lines = []
    for check in facts["proof"]:
        when = f"{check['checked_at']:%Y-%m-%d %H:%M:%SZ}"
        if check["run"] not in CHECKED:
            refused = check["first_fault"] or "it has cosigned."
            of = "Line" if check["run"].startswith("processing log") else "Checkpoint up to position"
            lines.append(f"{of} {check['size']}, {check['run']}, at {when}: {refused}")
            continue
        what = CHECKED[check["run"]]
        fault = f"{check['faults']} FAULTS, the first: {check['first_fault']}" if check["faults"] else "all fit"
        lines.append(f"Checked {what} up to position {check['size']} at {when}: {fault}.".replace("..", "."))
    if facts["log"] is not None:
        log = facts["log"]
        lines.append(
            f"The processing log has {log['lines']} lines and follows the ledger to position {log['followed']}: "
            f"{log['behind']} entries and {log['undisclosed']} released lines behind."
        )
    lines += [
        f"What was signed from {of} {one['kept']} to {one['lost']}{where} was lost, as was acknowledged at"
        f" {one['acknowledged_at']:%Y-%m-%d %H:%M:%SZ}: {one['reason']}"
        for of, where, name in (("position", "", "losses"), ("line", " of the processing log", "log_losses"))
        for one in facts[name]
    ]
    if any(check["faults"] and SHORT.search(check["first_fault"] or "") for check in facts["proof"]):
        lines.append("It was restored to an earlier position, or cut off: restore all, or `ncen loss acknowledge`.")
    return lines
