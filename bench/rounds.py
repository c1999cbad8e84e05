"""Turns, medians, ratios: how a measurement becomes a row.

The sides of a measurement take turns (A B A B …), each round beginning with another side, so that a busy neighbour
or a warm disk meets all of them alike. A row's ratio is that of the medians; its spread is that of the ratios taken
within each round, which is what a noisy machine leaves trustworthy.
"""

import statistics
from collections.abc import Callable, Mapping

import msgspec

Turn = Callable[[], float]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the result: medians over `runs` rounds, and ours divided by the baseline's."""

    name: str
    ours: float
    baseline: float
    baseline_name: str
    ratio: float
    unit: str
    runs: int


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A row with what it was made of: every turn of both sides, and how far the rounds' own ratios lie apart."""

    row: Row
    ours: tuple[float, ...]
    baseline: tuple[float, ...]
    target: str
    note: str = ""

    @property
    def spread(self) -> tuple[float, float, float]:
        """Least, median and greatest ratio within a round."""
        ratios = [one / other for one, other in zip(self.ours, self._paired, strict=True) if other]
        return min(ratios), statistics.median(ratios), max(ratios)

    @property
    def _paired(self) -> tuple[float, ...]:
        return self.baseline * len(self.ours) if len(self.baseline) == 1 else self.baseline


def alternate(sides: Mapping[str, Turn], rounds: int) -> dict[str, list[float]]:
    """Let every side take one turn a round and give back what each of its turns measured, in order."""
    measured: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            measured[name].append(sides[name]())
    return measured


def finding(  # noqa: PLR0913  # a row has these columns
    name: str,
    ours: list[float],
    baseline: list[float],
    *,
    baseline_name: str,
    unit: str,
    target: str = "",
    note: str = "",
) -> Finding:
    """Make a row of what both sides measured; a `baseline` of one value is a target that was not measured."""
    middle, other = statistics.median(ours), statistics.median(baseline)
    row = Row(
        name=name,
        ours=round(middle, 3),
        baseline=round(other, 3),
        baseline_name=baseline_name,
        ratio=round(middle / other, 3),
        unit=unit,
        runs=len(ours),
    )
    return Finding(row=row, ours=tuple(ours), baseline=tuple(baseline), target=target, note=note)
