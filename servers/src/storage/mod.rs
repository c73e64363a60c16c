//! The storage: keeps files (specs 01 §8, 03 §A, 04).

pub mod config;
