"""What must hold of two nodes that exchange, watched at every commit of either.

XB's record is a prefix of XA's lines, in order, none twice; nothing is released, sent or recorded without a premise in
force there at that time; a receipt stands for what is on disk.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from domain import records
from domain.attribution import Occasion
from domain.premise import Premise
from exchange.envelope import Core, Whole, decode_core, decode_line
from exchange.release import FOLLOWING
from ledger.line import provenance_of
from tests.simulation.disk import Row, Tables, Transaction
from tests.simulation.nodes import Node
from tests.simulation.seams import require


class Promises:
    """What must hold of the two nodes, watched at every commit of either."""

    def __init__(self, sender: Node, receiver: Node) -> None:
        """Watch two nodes."""
        self._sender = sender
        self._receiver = receiver
        self.histories: list[list[bytes]] = [[]]
        self._may_send = True
        self._stood: list[tuple[int, Premise]] = []
        sender.server.watchers.append(self.look_at_sender)
        receiver.server.watchers.append(self.look_at_receiver)

    # -- the sender

    def look_at_sender(self, transaction: Transaction) -> None:
        """Look at lines released and receipts taken in.

        Raises:
            Broken: a promise was not kept.
        """
        writes, tables = transaction.writes, self._sender.server.tables
        if "feed_before" in writes:
            self.histories.append([])  # the feed begins anew
        for (_, number), row in sorted(writes.get("feed_out", {}).items()):
            if row is None:
                continue
            if number > len(self.histories[-1]):
                require(number == len(self.histories[-1]) + 1, "The numbers of the feed are not gapless.")
                self.histories[-1].append(row["leaf_hash"])
                self._require_premise(row, tables)
            require(self.histories[-1][number - 1] == row["leaf_hash"], "A line of the feed was changed.")
        for (_, size), row in sorted(writes.get("receipt", {}).items()):
            if row is None:
                continue
            kept = self._receiver.server.durable()
            require(
                kept["inbox_feed"]["XA",]["number"] >= size
                and all(("XA", n) in kept["inbox"] for n in range(1, size + 1)),
                "A receipt stands for a line that is not on the receiver's disk.",
            )

    def _require_premise(self, line: Row, tables: Tables) -> None:
        """What was released was released on a premise in force that day, with all that was sealed before the entry."""
        place = line["number"], tables["feed"]["XB",]["epoch"]
        decided = [row for row in tables["decision"].values() if (row["number"], row["epoch"]) == place]
        require(len(decided) == 1, "A line was not decided about once.")
        (decision,) = decided
        premise_id, version = decision["premise_id"], decision["premise_version"]
        sealed = [
            row["version"]
            for row in (tables["sealed"][n,] for n in range(1, line["position"] + 1))
            if row["record_id"] == premise_id
        ]
        require(version >= max(sealed, default=1), "A decision overlooked what was sealed of its premise.")
        premise = folded(tables, premise_id, version)
        sealed_here = tables["sealed"][line["position"],]
        if tables["entry"][sealed_here["record_id"], sealed_here["version"]]["name"] in FOLLOWING:
            return  # it takes back what was given, on a premise in force or not
        require(premise.gap_in_time(decision["decided_at"].date()) is None, "A line was released without a premise.")
        require(premise.gap_between("XA", "XB") is None, "A line was released to whom the premise does not name.")

    def look_before_sending(self) -> None:
        """Note whether lines may be sent now, by the sender's premises and clock: the relay has just looked too."""
        self._may_send = known_premise(self._sender).gap_in_time(self._sender.clock.now().date()) is None

    def look_at_sending(self, messages: Sequence[bytes], _after: int) -> None:
        """Look at what is sent.

        Raises:
            Broken: an undelivered line is sent whole without a premise in force.
        """
        shown = any(map(_shows, messages))
        require(self._may_send or not shown, "A line was sent although its premise was not in force any more.")

    # -- the receiver

    def look_at_receiver(self, transaction: Transaction) -> None:
        """Look at what was taken in.

        Raises:
            Broken: a promise was not kept.
        """
        writes = transaction.writes
        if "premise" in writes:
            self._stood.append((self._receiver.world.turns, known_premise(self._receiver)))
        if "inbox" in writes or "inbox_feed" in writes:
            self.require_prefix()
        for row in writes.get("inbox", {}).values():
            if row is None:
                continue
            place = row["record_id"], row["version"]
            if row["outcome"] in {"recorded", "repeated"}:
                require(place in self._receiver.server.tables["entry"], "A line is said to be recorded and is not.")
        for entry in writes.get("entry", {}).values():
            if entry is not None and entry["node"] != self._receiver.name and entry["name"] not in FOLLOWING:
                self._require_premise_there(transaction, entry)

    def _require_premise_there(self, transaction: Transaction, entry: Row) -> None:
        """What was recorded was accepted on a premise in force on the day on which that was decided."""
        provenance = provenance_of(entry["provenance"])
        assert provenance is not None
        stood, day = self._premises_during(transaction), provenance.received_at.date()
        require(any(one.gap_in_time(day) is None for one in stood), "It was recorded without a premise.")

    def _premises_during(self, transaction: Transaction) -> list[Premise]:
        """The premises as they stood at some moment of a transaction."""
        before = [one for turn, one in self._stood if turn <= transaction.began]
        return [*before[-1:], *(one for turn, one in self._stood if turn > transaction.began)]

    def require_prefix(self) -> None:
        """XB's lines are those of one of XA's histories, as far as they go, without a gap.

        Raises:
            Broken: they are not.
        """
        tables = self._receiver.server.tables
        inbox = tables["inbox"]
        lines = [inbox[key]["leaf_hash"] for key in sorted(inbox)]
        require([key[1] for key in sorted(inbox)] == list(range(1, len(lines) + 1)), "The receiver's lines have a gap.")
        require(tables["inbox_feed"]["XA",]["number"] == len(lines), "The receiver's number is not that of its lines.")
        fits = any(history[: len(lines)] == lines for history in self.histories)
        require(fits, "The receiver's record is not a beginning of what the sender sent.")

    # -- after disasters

    def after_crash(self) -> None:
        """Take up what is left on both sides.

        Raises:
            Broken: what was promised before is gone.
        """
        lines = self.lines_sent()
        history = self.histories[-1]
        require(lines[: len(history)] == history, "A crash took back lines that others had seen.")
        self.histories[-1] = lines
        self.require_prefix()
        self._stood.append((self._receiver.world.turns, known_premise(self._receiver)))

    def after_restore(self) -> None:
        """From now on the sender may tell another history."""
        self.histories.append(self.lines_sent())

    def lines_sent(self) -> list[bytes]:
        """The lines in the sender's outbox."""
        outbox = self._sender.server.tables["feed_out"]
        return [outbox[key]["leaf_hash"] for key in sorted(outbox)]


def _shows(raw: bytes) -> bool:
    """Whether a message shows an entry that needs a premise in force."""
    line = decode_line(raw)
    core = decode_core(line.core, Core) if isinstance(line, Whole) else None
    return isinstance(core, Core) and core.name not in FOLLOWING


def folded(tables: Tables, record_id: UUID, version: int) -> Premise:
    """A premise as of a version, folded from the ledger."""
    premise = None
    for number in range(1, version + 1):
        entry = tables["entry"][record_id, number]
        occasion = Occasion(by=None, at=entry["recorded_at"])
        premise = records.KINDS["premise"].evolve(premise, records.decode(entry["name"], entry["body"]), occasion)
    assert isinstance(premise, Premise)
    return premise


def known_premise(node: Node) -> Premise:
    """The premise as the node's exchange knows it."""
    return msgspec.msgpack.decode(node.server.tables["premise"][node.premise_id,]["state"], type=Premise)
