"""What the fault suite shares: the tally, and one small world of servers a worker."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

import pytest
import tally

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arena import Arena
    from through import Proxies
    from zygote import Zygote

    from devstack.bigquery.server import Emulator


def pytest_configure(config: pytest.Config) -> None:
    is_worker = hasattr(config, "workerinput")  # of xdist: what it reports is added up by the controller
    if not is_worker and not config.pluginmanager.has_plugin("tideline-faults"):
        config.pluginmanager.register(tally.Plugin(config), "tideline-faults")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each worker's share begin with as many of the tests that take a minute: the others fill up what is left."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if item.path.name == "test_order.py" or item.name.endswith("-merge]")]
    short = iter([item for item in items if item not in long])
    bounds = [len(items) * number // workers for number in range(workers + 1)]
    shares = []
    for number in range(workers):
        share = long[number::workers]
        shares += share + list(islice(short, bounds[number + 1] - bounds[number] - len(share)))
    items[:] = shares + list(short)


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> Iterator[tally.Tally]:
    """Counts this test's faults; see `tally`."""
    yield from tally.counting(request)


@pytest.fixture(scope="session")
def arena(tmp_path_factory: pytest.TempPathFactory, bigquery_emulator: Emulator) -> Iterator[Arena]:
    """The servers of this worker, and lanes on them; see `arena`."""
    from arena import open_arena

    with open_arena(tmp_path_factory.mktemp("arena"), bigquery_emulator.url) as opened:
        yield opened


@pytest.fixture(scope="session")
def proxies(arena: Arena) -> Iterator[Proxies]:
    """Network proxies before the arena's servers; see `through`."""
    from through import Proxies

    with Proxies(arena.servers) as opened:
        yield opened


@pytest.fixture(scope="session")
def zygote(arena: Arena) -> Iterator[Zygote]:
    """Child processes on the arena; see `zygote`."""
    from zygote import Zygote

    with Zygote(arena.servers) as opened:
        yield opened
