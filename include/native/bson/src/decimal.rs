//! Exact arithmetic of money: a coefficient and a power of ten to the integer that a decimal column stores.

use crate::read::{Fit, Unfit};
use arrow_buffer::i256;
use std::fmt::Write;

/// Digits of a coefficient that decimal128 can hold; more mean zero (IEEE 754-2008, binary integer encoding).
const LIMIT: u128 = 10u128.pow(34);
/// Digits of the widest column.
const MOST_DIGITS: i32 = 76;
const NARROW_DIGITS: i32 = 38;

/// A decimal128.
#[derive(Clone, Copy, Debug)]
pub enum Decimal {
    /// Not a number.
    Nan,
    /// An infinity, negative or not.
    Infinity(bool),
    /// ±coefficient · 10^exponent.
    Finite {
        /// Its sign.
        negative: bool,
        /// Its digits.
        coefficient: u128,
        /// Its power of ten.
        exponent: i32,
    },
}

impl Decimal {
    /// From the sixteen bytes in a document.
    pub fn from_bytes(raw: [u8; 16]) -> Decimal {
        let bits = u128::from_le_bytes(raw);
        let negative = bits >> 127 != 0;
        let high = (bits >> 64) as u64;
        let exponent = |shift: u32| ((high >> shift) & 0x3fff) as i32 - 6176;
        match (high >> 58) & 0x1f {
            0x1f => Decimal::Nan,
            0x1e => Decimal::Infinity(negative),
            0x18..=0x1d => Decimal::Finite {
                negative,
                coefficient: 0,
                exponent: exponent(47),
            },
            _ => {
                let digits = bits & ((1 << 113) - 1);
                let coefficient = if digits < LIMIT { digits } else { 0 };
                Decimal::Finite {
                    negative,
                    coefficient,
                    exponent: exponent(49),
                }
            }
        }
    }

    /// A whole number.
    pub fn from_integer(number: i64) -> Decimal {
        Decimal::Finite {
            negative: number < 0,
            coefficient: u128::from(number.unsigned_abs()),
            exponent: 0,
        }
    }

    /// The integer v with v / 10^scale equal to it, of at most `precision` digits; 38 or fewer.
    pub fn narrow(self, precision: u8, scale: u8) -> Fit<i128> {
        let Some((negative, coefficient, shift)) = self.parts(scale)? else {
            return Ok(0);
        };
        let value = if shift < 0 {
            divided(coefficient, -shift)?
        } else {
            let factor = (shift <= NARROW_DIGITS)
                .then(|| 10u128.checked_pow(shift.unsigned_abs()))
                .flatten();
            coefficient.checked_mul(factor.ok_or(Unfit)?).ok_or(Unfit)?
        };
        if value >= 10u128.pow(u32::from(precision)) {
            return Err(Unfit);
        }
        let value = i128::try_from(value).map_err(|_| Unfit)?;
        Ok(if negative { -value } else { value })
    }

    /// The same for up to 76 digits.
    pub fn wide(self, precision: u8, scale: u8) -> Fit<i256> {
        let Some((negative, coefficient, shift)) = self.parts(scale)? else {
            return Ok(i256::ZERO);
        };
        let value = if shift < 0 {
            i256::from_i128(i128::try_from(divided(coefficient, -shift)?).map_err(|_| Unfit)?)
        } else if shift <= MOST_DIGITS {
            let digits = i256::from_i128(i128::try_from(coefficient).map_err(|_| Unfit)?);
            digits
                .checked_mul(power(shift.unsigned_abs())?)
                .ok_or(Unfit)?
        } else {
            return Err(Unfit);
        };
        if value >= power(u32::from(precision))? {
            return Err(Unfit);
        }
        Ok(if negative { -value } else { value })
    }

    /// (negative, coefficient, by how many digits to shift it); None for zero, which has no sign.
    fn parts(self, scale: u8) -> Fit<Option<(bool, u128, i32)>> {
        match self {
            Decimal::Finite { coefficient: 0, .. } => Ok(None),
            Decimal::Finite {
                negative,
                coefficient,
                exponent,
            } => Ok(Some((negative, coefficient, exponent + i32::from(scale)))),
            _ => Err(Unfit),
        }
    }

    /// The text that Python's `str(Decimal128)` gives: plain between 1E-6 and its digits, scientific elsewhere.
    pub fn write(self, out: &mut String) {
        let (negative, coefficient, exponent) = match self {
            Decimal::Nan => return out.push_str("NaN"),
            Decimal::Infinity(negative) => {
                return out.push_str(if negative { "-Infinity" } else { "Infinity" });
            }
            Decimal::Finite {
                negative,
                coefficient,
                exponent,
            } => (negative, coefficient, exponent),
        };
        if negative {
            out.push('-');
        }
        let digits = coefficient.to_string();
        let adjusted = exponent + digits.len() as i32 - 1;
        if exponent <= 0 && adjusted >= -6 {
            write_plain(out, &digits, exponent.unsigned_abs() as usize);
        } else {
            let (first, more) = digits.split_at(1);
            out.push_str(first);
            if !more.is_empty() {
                out.push('.');
                out.push_str(more);
            }
            let _ = write!(out, "E{adjusted:+}");
        }
    }
}

fn write_plain(out: &mut String, digits: &str, fraction: usize) {
    if fraction == 0 {
        out.push_str(digits);
    } else if digits.len() > fraction {
        let (whole, part) = digits.split_at(digits.len() - fraction);
        out.push_str(whole);
        out.push('.');
        out.push_str(part);
    } else {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', fraction - digits.len()));
        out.push_str(digits);
    }
}

fn divided(coefficient: u128, digits: i32) -> Fit<u128> {
    let divisor = (digits <= NARROW_DIGITS)
        .then(|| 10u128.checked_pow(digits.unsigned_abs()))
        .flatten();
    let divisor = divisor.ok_or(Unfit)?;
    if coefficient.is_multiple_of(divisor) {
        Ok(coefficient / divisor)
    } else {
        Err(Unfit)
    }
}

fn power(digits: u32) -> Fit<i256> {
    i256::from_i128(10).checked_pow(digits).ok_or(Unfit)
}
