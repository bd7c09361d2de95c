import numpy as np
import pyarrow as pa
import pytest

from tideline.refine import arrays


@pytest.mark.parametrize("contents", [[], [b"a"], [b"", None, "é".encode()], [None, None]])
@pytest.mark.parametrize("kind", [pa.string(), pa.binary()])
def test_variable(contents, kind):
    array = arrays.variable(kind, contents)
    array.validate(full=True)
    assert array.to_pylist() == [c if c is None or kind == pa.binary() else c.decode() for c in contents]


def test_fixed_takes_any_layout_in_memory():
    table = np.arange(20, dtype=np.int64).reshape(10, 2)
    array = arrays.fixed(pa.int64(), table[:, 1], table[:, 1] > 5)
    array.validate(full=True)
    assert array.to_pylist() == [None, None, None, 7, 9, 11, 13, 15, 17, 19]


def test_booleans_and_lists():
    flags = arrays.booleans(np.array([True, False, True]), np.array([True, True, False]))
    assert flags.to_pylist() == [True, False, None]
    nested = arrays.lists(np.array([2, 0, 1]), flags)
    nested.validate(full=True)
    assert nested.to_pylist() == [[True, False], [], [None]]


@pytest.mark.parametrize("kind", [pa.decimal128(38, 0), pa.decimal256(76, 0)])
def test_integers(kind):
    largest = 10**kind.precision - 1
    array = arrays.integers(kind, [largest, -largest, 0, 0], np.array([True, True, True, False]))
    array.validate(full=True)
    assert [None if value is None else int(value) for value in array.to_pylist()] == [
        largest,
        -largest,
        0,
        None,
    ]


def test_more_than_arrow_can_address_is_an_error_and_not_a_wrong_array():
    with pytest.raises(OverflowError, match="fewer records"):
        arrays.offsets(np.array([2**31 - 1, 1]))
