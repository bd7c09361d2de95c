"""Two hours of the shop with the lake on MinIO and on a GCS server, documents from a MongoDB server of its own."""

from __future__ import annotations

import os

import pytest
from worlds import embedded, make_world

LAKES = {"s3": ("TIDELINE_MINIO", "TIDELINE_MONGO_JAVA"), "gs": ("TIDELINE_FAKE_GCS", "TIDELINE_MINIO")}

pytestmark = [pytest.mark.integration, pytest.mark.real_servers]


@pytest.fixture(scope="module", params=list(LAKES))
def world(request, tmp_path_factory):
    """A world on the real servers of the parameter; skipped where they are not named."""
    servers = {name: os.environ.get(name, "") for name in LAKES[request.param]}
    missing = [name for name, value in servers.items() if not value]
    if missing:
        pytest.skip(f"{' and '.join(missing)} do not name a server")
    yield from make_world(tmp_path_factory.mktemp("real"), embedded(**servers))


@pytest.mark.parametrize("hour", [0, 1])
def test_the_warehouse_equals_the_truth(world, hour):
    world.shop.advance(hour, world.targets)
    done = world.run(world.request(hour))
    assert done["shop_mongodb.orders"]["raw_manifest_uri"].split(":")[0] in LAKES
    assert world.compare(hour) > 1000
    again = world.run(world.request(hour))
    assert sum(summary["inserted"] + summary["updated"] for summary in again.values()) == 0
    assert world.compare(hour) > 1000


def test_the_lake_is_where_the_parameter_says(world, request):
    scheme = world.stack.environment["TIDELINE_RAW_URI"].partition(":")[0]
    assert scheme == request.node.callspec.params["world"]
