//! The status byte of replies: Linux errno numbers, whatever the host (spec 01 §3).

use std::fmt;

/// The outcome of a request. Unknown numbers survive and print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u8);

macro_rules! statuses {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        impl Status {
            $(#[doc = $text] pub const $name: Self = Self($number);)*

            fn text(self) -> Option<&'static str> {
                match self { $(Self::$name => Some($text),)* _ => None }
            }
        }
    };
}

statuses! {
    OK = 0, "success";
    EPERM = 1, "operation not permitted";
    ENOENT = 2, "no such file, group or server";
    EINTR = 4, "interrupted";
    EIO = 5, "input or output error";
    EAGAIN = 11, "try again";
    ENOMEM = 12, "out of memory";
    EACCES = 13, "not joined, or not permitted";
    EFAULT = 14, "unknown storage must join anew";
    EBUSY = 16, "busy";
    EEXIST = 17, "exists already";
    ENOTDIR = 20, "not a directory";
    EISDIR = 21, "not a regular file";
    EINVAL = 22, "invalid request";
    EMFILE = 24, "too many open files";
    ENOSPC = 28, "no space left";
    EROFS = 30, "read-only";
    ENAMETOOLONG = 36, "name too long";
    ENONET = 64, "server is not active";
    EOPNOTSUPP = 95, "not supported here";
    ENOTCONN = 107, "not connected";
    ETIMEDOUT = 110, "timed out";
    ECONNREFUSED = 111, "connection refused";
    EALREADY = 114, "done already";
}

impl Status {
    /// Whether this is success.
    pub fn is_ok(self) -> bool {
        self == Self::OK
    }

    /// The status for an error of the operating system; an unknown one becomes EIO.
    pub fn of_io(error: &std::io::Error) -> Self {
        match error.raw_os_error().map(u8::try_from) {
            Some(Ok(errno)) if errno != 0 => Self(errno),
            _ => Self::EIO,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        match self.text() {
            Some(text) if f.alternate() => write!(f, " {text}"),
            _ => Ok(()),
        }
    }
}

/// The state of a storage as trackers keep it (spec 01 §6.1). Its order matters: reports raise it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageStatus(pub u8);

macro_rules! storage_statuses {
    ($($name:ident = $number:literal, $doc:literal;)*) => {
        impl StorageStatus {
            $(#[doc = $doc] pub const $name: Self = Self($number);)*

            /// The name that tools print.
            pub fn caption(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* _ => "UNKNOWN" }
            }
        }
    };
}

storage_statuses! {
    INIT = 0, "Has just joined for the first time.";
    WAIT_SYNC = 1, "Waits for its source to send the old files.";
    SYNCING = 2, "Receives the old files.";
    IP_CHANGED = 3, "Came back under another address; this entry is what is left.";
    DELETED = 4, "Was removed by an operator.";
    OFFLINE = 5, "Cannot be reached.";
    ONLINE = 6, "Has joined, no heart beat yet.";
    ACTIVE = 7, "Serves.";
    RECOVERY = 9, "Restores a replaced disk.";
    NONE = 99, "Local to a storage: its work with this peer has ended.";
}

impl StorageStatus {
    /// Whether the storage has all it needs to serve, now or once it is back.
    pub fn is_available(self) -> bool {
        matches!(self, Self::OFFLINE | Self::ONLINE | Self::ACTIVE)
    }

    /// Whether the entry stands for no storage any more.
    pub fn is_gone(self) -> bool {
        matches!(self, Self::DELETED | Self::IP_CHANGED)
    }
}

impl fmt::Display for StorageStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.caption())
    }
}
