//! The tracker: knows the cluster and chooses servers (specs 01 §7, 03 §A and §T).

mod ask;
pub mod config;
pub mod persist;
mod service;
pub mod state;

pub use service::{RunningTracker, unix_now};
