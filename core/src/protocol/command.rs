//! The table of all commands.

use std::fmt;

/// A command number. Unknown numbers are data to answer with an error, not a decode failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Command(pub u8);

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command {}", self.0)
    }
}

/// Placeholder.
pub const COMMANDS: &[CommandInfo] = &[];
/// Placeholder.
#[derive(Debug)]
pub struct CommandInfo;
/// Placeholder.
#[derive(Debug)]
pub enum Receiver {}
/// Placeholder.
#[derive(Debug)]
pub enum Resend {}
