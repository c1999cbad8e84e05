"""A processing log that was brought back to an earlier position: acknowledged, accepted by peers, never hidden."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from access import log_losses
from cli.output import ExitCode
from exchange import log_losses as told_losses
from exchange import losses, witness
from exchange.losses import WAITS
from exchange.witness import CONFLICT, COSIGNED, MALFORMED, NOT_SIGNED, Answer
from ledger import checkpoint, log_loss, log_tree, node_keys, note
from ledger.checkpoint import Head
from ledger.errors import Conflict, NotFound
from ledger.keyring import Keyring
from ledger.log_loss import LogLoss
from tests.access.test_witnessed_log import Pair, blame_olaf, pair
from tests.exchange.nodes import now

__all__ = ["pair"]

TABLES = ("log", "head", "leaf", "subtree", "tree_state", "checkpoint", "cosignature")
ORIGIN = "ncen/XA/processing-log"


def look_at_somebody(pair: Pair, times: int = 1) -> None:
    """Add lines to the log, and have its head signed and cosigned."""
    for _ in range(times):
        _, person = pair.closed.case()
        pair.closed.as_("anna").does("person", "show", person)
    pair.look()
    pair.submit()


def copied(pair: Pair) -> None:
    """Take a copy of the log as it stands in the database."""
    for table in TABLES:
        pair.xa.session.execute(f"DROP TABLE IF EXISTS copy_of_{table}".encode())
        pair.xa.session.execute(f"CREATE TABLE copy_of_{table} AS TABLE processing.{table}".encode())


def brought_back(pair: Pair) -> None:
    """Bring the database's part of the log back to the copy, as a restore does; files outside stay."""
    session = pair.xa.session
    session.execute("SET session_replication_role = replica")
    for table in TABLES:
        session.execute(f"DELETE FROM processing.{table}".encode())
        session.execute(f"INSERT INTO processing.{table} SELECT * FROM copy_of_{table}".encode())
    session.execute("SET session_replication_role = origin")


@pytest.fixture
def short(pair: Pair) -> Pair:
    """XB has cosigned a head of XA's log, which has come back some lines short of it."""
    look_at_somebody(pair)
    pair.closed.as_("udo").does("log", "verify")
    copied(pair)
    look_at_somebody(pair, 2)
    pair.closed.as_("udo").does("log", "verify")
    brought_back(pair)
    return pair


def acknowledge(pair: Pair) -> LogLoss:
    return log_losses.acknowledge(pair.xa.session, pair.prover, pair.xa.keys, reason="The disk failed.", by="boss")


def tell(pair: Pair, raw: bytes) -> Answer:
    return witness.judge(pair.xb.session, pair.xb.own, pair.of_a, raw, now(), pair.kept)


def lead(pair: Pair) -> Answer:
    """Tell the peer what the submitter tells it before it asks; what it answers to the last."""
    answer = Answer(COSIGNED, "")
    for text in node_keys.successions(pair.xa.keys):
        answer = tell(pair, witness.SUCCESSION + text.encode())
    for text in log_loss.statements(pair.xa.keys):
        answer = tell(pair, witness.LOG_LOSS + text.encode())
    return answer


def accept(pair: Pair) -> losses.Told:
    known = witness.keys_of(pair.xb.session, pair.of_a)
    return told_losses.accept(pair.xb.session, pair.of_a, known, pair.kept, now())


def test_a_loss_is_acknowledged_and_accepted_and_stays_to_be_seen(short: Pair) -> None:
    pair, before = short, short.witnessed()
    assert any("it was cut off" in fault for fault in pair.prover.look(pair.xa.session)), "the control"
    udo, boss = pair.closed.as_("udo"), pair.closed.as_("boss")
    assert udo.run("log", "verify").returncode == ExitCode.NOT_VERIFIED
    assert "ncen loss acknowledge" in boss.run("status").stdout

    told = boss.tells("loss", "acknowledge", "--reason", "The disk failed.")
    [lost] = told["processing_log"]
    assert (lost["kept"], lost["lost"], lost["by"]) == (before[0], before[-1], "boss")
    assert told["losses"] == [], "the ledger has lost nothing"
    pair.look()
    assert "The disk failed." in boss.run("status").stdout
    said = udo.does("log", "verify")
    assert f"from line {before[0]} to {before[-1]} was lost" in said
    assert ("loss acknowledge", "boss") in pair.closed.log("verb, user_id")

    assert lead(pair) == Answer(CONFLICT, WAITS)
    pair.submit()
    assert pair.witnessed() == before, "the control: it is not believed by itself"
    accepted = accept(pair)
    assert (accepted.kept, accepted.lost) == (before[0], before[-1])
    assert accept(pair).accepted_at == accepted.accepted_at, "to be repeated at will"
    assert lead(pair).status == COSIGNED
    look_at_somebody(pair, 3)
    assert pair.witnessed()[-1] > before[-1]
    rows = pair.xb.session.execute("SELECT origin, size FROM exchange.witnessed_lost").fetchall()
    assert rows == [(ORIGIN, size) for size in before[1:]], "both heads stay to be seen"
    aside = pair.xa.session.execute("SELECT size FROM processing.lost_checkpoint").fetchall()
    assert [size for (size,) in aside] == [], "they went with the database, and lie outside of it"
    assert list((pair.closed.home / "checkpoints" / log_tree.FOLDER).glob("lost-1-*.note"))
    assert udo.run("log", "verify").returncode == ExitCode.DONE
    with pytest.raises(NotFound):
        acknowledge(pair)


def test_what_was_signed_with_the_key_before_counts_no_more(short: Pair) -> None:
    pair = short
    old = Keyring.open(pair.xa.keys).signing_key
    stolen = checkpoint.sign(Head(ORIGIN, short.witnessed()[-1] + 50, bytes(32)), old)
    acknowledge(pair)
    lead(pair)
    accept(pair)
    assert tell(pair, witness.Asked(pair.witnessed()[-1], (), stolen).encode()).status == NOT_SIGNED


def test_what_was_kept_cannot_be_rewritten_by_it(short: Pair) -> None:
    """Whoever recomputes the log, and states a loss to hide it, is found: the peer holds what was kept."""
    pair, before = short, short.witnessed()
    pair.recompute(blame_olaf)
    pair.forget()
    pair.look()
    newest = pair.prover.newest(pair.xa.session).signed
    assert newest is not None
    keys, _ = pair.prover.keys()
    key = Keyring.open(pair.xa.keys)
    node_keys.replace(key.folder, keys, key.signing_key, size=1, why=node_keys.Why.ROTATED)
    _, fresh = pair.prover.keys()
    loss = stated(pair, kept=before[0], kept_root=newest.head.root, lost=before[-1])
    assert lead_with(pair, note.sign(loss.text, ORIGIN, fresh)).body != WAITS
    with pytest.raises(NotFound):
        accept(pair)


def stated(  # each of them is forged in turn
    pair: Pair,
    *,
    serial: int = 1,
    kept: int | None = None,
    kept_root: bytes | None = None,
    lost: int | None = None,
    root: bytes | None = None,
) -> LogLoss:
    """A statement with the key that the node signs with now, true but for what is given."""
    rows = pair.xb.session.execute(
        "SELECT size, root FROM exchange.witnessed WHERE origin = %s ORDER BY size", [ORIGIN]
    ).fetchall()
    _, key = pair.prover.keys()
    return LogLoss(
        origin=ORIGIN,
        serial=serial,
        key=key.public_key().public_bytes_raw(),
        kept=rows[0][0] if kept is None else kept,
        kept_root=kept_root or rows[0][1],
        lost=lost or rows[-1][0],
        root=root or rows[-1][1],
        at=datetime.now(UTC),
    )


def lead_with(pair: Pair, signed: str) -> Answer:
    for text in node_keys.successions(pair.xa.keys):
        tell(pair, witness.SUCCESSION + text.encode())
    return tell(pair, witness.LOG_LOSS + signed.encode())


def test_forged_statements_are_refused(short: Pair, tmp_path: Path) -> None:
    pair = short
    identity, stranger = Keyring.open(pair.xa.keys).signing_key, Keyring.open(tmp_path / "stranger").signing_key
    acknowledge(pair)
    _, key = pair.prover.keys()
    good = note.sign(stated(pair).text, ORIGIN, key)
    most = pair.witnessed()[-1]
    forged = [
        note.sign(stated(pair, lost=most - 1).text, ORIGIN, key),
        note.sign(stated(pair, root=bytes(32)).text, ORIGIN, key),
        note.sign(stated(pair, kept_root=bytes(32)).text, ORIGIN, key),
        note.sign(stated(pair, kept=most).text, ORIGIN, key),
        note.sign(stated(pair, serial=2).text, ORIGIN, key),
        note.sign(stated(pair).text, ORIGIN, identity),
        note.sign(stated(pair).text, ORIGIN, stranger),
        note.sign(stated(pair).text.replace("ncen/XA", "ncen/XC"), ORIGIN.replace("XA", "XC"), key),
        good.replace(f"lost {most}", f"lost {most + 2}"),
        good + "x" * node_keys.MOST_NOTE_BYTES,
        "nonsense",
    ]
    for bad in forged:
        answer = lead_with(pair, bad)
        assert answer.status in {CONFLICT, NOT_SIGNED, MALFORMED}
        assert answer.body != WAITS
        with pytest.raises(NotFound):
            accept(pair)
    assert lead_with(pair, good) == Answer(CONFLICT, WAITS), "the control"


def test_an_edit_is_not_hidden_behind_a_loss(short: Pair) -> None:
    pair = short
    pair.xa.session.execute("SET session_replication_role = replica")
    pair.xa.session.execute("UPDATE processing.log SET user_id = 'olaf' WHERE user_id = 'anna' AND number > 0")
    pair.xa.session.execute("SET session_replication_role = origin")
    with pytest.raises(Conflict):
        acknowledge(pair)
    assert log_loss.statements(pair.xa.keys) == ()
    pair.xa.session.execute("SET session_replication_role = replica")
    pair.xa.session.execute(
        "UPDATE processing.log l SET user_id = c.user_id FROM copy_of_log c WHERE c.number = l.number"
    )
    pair.xa.session.execute("SET session_replication_role = origin")
    assert acknowledge(pair).kept == pair.witnessed()[0], "the control"


@pytest.mark.parametrize("place", ["ledger.log_loss.state", "access.log_losses._KEEP", "ledger.log_tree.set_aside"])
def test_interrupted_it_is_finished(short: Pair, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Before the statement it is begun again; after it, the statement counts, and the next look does the rest."""
    pair = short
    calls = 0

    def die(*_: object, **__: object) -> None:
        nonlocal calls
        calls += 1
        if place != "ledger.log_tree.set_aside" or calls > 1:  # the first time nothing is to be set aside yet
            raise ConnectionError

    with monkeypatch.context() as patched:
        if place.isupper() or place.endswith("_KEEP"):
            patched.setattr(place, "nonsense")
        else:
            patched.setattr(place, die)
        with pytest.raises(Exception):  # noqa: B017, PT011  # each place fails in its own way
            acknowledge(pair)
    if place == "ledger.log_loss.state":
        acknowledge(pair)
    pair.look()
    [told] = log_losses.listed(pair.xa.session, pair.prover)
    assert (told.kept, told.lost) == (pair.witnessed()[0], pair.witnessed()[-1])
    assert len(node_keys.successions(pair.xa.keys)) == 1, "the key was replaced once"
    lead(pair)
    accept(pair)
    look_at_somebody(pair, 3)
    assert len(pair.witnessed()) == 2


def test_it_can_happen_twice(short: Pair) -> None:
    pair = short
    acknowledge(pair)
    lead(pair)
    accept(pair)
    look_at_somebody(pair)
    copied(pair)
    look_at_somebody(pair)
    brought_back(pair)
    assert pair.prover.look(pair.xa.session)
    acknowledge(pair)
    assert lead(pair) == Answer(CONFLICT, WAITS)
    accept(pair)
    look_at_somebody(pair, 2)
    assert [told.serial for told in log_losses.listed(pair.xa.session, pair.prover)] == [1, 2]
    assert pair.closed.as_("udo").run("log", "verify").returncode == ExitCode.DONE
    assert pair.xb.session.execute("SELECT DISTINCT serial FROM exchange.witnessed_lost ORDER BY 1").fetchall() == [
        (1,),
        (2,),
    ]
