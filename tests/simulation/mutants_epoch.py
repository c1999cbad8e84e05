"""Planted bugs of feeds that begin anew: each is a change of words in our own functions."""

from exchange import feed_epoch
from exchange.receiver import Receiver
from exchange.relay import Relay
from tests.simulation import exchanging
from tests.simulation.mutant import Mutant, changed

ACKNOWLEDGED = "if self._is_missing:\n            await self._ask_again(client)\n        else:"

MUTANTS = (
    Mutant(
        name="a batch for an epoch that has ended is acknowledged",
        run=exchanging.lose,
        changes=(changed(Receiver, "_keep_taking", (ACKNOWLEDGED, "self._is_missing = False\n        if True:")),),
        within=100,
    ),
    Mutant(
        name="receipts of an ended epoch count",
        run=exchanging.lose,
        changes=(changed(Relay, "_store", ("is_current=told.epoch == epoch", "is_current=True")),),
        within=50,
    ),
    Mutant(
        name="what was told before the epoch began is not told again",
        run=exchanging.lose,
        changes=(changed(Receiver, "_keep_receipting", ("or loop_s - told_at > TELL_AGAIN_S", "")),),
        within=50,
    ),
    Mutant(
        name="the receiver does not see that its feed was begun anew",
        run=exchanging.lose,
        changes=(changed(Receiver, "_keep_taking", ("if message is None and", "if False and")),),
        within=50,
    ),
    Mutant(
        name="not everything is decided again",
        run=exchanging.lose,
        changes=(changed(feed_epoch, "decide_everything_again", ("feed.position, feed.sweep", "_, feed.sweep")),),
        within=50,
    ),
)
