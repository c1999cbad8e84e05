"""`ncen stats`: figures about what is on record, exact and pinned to a ledger position.

A figure is never rounded and never added across units; asked again as of its position, it comes out the same for ever.
"""

# ruff: noqa: D417  # a flag is described where it is declared: in the docstring or beside its type; cyclopts reads both

from cyclopts import App

from cli import output, reading, search
from cli.consulting import figures
from cli.signing import signing

app = App(name="stats", help="Count and add up what is on record, exactly, as of a ledger position.")


@app.command
def seizures(
    *,
    by: str,
    where: list[str] | None = None,
    node: list[str] | None = None,
    as_of: reading.AsOf = None,
) -> None:
    """Count seizures and lines of goods, and add up quantities, by one or more dimensions.

    Seizures that were cancelled are left out, and so are those that peers sent (they count them themselves).

    Args:
        by: Dimensions with commas between: section, substance, year, month, office, subdivision, country, origin,
            outcome, unit.
        where: Narrow it down, as FIELD=VALUE or FIELD=VALUE,VALUE, such as section=drugs. Repeatable.
        node: Count what was recorded at this node instead of our own; * for every node. Repeatable.
    """
    import psycopg

    from cli.settings import load
    from cli.supervisor import database_url
    from projections.statistics import seizure_statistics

    settings = load()
    dimensions = [name.strip() for name in by.split(",") if name.strip()]
    filters = search.where(where)
    position = reading.position_of(as_of, settings)
    if signing.caller is not None:
        found = figures(settings, dimensions, {"where": filters, "as_of": position, "nodes": node})
    else:
        with psycopg.connect(database_url(settings)) as connection:
            found = seizure_statistics(connection, dimensions, filters, as_of=position, nodes=node)
    told = [name for name in dimensions if name != "unit"]
    columns = (*told, "unit", "quantity", "seizures", "lines")
    output.show(
        {"position": found.position, "rows": list(found.rows)},
        output.table(
            "",
            (*told, "unit", "quantity>", "seizures>", "lines>"),
            ([row[column] for column in columns] for row in found.rows),
        ),
        f"As of position {found.position}.",
    )
