"""The cache: one question at a time however many ask, old answers made anew, failures are answers."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tideline.health.cache import THREADS, Cache


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def cache(clock):
    return Cache(5.0, clock=lambda: clock[0])


def test_an_answer_is_good_for_a_while(cache, clock):
    made = []

    async def ask(key="a"):
        return await cache.get(key, lambda: made.append(key) or len(made))

    assert asyncio.run(ask()) == 1
    clock[0] = 4.9
    assert asyncio.run(ask()) == 1
    assert asyncio.run(ask("b")) == 2
    clock[0] = 5.0
    assert asyncio.run(ask()) == 3
    assert made == ["a", "b", "a"]


def test_a_failure_is_an_answer_too(cache, clock):
    made = []

    def fail():
        made.append(1)
        raise ValueError("down")

    for _ in range(2):
        with pytest.raises(ValueError, match="down"):
            asyncio.run(cache.get("a", fail))
    assert len(made) == 1


def test_many_readers_ask_once_and_one_that_goes_away_takes_nothing(cache):
    go, made = threading.Event(), []

    def slow():
        go.wait(10)
        made.append(1)
        return "answer"

    async def readers():
        busy = [asyncio.create_task(cache.get(f"busy {n}", lambda: go.wait(10))) for n in range(THREADS)]
        await asyncio.sleep(0)  # now the question waits for a thread, and could be taken back
        tasks = [asyncio.create_task(cache.get("a", slow)) for _ in range(5)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.wait(tasks[:1])
        await asyncio.sleep(0)
        go.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*busy)
        return answers

    first, *others = asyncio.run(readers())
    assert isinstance(first, asyncio.CancelledError)
    assert others == ["answer"] * 4
    assert made == [1]


def test_old_answers_are_forgotten(cache, clock):
    for number in range(1000):
        asyncio.run(cache.get(number, lambda: None))
        clock[0] += 0.001
    assert len(cache._entries) <= 201
    clock[0] += 10
    asyncio.run(cache.get("last", lambda: None))
    assert list(cache._entries) == ["last"]
