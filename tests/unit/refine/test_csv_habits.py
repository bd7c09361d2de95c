"""What blocks have shown of columns: only for so long, and of timestamps together."""

from __future__ import annotations

from tideline.refine import csv_habits
from tideline.refine.csv_habits import Habits


def test_a_column_that_failed_is_read_as_texts_for_some_blocks_and_then_tried_again() -> None:
    habits = Habits([])
    assert habits.texts() == set()
    assert habits.fail(3) == {3}
    for _ in range(csv_habits.STICKY_BLOCKS):
        assert habits.texts() == {3}
        habits.count_block()
    assert habits.texts() == set()


def test_the_first_timestamp_that_fails_has_all_of_them_looked_at() -> None:
    habits = Habits([1, 2, 5])
    assert habits.fail(2) == {1, 2, 5}
    habits.look(1, has_zone=True)
    habits.look(2, has_zone=False)
    assert habits.zoned == {1}
    assert [habits.is_unseen(column) for column in (1, 2, 5, 7)] == [False, False, True, False]
    assert habits.texts() == set(), "what was looked at, the parser can be told"
    assert habits.fail(2) == {2}
    assert habits.texts() == {2}
