//! Any bytes through the decoder: no panic, only valid arrays, and each document is a row or left.
#![no_main]

use arrow_array::Array;
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use tideline_native_bson::decode::{Decoder, Limits};
use tideline_native_bson::read;
use tideline_native_bson::spec::{Column, Type};

const LIMITS: Limits =
    Limits { document_bytes: 48 << 20, row_cells: 1_000, batch_cells: 2_000, row_text: 10_000, batch_text: 20_000 };

fn column(name: &str, kind: Type) -> Column {
    Column { source: name.into(), name: name.into(), kind, repeated: false, required: false }
}

fn columns() -> Vec<Column> {
    let item = vec![column("s", Type::Text), column("d", Type::Narrow(9, 4))];
    let inside = vec![column("t", Type::Text), Column { required: true, ..column("i", Type::Integer { whole_doubles: false }) }];
    vec![
        column("_id", Type::Text),
        column("i", Type::Integer { whole_doubles: true }),
        column("f", Type::Float),
        column("b", Type::Bool),
        column("day", Type::Day),
        column("at", Type::Instant),
        column("n", Type::Narrow(38, 9)),
        column("w", Type::Wide(76, 38)),
        column("x", Type::Bytes),
        column("j", Type::Json),
        column("r", Type::Record(inside)),
        Column { repeated: true, ..column("l", Type::Record(item)) },
        Column { repeated: true, ..column("a", Type::Json) },
    ]
}

thread_local! {
    static DECODER: RefCell<Decoder> = RefCell::new(Decoder::new(&columns(), true, LIMITS));
}

fuzz_target!(|data: &[u8]| {
    DECODER.with_borrow_mut(|decoder| {
        let (bounds, _) = read::cut(data, LIMITS.document_bytes);
        if let Some(decoded) = decoder.decode(data, 0).expect("arrays of equal length") {
            assert_eq!(decoded.documents, bounds.len() - 1);
            assert_eq!(decoded.documents, decoded.batch.num_rows() + decoded.left.len());
            for array in decoded.batch.columns() {
                array.to_data().validate_full().expect("a valid array");
            }
        }
    });
});
