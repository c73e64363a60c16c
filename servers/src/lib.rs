//! FastDFS tracker, storage and embedded cluster.
#![forbid(unsafe_code)]

pub mod daemon;
