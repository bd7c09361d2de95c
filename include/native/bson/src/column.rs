//! Arrow arrays in the making: one per declared column, which can be cut back to the last good row.

use crate::decimal::Decimal;
use crate::read::Unfit;
use crate::spec::{self, Type};
use arrow_array::builder::NullBufferBuilder;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array,
    Float64Array, Int64Array, ListArray, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow_buffer::{
    ArrowNativeType, BooleanBufferBuilder, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer, i256,
};
use arrow_schema::{ArrowError, Fields};
use std::collections::HashMap;
use std::mem::take;
use std::sync::Arc;

const WORD: usize = 8;

/// Why a document goes no further.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// It does not conform, or is damaged: for the walker.
    Unfit,
    /// The batch is too large for Arrow's offsets or for memory: decode fewer documents at a time.
    Full,
}

impl From<Unfit> for Stop {
    fn from(_: Unfit) -> Stop {
        Stop::Unfit
    }
}

/// Offsets and bytes of texts or binaries.
pub struct Pieces<B> {
    offsets: Vec<i32>,
    /// All of them, one after another.
    pub bytes: B,
}

/// What grows at its end and can be cut back.
pub trait Growing: Default {
    /// Its bytes so far.
    fn size(&self) -> usize;
    /// Cut it back.
    fn cut(&mut self, size: usize);
    /// Its bytes, leaving it empty.
    fn renew(&mut self) -> Buffer;
}

impl Growing for Vec<u8> {
    fn size(&self) -> usize {
        self.len()
    }
    fn cut(&mut self, size: usize) {
        self.truncate(size);
    }
    fn renew(&mut self) -> Buffer {
        Buffer::from_vec(renewed(self))
    }
}

impl Growing for String {
    fn size(&self) -> usize {
        self.len()
    }
    fn cut(&mut self, size: usize) {
        self.truncate(size);
    }
    fn renew(&mut self) -> Buffer {
        let full = self.as_bytes().to_vec();
        self.clear();
        self.shrink_to(roomy(full.len()));
        Buffer::from_vec(full)
    }
}

impl<B: Growing> Default for Pieces<B> {
    fn default() -> Self {
        Pieces {
            offsets: vec![0],
            bytes: B::default(),
        }
    }
}

impl<B: Growing> Pieces<B> {
    /// What was appended to `bytes` since the last end is a value.
    #[inline(always)]
    pub fn end(&mut self) -> Result<(), Stop> {
        self.offsets
            .push(i32::try_from(self.bytes.size()).map_err(|_| Stop::Full)?);
        Ok(())
    }

    /// Cut it back to so many values.
    pub fn cut(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.bytes
            .cut(self.offsets.last().map_or(0, |end| end.as_usize()));
    }

    /// Offsets and bytes, leaving none.
    pub fn renew(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        (renew_offsets(&mut self.offsets), self.bytes.renew())
    }
}

fn renew_offsets(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let full = renewed(offsets);
    offsets.push(0);
    OffsetBuffer::new(ScalarBuffer::from(full))
}

fn renew<T: ArrowNativeType>(values: &mut Vec<T>) -> ScalarBuffer<T> {
    ScalarBuffer::from(renewed(values))
}

/// A copy without slack; the values are cleared and keep their place.
///
/// A batch stays in memory while a row group is gathered: what grows in between, and is given away with its
/// slack cut off, leaves holes between batches (20 MB of 70).
pub fn renewed<T: Copy>(values: &mut Vec<T>) -> Vec<T> {
    let full = values.as_slice().to_vec();
    values.clear();
    values.shrink_to(roomy(full.len()));
    full
}

/// Room for the next batch, after one that was larger than usual.
fn roomy(size: usize) -> usize {
    4 * size
}

/// The first eight bytes, with zeros behind fewer.
fn padded(bytes: &[u8]) -> [u8; WORD] {
    let mut word = [0; WORD];
    for (to, from) in word.iter_mut().zip(bytes) {
        *to = *from;
    }
    word
}

/// The values of a column.
#[allow(missing_docs)]
pub enum Values {
    Text(Pieces<Vec<u8>>),
    Json(Pieces<String>),
    Bytes(Pieces<Vec<u8>>),
    Integer {
        values: Vec<i64>,
        whole_doubles: bool,
    },
    Float(Vec<f64>),
    Bool(BooleanBufferBuilder),
    Day(Vec<i32>),
    Instant(Vec<i64>),
    Narrow {
        values: Vec<i128>,
        precision: u8,
        scale: u8,
    },
    Wide {
        values: Vec<i256>,
        precision: u8,
        scale: u8,
    },
    Record(Group),
    List {
        offsets: Vec<i32>,
        items: Box<Column>,
    },
}

/// One column; the items of a list are a column too.
pub struct Column {
    /// The name in documents.
    pub source: String,
    key: Box<[u8]>,
    first: u64,
    mask: u64,
    last: [u8; WORD],
    /// Whether a row without it is refused.
    pub required: bool,
    /// Values that one item takes.
    pub cells: u64,
    /// Which rows have it; appended to last, so that its length says whether this row has been met.
    pub validity: NullBufferBuilder,
    /// The values.
    pub values: Values,
}

impl Column {
    /// An empty column.
    pub fn new(declared: &spec::Column) -> Column {
        let items = Column::of_items(declared);
        if !declared.repeated {
            return items;
        }
        let list = Values::List {
            offsets: vec![0],
            items: Box::new(items),
        };
        Column {
            required: declared.required,
            ..Column::bare(declared, list)
        }
    }

    fn of_items(declared: &spec::Column) -> Column {
        let values = match declared.kind {
            Type::Text => Values::Text(Pieces::default()),
            Type::Json => Values::Json(Pieces::default()),
            Type::Bytes => Values::Bytes(Pieces::default()),
            Type::Integer { whole_doubles } => Values::Integer {
                values: vec![],
                whole_doubles,
            },
            Type::Float => Values::Float(vec![]),
            Type::Bool => Values::Bool(BooleanBufferBuilder::new(0)),
            Type::Day => Values::Day(vec![]),
            Type::Instant => Values::Instant(vec![]),
            Type::Narrow(precision, scale) => Values::Narrow {
                values: vec![],
                precision,
                scale,
            },
            Type::Wide(precision, scale) => Values::Wide {
                values: vec![],
                precision,
                scale,
            },
            Type::Record(ref columns) => Values::Record(Group::new(columns)),
        };
        Column {
            required: declared.required && !declared.repeated,
            ..Column::bare(declared, values)
        }
    }

    fn bare(declared: &spec::Column, values: Values) -> Column {
        let mut key = declared.source.as_bytes().to_vec();
        key.push(0);
        let known = key.len().min(WORD);
        let (first, mask) = if declared.source.contains('\0') {
            (1, 0) // such a name cannot be in a document, and no word is 1 behind this mask
        } else if known == WORD {
            (u64::from_le_bytes(padded(&key)), u64::MAX)
        } else {
            (u64::from_le_bytes(padded(&key)), (1 << (8 * known)) - 1)
        };
        Column {
            source: declared.source.clone(),
            last: key.last_chunk().copied().unwrap_or_default(),
            key: key.into(),
            first,
            mask,
            required: false,
            cells: declared.cells(),
            validity: NullBufferBuilder::new(1024),
            values,
        }
    }

    /// What follows its name, if that and its zero byte stand here.
    ///
    /// Its first 8 bytes settle most; with its last 8 a name of up to 15 is compared without a call.
    #[inline(always)]
    pub fn after_key<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let word = bytes
            .first_chunk::<WORD>()
            .copied()
            .unwrap_or_else(|| padded(bytes));
        if u64::from_le_bytes(word) & self.mask != self.first {
            return None;
        }
        if self.key.len() <= WORD {
            return bytes.get(self.key.len()..);
        }
        if self.key.len() <= 2 * WORD {
            let (head, tail) = bytes.split_at_checked(self.key.len())?;
            return (head.last_chunk() == Some(&self.last)).then_some(tail);
        }
        bytes.strip_prefix(&*self.key)
    }

    /// How many rows it has.
    #[inline(always)]
    pub fn rows(&self) -> usize {
        self.validity.len()
    }

    /// A row without it: null, or an array without items.
    pub fn push_absent(&mut self) -> Result<(), Stop> {
        match &mut self.values {
            Values::Text(pieces) | Values::Bytes(pieces) => pieces.end()?,
            Values::Json(pieces) => pieces.end()?,
            Values::Integer { values, .. } | Values::Instant(values) => values.push(0),
            Values::Float(values) => values.push(0.0),
            Values::Bool(values) => values.append(false),
            Values::Day(values) => values.push(0),
            Values::Narrow { values, .. } => values.push(0),
            Values::Wide { values, .. } => values.push(i256::ZERO),
            Values::Record(group) => group.push_absent()?,
            Values::List { offsets, items } => {
                offsets.push(i32::try_from(items.rows()).map_err(|_| Stop::Full)?);
                self.validity.append_non_null();
                return Ok(());
            }
        }
        self.validity.append_null();
        Ok(())
    }

    /// Cut it back to so many rows; its values may be ahead of `validity` by the row that was refused.
    pub fn cut(&mut self, rows: usize) {
        self.validity.truncate(rows);
        match &mut self.values {
            Values::Text(pieces) | Values::Bytes(pieces) => pieces.cut(rows),
            Values::Json(pieces) => pieces.cut(rows),
            Values::Integer { values, .. } | Values::Instant(values) => values.truncate(rows),
            Values::Float(values) => values.truncate(rows),
            Values::Bool(values) => values.truncate(rows),
            Values::Day(values) => values.truncate(rows),
            Values::Narrow { values, .. } => values.truncate(rows),
            Values::Wide { values, .. } => values.truncate(rows),
            Values::Record(group) => group.cut(rows),
            Values::List { offsets, items } => {
                offsets.truncate(rows + 1);
                items.cut(offsets.last().map_or(0, |end| end.as_usize()));
            }
        }
    }

    /// The array, leaving the column empty.
    pub fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.validity.finish();
        Ok(match &mut self.values {
            Values::Text(pieces) => {
                let (offsets, bytes) = pieces.renew();
                Arc::new(StringArray::try_new(offsets, bytes, nulls)?)
            }
            Values::Json(pieces) => {
                let (offsets, bytes) = pieces.renew();
                Arc::new(StringArray::try_new(offsets, bytes, nulls)?)
            }
            Values::Bytes(pieces) => {
                let (offsets, bytes) = pieces.renew();
                Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?)
            }
            Values::Integer { values, .. } => Arc::new(Int64Array::try_new(renew(values), nulls)?),
            Values::Float(values) => Arc::new(Float64Array::try_new(renew(values), nulls)?),
            Values::Bool(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Day(values) => Arc::new(Date32Array::try_new(renew(values), nulls)?),
            Values::Instant(values) => Arc::new(
                TimestampMicrosecondArray::try_new(renew(values), nulls)?.with_timezone("UTC"),
            ),
            Values::Narrow {
                values,
                precision,
                scale,
            } => Arc::new(
                Decimal128Array::try_new(renew(values), nulls)?
                    .with_precision_and_scale(*precision, scale.cast_signed())?,
            ),
            Values::Wide {
                values,
                precision,
                scale,
            } => Arc::new(
                Decimal256Array::try_new(renew(values), nulls)?
                    .with_precision_and_scale(*precision, scale.cast_signed())?,
            ),
            Values::Record(group) => Arc::new(group.finish(nulls)?),
            Values::List { offsets, items } => {
                let items = items.finish()?;
                let field = spec::list_item(items.data_type().clone());
                Arc::new(ListArray::try_new(
                    field,
                    renew_offsets(offsets),
                    items,
                    nulls,
                )?)
            }
        })
    }

    /// A decimal, into a decimal column.
    pub fn push_decimal(&mut self, number: Decimal) -> Result<(), Stop> {
        match &mut self.values {
            Values::Narrow {
                values,
                precision,
                scale,
            } => values.push(number.narrow(*precision, *scale)?),
            Values::Wide {
                values,
                precision,
                scale,
            } => values.push(number.wide(*precision, *scale)?),
            _ => return Err(Stop::Unfit),
        }
        Ok(())
    }
}

/// The columns of a row or of a record inside it.
pub struct Group {
    /// In the order of the declaration.
    pub columns: Vec<Column>,
    /// Name in documents → column.
    pub by_source: HashMap<Box<[u8]>, usize>,
    /// How many rows are whole.
    pub rows: usize,
    fields: Fields,
}

impl Group {
    /// Empty columns.
    pub fn new(declared: &[spec::Column]) -> Group {
        let sources = declared
            .iter()
            .map(|column| column.source.as_bytes().into());
        Group {
            columns: declared.iter().map(Column::new).collect(),
            by_source: sources
                .enumerate()
                .map(|(index, source)| (source, index))
                .collect(),
            rows: 0,
            fields: spec::fields(declared),
        }
    }

    fn push_absent(&mut self) -> Result<(), Stop> {
        for column in &mut self.columns {
            column.push_absent()?;
        }
        self.rows += 1;
        Ok(())
    }

    /// Cut all columns back to so many rows.
    pub fn cut(&mut self, rows: usize) {
        for column in &mut self.columns {
            column.cut(rows);
        }
        self.rows = rows;
    }

    /// The arrays, leaving the columns empty.
    pub fn arrays(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.rows = 0;
        self.columns.iter_mut().map(Column::finish).collect()
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<StructArray, ArrowError> {
        let rows = take(&mut self.rows);
        let arrays = self.arrays()?;
        StructArray::try_new_with_length(self.fields.clone(), arrays, nulls, rows)
    }
}
