//! What is declared: columns, their types, and the Arrow schema that they make.

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use std::sync::Arc;

/// The type of one value.
#[derive(Clone, Debug)]
pub enum Type {
    /// Text, or the digits of an objectId.
    Text,
    /// int32 or int64; a whole double too where so declared.
    Integer {
        /// Whether `5.0` is one.
        whole_doubles: bool,
    },
    /// A double, or an integer that is one exactly.
    Float,
    /// A flag.
    Bool,
    /// A day, midnight UTC.
    Day,
    /// An instant.
    Instant,
    /// A decimal of at most 38 digits.
    Narrow(u8, u8),
    /// One of at most 76.
    Wide(u8, u8),
    /// Bytes.
    Bytes,
    /// Any value, as the text of relaxed Extended JSON.
    Json,
    /// Columns of its own.
    Record(Vec<Column>),
}

/// One declared column.
#[derive(Clone, Debug)]
pub struct Column {
    /// The field's name in documents.
    pub source: String,
    /// The column's name.
    pub name: String,
    /// Of one item.
    pub kind: Type,
    /// Whether it is an array.
    pub repeated: bool,
    /// Whether a row without it is refused.
    pub required: bool,
}

impl Column {
    /// How many values one item takes in the columns of a batch.
    pub fn cells(&self) -> u64 {
        match &self.kind {
            Type::Record(columns) => cells(columns),
            _ => 1,
        }
    }

    /// Its Arrow type.
    pub fn arrow(&self) -> DataType {
        let item = self.item();
        if self.repeated {
            DataType::List(list_item(item))
        } else {
            item
        }
    }

    /// That of one item.
    pub fn item(&self) -> DataType {
        match &self.kind {
            Type::Text | Type::Json => DataType::Utf8,
            Type::Integer { .. } => DataType::Int64,
            Type::Float => DataType::Float64,
            Type::Bool => DataType::Boolean,
            Type::Day => DataType::Date32,
            Type::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Type::Narrow(precision, scale) => DataType::Decimal128(*precision, scale.cast_signed()),
            Type::Wide(precision, scale) => DataType::Decimal256(*precision, scale.cast_signed()),
            Type::Bytes => DataType::Binary,
            Type::Record(columns) => DataType::Struct(fields(columns)),
        }
    }
}

/// How many values one record takes, arrays counted as one.
pub fn cells(columns: &[Column]) -> u64 {
    columns
        .iter()
        .map(|column| if column.repeated { 1 } else { column.cells() })
        .sum()
}

/// The item of a list type, as pyarrow names it.
pub fn list_item(item: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", item, true))
}

/// The Arrow fields of columns.
pub fn fields(columns: &[Column]) -> Fields {
    columns
        .iter()
        .map(|column| Field::new(&column.name, column.arrow(), true))
        .collect()
}

/// Declared columns, `_extra`, `_raw_position`: `tideline.refine.contract.decoded_schema`.
pub fn schema(columns: &[Column]) -> SchemaRef {
    let mut all: Vec<_> = fields(columns).iter().cloned().collect();
    all.push(Arc::new(Field::new("_extra", DataType::Utf8, true)));
    all.push(Arc::new(Field::new(
        "_raw_position",
        DataType::Int64,
        false,
    )));
    Arc::new(Schema::new(all))
}
