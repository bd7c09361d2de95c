//! Documents to rows: one pass over each, into all its columns at once.

use crate::column::{Column, Group, Pieces, Stop, Values, renewed};
use crate::decimal::Decimal;
use crate::drift::Drift;
use crate::read::{self, Unfit, kind, type_name};
use crate::spec;
use crate::text;
use arrow_array::builder::NullBufferBuilder;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, SchemaRef};
use std::mem::take;
use std::sync::Arc;

const FIRST_MILLISECOND: i64 = -62_135_596_800_000;
const LAST_MILLISECOND: i64 = 253_402_300_799_999;
const DAY_MILLISECONDS: i64 = 86_400_000;
const EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;
/// The name of a field that is not where it was last time is looked for in so many next ones, then in a table.
const GUESSES: usize = 4;

/// What a document and a batch may ask for; as in `tideline.refine.fields` and `bson_columns`.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Bytes of a document.
    pub document_bytes: usize,
    /// Array items times their columns of one row.
    pub row_cells: u64,
    /// The same of one batch.
    pub batch_cells: u64,
    /// Bytes of JSON text of one row.
    pub row_text: usize,
    /// The same of one batch.
    pub batch_text: usize,
}

/// What decoding came to.
pub struct Decoded {
    /// The rows that conform.
    pub batch: RecordBatch,
    /// Which documents do not, counted from 0.
    pub left: Vec<usize>,
    /// How many documents there were.
    pub documents: usize,
    /// Undeclared path → (records, type in the first).
    pub drift: Vec<(String, u64, String)>,
}

/// Where in a record something is, for the paths of undeclared fields.
#[derive(Clone, Copy)]
struct Path<'p> {
    above: Option<&'p Path<'p>>,
    name: &'p str,
    item: Option<usize>,
}

impl Path<'_> {
    /// The path of what is inside, with its dot.
    fn write_prefix(&self, out: &mut String) {
        if let Some(above) = self.above {
            above.write_prefix(out);
        }
        out.push_str(self.name);
        if let Some(item) = self.item {
            out.push('[');
            out.push_str(&item.to_string());
            out.push(']');
        }
        out.push('.');
    }
}

/// What is counted and kept of one row beside its columns.
struct Extras {
    evolve: bool,
    limits: Limits,
    texts: Pieces<String>,
    validity: NullBufferBuilder,
    /// Paths of this row, end to end, with where each ends and its type.
    paths: String,
    ends: Vec<(usize, &'static str)>,
    row_cells: u64,
    row_text: usize,
    batch_cells: u64,
    batch_text: usize,
}

impl Extras {
    fn begin_row(&mut self) {
        self.paths.clear();
        self.ends.clear();
        self.row_cells = 0;
        self.row_text = 0;
    }

    fn fields(&self) -> impl Iterator<Item = (&str, &'static str)> + Clone {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|&(end, _)| end));
        starts
            .zip(&self.ends)
            .map(|(start, &(end, kind))| (&self.paths[start..end], kind))
    }

    fn end_row(&mut self) -> Result<(), Stop> {
        if !self.ends.is_empty() {
            self.texts.bytes.push('}');
            let mut paths: Vec<&str> = self.fields().map(|(path, _)| path).collect();
            paths.sort_unstable();
            if paths.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(Stop::Unfit);
            }
        }
        self.texts.end()?;
        self.validity.append(!self.ends.is_empty());
        Ok(())
    }

    fn count_cells(&mut self, cells: u64) -> Result<(), Unfit> {
        self.row_cells += cells;
        self.batch_cells += cells;
        if self.row_cells > self.limits.row_cells {
            Err(Unfit)
        } else {
            Ok(())
        }
    }

    fn count_text(&mut self, bytes: usize) -> Result<(), Unfit> {
        self.row_text += bytes;
        self.batch_text += bytes;
        if self.row_text > self.limits.row_text {
            Err(Unfit)
        } else {
            Ok(())
        }
    }

    /// Append the JSON text of a value to a column, no longer than this row may still grow.
    fn json(
        &mut self,
        out: &mut String,
        byte: u8,
        rest: &mut &[u8],
        depth: u32,
    ) -> Result<(), Unfit> {
        let before = out.len();
        text::value(
            out,
            byte,
            rest,
            depth,
            before + self.limits.row_text - self.row_text,
        )?;
        self.count_text(out.len() - before)
    }

    /// Keep an undeclared field.
    #[cold]
    fn keep(
        &mut self,
        name: &[u8],
        byte: u8,
        rest: &mut &[u8],
        above: Option<&Path<'_>>,
        depth: u32,
    ) -> Result<(), Unfit> {
        if !self.evolve {
            return Err(Unfit);
        }
        let name = std::str::from_utf8(name).map_err(|_| Unfit)?;
        let begin = self.paths.len();
        if let Some(above) = above {
            above.write_prefix(&mut self.paths);
        }
        self.paths.push_str(name);
        let mut out = take(&mut self.texts.bytes);
        out.push(if self.ends.is_empty() { '{' } else { ',' });
        text::quote(&mut out, &self.paths[begin..]);
        out.push(':');
        let written = self.json(&mut out, byte, rest, depth + 1);
        self.texts.bytes = out;
        self.ends.push((self.paths.len(), type_name(byte)));
        written
    }
}

/// Decodes documents of one declaration; not for several threads at a time.
pub struct Decoder {
    root: Group,
    schema: SchemaRef,
    extras: Extras,
    positions: Vec<i64>,
    left: Vec<usize>,
    drift: Drift,
}

impl Decoder {
    /// A decoder of documents with these columns; others are kept (`evolve`) or a reason to leave the document.
    pub fn new(columns: &[spec::Column], evolve: bool, limits: Limits) -> Decoder {
        Decoder {
            root: Group::new(columns),
            schema: spec::schema(columns),
            extras: Extras {
                evolve,
                limits,
                texts: Pieces::default(),
                validity: NullBufferBuilder::new(1024),
                paths: String::new(),
                ends: vec![],
                row_cells: 0,
                row_text: 0,
                batch_cells: 0,
                batch_text: 0,
            },
            positions: vec![],
            left: vec![],
            drift: Drift::default(),
        }
    }

    /// Decode whole documents that lie one after another. None: they ask for more than a batch may take.
    ///
    /// What follows the last whole document is ignored; `read::cut` tells where that is.
    pub fn decode(&mut self, data: &[u8], base_offset: i64) -> Result<Option<Decoded>, ArrowError> {
        self.clear();
        let longest = self.extras.limits.document_bytes;
        let (mut rest, mut documents) = (data, 0);
        while let Ok(Some((document, after))) = read::document(rest, longest) {
            let is_alone = documents == 0 && !matches!(read::document(after, longest), Ok(Some(_)));
            let offset = base_offset + (data.len() - rest.len()) as i64;
            match self.row(document, offset) {
                Ok(()) => {}
                Err(Stop::Unfit) => self.leave(documents),
                Err(Stop::Full) if is_alone => self.leave(documents),
                Err(Stop::Full) => return Ok(None),
            }
            let (cells, text) = (self.extras.batch_cells, self.extras.batch_text);
            let is_over =
                cells > self.extras.limits.batch_cells || text > self.extras.limits.batch_text;
            if is_over && !is_alone {
                return Ok(None);
            }
            rest = after;
            documents += 1;
        }
        let batch = self.finish()?;
        let (left, drift) = (take(&mut self.left), self.drift.take());
        Ok(Some(Decoded {
            batch,
            left,
            documents,
            drift,
        }))
    }

    /// Begin anew, whatever state an earlier call left.
    fn clear(&mut self) {
        self.root.cut(0);
        let (_, _) = self.extras.texts.renew();
        self.extras.validity = NullBufferBuilder::new(1024);
        self.extras.batch_cells = 0;
        self.extras.batch_text = 0;
        self.positions.clear();
        self.left.clear();
        self.drift.take();
    }

    fn row(&mut self, document: &[u8], offset: i64) -> Result<(), Stop> {
        self.extras.begin_row();
        let mut rest = document;
        let elements = read::frame(&mut rest)?;
        group(&mut self.root, elements, &mut self.extras, None, 0)?;
        self.extras.end_row()?;
        self.positions.push(offset);
        if !self.extras.ends.is_empty() {
            self.drift.add(self.extras.fields());
        }
        Ok(())
    }

    /// Take back what the document left in the columns.
    #[cold]
    fn leave(&mut self, index: usize) {
        self.root.cut(self.positions.len());
        self.extras.validity.truncate(self.positions.len());
        self.extras.texts.cut(self.positions.len());
        self.left.push(index);
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut arrays = self.root.arrays()?;
        let (offsets, bytes) = self.extras.texts.renew();
        arrays.push(Arc::new(StringArray::try_new(
            offsets,
            bytes,
            self.extras.validity.finish(),
        )?) as ArrayRef);
        arrays.push(Arc::new(Int64Array::from(renewed(&mut self.positions))));
        RecordBatch::try_new(self.schema.clone(), arrays)
    }
}

/// The elements of a row, or of a record inside it, into its columns.
fn group(
    group: &mut Group,
    mut rest: &[u8],
    extras: &mut Extras,
    above: Option<&Path<'_>>,
    depth: u32,
) -> Result<(), Stop> {
    let (row, count) = (group.rows, group.columns.len());
    let (mut next, mut met) = (0, 0);
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let found = match guess(&group.columns, next, &mut rest) {
            Some(index) => Ok(index),
            None => {
                let name = read::key(&mut rest)?;
                group.by_source.get(name).copied().ok_or(name)
            }
        };
        match found {
            Ok(index) => {
                let column = &mut group.columns[index];
                if column.rows() != row {
                    return Err(Stop::Unfit); // this key twice
                }
                value(column, byte, &mut rest, extras, above, None, depth)?;
                next = index + 1;
                met += 1;
            }
            Err(name) => extras.keep(name, byte, &mut rest, above, depth)?,
        }
    }
    if met < count {
        for column in &mut group.columns {
            if column.rows() == row {
                if column.required {
                    return Err(Stop::Unfit);
                }
                column.push_absent()?;
            }
        }
    }
    group.rows = row + 1;
    Ok(())
}

/// Which column's name stands here, if it is one of the next few in the order of the declaration.
#[inline(always)]
fn guess(columns: &[Column], next: usize, rest: &mut &[u8]) -> Option<usize> {
    let mut index = next;
    for _ in 0..columns.len().min(GUESSES) {
        if index >= columns.len() {
            index = 0;
        }
        if let Some(after) = columns[index].after_key(rest) {
            *rest = after;
            return Some(index);
        }
        index += 1;
    }
    None
}

/// One value into its column.
fn value(
    column: &mut Column,
    byte: u8,
    rest: &mut &[u8],
    extras: &mut Extras,
    above: Option<&Path<'_>>,
    item: Option<usize>,
    depth: u32,
) -> Result<(), Stop> {
    if byte == kind::NULL || byte == kind::UNDEFINED {
        if item.is_some() || column.required {
            return Err(Stop::Unfit);
        }
        return column.push_absent();
    }
    match (&mut column.values, byte) {
        (Values::Text(pieces), kind::STRING) => {
            pieces.bytes.extend_from_slice(read::utf8(rest)?);
            pieces.end()?;
        }
        (Values::Text(pieces), kind::OBJECT_ID) => {
            pieces
                .bytes
                .extend_from_slice(&text::hexadecimal(&read::array(rest)?));
            pieces.end()?;
        }
        (Values::Integer { values, .. }, kind::INT32) => values.push(read::int32(rest)?.into()),
        (Values::Integer { values, .. }, kind::INT64) => values.push(read::int64(rest)?),
        (
            Values::Integer {
                values,
                whole_doubles: true,
            },
            kind::DOUBLE,
        ) => values.push(whole(read::double(rest)?)?),
        (Values::Float(values), kind::DOUBLE) => values.push(read::double(rest)?),
        (Values::Float(values), kind::INT32) => values.push(read::int32(rest)?.into()),
        (Values::Float(values), kind::INT64) => values.push(exact(read::int64(rest)?)?),
        (Values::Bool(values), kind::BOOL) => values.append(read::boolean(rest)?),
        (Values::Instant(values), kind::DATE) => values.push(milliseconds(rest)? * 1000),
        (Values::Day(values), kind::DATE) => values.push(day(milliseconds(rest)?)?),
        (
            Values::Narrow { .. } | Values::Wide { .. },
            kind::DECIMAL128 | kind::INT32 | kind::INT64,
        ) => {
            column.push_decimal(number(byte, rest)?)?;
        }
        (Values::Bytes(pieces), kind::BINARY) => {
            let (0 | 2, content) = read::binary(rest)? else {
                return Err(Stop::Unfit);
            };
            pieces.bytes.extend_from_slice(content);
            pieces.end()?;
        }
        (Values::Json(pieces), _) => {
            extras.json(&mut pieces.bytes, byte, rest, depth + 1)?;
            pieces.end()?;
        }
        (Values::Record(inside), kind::DOCUMENT) => {
            let path = Path {
                above,
                name: &column.source,
                item,
            };
            group(inside, read::frame(rest)?, extras, Some(&path), depth + 1)?;
        }
        (Values::List { offsets, items }, kind::ARRAY) => {
            list(items, read::frame(rest)?, extras, above, depth + 1)?;
            offsets.push(i32::try_from(items.rows()).map_err(|_| Stop::Full)?);
        }
        _ => return Err(Stop::Unfit),
    }
    column.validity.append_non_null();
    Ok(())
}

/// The items of an array; their keys mean nothing.
fn list(
    items: &mut Column,
    mut rest: &[u8],
    extras: &mut Extras,
    above: Option<&Path<'_>>,
    depth: u32,
) -> Result<(), Stop> {
    let mut item = 0;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match rest {
            [1..=255, 0, after @ ..] => rest = after,
            _ => {
                read::key(&mut rest)?;
            }
        }
        extras.count_cells(items.cells)?;
        value(items, byte, &mut rest, extras, above, Some(item), depth)?;
        item += 1;
    }
    Ok(())
}

fn whole(number: f64) -> Result<i64, Unfit> {
    let fits = number.abs() <= EXACT_INTEGER && number.trunc() == number;
    if fits { Ok(number as i64) } else { Err(Unfit) }
}

fn exact(number: i64) -> Result<f64, Unfit> {
    let double = number as f64;
    if double as i128 == i128::from(number) {
        Ok(double)
    } else {
        Err(Unfit)
    }
}

fn milliseconds(rest: &mut &[u8]) -> Result<i64, Unfit> {
    let found = read::int64(rest)?;
    if (FIRST_MILLISECOND..=LAST_MILLISECOND).contains(&found) {
        Ok(found)
    } else {
        Err(Unfit)
    }
}

fn day(milliseconds: i64) -> Result<i32, Unfit> {
    if milliseconds % DAY_MILLISECONDS != 0 {
        return Err(Unfit);
    }
    i32::try_from(milliseconds / DAY_MILLISECONDS).map_err(|_| Unfit)
}

fn number(byte: u8, rest: &mut &[u8]) -> Result<Decimal, Unfit> {
    Ok(match byte {
        kind::DECIMAL128 => Decimal::from_bytes(read::array(rest)?),
        kind::INT32 => Decimal::from_integer(read::int32(rest)?.into()),
        _ => Decimal::from_integer(read::int64(rest)?),
    })
}
