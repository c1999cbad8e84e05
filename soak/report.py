"""What a soak came to: rounds, what was acknowledged and lost, and whether each control behaved as it must.

A soak has passed when nothing was lost and every control was found: a trial whose control finds nothing proves nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import msgspec


class Control(msgspec.Struct, frozen=True):
    """A safeguard taken away (or a fault planted): what must be found then at least, and what was found.

    Where nothing is expected, nothing may be found.
    """

    name: str
    expected: int
    found: int

    @property
    def holds(self) -> bool:
        """Whether it was as expected."""
        return self.found >= self.expected if self.expected else self.found == 0


class Report(msgspec.Struct, frozen=True):
    """The report of one soak, in the form that is written as JSON."""

    profile: str
    seed: int
    rounds: int
    acknowledged: int
    lost: int
    controls: tuple[Control, ...]
    passed: bool


@dataclass(slots=True)
class Plan:
    """How a soak is to run: its seed, how long, how many rounds at most, and whom to tell of its progress."""

    seed: int
    seconds: float
    rounds: int | None = None
    tell: Callable[[str], None] = lambda _: None
    began: float = 0.0

    def begin(self) -> None:
        """Let the time run from now on."""
        self.began = monotonic()

    def goes_on(self, done: int) -> bool:
        """Tell whether another round is to follow upon so many; there is one at least."""
        if done == 0:
            return True
        return monotonic() - self.began < self.seconds and (self.rounds is None or done < self.rounds)


class Skipped(Exception):  # noqa: N818  # no error: this machine cannot do it
    """This machine cannot run a profile; the sentence says what is missing."""


def report(profile: str, plan: Plan, rounds: int, counts: tuple[int, int], controls: list[Control]) -> Report:
    """Make the report of (acknowledged, lost)."""
    acknowledged, lost = counts
    return Report(
        profile=profile,
        seed=plan.seed,
        rounds=rounds,
        acknowledged=acknowledged,
        lost=lost,
        controls=tuple(controls),
        passed=lost == 0 and acknowledged > 0 and all(control.holds for control in controls),
    )
