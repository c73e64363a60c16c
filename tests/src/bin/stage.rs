//! `fdfs-stage COMMAND ARGS…`: runs a command among the servers that the scenarios need.

use fdfs_tests::stage::Stage;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let Some(program) = args.next() else {
        eprintln!("usage: fdfs-stage COMMAND ARGS…");
        return ExitCode::from(2);
    };
    let stage = Stage::set();
    let vars = stage.vars().iter().map(|(name, value)| (*name, value));
    match Command::new(&program).args(args).envs(vars).status() {
        Ok(status) => ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)),
        Err(error) => {
            eprintln!("{}: {error}", program.to_string_lossy());
            ExitCode::from(127)
        }
    }
}
