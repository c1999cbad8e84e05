"""One hostile case: what is given through which door, and what must be said of it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from cli.output import ExitCode

FILE, MAPPING = "FILE", "MAPPING"
CANARY = "Amina Canary"
"""A name that no message may repeat."""


class Case(NamedTuple):
    """A file and a line; FILE and MAPPING in the line stand for the paths of what was made."""

    name: str
    given: Callable[[], bytes | str] | bytes | str
    says: str
    """A pattern of what the sentence must hold."""
    code: ExitCode = ExitCode.BAD_INPUT
    file: str = "file.csv"
    words: Sequence[str] = ("import", "seizures", FILE, "--mapping", MAPPING)
    mapping: str | None = None
    """A mapping of the case's own."""

    @property
    def content(self) -> bytes:
        """What the file holds."""
        made = self.given if isinstance(self.given, bytes | str) else self.given()
        return made if isinstance(made, bytes) else made.encode(errors="surrogatepass")


def named(cases: Sequence[Case]) -> dict[str, Case]:
    """The cases by their names, of which none is there twice."""
    found = {case.name: case for case in cases}
    assert len(found) == len(cases), "two cases have one name"
    return found
