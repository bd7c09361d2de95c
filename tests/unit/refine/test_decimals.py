from decimal import Context, Decimal, Inexact, InvalidOperation

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tideline.refine.decimals import unscaled, unscaled_text
from tideline.refine.fields import ConformError

EXACT = Context(prec=200, Emax=10**9, Emin=-(10**9), traps=[Inexact, InvalidOperation])
columns = st.integers(0, 38).flatmap(lambda scale: st.tuples(st.integers(max(scale, 1), 76), st.just(scale)))


def oracle(number, precision, scale):
    """By decimal.Decimal: the unscaled integer, or None if it does not fit exactly."""
    try:
        shifted = number.scaleb(scale, EXACT).to_integral_exact(context=EXACT)
    except Inexact:
        return None
    return int(shifted) if abs(shifted) < 10**precision else None


def attempt(function, *args):
    try:
        return function(*args)
    except ConformError as error:
        return {"decimal_scale": None, "decimal_overflow": None}[error.reason]


@given(st.booleans(), st.integers(0, 10**40), st.integers(-90, 90), columns)
def test_unscaled_is_exact_or_refused(negative, coefficient, exponent, column):
    number = Decimal((int(negative), tuple(map(int, str(coefficient))), exponent))
    assert attempt(unscaled, negative, coefficient, exponent, *column) == oracle(number, *column)


@given(st.from_regex(r"[+-]?[0-9]{1,50}(\.[0-9]{0,50})?([eE][+-]?[0-9]{1,2})?", fullmatch=True), columns)
def test_text_is_exact_or_refused(text, column):
    ascii_text = text.translate({ord(digit): str(int(digit)) for digit in text if digit.isdigit()})
    assert attempt(unscaled_text, ascii_text, *column) == oracle(Decimal(ascii_text), *column)


@pytest.mark.parametrize(
    "text",
    ["", "-", ".", "e5", "1e", "1e+", " 1", "1 ", "1,0", "1_0", "0x1", "NaN", "inf", "٣", "1.2.3", "--1"],
)
def test_what_is_not_a_number(text):
    with pytest.raises(ConformError, match="bad_number"):
        unscaled_text(text, 38, 9)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1e99999999999999999999", "decimal_overflow"),
        ("1e-99999999999999999999", "decimal_scale"),
        ("9" * 100_000, "decimal_overflow"),
        ("0." + "3" * 100_000, "decimal_scale"),
        ("1" + "0" * 100_000, "decimal_overflow"),
        ("0." + "0" * 100_000 + "1", "decimal_scale"),
    ],
)
def test_numbers_of_absurd_size_are_refused_at_once(text, reason):
    with pytest.raises(ConformError, match=reason):
        unscaled_text(text, 38, 9)


def test_absurd_spellings_of_small_numbers_are_read():
    assert unscaled_text("0" * 100_000 + "1." + "0" * 100_000, 5, 2) == 100
    assert unscaled_text("0e99999999999999999999", 5, 2) == 0
    assert unscaled_text("0." + "0" * 1000 + "12e1001", 5, 2) == 120
    assert unscaled_text("1e0000000000000000000000001", 5, 2) == 1000
