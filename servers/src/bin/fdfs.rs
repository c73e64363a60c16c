//! The command line of fdfs.

use clap::{Parser, Subcommand};
use fdfs_servers::tools::{command_line, demo, monitor, verify};
use std::process::ExitCode;

/// A FastDFS cluster: servers, clients and tools
#[derive(Parser)]
#[command(name = "fdfs", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a whole cluster, upload files, download and compare them
    Demo(demo::Options),
    /// Compare the members of a group
    Verify(verify::Options),
    /// Show the cluster, delete storages and groups, choose trunk servers
    Monitor(monitor::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .init();
    let done = match Args::parse_from(command_line(std::env::args_os())).command {
        Command::Demo(options) => demo::run(options).await,
        Command::Monitor(options) => return monitor::run(options).await,
        Command::Verify(options) => return verify::run(options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fdfs: {error}");
            ExitCode::FAILURE
        }
    }
}
