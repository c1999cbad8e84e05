"""The processing log is witnessed by peers: who recomputes it, with database, host and key, is found by them alone."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from access import log_prover
from access.reports import drop_before, hash_of
from cli.output import ExitCode
from cli.postgres import EmbeddedPostgres
from exchange import witness
from exchange.cosigned import Cosigned
from exchange.witnessing import PROCESSING_LOG, Submitter
from ledger import checkpoint
from ledger.log_tree import LogTree
from ledger.merkle import verify_consistency
from tests.access.world import World
from tests.exchange.nodes import Node, now

READ = """
    SELECT number, (extract(epoch FROM at) * 1000000)::bigint, operation, user_id, role, purpose, legal_basis, verb,
        justification, reference, is_break_glass, ticket, answers, records, peer, position, digest, is_unmasking
    FROM processing.log ORDER BY number
"""


class Pair:
    """XA, whose log is witnessed, and XB, the witness; what travels goes from hand to hand."""

    def __init__(self, closed: World, xa: Node, xb: Node, folder: Path) -> None:
        self.closed, self.xa, self.xb = closed, xa, xb
        self.to_b, self.of_a = xa.meet(xb, "nats://127.0.0.1:1"), xb.meet(xa)
        self.submitter = Submitter(xa.url, xa.own, self.to_b, None)
        self.kept = Cosigned(folder)
        self.prover = log_prover.LogProver.open(xa.keys, node="XA", folder=closed.home / "checkpoints")

    def submit(self) -> None:
        """Do what the submitter does over NATS."""
        old, tries = None, 0
        while (due := self.submitter.due(old, PROCESSING_LOG)) is not None and tries < 3:
            tries += 1
            answer = witness.judge(self.xb.session, self.xb.own, self.of_a, due.asked.encode(), now(), self.kept)
            old = self.submitter.take(due, answer.encode())
            if old is None:
                break

    def look(self) -> None:
        assert self.prover.look(self.xa.session) == ()

    def witnessed(self) -> list[int]:
        rows = self.xb.session.execute("SELECT size FROM exchange.witnessed WHERE origin LIKE %s ORDER BY 1", ["%log"])
        return [size for (size,) in rows]

    def recompute(self, change: Callable[[list[Any]], None]) -> None:
        """Change lines and recompute the chain, as whoever has the database can."""
        session, before = self.xa.session, b""
        rows = [list(row) for row in session.execute(READ).fetchall()]
        session.execute("SET session_replication_role = replica")
        for row in rows:
            change(row)
            before = hash_of(before, tuple(row))
            session.execute("SELECT processing.partition_for(to_timestamp(%s / 1e6))", [row[1]])
            session.execute(
                "UPDATE processing.log SET at = timestamptz 'epoch' + %s * interval '1 microsecond', user_id = %s,"
                " hash = %s WHERE number = %s",
                [row[1], row[3], before, row[0]],
            )
        session.execute("UPDATE processing.head SET hash = %s", [before])
        session.execute("SET session_replication_role = origin")

    def forget(self) -> None:
        """Remove whatever on this host tells of the log as it was."""
        for table in ("leaf", "subtree", "checkpoint", "cosignature"):
            self.xa.session.execute(f"DELETE FROM processing.{table}".encode())
        self.xa.session.execute("UPDATE processing.tree_state SET size = 0, peaks = ''")
        shutil.rmtree(self.closed.home / "checkpoints")
        (self.closed.home / "processing.anchor").unlink(missing_ok=True)


@pytest.fixture
def pair(closed: World, postgres_server: EmbeddedPostgres, tmp_path: Path) -> Iterator[Pair]:
    name = f"witness_{tmp_path.name.replace('-', '_')}_{id(closed)}".lower()[:60]
    postgres_server.create_database(name)
    try:
        with (
            Node("XA", closed.database_url, closed.home / "keys") as xa,
            Node("XB", postgres_server.dsn(name), tmp_path / "xb") as xb,
        ):
            made = Pair(closed, xa, xb, tmp_path / "witnessed")
            with contextlib.closing(made.submitter):
                yield made
    finally:
        postgres_server.drop_database(name)


def blame_olaf(row: list[Any]) -> None:
    if row[3] == "anna":
        row[3] = "olaf"


def test_the_head_is_cosigned_as_it_grows_and_tells_a_peer_its_size_alone(pair: Pair) -> None:
    _, person = pair.closed.case()
    pair.closed.as_("anna").does("person", "show", person)
    pair.look()
    pair.submit()
    first = pair.witnessed()
    told = pair.closed.as_("udo").tells("log", "verify")
    assert [(one["witness"], [one["size"]]) for one in told["witnessed"]] == [("ncen/XB", first)]
    pair.look()
    pair.submit()
    assert len(pair.witnessed()) == 2
    rows = pair.xb.session.execute("SELECT note FROM exchange.witnessed WHERE origin LIKE '%log'").fetchall()
    for (note,) in rows:
        head = checkpoint.unsigned(note)
        assert note.startswith(head.text), "origin, size and root are all it says"
        assert head.origin == "ncen/XA/processing-log"


@pytest.mark.parametrize("with_host", [False, True])
def test_a_recomputed_log_is_found(pair: Pair, *, with_host: bool) -> None:
    """By the host's own files where the database alone was changed; else by what the peer holds, and nothing else."""
    _, person = pair.closed.case()
    pair.closed.as_("anna").does("person", "show", person)
    udo = pair.closed.as_("udo")
    udo.does("log", "verify")
    pair.look()
    pair.submit()
    pair.recompute(blame_olaf)
    if not with_host:
        pair.look()  # the minute's look sees the newest lines, the day's look all of them
        assert "is another than in the log's tree" in pair.prover.look(pair.xa.session, everything=True)[0]
        done = udo.run("log", "verify")
        assert done.returncode == ExitCode.NOT_VERIFIED
        return
    pair.forget()
    pair.look()
    assert udo.run("log", "verify").returncode == ExitCode.DONE, "the control: nothing on this host tells"
    before = pair.witnessed()
    pair.submit()
    assert pair.witnessed() == before
    done = udo.run("log", "verify")
    assert done.returncode == ExitCode.NOT_VERIFIED
    assert "ncen/XB has cosigned another history of our processing log" in done.stdout


def test_without_the_proof_the_peer_would_cosign_a_recomputed_log(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: the consistency proof is what the refusal rests on."""
    _, person = pair.closed.case()
    pair.closed.as_("anna").does("person", "show", person)
    pair.look()
    pair.submit()
    pair.recompute(blame_olaf)
    pair.forget()
    pair.closed.as_("anna").does("person", "show", person)
    pair.look()
    monkeypatch.setattr("exchange.witness.verify_consistency", lambda *_: True)
    pair.submit()
    assert len(pair.witnessed()) == 2


def test_a_cut_off_log_is_found_by_the_file_outside_the_database(pair: Pair) -> None:
    _, person = pair.closed.case()
    pair.closed.as_("anna").does("person", "show", person)
    pair.closed.as_("anna").does("person", "show", person)
    pair.look()
    session = pair.xa.session
    session.execute("SET session_replication_role = replica")
    session.execute("DELETE FROM processing.log WHERE number > 1")
    session.execute("UPDATE processing.head SET number = 1, hash = (SELECT hash FROM processing.log)")
    session.execute("DELETE FROM processing.leaf WHERE number > 1")
    session.execute("UPDATE processing.tree_state SET size = 1, peaks = (SELECT leaf FROM processing.leaf)")
    session.execute("DELETE FROM processing.checkpoint")
    assert any("it was cut off" in fault for fault in pair.prover.look(session))
    shutil.rmtree(pair.closed.home / "checkpoints")
    assert pair.prover.look(session) == (), "the control: nothing else would have told"


def test_an_erased_month_stays_provable(pair: Pair) -> None:
    _, person = pair.closed.case()
    for _ in range(3):
        pair.closed.as_("anna").does("person", "show", person)
    pair.closed.as_("udo").does("log", "what-did", "anna")
    month = timedelta(days=40) // timedelta(microseconds=1)

    def date_back(row: list[Any]) -> None:
        row[1] -= month if row[0] <= 3 else 0

    pair.recompute(date_back)
    pair.look()
    pair.submit()
    [size] = pair.witnessed()
    old_root = LogTree(pair.xa.session).root(2)
    assert len(drop_before(pair.xa.session, f"{now():%Y-%m}", "dora")) == 1
    assert pair.xa.session.execute("SELECT min(number) FROM processing.log").fetchone() == (4,)
    pair.look()
    pair.submit()
    assert pair.witnessed()[0] == size
    assert len(pair.witnessed()) == 2
    tree = LogTree(pair.xa.session)
    proof = tree.prove_consistency(2, tree.size())  # from within what was erased
    assert verify_consistency(2, tree.size(), proof, old_root, tree.root(tree.size()))
    told = pair.closed.as_("udo").tells("log", "verify")
    assert [(one["by"], one["last"]) for one in told["erased"]] == [("dora", 3)]
    assert ("erasure", "log drop", "dora") in pair.closed.log("operation, verb, user_id")
