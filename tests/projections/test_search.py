"""Search finds what is there, in any spelling, and says where it comes from."""

import psycopg
import pytest

from projections.search import search
from tests.projections.conftest import Node
from tests.projections.invented import goods, named, party, seizure


def test_first(node: Node) -> None:
    who = node.do(named("Mohammed Ali"))
    node.do(seizure(goods("12.5"), narrative="Found under the seat of the driver", parties=(party(who),)))
    head = node.project()
    with psycopg.connect(node.database_url) as connection:
        found = search(connection, text="seat driver")
    assert found.position == head
    assert [hit.summary for hit in found.hits] == ["seizure at XA01, XA: drugs 12.5 KGM (draft)"]
    with psycopg.connect(node.database_url) as connection:
        print(search(connection, name="محمد علي"))
        print(search(connection, kind="seizure", name="muhamad ali"))
        print(search(connection, kind="person"))
