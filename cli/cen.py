"""`ncen cen preview`: exactly what the CEN would be told of a seizure, beside what stays.

Nothing is sent, and nothing personal is read: the notice is built from open entries, without a key, as the exporter
builds it.
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import msgspec
from cyclopts import App, Parameter

from cli import output, show
from cli.acting import sentence_of
from cli.consulting import CONSULTING, Consulting, seen
from cli.feeds import prepared
from cli.typed import UNIT_WORDS

if TYPE_CHECKING:
    from domain.notice import Notice, NoticeLine
    from exchange.preview import Preview

app = App(name="cen", help="Show what the CEN would be told of a seizure.")


@app.command
def preview(
    seizure: Annotated[UUID, Parameter(name="ID", help="The id of a seizure.")],
    /,
    *,
    peer: Annotated[str | None, Parameter(help="The CEN node, where there are several.")] = None,
    consulting: Consulting = CONSULTING,
) -> None:
    """Show exactly what the CEN would be told of a seizure, and what stays; send nothing."""
    from exchange.preview import kept_back
    from exchange.preview import preview as preview_notice

    _, url = prepared()
    visible = seen(seizure, consulting, f"No entry of a seizure {seizure} of our own is sealed.")
    found = preview_notice(url, record_id=seizure, peer=peer and peer.upper())
    if visible is not None:
        stays = tuple(kept_back(entry) for entry in visible if entry.is_personal and entry.position is not None)
        found = msgspec.structs.replace(found, stays=stays)
    output.show({"id": str(seizure), **show.plain(found)}, *_lines(found))


def _lines(found: "Preview") -> list[object]:
    lines: list[object] = [f"{found.sentence} Nothing was sent."]
    if found.is_coarse:
        lines.append("So few like it lie in this place and year that place and day are told coarsely.")
    if found.notice is not None:
        lines += ["", "The notice:", show.laid_out(_notice(found.notice), indent=2)]
    if found.stays:
        stays = [(f"{one.version}.", f"{sentence_of(one.name)} {one.sentence}") for one in found.stays]
        lines += ["", "What stays:", show.laid_out(stays, indent=2)]
    never = [("", what) for what in found.never_told]
    return [*lines, "", "What no notice says:", show.laid_out(never)]


def _notice(notice: "Notice") -> list[tuple[str, str]]:
    told = [(name, line) for name, line in show.facts(notice) if name not in {"lines", ""}]
    return told + [("goods", _goods(line)) for line in notice.lines]


def _goods(line: "NoticeLine") -> str:
    what = line.substance or line.description
    parts = [line.section.value + (f": {show.said(what)}" if what else "")]
    if line.thousandths is not None:
        unit = UNIT_WORDS.get(line.unit, line.unit) if line.unit else ""
        parts.append(f"{Decimal(line.thousandths) / 1000:f} {unit}".strip())
    worth = f"{line.worth} {line.currency or ''}".strip() if line.worth is not None else None
    told = (("from", line.origin), ("HS", line.hs), ("worth", worth), ("", line.outcome))
    parts += [f"{word} {show.said(value)}".strip() for word, value in told if value is not None]
    return ", ".join(parts)
