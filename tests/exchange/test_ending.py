"""A part of the exchange ends when it is told to, also when the first word of it is lost."""

import asyncio

import pytest

from exchange import worker


async def deaf() -> None:
    """A part in a group that loses its first cancellation, as a wait that ends at that moment does."""

    async def receive() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(60)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(receive())


def ended(wait_s: float) -> bool:
    async def run() -> bool:
        asyncio.get_running_loop().set_task_factory(worker.remembering)
        part = asyncio.create_task(deaf())
        await asyncio.sleep(0.05)
        try:
            async with asyncio.timeout(wait_s):
                await worker.ended([part])
        except TimeoutError:
            return False
        return part.done()

    return asyncio.run(run())


def test_a_part_that_lost_the_word_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "HEARD_WITHIN_S", 0.2)
    assert ended(5)


def test_told_once_it_would_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "HEARD_WITHIN_S", 60.0)
    assert not ended(1)


def test_where_nothing_runs_nothing_is_waited_for() -> None:
    asyncio.run(worker.ended([]))
