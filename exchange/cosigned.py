"""What we have cosigned, kept outside of PostgreSQL: the last note of each tree of each peer, with our cosignature.

A witness whose database is brought back from an older copy would forget what it has cosigned since, and with it the one
thing that it is for. The files are written whole, for their owner alone, before the answer is given; a file that does
not hold is no reason to begin anew: nothing is cosigned until somebody has looked.
"""

from pathlib import Path

import msgspec

from ledger import checkpoint
from ledger.checkpoint import Head, NotCheckpoint
from ledger.whole_file import make_folder, write_whole

MOST_BYTES = 2 * checkpoint.MOST_NOTE_BYTES
WITNESSED = "witnessed"
"""Where in the folder of checkpoints what we cosigned lies."""
SIGN = "\u2014 "


class NotKept(Exception):  # noqa: N818  # an answer, not a fault
    """The file of what was cosigned last does not hold."""


class Cosigned(msgspec.Struct, frozen=True):
    """The folder of a node's cosigned notes."""

    folder: Path

    def read(self, origin: str) -> tuple[int, bytes, str] | None:
        """Return what was cosigned last of a tree: size, root, and the line; None where nothing was.

        Raises:
            NotKept: the file is no such note.
        """
        try:
            with self._path(origin).open("rb") as file:
                text = file.read(MOST_BYTES + 1).decode()
            head = checkpoint.unsigned(text)
        except FileNotFoundError:
            return None
        except (NotCheckpoint, UnicodeDecodeError):
            head = None
        if head is None or head.origin != origin or SIGN not in text:
            raise NotKept("What was cosigned last is kept in a file that does not hold any more: nothing is cosigned.")
        return head.size, head.root, text[text.rindex(SIGN) :]

    def write(self, head: Head, note: str, line: str) -> None:
        """Keep a note with our cosignature, in place of the one before."""
        if not self.folder.is_dir():
            make_folder(self.folder)
        write_whole(self._path(head.origin), (note + line).encode())

    def set_aside(self, origin: str) -> None:
        """Let what was cosigned last of a tree lie under another name: a loss was accepted, and it counts no more."""
        path = self._path(origin)
        path.replace(path.with_name(f"lost-{path.stat().st_mtime_ns}-{path.name}"))

    def _path(self, origin: str) -> Path:
        return self.folder / f"{origin.replace('/', '_')}.note"
