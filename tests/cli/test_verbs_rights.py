"""Erasing, restricting, holding and releasing as the command has them, and the vault beside it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.output import ExitCode
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
