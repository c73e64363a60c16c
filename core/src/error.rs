//! The one error type of the core, and the table of its kinds.
//!
//! The table is the only place that maps kinds to names, numbers and wire statuses; bindings build
//! their exception classes by looping over [`ErrorKind::ALL`] (contract: SDK conventions §3).

use crate::protocol::{Command, Status};
use std::fmt;

/// Shorthand for results of the core.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync>;

macro_rules! error_kinds {
    ($($(#[$doc:meta])* $kind:ident = $number:literal, $name:literal, retry $retry:literal;)*) => {
        /// What went wrong, in the terms an application can act on. Numbers are stable and never
        /// reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum ErrorKind { $($(#[$doc])* $kind = $number,)* }

        impl ErrorKind {
            /// Every kind, by number.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The stable lower-case name, as used in `tests/vectors/errors.tsv`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }

            /// The stable number, also the code of the C interface.
            pub fn number(self) -> i32 {
                self as i32
            }

            /// Whether the same call may succeed later or elsewhere without any change to it.
            pub fn retryable(self) -> bool {
                match self { $(Self::$kind => $retry),* }
            }
        }
    };
}

error_kinds! {
    /// The file, or its metadata, does not exist (storage status 2).
    NotFound = 1, "not_found", retry false;
    /// The tracker has no storage for this request, or no server can be reached.
    NoServer = 2, "no_server", retry true;
    /// The file exists already (status 17).
    AlreadyExists = 3, "already_exists", retry false;
    /// The request is malformed: refused here, or by the server with status 22.
    InvalidArgument = 4, "invalid_argument", retry false;
    /// No space left on the storages (status 28).
    NoSpace = 5, "no_space", retry false;
    /// Not allowed (status 1 or 13, or a bad token).
    Permission = 6, "permission", retry false;
    /// The server is busy (status 11 or 16).
    Busy = 7, "busy", retry true;
    /// The server does not offer this (status 95).
    Unsupported = 8, "unsupported", retry false;
    /// No connection: refused, unreachable, or the name did not resolve.
    Connect = 9, "connect", retry true;
    /// One of the clocks ran out; the message names which.
    Timeout = 10, "timeout", retry true;
    /// The reply breaks the protocol, or the connection ended inside it.
    Protocol = 11, "protocol", retry false;
    /// Any other status of a server.
    Server = 12, "server", retry false;
    /// Reading the source or writing the sink on this side failed.
    LocalIo = 13, "local_io", retry false;
    /// A configuration file or option is wrong.
    Config = 14, "config", retry false;
    /// The client was used after it was closed.
    Closed = 15, "closed", retry false;
    /// A broken invariant of this library.
    Internal = 16, "internal", retry false;
    /// The caller gave up.
    Cancelled = 17, "cancelled", retry false;
}

impl ErrorKind {
    /// The kind of a non-zero status answered by a storage.
    pub fn of_status(status: Status) -> Self {
        match status {
            Status::ENOENT => Self::NotFound,
            Status::EEXIST => Self::AlreadyExists,
            Status::EINVAL => Self::InvalidArgument,
            Status::ENOSPC => Self::NoSpace,
            Status::EPERM | Status::EACCES => Self::Permission,
            Status::EAGAIN | Status::EBUSY => Self::Busy,
            Status::EOPNOTSUPP => Self::Unsupported,
            _ => Self::Server,
        }
    }
}

/// What failed, where, and what came back.
#[derive(Debug)]
pub struct Error(Box<Detail>);

#[derive(Debug)]
struct Detail {
    kind: ErrorKind,
    message: String,
    peer: Option<String>,
    command: Option<Command>,
    file_id: Option<String>,
    status: Option<Status>,
    outcome_unknown: bool,
    source: Option<Source>,
}

impl Error {
    /// An error of this kind; `message` says what failed, in lower case.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Detail {
            kind,
            message: message.into(),
            peer: None,
            command: None,
            file_id: None,
            status: None,
            outcome_unknown: false,
            source: None,
        }))
    }

    /// The same error seen as another kind: what a status means depends on who was asked for what.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind, message: impl Into<String>) -> Self {
        (self.0.kind, self.0.message) = (kind, message.into());
        self
    }

    /// Names the server.
    #[must_use]
    pub fn with_peer(mut self, peer: impl Into<String>) -> Self {
        self.0.peer = Some(peer.into());
        self
    }

    /// Names the command.
    #[must_use]
    pub fn with_command(mut self, command: Command) -> Self {
        self.0.command = Some(command);
        self
    }

    /// Names the file the call was about, or the file that was stored before the call failed.
    #[must_use]
    pub fn with_file_id(mut self, file_id: impl Into<String>) -> Self {
        self.0.file_id = Some(file_id.into());
        self
    }

    /// Carries the status byte the server sent.
    #[must_use]
    pub fn with_status(mut self, status: Status) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Marks that the server may have done the work although no answer came.
    #[must_use]
    pub fn with_outcome_unknown(mut self) -> Self {
        self.0.outcome_unknown = true;
        self
    }

    /// Carries the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// `host:port` of the server, when one was involved.
    pub fn peer(&self) -> Option<&str> {
        self.0.peer.as_deref()
    }

    /// The command that failed, when one was sent.
    pub fn command(&self) -> Option<Command> {
        self.0.command
    }

    /// The file id the error is about.
    pub fn file_id(&self) -> Option<&str> {
        self.0.file_id.as_deref()
    }

    /// The raw status byte of the server's reply, an errno value as on Linux.
    pub fn status(&self) -> Option<Status> {
        self.0.status
    }

    /// Whether the server may have done the work although no answer came.
    pub fn outcome_unknown(&self) -> bool {
        self.0.outcome_unknown
    }

    /// Whether the same call may succeed later or elsewhere.
    pub fn retryable(&self) -> bool {
        self.0.kind.retryable() && !self.0.outcome_unknown
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = &self.0;
        f.write_str(&detail.message)?;
        if let Some(command) = detail.command {
            write!(f, " ({command})")?;
        }
        if let Some(peer) = &detail.peer {
            write!(f, " at {peer}")?;
        }
        if let Some(file_id) = &detail.file_id {
            write!(f, " for {file_id}")?;
        }
        write!(f, ": {}", detail.kind.name().replace('_', " "))?;
        if let Some(status) = detail.status {
            write!(f, " (status {status})")?;
        }
        if detail.outcome_unknown {
            f.write_str(", outcome unknown")?;
        }
        match &detail.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_says_what_where_and_what_came_back() {
        let error = Error::new(ErrorKind::NoSpace, "upload failed")
            .with_peer("10.0.0.7:23000")
            .with_status(Status::ENOSPC);
        assert_eq!(error.to_string(), "upload failed at 10.0.0.7:23000: no space (status 28)");
    }

    #[test]
    fn numbers_are_unique_and_in_order() {
        let numbers: Vec<i32> = ErrorKind::ALL.iter().map(|kind| kind.number()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    }
}
