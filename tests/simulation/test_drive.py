"""The simulated drive forgets what was not fsynced, and our files outlast that; each flush is seen to matter."""

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ledger import certificates, checkpoints, keyring, tiles, whole_file
from ledger.checkpoint import Head
from ledger.errors import NotFound, Unsafe
from ledger.keyring import Keyring
from tests.simulation.drive import Drive
from tests.simulation.keys import secrets_of
from tests.simulation.mutant import changed
from tests.simulation.seams import Exchanged, exchanged
from tests.simulation.world import World

SEEDS = range(60)


def contents(write: Callable[[Any], None], *mutant: Exchanged) -> set[bytes | None]:
    """What lies in a file after the power is cut, in each of some seeds; None where nothing does."""
    found = set()
    for seed in SEEDS:
        world = World(seed)
        drive = Drive(world)
        folder: Any = drive.path("home")
        folder.mkdir()
        drive.root.flush()
        with exchanged(*secrets_of(world, drive), Exchanged(tiles, "os", drive.os()), *mutant):
            write(folder / "file")
        drive.crash()
        path = drive.path("home", "file")
        found.add(path.read_bytes() if path.exists() else None)
    return found


def write_twice(path: Any) -> None:  # noqa: ANN401  # a path in the shape of pathlib's
    whole_file.write_whole(path, b"a" * 20)
    whole_file.write_whole(path, b"b" * 20)


def test_what_was_written_whole_is_there_after_a_power_cut() -> None:
    assert contents(write_twice) == {b"b" * 20}


def test_without_the_folder_flushed_an_older_file_may_be_there_or_none() -> None:
    assert contents(write_twice, Exchanged(whole_file, "flush_folder", lambda _: None)) >= {None, b"a" * 20, b"b" * 20}


def test_what_was_only_written_may_be_there_in_part() -> None:
    def write(path: Any) -> None:  # noqa: ANN401  # the same
        with path.open("wb") as file:
            file.write(b"c" * 20)
        whole_file.flush_folder(path.parent)

    found = contents(write)
    assert {b"", b"c" * 20} < found
    assert None not in found


def test_a_tile_that_was_replaced_is_there_after_a_power_cut() -> None:
    assert contents(lambda path: tiles._replace(path, b"t" * 20)) == {b"t" * 20}


def living(*mutant: Exchanged) -> int:
    """In how many seeds a key is lost that was used, when who made it was killed before it had flushed its name."""
    lost = 0
    for seed in SEEDS:
        world = World(seed)
        drive = Drive(world)
        folder: Any = drive.path("keys")
        with exchanged(*secrets_of(world, drive), *mutant):
            one = Keyring.open(folder)
            with exchanged(Exchanged(whole_file, "flush_folder", lambda _: None)):
                whole_file.make_whole(folder / "epoch-2.key", b"k" * keyring.KEY_BYTES)  # and is killed here
            world.now_s += 5
            epoch = one.epoch
            assert epoch == 2
            drive.crash()
            lost += epoch not in Keyring.open(folder).epochs()
    return lost


def test_a_key_that_another_process_has_made_lasts_before_it_is_used() -> None:
    assert living() == 0


def test_a_key_that_is_used_as_soon_as_it_is_seen_may_be_lost() -> None:
    assert living(Exchanged(keyring, "flush_folder", lambda _: None)) > 0


def read_beside_its_end(*mutant: Exchanged) -> int:
    """In how many seeds something else is read for the key of an epoch that is destroyed meanwhile."""
    wrong = 0
    for seed in SEEDS:
        world = World(seed)
        drive = Drive(world)
        folder: Any = drive.path("keys")
        read: list[bytes] = []
        with exchanged(*secrets_of(world, drive), *mutant):
            one = Keyring.open(folder)
            key = one.epoch_key(1)
            one.begin_epoch(2)

            def look(read: list[bytes] = read, folder: Any = folder, world: World = world) -> None:  # noqa: ANN401  # a path
                while True:
                    with contextlib.suppress(NotFound):
                        read.append(Keyring.open(folder).epoch_key(1))
                    world.pause()

            world.spawn("looks", look)
            world.spawn("ends", partial(one.destroy_epoch, 1))
            world.run(100)
            world.end()
            assert Keyring.open(folder).epochs() == [2]
        wrong += any(other != key for other in read)
    return wrong


def test_nobody_reads_for_a_key_what_overwrites_it() -> None:
    assert read_beside_its_end() == 0


def test_a_key_that_is_overwritten_under_its_name_is_read_for_the_key() -> None:
    """The control, as it was: then a key under it seems to be changed."""
    as_it_was = changed(Keyring, "destroy_epoch", ("path.replace(ended)", "self._overwrite(path)"))
    assert read_beside_its_end(as_it_was) > 0


def test_a_torn_secret_is_not_used() -> None:
    world = World(0)
    drive = Drive(world)
    folder: Any = drive.path("keys")
    with exchanged(*secrets_of(world, drive)):
        Keyring.open(folder)
        drive.found(folder / "index.key").seen = b"short"
        with pytest.raises(Unsafe, match="not a whole key"):
            Keyring.open(folder)


def test_a_checkpoint_that_was_kept_is_there_after_a_power_cut() -> None:
    head = Head("ncen/XA", 3, bytes(32))
    for seed in SEEDS:
        world = World(seed)
        drive = Drive(world)
        folder: Any = drive.path("home", "checkpoints")
        drive.path("home").mkdir()
        drive.root.flush()
        with exchanged(*secrets_of(world, drive)):
            checkpoints.keep(folder, "a note\n\nand its signature\n", head)
        drive.crash()
        assert (folder / checkpoints.NEWEST).exists(), "the checkpoint or its folder is gone"


def test_a_certificate_lasts_although_who_made_the_file_never_flushed_its_name() -> None:
    for seed in SEEDS:
        world = World(seed)
        drive = Drive(world)
        folder: Any = drive.path("keys")
        with exchanged(*secrets_of(world, drive)):
            one = Keyring.open(folder)
            drive.new_file(folder / certificates.FILE, 0o600)  # and is killed here
            certificates.keep(one, [])
        drive.crash()
        assert (folder / certificates.FILE).exists(), "the certificates are gone"
