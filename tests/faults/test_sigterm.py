"""SIGTERM, as a pod gets it: the task ends within the grace period and leaves no half-visible object.

Both ways of ending: at once, as a process that does not handle the signal; and by an exception in the middle of
whatever it does, as a task of Airflow, so that `finally` blocks and clean-ups run while objects are half sent.
"""

from __future__ import annotations

import hashlib
import signal
from dataclasses import replace

import pytest
import steps
from arena import KINDS
from invariants import check_settled, check_unsettled, look
from matrix import Play
from zygote import Order

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

GRACE_SECONDS = 20.0
LARGE_BYTES = 20 << 20


def whole(lane, arena) -> list[str]:
    """URIs of all visible objects of the lane; each is what its checksum, stored when it was begun, says."""
    from arena import STAGES, s3_client

    client, found = s3_client(arena.servers.s3), []
    for stage in STAGES:
        for page in client.get_paginator("list_objects_v2").paginate(
            Bucket=f"fault-{stage}", Prefix=f"{lane.name}/"
        ):
            for entry in page.get("Contents", ()):
                reply = client.get_object(Bucket=f"fault-{stage}", Key=entry["Key"])
                body = reply["Body"].read()
                if "sha256" in reply["Metadata"]:
                    assert hashlib.sha256(body).hexdigest() == reply["Metadata"]["sha256"], entry["Key"]
                else:
                    assert len(body) == LARGE_BYTES, entry["Key"]
                found.append(f"{stage}/{entry['Key']}")
    return found


@pytest.mark.parametrize("tidy", [False, True], ids=["unhandled", "raising"])
@pytest.mark.parametrize("kind", KINDS)
def test_terminated_at_every_write(arena, zygote, faults, kind, tidy):
    play = Play(arena, zygote, faults, kind, "re_run")
    with play.scene() as scene:
        for stage in ("land", "refine", "merge"):
            scene.work()
            given = scene.given_to(stage)
            scout = zygote.run(Order(scene.lane, stage, scene.given_to(stage)))
            writes = dict.fromkeys(
                p for p in scout.points if ".put" in p or "load_table" in p or "[merge]" in p
            )
            assert writes
            for point in writes:
                order = Order(scene.lane, stage, given, kill=point, signal=signal.SIGTERM, tidy=tidy)
                done = zygote.run(order, GRACE_SECONDS)
                assert (done.signal == signal.SIGTERM) or (
                    tidy and "SystemExit: 143" in (done.error or "")
                ), done
                faults.tried()
                assert whole(scene.lane, arena)
                after = look(scene.deployment, scene.lane.dataset_id(kind))
                check_unsettled(faults, scene.settled, after, scene.truth, scene.seen)
            given = steps.one(scene.deployment, stage, given, "run")
        for later in steps.STAGES[steps.STAGES.index(stage) + 1 :]:
            given = steps.one(scene.deployment, later, given, "run")
        steps.run(scene.deployment, scene.request)
        after = look(scene.deployment, scene.lane.dataset_id(kind))
        check_settled(faults, scene.settled, after, scene.truth)


@pytest.mark.parametrize("how", [(signal.SIGKILL, False), (signal.SIGTERM, False), (signal.SIGTERM, True)],
                         ids=["sigkill", "sigterm", "sigterm-raising"])  # fmt: skip
@pytest.mark.parametrize("piece", [1, 9, 17, 21])
def test_a_large_object_is_there_as_a_whole_or_not_at_all(arena, zygote, faults, how, piece):
    """20 MiB go in chunks of 8: the process ends before the first, between them, and before the end is known."""
    number, tidy = how
    lane = arena.lane()
    order = Order(lane, "put", LARGE_BYTES, kill="put/body.read/before", nth=piece, signal=number, tidy=tidy)
    done = zygote.run(order, GRACE_SECONDS)
    assert done.signal == number or (tidy and "SystemExit" in (done.error or "")), done
    faults.tried()
    assert whole(lane, arena) == []
    assert zygote.run(replace(order, kill=None)).result == LARGE_BYTES
    assert len(whole(lane, arena)) == 1


@pytest.mark.parametrize("stage", ["land", "merge"])
@pytest.mark.parametrize("kind", KINDS)
def test_terminated_from_outside_while_it_waits(arena, zygote, faults, kind, stage):
    """The signal comes while the task stands in the middle of its I/O; it goes within the grace period."""
    point = {"land": "land/raw.put_file[part]/before", "merge": "merge/bigquery.query[merge]/before"}[stage]
    play = Play(arena, zygote, faults, kind, "re_run")
    with play.scene() as scene:
        scene.work()
        child = zygote.start(Order(scene.lane, stage, scene.given_to(stage), hold=point, tidy=True))
        child.await_hold()
        child.kill(signal.SIGTERM)
        child.go()  # where it waits in a thread of its own, the call that it stands in ends some time
        done = child.wait(GRACE_SECONDS)
        assert done.result is None
        faults.tried()
        assert whole(scene.lane, arena)
        steps.run(scene.deployment, scene.request)
        after = look(scene.deployment, scene.lane.dataset_id(kind))
        check_settled(faults, scene.settled, after, scene.truth)
