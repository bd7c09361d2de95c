//! The BSON format, read strictly: every length, terminator and UTF-8 sequence is checked, nothing is guessed.

/// What is read is not a legal value, or not one that conforms; the walker finds out why.
#[derive(Debug, PartialEq, Eq)]
pub struct Unfit;

/// A value, or `Unfit`.
pub type Fit<T> = Result<T, Unfit>;

/// Type bytes.
pub mod kind {
    #![allow(missing_docs)]
    pub const DOUBLE: u8 = 0x01;
    pub const STRING: u8 = 0x02;
    pub const DOCUMENT: u8 = 0x03;
    pub const ARRAY: u8 = 0x04;
    pub const BINARY: u8 = 0x05;
    pub const UNDEFINED: u8 = 0x06;
    pub const OBJECT_ID: u8 = 0x07;
    pub const BOOL: u8 = 0x08;
    pub const DATE: u8 = 0x09;
    pub const NULL: u8 = 0x0a;
    pub const REGEX: u8 = 0x0b;
    pub const DB_POINTER: u8 = 0x0c;
    pub const CODE: u8 = 0x0d;
    pub const SYMBOL: u8 = 0x0e;
    pub const CODE_WITH_SCOPE: u8 = 0x0f;
    pub const INT32: u8 = 0x10;
    pub const TIMESTAMP: u8 = 0x11;
    pub const INT64: u8 = 0x12;
    pub const DECIMAL128: u8 = 0x13;
    pub const MAX_KEY: u8 = 0x7f;
    pub const MIN_KEY: u8 = 0xff;
}

/// The name of a type as the specification has it; empty for a byte that is none.
pub fn type_name(byte: u8) -> &'static str {
    const NAMES: [&str; 20] = [
        "",
        "double",
        "string",
        "document",
        "array",
        "binary",
        "undefined",
        "objectId",
        "bool",
        "date",
        "null",
        "regex",
        "dbPointer",
        "javascript",
        "symbol",
        "javascriptWithScope",
        "int32",
        "timestamp",
        "int64",
        "decimal128",
    ];
    match byte {
        kind::MAX_KEY => "maxKey",
        kind::MIN_KEY => "minKey",
        _ => NAMES.get(usize::from(byte)).copied().unwrap_or(""),
    }
}

const SMALLEST_DOCUMENT: i32 = 5;
const OLD_BINARY: u8 = 2;

/// The next `size` bytes.
#[inline(always)]
pub fn take<'b>(rest: &mut &'b [u8], size: usize) -> Fit<&'b [u8]> {
    let (head, tail) = rest.split_at_checked(size).ok_or(Unfit)?;
    *rest = tail;
    Ok(head)
}

/// The next `N` bytes.
#[inline(always)]
pub fn array<const N: usize>(rest: &mut &[u8]) -> Fit<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(Unfit)?;
    *rest = tail;
    Ok(*head)
}

/// Four bytes, signed.
#[inline(always)]
pub fn int32(rest: &mut &[u8]) -> Fit<i32> {
    Ok(i32::from_le_bytes(array(rest)?))
}

/// Eight bytes, signed.
#[inline(always)]
pub fn int64(rest: &mut &[u8]) -> Fit<i64> {
    Ok(i64::from_le_bytes(array(rest)?))
}

/// Eight bytes, IEEE 754.
#[inline(always)]
pub fn double(rest: &mut &[u8]) -> Fit<f64> {
    Ok(f64::from_le_bytes(array(rest)?))
}

/// One byte, 0 or 1.
#[inline(always)]
pub fn boolean(rest: &mut &[u8]) -> Fit<bool> {
    match array::<1>(rest)? {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(Unfit),
    }
}

/// A length in bytes that is at least so much.
#[inline(always)]
fn length(value: i32, least: i32) -> Fit<usize> {
    if value < least {
        return Err(Unfit);
    }
    usize::try_from(value).map_err(|_| Unfit)
}

/// The elements of a document or array, without its length and terminator.
#[inline(always)]
pub fn frame<'b>(rest: &mut &'b [u8]) -> Fit<&'b [u8]> {
    let head = rest.first_chunk::<4>().ok_or(Unfit)?;
    match take(rest, length(i32::from_le_bytes(*head), SMALLEST_DOCUMENT)?)? {
        [_, _, _, _, elements @ .., 0] => Ok(elements),
        _ => Err(Unfit),
    }
}

/// The UTF-8 bytes of a string.
#[inline(always)]
pub fn utf8<'b>(rest: &mut &'b [u8]) -> Fit<&'b [u8]> {
    let size = length(int32(rest)?, 1)?;
    match take(rest, size)? {
        [text @ .., 0] if text.is_ascii() || std::str::from_utf8(text).is_ok() => Ok(text),
        _ => Err(Unfit),
    }
}

/// A string.
pub fn string<'b>(rest: &mut &'b [u8]) -> Fit<&'b str> {
    let size = length(int32(rest)?, 1)?;
    match take(rest, size)? {
        [text @ .., 0] => std::str::from_utf8(text).map_err(|_| Unfit),
        _ => Err(Unfit),
    }
}

/// Bytes up to a zero byte, which is taken as well.
#[inline(always)]
pub fn key<'b>(rest: &mut &'b [u8]) -> Fit<&'b [u8]> {
    let end = memchr::memchr(0, rest).ok_or(Unfit)?;
    let (head, tail) = rest.split_at_checked(end).ok_or(Unfit)?;
    *rest = tail.get(1..).ok_or(Unfit)?;
    Ok(head)
}

/// The same as text.
pub fn name<'b>(rest: &mut &'b [u8]) -> Fit<&'b str> {
    std::str::from_utf8(key(rest)?).map_err(|_| Unfit)
}

/// Subtype and content; the old subtype 2 has a second length inside, which must agree.
pub fn binary<'b>(rest: &mut &'b [u8]) -> Fit<(u8, &'b [u8])> {
    let size = length(int32(rest)?, 0)?;
    let [subtype] = array::<1>(rest)?;
    let mut content = take(rest, size)?;
    if subtype == OLD_BINARY && length(int32(&mut content)?, 0)? != content.len() {
        return Err(Unfit);
    }
    Ok((subtype, content))
}

/// The document that begins here and what follows it; `None` where it is not whole, `Unfit` where it is none.
#[inline(always)]
pub fn document(data: &[u8], longest: usize) -> Fit<Option<(&[u8], &[u8])>> {
    let Some(head) = data.first_chunk::<4>() else {
        return Ok(None);
    };
    let size = length(i32::from_le_bytes(*head), SMALLEST_DOCUMENT)?;
    if size > longest {
        return Err(Unfit);
    }
    Ok(data.split_at_checked(size))
}

/// Where documents begin and the last whole one ends; whether what follows it cannot be a document.
pub fn cut(data: &[u8], longest: usize) -> (Vec<usize>, bool) {
    let mut bounds = vec![0];
    let mut rest = data;
    loop {
        match document(rest, longest) {
            Ok(Some((_, after))) => {
                rest = after;
                bounds.push(data.len() - rest.len());
            }
            found => return (bounds, found.is_err()),
        }
    }
}
