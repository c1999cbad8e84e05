"""A process that writes to a ledger until it is killed, and notes outside of it what was acknowledged.

A note is written when the answer has come and not before, in one write to a file of its own: what stands in it was
acknowledged. `python -m soak.writing URL KEYS FILE SEED`
"""

import os
import random
import sys
import time
from pathlib import Path
from uuid import UUID

import psycopg

from ledger.errors import Conflict
from ledger.ledger import Asked, Ledger, Recorded
from soak.invented import NODE, OFFICER, more_goods, seizure

PAUSE_S = 0.02
BATCHES = (5, 40)


class Writer:
    """Gives all kinds of commands, and asks again with the same command id where no answer came."""

    def __init__(self, ledger: Ledger, notes: Path, seed: int) -> None:
        """Note what is acknowledged in the file `notes`."""
        self._ledger = ledger
        self._dice = random.Random(seed)
        self._notes = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def run(self) -> None:
        """Write until killed."""
        while True:
            kind = self._dice.random()
            if kind < 0.2:
                self._several()
            else:
                self._one(narrative="told" if kind < 0.5 else None)

    def _one(self, narrative: str | None) -> None:
        record_id, first, second = (Ledger.new_id() for _ in range(3))
        self._until_answered(record_id, seizure(narrative), first)
        self._until_answered(record_id, more_goods(), second)

    def _until_answered(self, record_id: UUID, command: object, command_id: UUID) -> None:
        while True:
            try:
                answer = self._ledger.execute(record_id, command, OFFICER, command_id=command_id)  # type: ignore[arg-type]  # a command of the domain
            except (psycopg.Error, Conflict):
                time.sleep(PAUSE_S)
            else:
                self._note([answer])
                return

    def _several(self) -> None:
        asked = [
            Asked(record_id=Ledger.new_id(), command=seizure(), command_id=Ledger.new_id())
            for _ in range(self._dice.choice(BATCHES))
        ]
        while True:
            try:
                answers = self._ledger.execute_all(asked, OFFICER)
            except (psycopg.Error, Conflict):
                time.sleep(PAUSE_S)
            else:
                self._note([answer for answer in answers if isinstance(answer, Recorded)])
                return

    def _note(self, answers: list[Recorded]) -> None:
        lines = [f"{e.record_id} {e.version} {e.command_id}\n" for answer in answers for e in answer.entries]
        os.write(self._notes, "".join(lines).encode())


def main(database_url: str, keys: str, notes: str, seed: str) -> None:
    """Open the ledger as soon as it can be opened, and write."""
    while True:
        try:
            ledger = Ledger.open(database_url, node=NODE, keys=Path(keys))
        except psycopg.Error:
            time.sleep(PAUSE_S)
        else:
            Writer(ledger, Path(notes), int(seed)).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
