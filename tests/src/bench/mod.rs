//! Measuring servers from outside, ours and the original's alike (performance plan §5 and §6).

pub mod cases;
pub mod costs;
pub mod floor;
pub mod lab;
pub mod load;
pub mod replication;
pub mod report;
pub mod syscalls;
pub mod work;
