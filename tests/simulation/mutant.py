"""A planted bug, and how words of our own functions are changed into one.

When the words are gone it refuses, so that no mutant outlives what it was made of.
"""

import inspect
from collections.abc import Callable, Sequence
from textwrap import dedent
from types import ModuleType
from typing import Any

import msgspec

from tests.simulation.seams import Exchanged
from tests.simulation.world import Broken

Run = Callable[..., str]


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """A planted bug: where it is run, what it changes, and within how many seeds it must be found."""

    name: str
    run: Run
    changes: tuple[Exchanged, ...] = ()
    is_synchronous: bool = True
    within: int
    first: int = 0
    """The seed from which it is looked for; 0 but for those that few seeds find."""

    def found_at(self, seeds: Sequence[int]) -> tuple[int, str] | None:
        """The place among these seeds of the first that finds it, and what it says; None when none does."""
        given = {} if self.is_synchronous else {"is_synchronous": False}
        for place, seed in enumerate(seeds):
            try:
                self.run(seed, self.changes, **given)
            except Broken as broken:
                return place, str(broken)
        return None


def changed(place: ModuleType | type, name: str, *words: tuple[str, str]) -> Exchanged:
    """A function with some of its words changed.

    Raises:
        LookupError: it does not hold these words.
    """
    function = getattr(place, name)
    module = inspect.getmodule(function)
    assert module is not None
    source = dedent(inspect.getsource(function)).removeprefix("@staticmethod\n")
    for old, new in words:
        if old not in source:
            raise LookupError(f"{name} no longer says: {old}")
        source = source.replace(old, new)
    made: dict[str, Any] = {}
    exec(compile(source, f"<mutant of {name}>", "exec"), module.__dict__, made)  # noqa: S102  # our own code, changed
    return Exchanged(place, name, made[name])
