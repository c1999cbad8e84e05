"""A batch whose rest never comes: the receiver asks again, and a receiver that would wait for it is told apart."""

from types import SimpleNamespace
from unittest.mock import patch

from exchange.envelope import Held, encode
from exchange.receiver import Receiver
from tests.simulation.exchanging import Simulation
from tests.simulation.mutant import changed
from tests.simulation.nodes import seams
from tests.simulation.seams import Exchanged, installed
from tests.simulation.world import World

TURNS = 400


def asked_again(*mutant: Exchanged) -> int:
    """How often a receiver asks again that was given the first line of a batch and nothing more."""
    world = World(0)
    simulation = Simulation(world)
    told: list[bytes] = []
    line = encode(Held(number=1, leaf_hash=bytes(32), signature=bytes(64), proof=(), checkpoint=None))
    names = seams(world, simulation.stream)
    with installed(world, *names, *mutant), patch.object(simulation.sending, "tell", told.append):
        simulation.receiver.begin({})
        simulation.receiver.spawn("taking", simulation.receiving.take)
        world.run(TURNS)
        told.clear()
        assert simulation.sending.queue is not None
        simulation.sending.queue.put(SimpleNamespace(data=line, reply="$JS.ACK.stream.consumer.1.1.1.0.0"))
        world.run(TURNS)
    return len(told)


def test_silence_within_a_batch_is_asked_about() -> None:
    assert asked_again() > 1


def test_a_receiver_that_waits_for_the_rest_would_wait_for_ever() -> None:
    assert asked_again(changed(Receiver, "_keep_taking", ("is_cut_off or ", ""))) == 0
