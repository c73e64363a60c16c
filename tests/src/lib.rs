//! Shared helpers of the tests that need real servers.
#![forbid(unsafe_code)]

pub mod bench;
pub mod daemons;
pub mod engine;
pub mod raw;
pub mod requests;
pub mod scenarios;
#[cfg(feature = "sim")]
pub mod sim;
pub mod stage;
