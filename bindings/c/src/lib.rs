//! `libfdfs`: the client as a C library. The header `include/libfdfs.h` is made from these files,
//! and the rules for all functions stand at its top (`header.txt`); what a function does beyond
//! them stands at the function.
//!
//! Bodies are one call of [`boundary::run`], which catches panics and keeps the error for
//! `fdfs_last_error`. Everything else is conversion.
#![allow(
    clippy::missing_safety_doc,
    reason = "one rule for all pointers, at the top of the header"
)]
#![allow(non_camel_case_types, reason = "the names are those of C")]

pub mod boundary;
pub mod call;
pub mod changes;
pub mod client;
pub mod cluster;
pub mod embedded;
pub mod file_id;
pub mod lists;
pub mod log;
pub mod metadata;
pub mod options;
pub mod queue;
pub mod reads;
pub mod streams;
pub mod texts;
pub mod uploads;
