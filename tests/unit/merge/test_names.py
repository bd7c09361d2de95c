"""Names of a catalog beside the names that statements have of their own: none hides another."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlglot
from pydantic import ValidationError
from sqlglot import expressions as exp

from tideline.catalog.column import BESIDE_KEYS
from tideline.catalog.model import HttpDataset, MongoDataset
from tideline.merge.absences import Absences, vanishing_sql
from tideline.merge.deletes import Events
from tideline.merge.sql import Merge
from tideline.reconcile.compare import VERDICTS, Comparison
from tideline.warehouse.names import TableName
from tideline.warehouse.schema import raw_layout

TARGET, LOAD = TableName("p", "raw_test", "things"), TableName("p", "tideline_load", "x")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
COMMON = {"name": "things", "source": "test"}


def dataset(model, key, others=(), **more):
    columns = [{"name": name, "type": "string"} for name in (*key, *others)]
    return model.model_validate(
        {**COMMON, "key": key, "columns": [*columns, {"name": "at", "type": "timestamp"}], **more}
    )


def keyed(key, others=()):
    return dataset(MongoDataset, key, others, change_column="at", database="d", collection="c")


def whole(key, others=()):
    return dataset(HttpDataset, key, others, path="/things")


def statements(key, others=()):
    """Every statement about rows, for a keyed collection and for what is read whole."""
    for each, absences in ((keyed(key, others), None), (whole(key, others), Absences(NOON, (tuple(key),)))):
        merge = Merge(each, TARGET, raw_layout(each).fields, LOAD, "w", absences=absences)
        yield from (merge.sql, merge.counts_sql, replace(merge, absences=None).sql)
        events = Events(each, TARGET, LOAD)
        yield from (events.sql, events.counts_sql)
        comparison = Comparison(each, TARGET, LOAD, NOON, NOON)
        yield from (comparison.summary_sql, comparison.found_sql(VERDICTS))
    yield vanishing_sql(merge)


def aliases():
    """What statements call the things that they make."""
    trees = [tree for sql in statements(["id"]) for tree in sqlglot.parse(sql, read="bigquery")]
    return sorted({each.alias for tree in trees for each in tree.find_all(exp.Alias) if each.alias} - {"id"})


def is_legal(make, name):
    try:
        make(name)
    except ValidationError:
        return False
    return True


def clashes(sql):
    """Names that a SELECT gives twice."""
    (tree,) = sqlglot.parse(sql, read="bigquery")
    for select in tree.find_all(exp.Select):
        names = [each.alias_or_name.lower() for each in select.expressions]
        yield from (name for name in names if name and names.count(name) > 1)


def test_a_column_may_be_called_as_anything_in_the_statements_is():
    names = [name for name in aliases() if is_legal(lambda name: keyed(["id"], [name]), name)]
    assert {"missing", "_verdict"} <= set(names)
    assert [clash for sql in statements(["id"], names) for clash in clashes(sql)] == []


def test_so_may_a_column_of_a_key():
    names = [name for name in aliases() if is_legal(lambda name: keyed([name]), name)]
    assert "missing" in names
    for name in (*names, "observed_at", "seen_at", "verdict"):
        assert [clash for sql in statements([name, "id"]) for clash in clashes(sql)] == []


@pytest.mark.parametrize("name", [*BESIDE_KEYS, "_Source"])
def test_but_not_as_what_stands_beside_a_key(name):
    with pytest.raises(ValidationError, match=rf"beside keys: .* add `field: {name}`"):
        keyed([name])
    assert keyed(["id"], [name]).column(name).nullable
