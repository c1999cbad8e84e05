"""All projections of this node, by name; a new table family is listed here and nowhere else."""

from types import ModuleType
from typing import cast

from projections import businesses, narratives, offences, parties, persons, premises, seizures
from projections.projection import Projection

_MODULES: tuple[ModuleType, ...] = (seizures, offences, persons, businesses, parties, narratives, premises)

PROJECTIONS: dict[str, Projection] = {module.NAME: cast("Projection", module) for module in _MODULES}
