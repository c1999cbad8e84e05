"""Wrapping a released entry for a peer: the core that its feed commits to, and the entry key boxed to the peer."""

from uuid import UUID

from domain.handling import Onward
from exchange import box, envelope, outbox
from exchange.envelope import OWN_OBSERVATION, Core
from exchange.peers import Identity, Peer
from exchange.release import Release
from ledger.line import StoredLine
from ledger.vault import HeldKey, entry_key_of


def wrapped(line: StoredLine, decided: Release, own: Identity, peer: Peer, key: HeldKey | None) -> outbox.Draft:
    """The line of the feed that carries a released entry; `key` is given for a personal one."""
    known, shown = decided.premise, decided.shows_attribution
    boxed = None
    if key is not None:
        boxed = box.box(entry_key_of(key, line.body), peer.box_key, recipient=peer.node, header=line.header)

    def core(number: int) -> bytes:
        return envelope.encode(
            Core(
                form="entry/1",
                origin=own.node,
                recipient=peer.node,
                number=number,
                record_id=line.record_id,
                version=line.version,
                recorded_at_us=envelope.time_us(line),
                name=line.name,
                is_personal=line.is_personal,
                body=line.body,
                attribution=line.attribution if shown else None,
                attribution_salt=line.attribution_salt if shown else None,
                attribution_hash=line.attribution_hash,
                leaf=line.leaf,
                instrument=known.premise.instrument or "",
                premise_id=known.record_id,
                premise_version=known.premise.version,
                handling=decided.handling,
                onward=known.premise.onward or Onward.NONE,
                retention_days=known.premise.retention_days,
                purposes=known.premise.purposes,
                evaluation=OWN_OBSERVATION,
                key_hash=envelope.key_hash(boxed) if boxed else None,
            )
        )

    return outbox.Draft(
        position=line.position, record_id=line.record_id, core=core, boxed_key=boxed, premise_id=known.record_id
    )


def key_ids(lines: list[StoredLine]) -> list[UUID]:
    """The ids of the keys under which these lines are sealed."""
    return [line.key_id for line in lines if line.key_id is not None]
