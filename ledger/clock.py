"""When the ledger learns of something: UTC, in whole microseconds, never running backwards within a process."""

import threading
import time
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """The time of day, held at its latest value when the computer's clock is set back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest_us = 0

    def now_us(self) -> int:
        """Return the microseconds since 1970 (UTC), never fewer than before."""
        with self._lock:
            self._latest_us = max(self._latest_us, time.time_ns() // 1_000)
            return self._latest_us


def from_us(microseconds: int) -> datetime:
    """Return the moment that lies so many microseconds after 1970, exactly."""
    return EPOCH + timedelta(microseconds=microseconds)


def to_us(moment: datetime) -> int:
    """Return how many microseconds after 1970 a moment lies, exactly."""
    return (moment - EPOCH) // timedelta(microseconds=1)
