"""The promise is kept unasked: within a day of an erasure its epoch is gone, and what was begun is finished."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from ledger import certificates, epochs, erasure
from ledger.keyring import Keyring
from ledger.sessions import connect
from projections import forgetting, keeping
from tests.projections.conftest import Node
from tests.projections.invented import named, party, seizure
from tests.projections.test_forgetting import erase, told_again


def test_who_was_erased_is_beyond_recall_within_the_day_that_is_promised(node: Node) -> None:
    now = datetime.now(UTC)
    who = node.do(named("Xaverius Quackenbosch"))
    node.do(seizure(parties=(party(who),)))
    node.project()
    assert not keeping.keep(node.database_url, node.keys, now + timedelta(days=30)), "nobody waits: the epoch lasts"
    done = erase(node, who)
    told_again(node)
    assert not keeping.keep(node.database_url, node.keys, now + timedelta(hours=19))
    assert keeping.keep(node.database_url, node.keys, now + timedelta(hours=21))
    assert timedelta(hours=21) < erasure.PROMISE
    assert Keyring.open(node.keys).epochs() == [2]
    with connect(node.database_url) as session:
        (kept,) = erasure.of_subject(session, who)
    assert kept.erasure_id == done.erasure_id
    assert kept.destroyed_at is not None
    assert kept.cleared_at is not None
    assert not keeping.keep(node.database_url, node.keys, now + timedelta(days=30))


def test_what_was_begun_is_finished(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    who = node.do(named("Xaverius Quackenbosch"))

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(erasure, "destroy", crash)
        with pytest.raises(KeyboardInterrupt):
            erase(node, who)
        broken.setattr(epochs, "_sweep", crash)
        with pytest.raises(KeyboardInterrupt):
            epochs.rotate(node.database_url, node.keys)
    assert certificates.read(node.keys) == []
    assert Keyring.open(node.keys).epochs() == [1, 2]
    assert keeping.keep(node.database_url, node.keys, datetime.now(UTC))
    assert [one.subject for one in certificates.read(node.keys)] == [who]
    assert Keyring.open(node.keys).epochs() == [2]


def test_a_table_that_was_in_use_is_cleared_later(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "LOCK_WAIT", "50ms")
    who = node.do(named("Xaverius Quackenbosch"))
    node.project()
    erase(node, who)
    told_again(node)
    with psycopg.connect(node.database_url) as reader:
        reader.execute("SELECT count(*) FROM read.person_name")  # and stays in its transaction
        assert keeping.keep(node.database_url, node.keys, datetime.now(UTC) + timedelta(hours=21))
        assert keeping.clear_left(node.database_url), "it is still in use"
    assert not keeping.clear_left(node.database_url)
    with connect(node.database_url) as session:
        (kept,) = erasure.of_subject(session, who)
    assert kept.cleared_at is not None
    with monkeypatch.context() as nothing_to_do:
        nothing_to_do.setattr(forgetting, "clear", pytest.fail)
        assert not keeping.clear_left(node.database_url)
