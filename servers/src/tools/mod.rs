//! The subcommands of `fdfs`, one file each.

pub mod demo;
pub mod monitor;
pub mod verify;

use std::ffi::OsString;
use std::path::Path;

/// Prefix of the original's tools, whose names `fdfs` answers to.
const CLASSIC_PREFIX: &str = "fdfs_";

/// The command line as `fdfs` reads it: called by the name of a tool of the original, say
/// `fdfs_monitor`, it runs the command of that name.
pub fn command_line(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let called =
        args.first().map(Path::new).and_then(Path::file_name).and_then(|name| name.to_str());
    if let Some(tool) = called.and_then(|name| name.strip_prefix(CLASSIC_PREFIX)) {
        let tool = OsString::from(tool);
        args.insert(1, tool);
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_of_the_original_are_commands() {
        let read = |line: &str| -> Vec<String> {
            let args = command_line(line.split(' ').map(OsString::from));
            args.into_iter().map(|arg| arg.into_string().unwrap()).collect()
        };
        assert_eq!(read("/usr/bin/fdfs_monitor c"), ["/usr/bin/fdfs_monitor", "monitor", "c"]);
        assert_eq!(read("fdfs monitor c"), ["fdfs", "monitor", "c"]);
    }
}
