"""Whatever is changed on the way is refused: all kinds of tampering, and entries that are not what they say."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from domain.attribution import Purpose
from domain.handling import DataCategory, Handling, Onward
from domain.premise import Premise
from domain.records import encode as encode_event
from domain.seizure import NarrativeWritten, SeizureSubmitted
from exchange import box, checkpoint, envelope
from exchange.acceptance import Fault, accept
from exchange.checkpoint import Checkpoint
from exchange.envelope import Core, Held, Line, Malformed, NoticeCore, Whole, decode_line
from exchange.release import KnownPremise
from exchange.verifying import Mismatch, Source, verify
from ledger import vault
from ledger.leaf import attribution_hash, header, leaf_bytes, leaf_hash
from ledger.merkle import Frontier, inclusion_proof
from ledger.received import Received

NOW = datetime(2026, 5, 6, tzinfo=UTC)
KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
BOX, OTHER_BOX = X25519PrivateKey.generate(), X25519PrivateKey.generate()
SOURCE = Source(origin="XA", recipient="XB", key=KEY.public_key(), carries=Core)
BATCHES = (7, 9)
AGREED = KnownPremise(
    record_id=UUID(int=5),
    premise=Premise(
        instrument="MAA:1",
        parties=("XA", "XB"),
        senders=("XA",),
        purposes=(Purpose.DETECTION,),
        categories=tuple(DataCategory),
        handling=Handling.H1,
        onward=Onward.NONE,
        in_force_from=NOW.date(),
        version=4,
    ),
)


def core(
    number: int, *, is_personal: bool = False, to: X25519PrivateKey = BOX, **changes: object
) -> tuple[Core, bytes | None]:
    """An entry as XA would release it, and its boxed key."""
    record_id = UUID(int=number)
    event = NarrativeWritten(text="words") if is_personal else SeizureSubmitted()
    name = "seizure.narrative-written" if is_personal else "seizure.submitted"
    body, boxed = encode_event(event), None
    head = header(record_id=record_id, version=1, recorded_at_us=5, node="XA", name=name, is_personal=is_personal)
    if is_personal:
        held = vault.HeldKey(uuid4(), bytes(32), is_of_entry=False)
        body = vault.seal(held, head, body)
        boxed = box.box(vault.entry_key_of(held, body), to.public_key(), recipient="XB", header=head)
    withheld = attribution_hash(bytes(16), b"someone")
    fields: dict[str, object] = {
        "form": "entry/1",
        "origin": "XA",
        "recipient": "XB",
        "number": number,
        "record_id": record_id,
        "version": 1,
        "recorded_at_us": 5,
        "name": name,
        "is_personal": is_personal,
        "body": body,
        "attribution": None,
        "attribution_salt": None,
        "attribution_hash": withheld,
        "leaf": leaf_hash(leaf_bytes(head, body, withheld)),
        "instrument": "MAA:1",
        "premise_id": UUID(int=5),
        "premise_version": 4,
        "handling": Handling.H1,
        "onward": Onward.NONE,
        "retention_days": 90,
        "purposes": (Purpose.DETECTION,),
        "evaluation": "A1",
        "key_hash": envelope.key_hash(boxed) if boxed else None,
    }
    return Core(**(fields | changes)), boxed  # type: ignore[arg-type]  # fields by name


def batch(cores: Sequence[tuple[Core, bytes | None]], leaves: list[bytes], *, held: Sequence[int] = ()) -> list[bytes]:
    """Lines of a batch that continues a feed with these leaves."""
    raws = [envelope.encode(one) for one, _ in cores]
    first = len(leaves) + 1
    leaves += [leaf_hash(raw) for raw in raws]
    signed = checkpoint.sign(
        Checkpoint(origin="XA", recipient="XB", size=len(leaves), root=Frontier.of(leaves).root()), KEY
    )
    lines: list[Line] = []
    for number, (raw, (_, boxed)) in enumerate(zip(raws, cores, strict=True), start=first):
        proof, note = tuple(inclusion_proof(leaves, number - 1)), signed if number == len(leaves) else None
        if number in held:
            signature = envelope.sign_held(KEY, "XA", "XB", number, leaf_hash(raw))
            lines.append(
                Held(number=number, leaf_hash=leaf_hash(raw), signature=signature, proof=proof, checkpoint=note)
            )
        else:
            lines.append(Whole(core=raw, boxed_key=boxed, proof=proof, checkpoint=note))
    return [envelope.encode(line) for line in lines]


def two_batches() -> tuple[Frontier, list[bytes]]:
    """The frontier after a first batch, and a second batch that continues it."""
    leaves: list[bytes] = []
    batch([core(number) for number in range(1, BATCHES[0] + 1)], leaves)
    before = Frontier.of(leaves)
    numbers = range(BATCHES[0] + 1, sum(BATCHES) + 1)
    return before, batch([core(number, is_personal=not number % 3) for number in numbers], leaves, held=[10])


BEFORE, GOOD = two_batches()


def changed(place: int, **changes: object) -> list[bytes]:
    """The good batch with fields of a core changed, and everything but the signature made to fit."""
    line = decode_line(GOOD[place])
    assert isinstance(line, Whole)
    inner = msgspec.structs.replace(envelope.decode_core(line.core, Core), **changes)
    return with_line(place, msgspec.structs.replace(line, core=envelope.encode(inner)))


def with_line(place: int, line: Line) -> list[bytes]:
    return [*GOOD[:place], envelope.encode(line), *GOOD[place + 1 :]]


def line_with(place: int, **changes: object) -> list[bytes]:
    return with_line(place, msgspec.structs.replace(decode_line(GOOD[place]), **changes))


def resigned(key: Ed25519PrivateKey, **changes: object) -> list[bytes]:
    head = checkpoint.read(str(decode_line(GOOD[-1]).checkpoint), origin="XA", recipient="XB", key=KEY.public_key())
    note = checkpoint.sign(msgspec.structs.replace(head, **changes), key)
    return line_with(len(GOOD) - 1, checkpoint=note)


def held(place: int, key: Ed25519PrivateKey, **changes: object) -> list[bytes]:
    line = decode_line(GOOD[place])
    assert isinstance(line, Whole)
    number = BATCHES[0] + 1 + place
    made = Held(
        number=number,
        leaf_hash=line.leaf_hash,
        signature=envelope.sign_held(key, "XA", "XB", number, line.leaf_hash),
        proof=line.proof,
        checkpoint=line.checkpoint,
    )
    return with_line(place, msgspec.structs.replace(made, **changes))


LAST = len(GOOD) - 1
KINDS: dict[str, Callable[[], list[bytes]]] = {
    "a line dropped": lambda: GOOD[:2] + GOOD[3:],
    "the first line dropped": lambda: GOOD[1:],
    "the last line dropped": lambda: GOOD[:-1],
    "a line doubled": lambda: [*GOOD[:2], GOOD[1], *GOOD[2:]],
    "two lines exchanged": lambda: [GOOD[1], GOOD[0], *GOOD[2:]],
    "nothing at all": list,
    "a strange line put in": lambda: [
        *GOOD[:1],
        envelope.encode(Whole(core=b"x", boxed_key=None, proof=(), checkpoint=None)),
        *GOOD[1:],
    ],
    "another number": lambda: changed(0, number=99),
    "another record": lambda: changed(0, record_id=uuid4()),
    "another version": lambda: changed(0, version=2),
    "another time": lambda: changed(0, recorded_at_us=6),
    "another body": lambda: changed(0, body=encode_event(NarrativeWritten(text="other"))),
    "another premise": lambda: changed(0, instrument="MAA:2"),
    "a looser handling": lambda: changed(0, handling=Handling.H0),
    "a longer retention": lambda: changed(0, retention_days=None),
    "another purpose": lambda: changed(0, purposes=(Purpose.STATISTICS,)),
    "another evaluation": lambda: changed(0, evaluation="X4"),
    "another leaf": lambda: changed(0, leaf=bytes(32)),
    "another attribution hash": lambda: changed(0, attribution_hash=bytes(32)),
    "another origin": lambda: changed(0, origin="XC"),
    "another recipient": lambda: changed(0, recipient="XC"),
    "the key exchanged": lambda: line_with(1, boxed_key=bytes(80)),
    "the key taken away": lambda: line_with(1, boxed_key=None),
    "a key put beside an open entry": lambda: line_with(0, boxed_key=bytes(80)),
    "the proof shortened": lambda: line_with(0, proof=decode_line(GOOD[0]).proof[1:]),
    "the proof lengthened": lambda: line_with(0, proof=(*decode_line(GOOD[0]).proof, bytes(32))),
    "the proof changed": lambda: line_with(0, proof=(bytes(32), *decode_line(GOOD[0]).proof[1:])),
    "no checkpoint": lambda: line_with(LAST, checkpoint=None),
    "a checkpoint in the middle": lambda: line_with(0, checkpoint=decode_line(GOOD[-1]).checkpoint),
    "signed by another key": lambda: resigned(OTHER),
    "signed for another size": lambda: resigned(KEY, size=sum(BATCHES) + 1),
    "signed for another root": lambda: resigned(KEY, root=bytes(32)),
    "signed for another feed": lambda: resigned(KEY, recipient="XC"),
    "signed as another origin": lambda: resigned(KEY, origin="XC"),
    "held back by somebody else": lambda: held(0, OTHER),
    "held back under another number": lambda: held(0, KEY, number=9),
    "held back with another hash": lambda: held(0, KEY, leaf_hash=bytes(32)),
    "trailing bytes": lambda: [GOOD[0] + b"\x00", *GOOD[1:]],
    "a number written in a longer form": lambda: [GOOD[0].replace(b"\x93", b"\xdc\x00\x03", 1), *GOOD[1:]],
    "a batch of the beginning again": lambda: batch([core(number) for number in range(1, 8)], []),
}


def test_the_good_batch_is_good() -> None:
    batch = verify(GOOD, SOURCE, BEFORE)
    assert batch.head.size == sum(BATCHES)
    assert [line.core is None for line in batch.lines].count(True) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_tampering_is_refused(kind: str) -> None:
    tampered = KINDS[kind]()
    assert tampered != GOOD
    with pytest.raises(Mismatch):
        verify(tampered, SOURCE, BEFORE)


def test_the_feed_of_another_kind_is_refused() -> None:
    with pytest.raises(Mismatch):
        verify(GOOD, msgspec.structs.replace(SOURCE, carries=NoticeCore), BEFORE)


def test_a_batch_that_does_not_continue_the_feed_is_refused() -> None:
    for before in (Frontier(), Frontier.of([bytes(32)] * BATCHES[0])):
        with pytest.raises(Mismatch):
            verify(GOOD, SOURCE, before)


def test_any_flipped_bit_is_refused() -> None:
    pick = random.Random(11)
    for _ in range(3_000):
        place = pick.randrange(len(GOOD))
        raw = bytearray(GOOD[place])
        raw[pick.randrange(len(raw))] ^= 1 << pick.randrange(8)
        with pytest.raises(Mismatch):
            verify([*GOOD[:place], bytes(raw), *GOOD[place + 1 :]], SOURCE, BEFORE)


def test_what_is_no_line_is_malformed() -> None:
    pick = random.Random(12)
    for raw in (b"", b"\x90", b"\xc0", b"\x93\xa7whole/1", GOOD[0][:-1], bytes(envelope.MOST_LINE_BYTES + 1)):
        with pytest.raises(Malformed):
            decode_line(raw)
    for _ in range(300):
        with pytest.raises(Malformed):
            decode_line(pick.randbytes(pick.randrange(1, 200)))


# ---------------------------------------------------------------- the sender signed it, and still it is not accepted


def judged(
    premise: KnownPremise = AGREED, boxed_for: X25519PrivateKey = BOX, *, is_personal: bool = True, **changes: object
) -> Received | Fault:
    one, boxed = core(1, is_personal=is_personal, to=boxed_for, **changes)
    return accept(one, boxed, (BOX,), [premise], NOW)


def under(**changes: object) -> KnownPremise:
    return msgspec.structs.replace(AGREED, premise=msgspec.structs.replace(AGREED.premise, **changes))


FAULTS: dict[str, tuple[Callable[[], Received | Fault], Fault]] = {
    "a name from the future": (lambda: judged(name="seizure.teleported"), Fault.UNKNOWN_NAME),
    "a kind that is not exchanged": (lambda: judged(name="premise.ended", is_personal=False), Fault.KIND),
    "personal sent as open": (lambda: judged(name="seizure.narrative-written", is_personal=False), Fault.KIND),
    "a leaf that does not follow": (lambda: judged(leaf=bytes(32)), Fault.LEAF),
    "an attribution that does not fit": (
        lambda: judged(attribution=b"somebody else", attribution_salt=bytes(16)),
        Fault.ATTRIBUTION,
    ),
    "a key boxed for another": (lambda: judged(boxed_for=OTHER_BOX), Fault.KEY),
    "an instrument that we do not know": (lambda: judged(instrument="MAA:9"), Fault.NO_PREMISE),
    "a premise of ours without the sender": (lambda: judged(under(parties=("XB", "XC"))), Fault.NO_PREMISE),
    "a premise that is suspended here": (lambda: judged(under(suspended="breach")), Fault.NOT_IN_FORCE),
    "a premise that is over here": (
        lambda: judged(under(until=datetime(2026, 5, 5, tzinfo=UTC).date())),
        Fault.NOT_IN_FORCE,
    ),
    "a sender that may not send": (lambda: judged(under(senders=("XB",))), Fault.SENDER),
    "nominal where only open is agreed": (lambda: judged(under(categories=(DataCategory.OPEN,))), Fault.DATA_CATEGORY),
    "a handling looser than agreed": (lambda: judged(under(handling=Handling.H2)), Fault.HANDLING),
    "a purpose that was not agreed": (lambda: judged(purposes=(Purpose.STATISTICS,)), Fault.PURPOSE),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_what_does_not_stand_on_our_premise_is_quarantined(kind: str) -> None:
    judge, fault = FAULTS[kind]
    assert judge() is fault


def test_a_body_that_is_not_its_event_is_quarantined() -> None:
    one, _ = core(1)
    body = encode_event(NarrativeWritten(text="words"))
    leaf = leaf_hash(leaf_bytes(one.header, body, one.attribution_hash))
    assert accept(msgspec.structs.replace(one, body=body, leaf=leaf), None, (BOX,), [AGREED], NOW) is Fault.BODY


def test_what_fits_is_accepted_with_its_provenance() -> None:
    answer = judged()
    assert isinstance(answer, Received)
    assert (answer.provenance.peer, answer.provenance.number, answer.provenance.handling) == ("XA", 1, "H1")
    assert answer.leaf == core(1, is_personal=False)[0].leaf or answer.entry_key is not None


def test_the_bytes_on_the_wire_hold_nothing_readable() -> None:
    assert not any(b"words" in raw for raw in GOOD)
