//! `docs/operations.md`, command by command, on hosts in network namespaces: what an operator reads
//! there has just been run. Folders, addresses and the space kept free are the lab's.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
#![allow(clippy::print_stderr, missing_docs)]

use fdfs_core::client::{ClientOptions, UploadOptions};
use fdfs_tests::daemons;
use fdfs_tests::lan::{Lan, did_not_run, has_no_network};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PAGE: &str = include_str!("../../docs/operations.md");
/// The page's hosts, with the last number of their addresses there.
const HOSTS: [(&str, u8); 6] = [
    ("tracker1", 11),
    ("tracker2", 12),
    ("storage1", 21),
    ("storage2", 22),
    ("storage3", 23),
    ("client", 31),
];
/// Longest time that one command may take, in seconds.
const PATIENCE_SECS: &str = "120";
/// Where the page has the programs of the original.
const ORIGINAL: &str = "/opt/original/bin";
/// Files stored before the walk through the page goes on from its first upload.
const FILES: usize = 50;

/// A command of the page: on which host, and its lines.
struct Step {
    host: u8,
    text: String,
}

/// The commands of all console blocks, in their order.
fn steps() -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in PAGE.split("```console\n").skip(1) {
        for line in block.split("```").next().unwrap_or_default().lines() {
            let prompt = line.split_once("$ ").and_then(|(name, command)| {
                let host = HOSTS.iter().position(|(known, _)| *known == name)?;
                Some((host as u8, command))
            });
            match (prompt, steps.last_mut()) {
                (Some((host, command)), _) => steps.push(Step { host, text: command.to_owned() }),
                (None, Some(_)) if line.starts_with("# ") => {}
                (None, Some(step)) => step.text.extend(["\n", line]),
                (None, None) => panic!("no prompt: {line}"),
            }
        }
    }
    steps
}

/// The hosts; ending it ends the daemons that were started on them.
struct Lab {
    lan: Lan,
    dir: tempfile::TempDir,
    programs: PathBuf,
    original: PathBuf,
}

impl Lab {
    /// Programs under the names that the page uses.
    fn new(lan: Lan) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (ours, programs) = (daemons::folder().unwrap(), dir.path().join("bin"));
        std::fs::create_dir(&programs).unwrap();
        for name in ["fdfs", "fdfs_trackerd", "fdfs_storaged"] {
            symlink(ours.join(name), programs.join(name)).unwrap();
        }
        symlink(ours.join("fdfs"), programs.join("fdfs_monitor")).unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let has_original = |folder: &PathBuf| {
            folder.join("fdfs_storaged").is_file() && folder.join("fdfs_trackerd").is_file()
        };
        let original = std::env::split_paths(&path).find(has_original).unwrap_or_else(|| {
            did_not_run(
                "the original's part of docs/operations.md",
                "it is not on PATH; ours plays it",
            );
            programs.clone()
        });
        Self { lan, dir, programs, original }
    }

    fn folder(&self, host: u8) -> PathBuf {
        self.dir.path().join(HOSTS[usize::from(host)].0)
    }

    /// The command as it is here.
    fn text(&self, step: &Step) -> String {
        let folder = self.folder(step.host).display().to_string();
        let mut text = step.text.replace(ORIGINAL, &self.original.display().to_string());
        for (at, (_, number)) in HOSTS.iter().enumerate() {
            let addr = Lan::addr(at as u8).to_string();
            // `10.0.0.11:/d` stands in a pattern.
            text = text.replace(&format!("10.0.0.{number}"), &addr);
        }
        // All hosts share the disk of this machine, which may be nearly full.
        let text = text.replace("reserved_storage_space=10%", "reserved_storage_space=1%");
        text.replace("fdfs verify", "fdfs verify --conf /etc/fdfs/client.conf")
            .replace("/etc/fdfs", &format!("{folder}/etc"))
            .replace("/data/fdfs", &format!("{folder}/data"))
    }

    fn run(&self, step: &Step) {
        let text = self.text(step);
        let mut command = self.lan.command(step.host, Path::new("timeout"));
        command.args([PATIENCE_SECS, "bash", "-ec", &text]).stdin(Stdio::null());
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.programs.display()));
        // A daemon keeps what it was given: no pipe of the test.
        let said = self.dir.path().join("said");
        let out = std::fs::File::create(&said).unwrap();
        command.stdout(out.try_clone().unwrap()).stderr(out);
        let done = command.status().unwrap();
        let said = std::fs::read_to_string(&said).unwrap_or_default();
        let host = HOSTS[usize::from(step.host)].0;
        assert!(done.success(), "{host}$ {text}\n{said}\n{done}");
    }

    /// What the client of the page does with the original's tool.
    fn upload(&self, count: usize) {
        let tracker = format!("{}:22122", Lan::addr(0));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let client = ClientOptions::new([tracker]).unwrap().connect();
            for number in 0..count {
                let content = vec![number as u8; 1 + number * 1000];
                client.upload(&content, UploadOptions::ext("bin")).await.unwrap();
            }
        });
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for host in 0..HOSTS.len() as u8 {
            for daemon in ["fdfs_trackerd", "fdfs_storaged"] {
                let file = self.folder(host).join(format!("data/data/{daemon}.pid"));
                let Ok(pid) = std::fs::read_to_string(file) else { continue };
                // Gone already, if the page has stopped it.
                let _ =
                    Command::new("kill").arg("-9").arg(pid.trim()).stderr(Stdio::null()).status();
            }
        }
    }
}

#[test]
fn the_operators_page_works_as_it_stands() {
    const TEST: &str = "the_operators_page_works_as_it_stands";
    let lan = match Lan::new(HOSTS.len() as u8) {
        Ok(lan) => lan,
        Err(error) => return has_no_network(TEST, &error),
    };
    lan.enter().unwrap();
    let lab = Lab::new(lan);
    let steps = steps();
    assert!(steps.len() > 50, "{} commands were found", steps.len());
    for step in &steps {
        match step.text.starts_with("fdfs_upload_file ") {
            true => lab.upload(FILES),
            false => lab.run(step),
        }
    }
}
