"""The keyring: made once, for its owner alone, and the same for everybody who opens it."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger import whole_file
from ledger.errors import NotFound, Unsafe
from ledger.keyring import Keyring

NAMES = {"box.key", "epoch-1.key", "index.key", "intake.key", "signing.key"}


def _secrets(keyring: Keyring) -> tuple[bytes, ...]:
    return (
        keyring.epoch_key(keyring.epoch),
        keyring.index_key,
        keyring.intake_key,
        keyring.signing_key.private_bytes_raw(),
        keyring.box_key.private_bytes_raw(),
    )


def test_keys_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "keys"
    first = _secrets(Keyring.open(folder))
    assert _secrets(Keyring.open(folder)) == first
    assert len(set(first)) == 5
    assert all(len(secret) == 32 for secret in first)
    assert {path.name for path in folder.iterdir()} == NAMES
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_those_who_open_it_first_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: _secrets(Keyring.open(tmp_path / "keys")), range(16)))
    assert len(secrets) == 1
    code = (
        "import pathlib, sys; from ledger.keyring import Keyring;"
        "print(Keyring.open(pathlib.Path(sys.argv[1])).index_key.hex())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "others")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert len({process.communicate()[0] for process in running}) == 1
    assert {path.name for path in (tmp_path / "others").iterdir()} == NAMES


def test_keys_that_others_can_read_are_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    Keyring.open(folder)
    folder.chmod(0o755)
    with pytest.raises(Unsafe, match="chmod 700"):
        Keyring.open(folder)
    folder.chmod(0o700)
    (folder / "signing.key").chmod(0o640)
    with pytest.raises(Unsafe, match="chmod 600"):
        Keyring.open(folder)


def test_new_folder_made_by_hand_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o755)
    Keyring.open(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_broken_key_is_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    Keyring.open(folder)
    (folder / "index.key").write_bytes(b"short")
    with pytest.raises(Unsafe, match="not a whole key"):
        Keyring.open(folder)
    assert (folder / "index.key").read_bytes() == b"short"


def test_newest_epoch_is_the_one_that_wraps(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    first = Keyring.open(folder)
    (folder / "epoch-10.key").write_bytes(bytes(32))
    (folder / "epoch-10.key").chmod(0o600)
    keyring = Keyring.open(folder)
    assert (keyring.epoch, keyring.epoch_key(10)) == (10, bytes(32))
    assert keyring.epoch_key(1) == first.epoch_key(1)
    with pytest.raises(NotFound):
        keyring.epoch_key(9)


def test_key_that_is_being_destroyed_is_gone_before_noise_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring = Keyring.open(tmp_path / "keys")
    other = Keyring.open(tmp_path / "keys")
    secret = keyring.epoch_key(1)
    keyring.begin_epoch(2)
    seen: list[bytes | None] = []
    flush = whole_file.os.fsync  # type: ignore[attr-defined]  # as the module calls it

    def looking(handle: int) -> None:
        flush(handle)
        other._epochs.clear()  # as when it was never read
        try:
            seen.append(other.epoch_key(1))
        except NotFound:
            seen.append(None)

    monkeypatch.setattr("ledger.whole_file.os.fsync", looking)
    keyring.destroy_epoch(1)
    assert set(seen) <= {secret, None}, "and never what it is overwritten with"
    assert seen[-1] is None


def test_what_a_crash_has_left_half_destroyed_is_destroyed(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    Keyring.open(folder)
    left = folder / "gone-epoch-7.key"
    left.write_bytes(b"k" * 32)
    left.chmod(0o600)
    assert Keyring.open(folder).epochs() == [1]
    assert not left.exists()
