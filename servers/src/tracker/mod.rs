//! The tracker: knows the cluster and chooses servers (specs 01 §7, 03 §A and §T).

pub mod config;
