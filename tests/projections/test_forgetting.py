"""Who is erased is gone from every table; who is restricted is found by nobody, and both survive a rebuild."""

import time
from typing import Any
from uuid import UUID

import psycopg
import pytest

from domain.attribution import Attribution, Purpose, Role
from domain.person import LiftRestrictionOfPerson, RestrictPerson
from domain.rights import ErasureGrounds, RestrictionGrounds
from ledger import erasure
from ledger.erasure import Eraser, Erasure
from ledger.sessions import connect
from projections import forgetting, positions
from projections.search import search
from tests.projections.conftest import Node, deliver
from tests.projections.invented import named, party, seizure

CUSTODIAN = Attribution(actor="dpo-1", role=Role.DATA_MANAGER, purpose=Purpose.ADMINISTRATION, legal_basis="LED:16-2")
NAME = "Xaverius Quackenbosch"
PATIENCE_S = 30.0


def erase(node: Node, subject: UUID) -> Erasure:
    with Eraser.open(node.database_url, node=node.ledger.node, keys=node.keys) as eraser:
        return eraser.erase(subject, "person", ErasureGrounds.RETENTION_EXPIRED, CUSTODIAN)


def found(node: Node, name: str = NAME, kind: str = "person") -> list[UUID]:
    with psycopg.connect(node.database_url, autocommit=True) as connection:
        return [hit.record_id for hit in search(connection, kind=kind, name=name).hits]


def told_again(node: Node) -> None:
    with connect(node.database_url) as session:
        forgetting.retell(node.database_url, session)
    node.project()


def test_the_running_projector_forgets_by_itself(node: Node) -> None:
    with node.projector():
        who, other = node.do(named(NAME)), node.do(named("Ivan Petrov"))
        case = node.do(seizure(parties=(party(who), party(other))))
        assert positions.wait_for(node.database_url, node.seal(), PATIENCE_S)
        assert (found(node), found(node, kind="seizure")) == ([who], [case])
        done = erase(node, who)
        deadline = time.monotonic() + PATIENCE_S
        while not forgetting.is_forgotten(node.database_url, [done]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert positions.wait_for(node.database_url, node.seal(), PATIENCE_S)
    assert (found(node), found(node, kind="seizure")) == ([], [])
    assert found(node, "Ivan Petrov", "seizure") == [case], "the case and who else has a part in it stay"
    assert NAME.split()[1] not in str(node.dump())
    assert node.query("SELECT party FROM read.party") == [(other,)]
    live = node.dump()
    node.rebuild()
    assert node.dump() == live


def test_without_the_telling_again_the_party_stays(node: Node) -> None:
    """The control: the event of the erasure alone does not reach the cases."""
    who = node.do(named(NAME))
    node.do(seizure(parties=(party(who),)))
    node.project()
    erase(node, who)
    node.project()
    assert node.query("SELECT party FROM read.party") == [(who,)]
    told_again(node)
    assert node.query("SELECT party FROM read.party") == []


def test_what_came_from_a_peer_is_forgotten_too(node: Node, peer: Node) -> None:
    who = peer.do(named(NAME))
    case = peer.do(seizure(parties=(party(who),)))
    deliver(peer, node)
    node.project()
    assert (found(node), found(node, kind="seizure")) == ([who], [case])
    done = erase(node, who)
    told_again(node)
    assert done.certificate is not None
    assert (found(node), found(node, kind="seizure")) == ([], [])
    assert NAME.split()[1] not in str(node.dump())
    with connect(node.database_url) as session:
        assert [one.subject for one in erasure.of_subject(session, who)] == [who]


@pytest.mark.parametrize("asked", [NAME, None])
def test_who_is_restricted_is_not_found(asked: str | None, node: Node) -> None:
    who = node.do(named(NAME))
    case = node.do(seizure(parties=(party(who),)))

    def hits() -> list[Any]:
        node.project()
        with psycopg.connect(node.database_url, autocommit=True) as connection:
            of_person = [hit.record_id for hit in search(connection, kind="person", name=asked).hits]
        return [of_person, found(node, kind="seizure")]

    assert hits() == [[who], [case]]
    node.do(RestrictPerson(grounds=RestrictionGrounds.ACCURACY_CONTESTED), who)
    assert hits() == [[], []]
    assert node.query("SELECT record_id, restricted FROM read.person") == [(who, "accuracy-contested")]
    live = node.dump()
    node.rebuild()
    assert node.dump() == live
    node.do(LiftRestrictionOfPerson(), who)
    assert hits() == [[who], [case]]
