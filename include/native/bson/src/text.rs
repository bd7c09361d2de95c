//! Any BSON value as the text of relaxed Extended JSON, compact and not escaped to ASCII.
//!
//! Byte for byte what `tideline.refine.extended_json` writes; see there for the specification.

use crate::decimal::Decimal;
use crate::read::{self, Fit, Unfit, kind};
use std::fmt::Write;

/// Documents and arrays nested deeper inside a record than this are refused.
pub const MAX_DEPTH: u32 = 128;
const LAST_MILLISECOND: i64 = 253_402_300_799_999;
const DAY_MILLISECONDS: i64 = 86_400_000;
const SMALLEST_CODE_WITH_SCOPE: i32 = 14;

/// Append the value of that type.
///
/// `depth` is how deep a document would be nested if it stood here. The text must not grow far beyond `most`
/// bytes: two bytes of BSON can ask for 19 of text.
pub fn value(out: &mut String, byte: u8, rest: &mut &[u8], depth: u32, most: usize) -> Fit<()> {
    match byte {
        kind::DOUBLE => double(out, read::double(rest)?),
        kind::STRING => quote(out, read::string(rest)?),
        kind::DOCUMENT => document(out, rest, depth, most)?,
        kind::ARRAY => array(out, rest, depth, most)?,
        kind::BINARY => binary(out, rest)?,
        kind::UNDEFINED => out.push_str("{\"$undefined\":true}"),
        kind::OBJECT_ID => object_id(out, rest)?,
        kind::BOOL => out.push_str(if read::boolean(rest)? {
            "true"
        } else {
            "false"
        }),
        kind::DATE => date(out, read::int64(rest)?),
        kind::NULL => out.push_str("null"),
        kind::REGEX => regex(out, rest)?,
        kind::DB_POINTER => db_pointer(out, rest)?,
        kind::CODE => wrapped(out, "$code", rest)?,
        kind::SYMBOL => wrapped(out, "$symbol", rest)?,
        kind::CODE_WITH_SCOPE => code_with_scope(out, rest, depth, most)?,
        kind::INT32 => push(out, format_args!("{}", read::int32(rest)?)),
        kind::TIMESTAMP => timestamp(out, rest)?,
        kind::INT64 => push(out, format_args!("{}", read::int64(rest)?)),
        kind::DECIMAL128 => decimal(out, Decimal::from_bytes(read::array(rest)?)),
        kind::MAX_KEY => out.push_str("{\"$maxKey\":1}"),
        kind::MIN_KEY => out.push_str("{\"$minKey\":1}"),
        _ => return Err(Unfit),
    }
    Ok(())
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text); // a String takes everything
}

fn document(out: &mut String, rest: &mut &[u8], depth: u32, most: usize) -> Fit<()> {
    if depth > MAX_DEPTH {
        return Err(Unfit);
    }
    let mut elements = read::frame(rest)?;
    out.push('{');
    let mut separator = "";
    while let Some((&byte, tail)) = elements.split_first() {
        elements = tail;
        out.push_str(separator);
        separator = ",";
        quote(out, read::name(&mut elements)?);
        out.push(':');
        value(out, byte, &mut elements, depth + 1, most)?;
        if out.len() > most {
            return Err(Unfit);
        }
    }
    out.push('}');
    Ok(())
}

fn array(out: &mut String, rest: &mut &[u8], depth: u32, most: usize) -> Fit<()> {
    if depth > MAX_DEPTH {
        return Err(Unfit);
    }
    let mut elements = read::frame(rest)?;
    out.push('[');
    let mut separator = "";
    while let Some((&byte, tail)) = elements.split_first() {
        elements = tail;
        out.push_str(separator);
        separator = ",";
        read::key(&mut elements)?;
        value(out, byte, &mut elements, depth + 1, most)?;
        if out.len() > most {
            return Err(Unfit);
        }
    }
    out.push(']');
    Ok(())
}

/// A JSON string as Python's `json` writes it without escaping to ASCII.
pub fn quote(out: &mut String, text: &str) {
    out.push('"');
    let mut written = 0;
    for (place, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[written..place]);
        written = place + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            _ => push(out, format_args!("\\u{byte:04x}")),
        }
    }
    out.push_str(&text[written..]);
    out.push('"');
}

fn double(out: &mut String, number: f64) {
    if number.is_finite() {
        float(out, number);
    } else {
        let name = if number.is_nan() {
            "NaN"
        } else if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        };
        push(out, format_args!("{{\"$numberDouble\":\"{name}\"}}"));
    }
}

/// Python's `repr(float)`: the shortest digits, ties to even (ryu's; the standard library's differ on ties).
fn float(out: &mut String, number: f64) {
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(number);
    let (sign, text) = text
        .strip_prefix('-')
        .map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let point = whole.len() as i32 + exponent;
    let joined = format!("{whole}{fraction}");
    let leading = joined.len() - joined.trim_start_matches('0').len();
    let digits = joined.trim_start_matches('0').trim_end_matches('0');
    out.push_str(sign);
    lay_out(out, digits, point - leading as i32);
}

/// Digits with the point after so many of them, as Python lays them out.
fn lay_out(out: &mut String, digits: &str, point: i32) {
    if digits.is_empty() {
        return out.push_str("0.0");
    }
    let size = digits.len() as i32;
    if !(-3..=16).contains(&point) {
        let (first, more) = digits.split_at(1);
        out.push_str(first);
        if !more.is_empty() {
            out.push('.');
            out.push_str(more);
        }
        let power = point - 1;
        let sign = if power < 0 { '-' } else { '+' };
        push(out, format_args!("e{sign}{:02}", power.abs()));
    } else if point <= 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', point.unsigned_abs() as usize));
        out.push_str(digits);
    } else if point >= size {
        out.push_str(digits);
        out.extend(std::iter::repeat_n('0', (point - size) as usize));
        out.push_str(".0");
    } else {
        let (whole, fraction) = digits.split_at(point as usize);
        out.push_str(whole);
        out.push('.');
        out.push_str(fraction);
    }
}

fn binary(out: &mut String, rest: &mut &[u8]) -> Fit<()> {
    let (subtype, content) = read::binary(rest)?;
    out.push_str("{\"$binary\":{\"base64\":\"");
    base64(out, content);
    push(out, format_args!("\",\"subType\":\"{subtype:02x}\"}}}}"));
    Ok(())
}

fn base64(out: &mut String, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
}

fn object_id(out: &mut String, rest: &mut &[u8]) -> Fit<()> {
    out.push_str("{\"$oid\":\"");
    out.push_str(std::str::from_utf8(&hexadecimal(&read::array(rest)?)).unwrap_or_default());
    out.push_str("\"}");
    Ok(())
}

/// The digits of an objectId.
pub fn hexadecimal(bytes: &[u8; 12]) -> [u8; 24] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 24];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

fn date(out: &mut String, milliseconds: i64) {
    if !(0..=LAST_MILLISECOND).contains(&milliseconds) {
        return push(
            out,
            format_args!("{{\"$date\":{{\"$numberLong\":\"{milliseconds}\"}}}}"),
        );
    }
    let (year, month, day) = civil(milliseconds / DAY_MILLISECONDS);
    let time = milliseconds % DAY_MILLISECONDS;
    let (hour, minute, second) = (time / 3_600_000, time / 60_000 % 60, time / 1000 % 60);
    push(
        out,
        format_args!(
            "{{\"$date\":\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        ),
    );
    if time % 1000 != 0 {
        push(out, format_args!(".{:03}", time % 1000));
    }
    out.push_str("Z\"}");
}

/// Year, month and day of a day counted from 1970-01-01: <https://howardhinnant.github.io/date_algorithms.html>.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn regex(out: &mut String, rest: &mut &[u8]) -> Fit<()> {
    out.push_str("{\"$regularExpression\":{\"pattern\":");
    quote(out, read::name(rest)?);
    out.push_str(",\"options\":");
    quote(out, read::name(rest)?);
    out.push_str("}}");
    Ok(())
}

fn db_pointer(out: &mut String, rest: &mut &[u8]) -> Fit<()> {
    out.push_str("{\"$dbPointer\":{\"$ref\":");
    quote(out, read::string(rest)?);
    out.push_str(",\"$id\":");
    object_id(out, rest)?;
    out.push_str("}}");
    Ok(())
}

fn wrapped(out: &mut String, name: &str, rest: &mut &[u8]) -> Fit<()> {
    push(out, format_args!("{{\"{name}\":"));
    quote(out, read::string(rest)?);
    out.push('}');
    Ok(())
}

fn code_with_scope(out: &mut String, rest: &mut &[u8], depth: u32, most: usize) -> Fit<()> {
    let size = rest
        .first_chunk::<4>()
        .map(|head| i32::from_le_bytes(*head))
        .ok_or(Unfit)?;
    if size < SMALLEST_CODE_WITH_SCOPE {
        return Err(Unfit);
    }
    let whole = read::take(rest, usize::try_from(size).map_err(|_| Unfit)?)?;
    let mut inside = whole.get(4..).ok_or(Unfit)?;
    out.push_str("{\"$code\":");
    quote(out, read::string(&mut inside)?);
    out.push_str(",\"$scope\":");
    document(out, &mut inside, depth, most)?;
    out.push('}');
    if inside.is_empty() {
        Ok(())
    } else {
        Err(Unfit)
    }
}

fn timestamp(out: &mut String, rest: &mut &[u8]) -> Fit<()> {
    let increment = u32::from_le_bytes(read::array(rest)?);
    let seconds = u32::from_le_bytes(read::array(rest)?);
    push(
        out,
        format_args!("{{\"$timestamp\":{{\"t\":{seconds},\"i\":{increment}}}}}"),
    );
    Ok(())
}

fn decimal(out: &mut String, number: Decimal) {
    out.push_str("{\"$numberDecimal\":\"");
    number.write(out);
    out.push_str("\"}");
}
