//! BSON documents to Arrow batches: the compiled sweep of Tideline's decoder.
//!
//! It accepts documents that conform to a declaration and leaves all others, untouched, to the Python walker
//! (`tideline.refine.bson_walker`), which alone decides about refusals and words them. So it must only never
//! accept what the walker would refuse, nor read a value otherwise; that is what `SEMANTICS` stands for.
#![forbid(unsafe_code)]

pub mod column;
pub mod decimal;
pub mod decode;
pub mod drift;
pub mod read;
pub mod spec;
pub mod text;

#[cfg(feature = "python")]
mod python;

/// Version of the table that says what each BSON value becomes; `tideline.refine.contract.SEMANTICS`.
pub const SEMANTICS: u32 = 1;
