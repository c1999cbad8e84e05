"""The node's secrets, as files in a folder of their own and never in PostgreSQL.

The folder is for its owner alone (0700, files 0600), each file is written whole and flushed before it counts, and
several processes may open the folder for the first time at once: one of them makes each secret, all of them use it.
A secret is never made anew once it exists, and never shown. Epoch keys come and go (`ledger.epochs`) while others are
at work: the newest is used for what is new, whatever it was when the folder was opened.
"""

import os
import re
import secrets
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ledger.errors import NotFound, Unsafe
from ledger.key_provider import InFiles, provider_of
from ledger.whole_file import flush_folder, make_folder, make_whole

KEY_BYTES = 32
WRAPPED = ".wrapped"
LOOK_S = 1.0
"""How long an epoch key that was destroyed may still be in the memory of a process."""
TICK_NS = 100_000_000
_EPOCH_FILE = re.compile(r"^epoch-([0-9]{1,9})\.(key|wrapped)$")


class Keyring:
    """The secrets of one node: epoch keys, index, intake and pseudonym key, and its own identity."""

    def __init__(self, folder: Path) -> None:
        """Use `open`."""
        self.folder = folder
        self._epochs: dict[int, bytes] = {}
        self._looked_at = -1
        self._looked_until = 0.0
        self._newest = 0
        self._provider = provider_of(folder)
        if not self.epochs():
            self.begin_epoch(1)
        self.index_key = _secret(folder / "index.key")
        """Makes tags of what must be found without being told."""
        self.intake_key = _secret(folder / "intake.key")
        """Makes record ids of what identifies a row in a file."""
        self.signing_key = Ed25519PrivateKey.from_private_bytes(_secret(folder / "signing.key"))
        """Signs as this node."""
        self.box_key = X25519PrivateKey.from_private_bytes(_secret(folder / "box.key"))
        """Opens what others seal for this node."""

    @classmethod
    def open(cls, folder: Path) -> "Keyring":
        """Open the folder; it and each secret are made on first use.

        Raises:
            Unsafe: others than its owner can read the folder or a secret, or a secret is not whole.
        """
        folder = Path(folder).absolute()
        if not folder.is_dir() or not any(folder.iterdir()):
            make_folder(folder)
        if folder.stat().st_mode & 0o077:
            if any(folder.glob("*.key")):
                raise Unsafe(f"Others may enter the keys folder {folder}: give it to its owner alone (chmod 700).")
            folder.chmod(0o700)  # a new folder, made by hand
        return cls(folder)

    @property
    def pseudonym_key(self) -> bytes:
        """Makes pseudonyms; it is made when the first is asked for, and another makes others of everybody."""
        return _secret(self.folder / "pseudonym.key")

    # -- epochs

    @property
    def epoch(self) -> int:
        """The epoch under which new keys are wrapped: the newest that there is."""
        self._look()
        return self._newest

    def epochs(self) -> list[int]:
        """Return the epochs whose keys are in the folder, oldest first."""
        return sorted({int(found[1]) for path in self.folder.iterdir() if (found := _EPOCH_FILE.match(path.name))})

    def epoch_key(self, epoch: int) -> bytes:
        """Return the key that wraps the subjects' keys of an epoch; one that was destroyed is forgotten in a second.

        Raises:
            NotFound: the epoch's key was destroyed, or never was here.
            Unsafe: the key provider does not answer.
        """
        if time.monotonic() > self._looked_until:
            self._look()
        key = self._epochs.get(epoch)
        if key is None:
            path = self.epoch_file(epoch)
            if not path.exists():
                raise NotFound(f"The key of epoch {epoch} is not in the keys folder.")
            key = self._provider.unwrap(_read(path)) if path.suffix == WRAPPED else _secret(path)
            self._epochs[epoch] = key
        return key

    def begin_epoch(self, epoch: int) -> None:
        """Make the key of an epoch, unless there is one; what is new is wrapped under it from now on."""
        if epoch not in self.epochs():
            if isinstance(self._provider, InFiles):
                _secret(self.folder / f"epoch-{epoch}.key")
            else:
                wrapped = self._provider.wrap(epoch, secrets.token_bytes(KEY_BYTES))
                if not make_whole(self.folder / f"epoch-{epoch}{WRAPPED}", wrapped):
                    self._provider.destroy(wrapped)  # another process was first
        self._look()

    def destroy_epoch(self, epoch: int) -> None:
        """Destroy the key of an epoch: overwritten, flushed, unlinked. What is wrapped under it is lost for ever."""
        path = self.epoch_file(epoch)
        if path.exists():
            if path.suffix == WRAPPED:
                self._provider.destroy(_read(path))
            with path.open("r+b") as file:
                file.write(secrets.token_bytes(path.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink(missing_ok=True)
            flush_folder(self.folder)
        self._look()

    def epoch_file(self, epoch: int) -> Path:
        """Return the file in which the key of an epoch lies, as it is or wrapped by a key provider."""
        wrapped = self.folder / f"epoch-{epoch}{WRAPPED}"
        return wrapped if wrapped.exists() else self.folder / f"epoch-{epoch}.key"

    def _look(self) -> None:
        """See which epochs there are, where the folder has changed since it was last looked at."""
        changed_at, now = self.folder.stat().st_mtime_ns, time.time_ns()
        self._looked_until = time.monotonic() + LOOK_S
        if changed_at == self._looked_at:
            return
        flush_folder(self.folder)  # another process may have made a key just now: it must last before it is used
        numbers = self.epochs()
        self._newest = max(numbers, default=1)
        self._epochs = {number: key for number, key in self._epochs.items() if number in numbers}
        # A change within the same tick of the file system's clock would not show: then it is looked at once more.
        self._looked_at = changed_at if now - changed_at > TICK_NS else -1

    def __repr__(self) -> str:
        return f"Keyring({str(self.folder)!r}, epoch {self.epoch})"


def _secret(path: Path) -> bytes:
    """Read a secret of 32 random bytes, or make it: whole, flushed, and never in place of one that exists."""
    if not path.exists():
        make_whole(path, secrets.token_bytes(KEY_BYTES))
    secret = _read(path)
    if len(secret) != KEY_BYTES:
        raise Unsafe(f"{path} is not a whole key: restore it from its copy.")
    return secret


def _read(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise Unsafe(f"Others may read {path}: give it to its owner alone (chmod 600), and think of it as known.")
    return path.read_bytes()
