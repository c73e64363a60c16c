//! Shared helpers of the tests that need real servers.
#![forbid(unsafe_code)]

pub mod raw;
pub mod scenarios;
