"""The node's secrets, as files in a folder of their own and never in PostgreSQL.

The folder is for its owner alone (0700, files 0600), each file is written whole and flushed before it counts, and
several processes may open the folder for the first time at once: one of them makes each secret, all of them use it.
A secret is never made anew once it exists, and never shown. Epoch keys come and go (`ledger.epochs`) while others are
at work: the newest is used for what is new, whatever it was when the folder was opened.
"""

import re
import secrets
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ledger import card_keys
from ledger.card_keys import FIRST_FILE, CardKeys, Kind
from ledger.errors import NotFound, Unsafe
from ledger.key_provider import InFiles, provider_of
from ledger.whole_file import destroy_rest, flush_folder, make_folder, make_whole, overwrite

KEY_BYTES = 32
WRAPPED = ".wrapped"
LOOK_S = 1.0
"""How long an epoch key that was destroyed may still be in the memory of a process."""
TICK_NS = 100_000_000
_EPOCH_FILE = re.compile(r"^(?:epoch|ended)-([0-9]{1,9})\.(key|wrapped)$")
"""A key that is being destroyed has another name by then: nobody reads what overwrites it for the key."""


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
        destroy_rest(folder, secrets.token_bytes(KEY_BYTES))
        if not self.epochs():
            self.begin_epoch(1)
        self.index_key = _secret(folder / "index.key")
        """Makes tags of what must be found without being told."""
        self.intake_key = _secret(folder / "intake.key")
        """Makes record ids of what identifies a row in a file."""
        self.card_keys: CardKeys | None = None
        """The keys of the node's card, and how it came to them; None where none was ever replaced."""
        self.signing_key, self.box_key = self._of_card()
        """What signs as this node, and what opens what others seal for it."""

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

    # -- the keys of the card

    def _of_card(self) -> tuple[Ed25519PrivateKey, X25519PrivateKey]:
        """Read the secrets that hold now, again when one of them was replaced just then."""
        while True:
            notes = card_keys.successions(self.folder)
            try:
                self.card_keys = card_keys.held(self.folder)
                identity, box = (self._holding(kind) for kind in Kind)
            except Unsafe:
                if notes == card_keys.successions(self.folder):
                    raise
            else:
                if notes == card_keys.successions(self.folder):
                    return Ed25519PrivateKey.from_private_bytes(identity), X25519PrivateKey.from_private_bytes(box)

    def _holding(self, kind: Kind) -> bytes:
        """Read the secret that holds now; one that was replaced, and that a crash has left, is destroyed."""
        known = self.card_keys
        if known is None:
            return _secret(self.folder / FIRST_FILE[kind])
        key = (known.identities if kind is Kind.IDENTITY else known.boxes)[-1]
        path = self.folder / card_keys.file_of(key)
        if not path.exists():
            raise Unsafe(f"{path} is missing: restore it from its copy, or this node is not itself any more.")
        secret = _secret(path)
        if card_keys.public_of(kind, secret) != key.public_key:
            raise Unsafe(f"{path} is not the key that the statements in {self.folder} lead to.")
        card_keys.destroy_replaced(self.folder, known)
        return secret

    @property
    def first_identity(self) -> Ed25519PublicKey:
        """The key by which this node became known: with it the chain of its ledger's keys begins."""
        if self.card_keys is None:
            return self.signing_key.public_key()
        return Ed25519PublicKey.from_public_bytes(self.card_keys.first_identity)

    @property
    def old_box_keys(self) -> tuple[X25519PrivateKey, ...]:
        """The replaced box keys that have not been destroyed yet, newest first; read anew each time."""
        replaced = () if self.card_keys is None else reversed(self.card_keys.boxes[:-1])
        paths = [self.folder / card_keys.file_of(key) for key in replaced]
        return tuple(X25519PrivateKey.from_private_bytes(_secret(path)) for path in paths if path.exists())

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
            key = self._epochs[epoch] = self._read_epoch(epoch)
        return key

    def _read_epoch(self, epoch: int) -> bytes:
        path = self.epoch_file(epoch)
        try:
            raw = _read(path)
            path.stat()  # it still has its name: what was read is not what overwrites a key that is destroyed
        except FileNotFoundError:
            raise NotFound(f"The key of epoch {epoch} is not in the keys folder.") from None
        return self._provider.unwrap(raw) if path.suffix == WRAPPED else _whole(path, raw)

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
        for suffix in (".key", WRAPPED):
            path, ended = (self.folder / f"{name}-{epoch}{suffix}" for name in ("epoch", "ended"))
            if path.exists():
                path.replace(ended)
            if ended.exists():  # or somebody else was stopped here
                self._overwrite(ended)
        self._look()

    def _overwrite(self, path: Path) -> None:
        if path.suffix == WRAPPED:
            self._provider.destroy(_read(path))
        overwrite(path, secrets.token_bytes(path.stat().st_size))

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
    return _whole(path, _read(path))


def _whole(path: Path, secret: bytes) -> bytes:
    if len(secret) != KEY_BYTES:
        raise Unsafe(f"{path} is not a whole key: restore it from its copy.")
    return secret


def _read(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise Unsafe(f"Others may read {path}: give it to its owner alone (chmod 600), and think of it as known.")
    return path.read_bytes()
