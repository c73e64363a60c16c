//! The README's quick start runs, and is the code of the example.
#![allow(clippy::unwrap_used, missing_docs)]

use fdfs_servers::embedded::{EmbeddedCluster, EmbeddedOptions};
use std::process::Command;

const README: &str = include_str!("../../README.md");
const EXAMPLE: &str = include_str!("../../core/examples/quickstart.rs");

#[test]
fn the_quick_start_runs() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cluster =
        runtime.block_on(EmbeddedCluster::start(EmbeddedOptions::new(dir.path()))).unwrap();
    let cargo = std::env::var("CARGO").unwrap_or("cargo".into());
    let output = Command::new(cargo)
        .args(["run", "--quiet", "-p", "fdfs-core", "--example", "quickstart", "--"])
        .args([&cluster.tracker_addr().to_string(), "Cargo.toml"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    runtime.block_on(cluster.shutdown()).unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.starts_with("group1/M00/"), "{out}{err}");
}

#[test]
fn the_readme_shows_the_code_that_runs() {
    let code = README.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
    let calls = code.lines().filter_map(|line| line.split_once("client.")).map(|(_, call)| call);
    let calls: Vec<&str> = calls.map(|call| call.split('(').next().unwrap()).collect();
    assert_eq!(calls, ["upload_file", "download", "delete"]);
    for call in calls {
        assert!(EXAMPLE.contains(&format!("client.{call}(")), "{call}");
    }
}

#[test]
fn what_the_readme_shows_in_other_languages_is_in_their_examples() {
    let bindings = concat!(env!("CARGO_MANIFEST_DIR"), "/../bindings");
    let snippets = README.split("```").skip(1).step_by(2);
    let mut seen = 0;
    for snippet in snippets {
        let (tag, code) = snippet.split_once('\n').unwrap();
        let examples: &[&str] = match tag {
            "python" => &["python/examples/quickstart.py", "python/examples/embedded.py"],
            "js" => &["node/examples/quickstart.mjs"],
            "java" => &["java/examples/Quickstart.java"],
            "c" => &["c/examples/quickstart.c"],
            _ => continue,
        };
        let read = |path: &&str| std::fs::read_to_string(format!("{bindings}/{path}")).unwrap();
        let example: String = examples.iter().map(read).collect();
        for line in code.lines().map(str::trim) {
            assert!(example.contains(line), "{tag}: {line}");
        }
        seen += 1;
    }
    assert_eq!(seen, 5);
}
