"""The drive of the soak: what was flushed stays, what was not may come in any order, in parts, or never."""

import os
from pathlib import Path

import pytest

from soak import drive
from soak.drive import SECTOR, Cache

SECTORS = 64


@pytest.fixture
def image(tmp_path: Path) -> int:
    path = tmp_path / "image"
    path.write_bytes(bytes(SECTORS * SECTOR))
    return os.open(path, os.O_RDWR)


def sector(letter: str, count: int = 1) -> bytes:
    return letter.encode() * (SECTOR * count)


def at_rest(image: int) -> str:
    """The letter of each sector as it lies in the image; a dot where nothing was written."""
    return "".join(chr(os.pread(image, 1, n * SECTOR)[0] or ord(".")) for n in range(SECTORS))


def test_what_was_written_is_read_at_once_and_rests_after_a_flush(image: int) -> None:
    cache = Cache(image)
    cache.write(SECTOR, sector("a", 2))
    cache.write(2 * SECTOR, sector("b"))
    assert cache.read(0, 4 * SECTOR) == bytes(SECTOR) + sector("a") + sector("b") + bytes(SECTOR)
    assert at_rest(image).strip(".") == ""
    cache.flush()
    assert at_rest(image)[:4] == ".ab."


def test_at_a_cut_what_was_flushed_stays_and_the_rest_is_torn_and_reordered(image: int) -> None:
    found = set()
    for seed in range(20):
        cache = Cache(image)
        cache.write(0, sector("a", SECTORS))
        cache.flush()
        cache.write(0, sector("b", SECTORS))
        cache.write(0, sector("c", SECTORS))
        cache.fail(seed)
        rest = at_rest(image)
        assert set(rest) == {"a", "b", "c"}, "older and newer versions beside each other"
        found.add(rest)
        assert not cache.is_on
    assert len(found) == 20, "each seed forgets something else"


def test_the_same_seed_forgets_the_same(image: int) -> None:
    seen = []
    for _ in range(2):
        cache = Cache(image)
        cache.write(0, sector("a", SECTORS))
        cache.flush()
        cache.write(0, sector("b", SECTORS))
        cache.fail(7)
        seen.append(at_rest(image))
    assert seen[0] == seen[1]


def test_a_drive_that_lies_keeps_nothing_of_what_it_says_it_flushed(image: int) -> None:
    cache = Cache(image)
    cache.is_honest = False
    cache.write(0, sector("a", SECTORS))
    cache.flush()
    cache.fail(1)
    assert "." in at_rest(image)


def test_a_full_cache_is_written_out(image: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive, "MOST_SECTORS", 8)
    cache = Cache(image)
    cache.write(0, sector("a", 9))
    assert at_rest(image)[:10] == "aaaaaaaaa."
