"""SIGKILL at every fault point of every stage, source kind s3_csv; what that means is in `matrix`."""

from __future__ import annotations

import pytest
from matrix import SCENARIOS, Play
from steps import STAGES

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_at_every_point(arena, zygote, faults, scenario, stage):
    kills = Play(arena, zygote, faults, "s3_csv", scenario).kill_everywhere(stage)
    assert faults.numbers["tried"] == kills
