//! The tracker: knows the cluster and chooses servers (specs 01 §7, 03 §A and §T).

mod ask;
pub mod config;
mod consensus;
mod others;
pub mod persist;
mod service;
mod shared;
pub mod state;

pub use service::RunningTracker;
pub use shared::unix_now;
