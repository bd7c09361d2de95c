"""No I/O goes round the ports that the fault points are made of: shown on the source, and on sockets."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest
from arena import KINDS
from points import wrapped
from zygote import Order

import tideline

PRODUCT = Path(tideline.__file__).parent

SPEAKERS = {
    "socket": {"land/http_pools.py"},
    "http": {"land/http_pools.py", "land/http_replies.py", "lake/boto_errors.py"},
    "ssl": {"land/http_pools.py", "land/http_replies.py"},
    "urllib3": {
        "land/http.py",
        "land/http_pools.py",
        "land/http_replies.py",
        "land/http_urls.py",
        "lake/gcs.py",
        "lake/boto_errors.py",
    },
    "requests": {
        "lake/gcs.py",
        "warehouse/failures.py",
        "warehouse/replies.py",
        "dbt_process.py",  # asks nothing: it bounds what dbt's client asks
    },
    "boto3": {"lake/s3.py"},
    "subprocess": {
        "spark/submit.py"
    },  # a job of its own, whose parts are committed by manifests like any other
    "pymongo": {
        "land/mongodb.py",
        "land/mongo_errors.py",
        "land/mongo_counts.py",
        "land/mongo_majority.py",
        "connections.py",
    },
}
"""Library → the modules that may import it at run time. A module that has to be added here speaks to another
process: it does so through a client that a deployment hands out, or the fault points do not see it."""

NEVER = {
    "aiohttp",
    "ftplib",
    "httpx",
    "multiprocessing",
    "smtplib",
    "socketserver",
    "telnetlib",
}

MAKERS = {"MongoClient", "HttpSession", "get_conn", "PoolManager", "ProxyManager", "Client", "urlopen"}
MAKING = {"connections.py", "land/http_pools.py", "lake/gcs.py"}
"""Who makes clients: the edge; the pools of our HTTP port; and a store that is given none."""


def modules() -> dict[str, ast.Module]:
    found = {
        path.relative_to(PRODUCT).as_posix(): ast.parse(path.read_text())
        for path in sorted(PRODUCT.rglob("*.py"))
    }
    assert len(found) > 80
    return found


def run_time(tree: ast.AST):
    """Every node but those that only type checkers see."""
    for child in ast.iter_child_nodes(tree):
        if (
            isinstance(child, ast.If)
            and isinstance(child.test, ast.Name)
            and child.test.id == "TYPE_CHECKING"
        ):
            continue
        yield child
        yield from run_time(child)


def imports(tree: ast.AST) -> set[str]:
    """Top-level names of the packages that a module imports; of `urllib` only what asks."""
    found = set()
    for node in run_time(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return {name.partition(".")[0] for name in found if name != "http.HTTPStatus"}


@pytest.mark.parametrize("library", sorted(SPEAKERS))
def test_only_ports_import_a_client_library(library):
    found = {name for name, tree in modules().items() if library in imports(tree)}
    assert found <= SPEAKERS[library], f"new speakers of {library}: {found - SPEAKERS[library]}"


def test_nothing_imports_other_ways_out():
    assert {name: both for name, tree in modules().items() if (both := imports(tree) & NEVER)} == {}


def test_clients_are_made_at_the_edge_only():
    makers = set()
    for name, tree in modules().items():
        for node in run_time(tree):
            if isinstance(node, ast.Call):
                called = (
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                )
                if called in MAKERS:
                    makers.add(name)
    assert makers <= MAKING, f"clients are made in {makers - MAKING}: the fault points do not see them"


def test_the_product_knows_nothing_of_faults():
    """No switch to be left on: neither a variable nor an import; only the settings read the environment.

    `spark/submit.py` hands its own to the job that it starts.
    """
    readers, setters = set(), set()
    for name, tree in modules().items():
        assert not imports(tree) & {"points", "zygote", "faults", "tests"}, name
        for node in run_time(tree):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
                readers.add(name)
            if (
                isinstance(node, ast.Attribute)
                and node.attr == "setdefault"
                and isinstance(node.value, ast.Attribute)
            ):
                setters.add(name)
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert "TIDELINE_FAULT" not in node.value, name
    assert "settings.py" in readers
    assert readers - setters == {"settings.py", "spark/submit.py"}


def test_off_the_points_are_not_there(arena):
    """An unwrapped deployment holds the stores and clients themselves, of the product's own classes."""
    with arena.lane().deployment() as deployment:
        for port in (
            deployment.raw,
            deployment.processed,
            deployment.quarantine,
            deployment.open_warehouse(),
        ):
            assert type(port).__module__.startswith("tideline.")
        assert type(deployment.open_warehouse().client).__module__.startswith("google.")
        pointed = wrapped(deployment, lambda _: None)
        assert type(pointed.raw).__module__ == "points"


@pytest.mark.integration
@pytest.mark.parametrize("kind", KINDS)
def test_every_network_call_is_inside_a_point(arena, zygote, kind):
    lane = arena.lane()
    lane.change(kind, 1, 2, 3, 4)
    lane.change(kind, 5, bad=True)
    for hour in (0, 1):
        done = zygote.run(Order(lane, "run", lane.request(kind, hour), audit=True))
        assert done.error is None, done.error
        assert done.sent > 20
        assert done.outside == [], done.outside[0]


@pytest.mark.integration
def test_a_call_round_the_ports_is_noticed(arena, zygote):
    done = zygote.run(Order(arena.lane(), "astray", None, audit=True))
    assert done.error is None
    assert len(done.outside) == 1


def test_points_are_named_by_what_is_done():
    seen = []
    store = SimpleNamespace(root="r", put=lambda *_, **__: 1, list=lambda prefix: iter(["a"]))
    from points import PointedStore

    pointed = PointedStore(store, "raw", seen.append)
    assert pointed.put("a/b/_manifest.json", b"") == 1
    assert list(pointed.list("a/")) == ["a"]
    assert seen == [
        "raw.put[manifest]/before", "raw.put[manifest]/after", "raw.list[prefix]/before", "raw.list[prefix]/after",
    ]  # fmt: skip
