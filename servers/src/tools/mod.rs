//! The subcommands of `fdfs`, one file each.

pub mod demo;
pub mod verify;
