"""Seizures and their lines of goods: open facts only, each with the positions between which it held.

`seizure` has one row for each statement of the circumstances, `seizure_line` one for each statement of a line. Both
say since which ledger position (`from_position`) and until which (`until_position`, null while it stands), so that
search and figures can be asked as of any past position. Nothing here names anyone: personal events are not listened to.
"""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec

from domain.entry import Entry
from domain.flags import flags
from domain.goods import Goods, GoodsLine
from domain.seizure import Seizure
from projections.folding import Chain, Folding, Origin, Step
from projections.projection import Cursor, Past, Table, open_names
from projections.rows import NO_DAY, History

NAME = "seizures"
VERSION = 1
NAMES = open_names("seizure")

CIRCUMSTANCES = (
    "kind",
    "office",
    "country",
    "subdivision",
    "locode",
    "local_list",
    "local_code",
    "occurred_on",
    "listed_on",
    "direction",
    "detection",
    "concealment",
    "conveyance",
    "route",
    "status",
    "source",
    "flags",
    "node",
    "peer",
    "instrument",
    "handling",
)
GOODS = (
    "section",
    "hs",
    "hs_edition",
    "substance",
    "substance_list",
    "substance_edition",
    "description",
    "description_list",
    "description_edition",
    "origin",
    "outcome",
    "outcome_on",
    "unit",
    "quantity",
    "qualifier",
    "value",
    "currency",
)

_compared = attrgetter(
    "kind",
    "office",
    "place",
    "occurred_on",
    "direction",
    "detection",
    "concealment",
    "conveyance",
    "route",
    "status",
    "source",
)
"""What of a seizure `CIRCUMSTANCES` tell."""

_SEIZURE = Table(
    "seizure",
    """CREATE TABLE seizure (
        record_id uuid NOT NULL, from_position bigint NOT NULL, until_position bigint, version integer NOT NULL,
        recorded_at timestamptz NOT NULL,
        kind text, office text, country text, subdivision text, locode text, local_list text, local_code text,
        occurred_on date, listed_on date NOT NULL, direction text, detection text, concealment text, conveyance text,
        route text[] NOT NULL, status text NOT NULL, source text, flags text[] NOT NULL,
        node text NOT NULL, peer text, instrument text, handling text,
        PRIMARY KEY (record_id, from_position))""",
    (
        "CREATE INDEX seizure_newest ON seizure (listed_on, record_id) WHERE until_position IS NULL",
        "CREATE INDEX seizure_office ON seizure (office, listed_on, record_id) WHERE until_position IS NULL",
    ),
    is_open=True,
)
_LINE = Table(
    "seizure_line",
    """CREATE TABLE seizure_line (
        record_id uuid NOT NULL, line integer NOT NULL, from_position bigint NOT NULL, until_position bigint,
        version integer NOT NULL, recorded_at timestamptz NOT NULL,
        section text NOT NULL, hs text, hs_edition text, substance text, substance_list text, substance_edition text,
        description text, description_list text, description_edition text, origin text, outcome text,
        outcome_on date, unit text, quantity numeric, qualifier text, value numeric, currency text,
        PRIMARY KEY (record_id, line, from_position))""",
    (
        "CREATE INDEX seizure_line_hs ON seizure_line (hs text_pattern_ops) WHERE until_position IS NULL",
        "CREATE INDEX seizure_line_substance ON seizure_line (substance) WHERE until_position IS NULL",
    ),
    is_open=True,
)


def _slim(seizure: Seizure) -> Seizure:
    """Without what only `decide` needs: the source's own telling."""
    return seizure if seizure.told is None else msgspec.structs.replace(seizure, told=None)


FOLDING = Folding("seizure", "seizure_state", _slim)
TABLES = (_SEIZURE, _LINE, FOLDING.table)


def apply(cursor: Cursor, entries: Sequence[Entry], past: Past) -> None:
    """Bring circumstances and lines from before these entries to after them."""
    seizures = History("seizure", ("record_id",), CIRCUMSTANCES)
    lines = History("seizure_line", ("record_id", "line"), GOODS)
    for chain in FOLDING.chains(cursor, entries, past):
        _tell_circumstances(seizures, chain)
        _tell_lines(lines, chain)
    seizures.write(cursor)
    lines.write(cursor)


def _tell_circumstances(history: History, chain: Chain) -> None:
    key = (chain.record_id,)
    row: list[Any] | None = None
    stood: Step | None = chain.before
    flagged: tuple[str, ...] | None = None
    for step in chain.steps:
        entry, origin, state = step
        if stood is not None and _is_same(stood, step):
            if state.goods is stood.state.goods:
                continue
            before = _flagged(stood.state) if flagged is None else flagged
            flagged = _flagged(state)
            stood = step
            if flagged == before:
                continue
        else:
            flagged = _flagged(state)
        if stood is not None:
            history.close(key, row, entry)
        row = history.open(key, entry, _circumstances(state, origin, flagged))
        stood = step


def _is_same(one: Step, other: Step) -> bool:
    """Whether nothing but the lines of goods has changed."""
    return bool(one.origin == other.origin and _compared(one.state) == _compared(other.state))


def _flagged(seizure: Seizure) -> tuple[str, ...]:
    found = flags(seizure)
    return tuple(sorted({flag.code.value for flag in found})) if found else ()


def _tell_lines(history: History, chain: Chain) -> None:
    if chain.before is None and len(chain.steps) == 1:
        _tell_first_lines(history, chain)
        return
    before: tuple[GoodsLine, ...] = () if chain.before is None else chain.before.state.goods
    stood: dict[int, Goods] | None = None
    rows: dict[int, list[Any]] = {}
    for entry, _origin, state in chain.steps:
        if state.goods is before:
            continue
        if stood is None:
            stood = {line.line: line.goods for line in before}
        before = state.goods
        told = {line.line: line.goods for line in before}
        for number in stood.keys() - told.keys():
            history.close((chain.record_id, number), rows.pop(number, None), entry)
        for number, goods in told.items():
            was = stood.get(number)
            if was == goods:
                continue
            key = (chain.record_id, number)
            if was is not None:
                history.close(key, rows.get(number), entry)
            rows[number] = history.open(key, entry, _goods(goods))
        stood = told


def _tell_first_lines(history: History, chain: Chain) -> None:
    """What telling step by step comes to for a record that is new and has one: most are."""
    entry, _origin, state = chain.steps[0]
    for number, goods in {line.line: line.goods for line in state.goods}.items():
        history.open((chain.record_id, number), entry, _goods(goods))


def _circumstances(seizure: Seizure, origin: Origin, flagged: tuple[str, ...]) -> tuple[Any, ...]:
    place = seizure.place
    local = place.local if place else None
    return (
        seizure.kind,
        seizure.office,
        place.country if place else None,
        place.subdivision if place else None,
        place.locode if place else None,
        local.list if local else None,
        local.code if local else None,
        seizure.occurred_on,
        seizure.occurred_on or NO_DAY,
        seizure.direction,
        seizure.detection,
        seizure.concealment,
        seizure.conveyance,
        seizure.route,
        seizure.status,
        seizure.source,
        flagged,
        origin.node,
        origin.peer,
        origin.instrument,
        origin.handling,
    )


def _goods(goods: Goods) -> tuple[Any, ...]:
    hs, substance, description = goods.hs, goods.substance, goods.description
    quantity, value = goods.quantity, goods.value
    return (
        goods.section,
        hs.digits if hs else None,
        hs.edition if hs else None,
        substance.code if substance else None,
        substance.list if substance else None,
        substance.edition if substance else None,
        description.code if description else None,
        description.list if description else None,
        description.edition if description else None,
        goods.origin,
        goods.outcome,
        goods.outcome_on,
        quantity.unit if quantity else None,
        quantity.amount if quantity else None,
        quantity.qualifier if quantity else None,
        value.amount if value else None,
        value.currency if value else None,
    )
