"""The law of the CEN: two histories that differ only in what is personal give byte-identical streams.

They differ in values, in how much there is, and in whether anything personal is there at all. The law is worth what it
finds: leaks planted into the exporter (`soak.leaks`), each of which it must find.
"""

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cli.postgres import EmbeddedPostgres
from soak import privacy
from soak.leaks import LEAKS
from soak.twins import Twins, many_batches


@pytest.fixture(scope="module")
def twins(postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    """Give the tests of this module one pair of twins that have lived through some histories."""
    names = [f"test_{uuid4().hex}" for _ in range(2)]
    for name in names:
        postgres_server.create_database(name)
    one, other = map(postgres_server.dsn, names)
    with Twins.open((one, other), tmp_path_factory.mktemp("twins")) as made:
        privacy.live(made)
        yield made


personal = st.none() | st.integers(0, 2**32)


@settings(
    max_examples=int(os.environ.get("NCEN_SOAK", "0")) * 200 or 10,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(10, 2**60), one=personal, other=personal)
def test_what_is_personal_does_not_reach_the_cen_in_any_form(
    twins: Twins, seed: int, one: int | None, other: int | None
) -> None:
    twins.live(seed, (one, other))
    with many_batches():
        mine, others = twins.streams()
    assert mine == others
    assert len(mine) > 10, "something was told"


def test_twenty_leaks_are_planted() -> None:
    assert len(LEAKS) == 20


@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_found(twins: Twins, leak: str) -> None:
    assert privacy.is_found(twins, leak)
