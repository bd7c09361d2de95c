//! The module that Tideline imports. Knows Python objects; decodes nothing itself.

use crate::decode::{Decoder as Core, Limits};
use crate::spec::{Column, Type};
use crate::{SEMANTICS, read};
use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow_array::{Array, RecordBatch, StructArray};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// (name in documents, column's name, type, precision, scale, repeated, required, columns inside)
#[derive(FromPyObject)]
struct Declared(String, String, String, u8, u8, bool, bool, Vec<Declared>);

impl Declared {
    fn column(self) -> PyResult<Column> {
        let Declared(source, name, kind, precision, scale, repeated, required, inside) = self;
        let kind = match kind.as_str() {
            "string" => Type::Text,
            "int64" => Type::Integer {
                whole_doubles: false,
            },
            "int64_or_integral" => Type::Integer {
                whole_doubles: true,
            },
            "float64" => Type::Float,
            "bool" => Type::Bool,
            "date" => Type::Day,
            "timestamp" => Type::Instant,
            "decimal128" if (1..=38).contains(&precision) && scale <= precision => {
                Type::Narrow(precision, scale)
            }
            "decimal256" if (1..=76).contains(&precision) && scale <= precision => {
                Type::Wide(precision, scale)
            }
            "bytes" => Type::Bytes,
            "json" => Type::Json,
            "record" => Type::Record(columns(inside)?),
            other => {
                return Err(PyValueError::new_err(format!(
                    "{name}: no such type: {other}({precision}, {scale})"
                )));
            }
        };
        Ok(Column {
            source,
            name,
            kind,
            repeated,
            required,
        })
    }
}

fn columns(declared: Vec<Declared>) -> PyResult<Vec<Column>> {
    declared.into_iter().map(Declared::column).collect()
}

/// A batch behind the Arrow PyCapsule interface: `pyarrow.record_batch(batch)` copies nothing.
#[pyclass(frozen)]
struct Batch(RecordBatch);

#[pymethods]
impl Batch {
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        let _ = requested_schema;
        let schema = FFI_ArrowSchema::try_from(self.0.schema().as_ref()).map_err(failed)?;
        let array = FFI_ArrowArray::new(&StructArray::from(self.0.clone()).to_data());
        Ok((
            PyCapsule::new_with_value(py, schema, c"arrow_schema")?,
            PyCapsule::new_with_value(py, array, c"arrow_array")?,
        ))
    }
}

fn failed(error: impl std::fmt::Display) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}

/// (rows, documents that are left to the walker, documents, undeclared paths)
type Outcome = (Batch, Vec<usize>, usize, Vec<(String, u64, String)>);

/// Decodes documents of one declaration. A second thread that uses it meanwhile gets an error, no wrong rows.
#[pyclass]
struct Decoder {
    core: Core,
    document_bytes: usize,
}

#[pymethods]
impl Decoder {
    #[new]
    #[pyo3(signature = (declared, *, evolve, document_bytes, row_cells, batch_cells, row_text, batch_text))]
    fn new(
        declared: Vec<Declared>,
        evolve: bool,
        document_bytes: usize,
        row_cells: u64,
        batch_cells: u64,
        row_text: usize,
        batch_text: usize,
    ) -> PyResult<Decoder> {
        let limits = Limits {
            document_bytes,
            row_cells,
            batch_cells,
            row_text,
            batch_text,
        };
        Ok(Decoder {
            core: Core::new(&columns(declared)?, evolve, limits),
            document_bytes,
        })
    }

    /// Only immutable `bytes`: they are read without the interpreter's lock. None: too large for one batch.
    fn decode(
        &mut self,
        py: Python<'_>,
        data: &Bound<'_, PyBytes>,
        base_offset: i64,
    ) -> PyResult<Option<Outcome>> {
        let bytes = data.as_bytes();
        let core = &mut self.core;
        let decoded =
            py.detach(|| catch_unwind(AssertUnwindSafe(|| core.decode(bytes, base_offset))));
        let decoded = decoded
            .map_err(|_| failed("a panic; its message is on standard error"))?
            .map_err(failed)?;
        Ok(decoded.map(|found| (Batch(found.batch), found.left, found.documents, found.drift)))
    }

    /// Where documents begin and the last whole one ends; whether what follows it cannot be a document.
    fn cut(&self, py: Python<'_>, data: &Bound<'_, PyBytes>) -> (Vec<usize>, bool) {
        let bytes = data.as_bytes();
        py.detach(|| read::cut(bytes, self.document_bytes))
    }
}

#[pymodule]
fn tideline_native_bson(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("SEMANTICS", SEMANTICS)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<Decoder>()?;
    module.add_class::<Batch>()
}
