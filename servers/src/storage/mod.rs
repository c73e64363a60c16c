//! The storage: keeps files (specs 01 §8, 03 §A, 04).

pub mod binlog;
mod boot;
pub mod clock;
pub mod config;
mod daily;
pub mod disk;
pub mod engine;
pub mod identity;
mod lane;
pub mod link;
mod locks;
mod names;
mod ops;
mod orphans;
mod pending;
mod running_mark;
mod service;
mod spare;
pub mod stats;
mod store;
mod sync;
mod unrecorded;
mod world;

pub use boot::RunningStorage;
pub use link::StartupError;
pub use service::serve;
pub use spare::Spare;
pub use world::World;
