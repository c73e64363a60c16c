//! Shared helpers of the tests that need real servers.
#![forbid(unsafe_code)]

pub mod bench;
pub mod configured;
pub mod daemons;
pub mod engine;
pub mod group;
pub mod lan;
pub mod members;
pub mod moving;
pub mod peer;
pub mod raw;
pub mod requests;
pub mod scenarios;
#[cfg(feature = "sim")]
pub mod sim;
pub mod stage;
pub mod trees;
