"""Erasing, restricting, holding and releasing as the command has them, and the vault beside it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.output import ExitCode
from exchange import schema
from ledger import erasure
from ledger.sessions import connect
from tests.cli.node import Inside, Ncen, node

pytestmark = pytest.mark.timeout(600)
WAIT = ("--wait", "20")
NAME = "Xaverius Quackenbosch"


@pytest.fixture
def ncen(database_url: str, tmp_path: Path) -> Iterator[Ncen]:
    with node(tmp_path / "home", database_url, kind=Inside) as made:
        yield made


@pytest.mark.parametrize("kind", ["person", "business"])
def test_a_subject_is_restricted_held_released_and_erased(kind: str, ncen: Ncen) -> None:
    who = ncen.does(kind, "record", "--name", NAME, *WAIT).strip()
    assert [hit["id"] for hit in ncen.tells(kind, "list", "--name", NAME)["hits"]] == [who]
    ncen.does(kind, "restrict", who, "--grounds", "accuracy-contested", *WAIT)
    assert ncen.tells(kind, "list", "--name", NAME)["hits"] == []
    assert ncen.tells(kind, "show", who)["record"]["restricted"] == "accuracy-contested"
    ncen.does(kind, "release", who, "--from", "restriction", *WAIT)
    assert [hit["id"] for hit in ncen.tells(kind, "list", "--name", NAME)["hits"]] == [who]
    ncen.does(kind, "hold", who, "--grounds", "court-order")
    assert "on hold" in ncen.fails(ExitCode.REFUSED, kind, "erase", who, "--grounds", "subject-request")
    (refused,) = ncen.tells(kind, "show", who)["erasures"]
    assert (refused["grounds"], refused["asked_by"]) == ("subject-request", "officer-01"), "the wish stays visible"
    assert "REFUSED" in ncen.does(kind, "show", who)
    ncen.does(kind, "release", who, "--from", "hold")

    told = ncen.tells(kind, "erase", who, "--grounds", "subject-request", *WAIT)
    assert (told["certificate"]["grounds"], told["certificate"]["by"]["role"]) == (
        "subject-request",
        "data-protection-officer",
    )
    assert "Quackenbosch" not in str(told)
    assert ncen.tells(kind, "list", "--name", NAME)["hits"] == []
    assert ncen.tells(kind, "list")["hits"] == []
    steps = ncen.tells("history", who)["entries"]
    assert steps[-1]["event"] == f"{kind}.erased"
    assert [step["unreadable"] is None for step in steps] == [
        step["event"] != f"{kind}.name-asserted" for step in steps
    ]
    assert "was erased" in ncen.fails(ExitCode.REFUSED, kind, "assert", who, "--name", NAME)
    _, stands = ncen.tells(kind, "show", who)["erasures"]
    assert (stands["erased_at"] is None, stands["destroyed_at"], stands["peers"]) == (False, None, [])
    assert "not yet, promised by" in ncen.does(kind, "show", who)


def test_an_erasure_that_was_begun_and_a_peer_that_is_silent_are_shown(ncen: Ncen) -> None:
    who = ncen.does("person", "record", "--name", NAME, *WAIT).strip()
    assert "erasures" not in ncen.tells("person", "show", who)
    schema.prepare(ncen.database_url, node="XA", role="nation")
    with connect(ncen.database_url) as session:
        erasure.prepare(session)
        session.execute(
            "INSERT INTO ledger.erasure (erasure_id, subject, kind, grounds, attribution, asked_at)"
            " VALUES (gen_random_uuid(), %s, 'person', 'unlawful', '', now())",
            [who],
        )
        assert "PENDING" in ncen.does("person", "show", who)
        session.execute("UPDATE ledger.erasure SET erased_at = now()")
        session.execute(
            "INSERT INTO exchange.erasure_notice (peer, subject, number, noticed_at) VALUES ('XB', %s, 1, now())", [who]
        )
        assert "HAS NOT CONFIRMED" in ncen.does("person", "show", who)
        session.execute("UPDATE exchange.erasure_notice SET confirmed_at = now(), confirmation = 'signed'")
    told = ncen.does("person", "show", who)
    assert "signed for it" in told
    assert "HAS NOT CONFIRMED" not in told
    assert ncen.tells("person", "show", who)["erasures"][0]["peers"][0]["confirmation"] == "signed"


def test_erasing_twice_under_one_command_id_is_one_erasure(ncen: Ncen) -> None:
    who = ncen.does("person", "record", "--name", NAME, *WAIT).strip()
    line = ("person", "erase", who, "--grounds", "unlawful", "--command-id", "0190abcd-0000-7000-8000-000000000001")
    assert ncen.does(*line) == ncen.does(*line)
    assert "There is no person" in ncen.fails(
        ExitCode.NOT_FOUND, "person", "erase", "0190abcd-0000-7000-8000-00000000dead", "--grounds", "unlawful"
    )


def test_the_vault_is_shown_and_rotated(ncen: Ncen) -> None:
    who = ncen.does("person", "record", "--name", NAME, *WAIT).strip()
    other = ncen.does("person", "record", "--name", "Ivan Petrov", *WAIT).strip()
    ncen.does("person", "erase", who, "--grounds", "unlawful", *WAIT)
    stands = ncen.tells("vault", "status")
    assert (stands["epoch"], stands["keys"], stands["erased"], stands["not_destroyed"]) == (1, {"1": 1}, 1, 1)
    done = ncen.tells("vault", "rotate")
    assert (done["rotated"]["epoch"], done["rotated"]["rewrapped"], done["rotated"]["destroyed"]) == (2, 1, [1])
    assert (done["cleared"]["erasures"], done["cleared"]["left"]) == (1, [])
    stands = ncen.tells("vault", "status")
    assert (stands["epoch"], stands["keys"], stands["not_destroyed"], stands["lost"]) == (2, {"2": 1}, 0, 0)
    assert "Ivan Petrov" in ncen.does("person", "show", other)
