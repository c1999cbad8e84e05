"""The demonstration shows the whole mission: three nodes, a treaty, a CEN sink, and everything verified."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import msgspec

from cli.demo.invented import Deed, Inventor
from cli.demo.wares import AURIA


def invented(seed: int) -> list[Deed]:
    inventor = Inventor(AURIA, seed)
    people = list(inventor.people(5))
    seizures = list(inventor.seizures(20, [deed.record_id for deed in people], []))
    return [*people, *seizures, *(deed for wave in inventor.amendments() for deed in wave), *inventor.offences(0.5)]


def test_the_same_seed_invents_the_same_and_another_seed_something_else() -> None:
    assert invented(1) == invented(1)
    assert invented(1) != invented(2)
    assert all(deed.record_id.version == 7 for deed in invented(1))


def test_the_demonstration_records_exchanges_and_verifies(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NCEN_")}
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "demo", "--json", "--seizures", "40", "--data", str(tmp_path / "none")],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = msgspec.json.decode(done.stdout)
    assert list(told) == ["nodes", "feeds", "cen", "closed", "seconds"]
    assert told["closed"] == {"refused": True, "reviewed": True, "proven": True, "confirmed_by": ["XB"]}
    assert [node["name"] for node in told["nodes"]] == ["XA", "XB", "CEN"]
    assert all(node["verified"] and node["sealed"] == node["entries"] > 0 for node in told["nodes"])
    feeds = {(feed["from"], feed["to"]): feed for feed in told["feeds"]}
    assert set(feeds) == {("XA", "XB"), ("XB", "XA"), ("XA", "CEN"), ("XB", "CEN")}
    for feed in told["feeds"]:
        assert feed["released"] == feed["received"] > 0
        assert feed["withheld"] > 0
        assert feed["quarantined"] == 0
    assert told["cen"]["notices"] == feeds["XA", "CEN"]["received"] + feeds["XB", "CEN"]["received"]


def test_record_ids_are_uuids_of_their_day() -> None:
    deed = next(Inventor(AURIA, 3).seizures(1, [], []))
    day = getattr(deed.command, "occurred_on", None)
    assert day is not None
    assert isinstance(deed.record_id, UUID)
    assert (deed.record_id.int >> 80) // 86_400_000 == (day.toordinal() - 719_163)
