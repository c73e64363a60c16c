//! FastDFS tracker, storage and embedded cluster.
#![forbid(unsafe_code)]

pub mod config_file;
pub mod daemon;
pub mod embedded;
pub mod framework_config;
pub mod idle_keys;
pub mod state_file;
pub mod storage;
pub mod tools;
pub mod tracker;
