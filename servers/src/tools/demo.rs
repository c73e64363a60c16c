//! `fdfs demo`: a whole cluster, real files uploaded, downloaded and compared, in one command.

use crate::embedded::{EmbeddedCluster, EmbeddedOptions};
use fdfs_core::client::{Client, ClientOptions, Range, UploadOptions};
use fdfs_core::file_id::FileId;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Files uploaded at most.
const FILES_MAX: usize = 1000;
/// Files larger than this are passed over.
const FILE_LEN_MAX: u64 = 64 << 20;
/// Directories whose content nobody wants to see uploaded.
const PASSED_OVER: [&str; 3] = ["target", ".git", "node_modules"];

/// What the demonstration can be told.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Folder with the files to upload, searched with its sub-folders
    #[arg(default_value = ".")]
    files: PathBuf,
    /// Folder for the cluster's data; a temporary one that is removed at the end by default
    #[arg(long)]
    dir: Option<PathBuf>,
    /// End after the round trip instead of staying up until Ctrl-C
    #[arg(long)]
    once: bool,
    /// Port of the tracker; a free one by default
    #[arg(long, default_value_t = 0)]
    port: u16,
}

type Done<T> = Result<T, Box<dyn Error>>;

/// Runs the demonstration.
pub async fn run(options: Options) -> Done<()> {
    let files = find(&options.files)?;
    if files.is_empty() {
        return Err(
            format!("no files in {}: name a folder with some", options.files.display()).into()
        );
    }
    let home = Home::new(options.dir.clone())?;
    let mut cluster = EmbeddedOptions::new(&home.0);
    cluster.tracker_port = options.port;
    let cluster = EmbeddedCluster::start(cluster).await?;
    let tracker = cluster.tracker_addr();
    println!("tracker  {tracker}");
    for storage in cluster.storage_addrs() {
        println!("storage  {storage}");
    }
    println!("data     {}\n", home.0.display());
    let client = ClientOptions::new([tracker.to_string()])?.connect();
    round_trip(&client, &files).await?;
    println!(
        "\nConnect with any FastDFS client, for example with this client.conf:\n\n  \
         base_path=/tmp\n  tracker_server={tracker}\n"
    );
    if !options.once {
        println!("Press Ctrl-C to end.");
        tokio::signal::ctrl_c().await?;
    }
    client.close();
    cluster.shutdown().await?;
    Ok(())
}

/// Uploads all files, then downloads them and compares.
async fn round_trip(client: &Client, files: &[PathBuf]) -> Done<()> {
    let mut stored: Vec<(FileId, &Path, u64)> = Vec::new();
    let began = Instant::now();
    for path in files {
        let id = client.upload_file(path, UploadOptions::default()).await?;
        let len = fs::metadata(path)?.len();
        println!("{id}  {}  {}", size(len), path.display());
        stored.push((id, path, len));
    }
    let total = stored.iter().map(|(_, _, len)| len).sum();
    report("uploaded", files.len(), total, began);
    let began = Instant::now();
    for (id, path, _) in &stored {
        if client.download(id, Range::default()).await? != fs::read(path)? {
            return Err(format!("{id} came back different from {}", path.display()).into());
        }
    }
    report("downloaded and compared", files.len(), total, began);
    Ok(())
}

fn report(what: &str, files: usize, bytes: u64, began: Instant) {
    let secs = began.elapsed().as_secs_f64().max(1e-9);
    let (per_sec, mb) = (files as f64 / secs, bytes as f64 / 1e6);
    println!(
        "{what} {files} files, {} in {:.3} s: {per_sec:.0} files/s, {:.1} MB/s",
        size(bytes).trim(),
        secs,
        mb / secs
    );
}

fn size(bytes: u64) -> String {
    let units = ["B", "KB", "MB", "GB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 10.0);
    format!("{value:>6.digits$} {}", units.get(unit).copied().unwrap_or_default())
}

/// Regular files of a folder and its sub-folders, in order.
fn find(folder: &Path) -> Done<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let (kind, name) = (entry.file_type()?, entry.file_name());
            let passed_over = PASSED_OVER.iter().any(|passed| name == *passed);
            if kind.is_dir() && !passed_over {
                folders.push(entry.path());
            } else if kind.is_file() && entry.metadata()?.len() <= FILE_LEN_MAX {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found.truncate(FILES_MAX);
    Ok(found)
}

/// The cluster's folder; a temporary one goes with this.
struct Home(PathBuf, bool);

impl Home {
    fn new(dir: Option<PathBuf>) -> Done<Self> {
        if let Some(dir) = dir {
            fs::create_dir_all(&dir)?;
            return Ok(Self(fs::canonicalize(dir)?, false));
        }
        for attempt in 0..100 {
            let name = format!("fdfs-demo-{}-{attempt}", std::process::id());
            let dir = std::env::temp_dir().join(name);
            match fs::create_dir(&dir) {
                Ok(()) => return Ok(Self(dir, true)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err("cannot make a temporary folder: name one with --dir".into())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.1 {
            // What cannot be removed is only temporary.
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
