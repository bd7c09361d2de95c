"""Exact arithmetic of money: a coefficient and a power of ten → the integer that a decimal column stores.

Knows precision and scale. Does not round, and never passes through a float.
"""

from __future__ import annotations

import re

from tideline.refine.fields import ConformError

_NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?", re.ASCII)
_MOST_DIGITS = 76
"""Digits of the widest column, bignumeric(76, 38)."""
_FAR = 10**6
"""An exponent beyond any column, standing for all larger ones: its own digits may be arbitrarily many."""


def unscaled(negative: bool, coefficient: int, exponent: int, precision: int, scale: int) -> int:
    """The integer v with v / 10^scale == ±coefficient · 10^exponent. Zero has no sign.

    Raises:
        ConformError: `decimal_scale` (digits beyond the scale) or `decimal_overflow` (too many before it).
    """
    if coefficient == 0:
        return 0
    shift = exponent + scale
    if shift < 0:
        coefficient, rest = divmod(coefficient, 10**-shift) if shift >= -_MOST_DIGITS else (0, 1)
        if rest:
            raise ConformError("decimal_scale", f"more than {scale} digits after the point")
    elif shift <= _MOST_DIGITS:
        coefficient *= 10**shift
    if shift > _MOST_DIGITS or coefficient >= 10**precision:
        raise ConformError("decimal_overflow", f"more than {precision - scale} digits before the point")
    return -coefficient if negative else coefficient


def unscaled_text(text: str, precision: int, scale: int) -> int:
    """The same from a number as people write it: `-12.50`, `1E+3`.

    Raises:
        ConformError: `bad_number`, `decimal_scale` or `decimal_overflow`.
    """
    match = _NUMBER.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        raise ConformError("bad_number", repr(text[:40]))
    sign, whole, fraction, power = match[1], match[2], match[3] or "", match[4] or "0"
    digits = (whole + fraction).lstrip("0")
    kept = digits.rstrip("0")
    exponent = _exponent(power) - len(fraction) + len(digits) - len(kept)
    if len(kept) > _MOST_DIGITS:
        beyond = exponent < -scale
        raise ConformError("decimal_scale" if beyond else "decimal_overflow", f"{len(kept)} digits")
    return unscaled(sign == "-", int(kept or "0"), exponent, precision, scale)


def _exponent(text: str) -> int:
    digits = text.lstrip("+-0")
    size = int(digits or "0") if len(digits) <= len(str(_FAR)) else _FAR
    return -size if text.startswith("-") else size
