//! The command line of fdfs.

use clap::{Parser, Subcommand};
use fdfs_servers::tools::demo;
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
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .init();
    let Args { command: Command::Demo(options) } = Args::parse();
    match demo::run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fdfs: {error}");
            ExitCode::FAILURE
        }
    }
}
