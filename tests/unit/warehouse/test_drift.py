"""How ledger rows spell drift, reasons and empty columns."""

import json

from tideline.warehouse.drift import drift_items, drift_text, names_text, reasons_text


def test_drift_is_an_array_with_bare_paths():
    manifest = {
        "a.b": {"count": 2, "example": "string", "kind": "new_field"},
        "(missing column) title": {"count": 3, "example": "", "kind": "missing_column"},
        "(changed type) price": {"count": 1, "example": "é", "kind": "changed_type"},
        "(missing column) x": {"count": 1, "example": "y", "kind": "new_field"},
        "old": {"count": 1, "example": "z"},
    }
    assert [(item["path"], item["kind"], item["count"]) for item in drift_items(manifest)] == [
        ("a.b", "new_field", 2), ("title", "missing_column", 3), ("price", "changed_type", 1),
        ("(missing column) x", "new_field", 1), ("old", "new_field", 1),
    ]  # fmt: skip
    assert json.loads(drift_text(manifest)) == drift_items(manifest)
    assert "é" in drift_text(manifest)


def test_nothing_is_null():
    assert [drift_text({}), drift_text(None), names_text([]), names_text(None), reasons_text({})] == [
        None
    ] * 5


def test_names_and_reasons():
    assert names_text(["note"]) == '["note"]'
    assert reasons_text({"bad_bool": 2}) == '{"bad_bool": 2}'
