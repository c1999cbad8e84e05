"""What can be asked is what the reference says can be asked."""

import re
from pathlib import Path

from projections.filters import OFFENCE, SEIZURE
from projections.statistics import DIMENSIONS

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference" / "search.md").read_text(encoding="utf-8")


def test_every_field_and_dimension_is_in_the_reference_and_no_other() -> None:
    rows = [line.split("|")[1] for line in REFERENCE.splitlines() if line.startswith("| `")]
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert told == set(SEIZURE) | set(OFFENCE)
    figures = REFERENCE.split("## Figures")[1].split("- Quantities")[0]
    assert set(DIMENSIONS) <= set(re.findall(r"`(\w+)`", figures))
