//! FastDFS tracker, storage and embedded cluster.
#![forbid(unsafe_code)]

pub mod config_file;
pub mod daemon;
pub mod embedded;
pub mod state_file;
pub mod storage;
pub mod tools;
pub mod tracker;
