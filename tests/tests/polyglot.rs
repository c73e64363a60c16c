//! Every scenario of `tests/scenarios.tsv` in every language, with the package as a user installs
//! it. `make polyglot`; `FDFS_SDK=python` runs one language only.
#![allow(clippy::unwrap_used, missing_docs)]

use fdfs_tests::stage::Stage;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

const SCENARIOS: &str = include_str!("../scenarios.tsv");
/// The exit code of tests/original.sh when there is no original.
const NOT_THERE: i32 = 77;
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Name and servers of each.
fn scenarios() -> impl Iterator<Item = (&'static str, &'static str)> {
    SCENARIOS.lines().skip(1).map(|line| {
        let mut columns = line.split('\t');
        (columns.next().unwrap(), columns.next().unwrap())
    })
}

/// Where packages are installed: outside of the source tree.
fn folder(language: &str) -> PathBuf {
    std::env::temp_dir().join("fdfs-sdk").join(language)
}

fn script(path: &str, folder: &Path) -> Command {
    let mut command = Command::new(Path::new(ROOT).join(path));
    command.arg(folder);
    surroundings(&mut command);
    command
}

/// Where packages are used: not in the source tree.
fn surroundings(command: &mut Command) {
    command.current_dir(std::env::temp_dir());
    // Cargo names its own folders there: what is loaded must be what is installed.
    command.env_remove("LD_LIBRARY_PATH");
    // Packages are built as users build them, not as tests are.
    command.env_remove("RUSTFLAGS");
}

/// What runs some scenarios, on servers that variables name.
fn runner(language: &str) -> String {
    format!("tests/runners/{language}/run.sh")
}

/// Runs a runner. It must end well and have done all it was asked for, unless it ends with the
/// status of what is not there.
fn play(language: &str, mut command: Command, names: &[&str]) -> ExitStatus {
    command.args(names).stdout(Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    if output.status.code() == Some(NOT_THERE) {
        return output.status;
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    println!("{printed}");
    assert!(output.status.success(), "{language}: the runner ended with {}", output.status);
    for name in names {
        let line = format!("ok {name}");
        assert!(printed.lines().any(|printed| printed == line), "{language}: no {line:?}");
    }
    output.status
}

/// Plays what any server must do on FastDFS itself: on the cluster of `FDFS_ORIGINAL_TRACKER`, or
/// on one that is started for it from the binaries on PATH.
fn prove_on_original(language: &str, stage: &Stage) {
    let any = scenarios().filter(|(_, servers)| *servers == "any");
    let names: Vec<&str> = any.map(|(name, _)| name).collect();
    let mut command = match std::env::var_os("FDFS_ORIGINAL_TRACKER") {
        Some(tracker) => {
            let mut command = script(&runner(language), &folder(language));
            command.env("FDFS_TRACKER", tracker);
            command
        }
        None => {
            let mut command = Command::new(Path::new(ROOT).join("tests/original.sh"));
            command.arg(Path::new(ROOT).join(runner(language))).arg(folder(language));
            surroundings(&mut command);
            command
        }
    };
    // What plays on the original finds no other servers.
    for name in ["FDFS_DIR", "FDFS_VECTORS"] {
        command.env(name, stage.var(name));
    }
    if play(language, command, &names).code() == Some(NOT_THERE) {
        println!("NOT RUN: {language} against the original, which is not here");
    } else {
        println!("{language}: {} scenarios against the original", names.len());
    }
}

fn prove(language: &str) {
    if std::env::var("FDFS_SDK").is_ok_and(|only| only != language) {
        println!("NOT RUN: FDFS_SDK names another language than {language}");
        return;
    }
    let install = script(&format!("bindings/{language}/install.sh"), &folder(language)).status();
    assert!(install.unwrap().success(), "{language}: the package cannot be installed");
    let stage = Stage::set();
    let names: Vec<&str> = scenarios().map(|(name, _)| name).collect();
    let mut command = script(&runner(language), &folder(language));
    command.envs(stage.vars().iter().map(|(name, value)| (*name, value)));
    assert!(play(language, command, &names).success(), "{language}: the runner is not there");
    prove_on_original(language, &stage);
    let mut check = script(&format!("bindings/{language}/check.sh"), &folder(language));
    check.envs(stage.vars().iter().map(|(name, value)| (*name, value)));
    assert!(check.status().unwrap().success(), "{language}: check.sh");
    document(language);
}

/// The documentation of the package is made from its own comments, and has the API.
fn document(language: &str) {
    let docs = tempfile::tempdir().unwrap();
    let mut command = script(&format!("bindings/{language}/docs.sh"), docs.path());
    command.env("FDFS_INSTALLED", folder(language));
    assert!(command.status().unwrap().success(), "{language}: docs.sh");
    let pages = Command::new("grep").args(["-rlE", "get_?[mM]etadata"]).arg(docs.path()).output();
    assert!(!pages.unwrap().stdout.is_empty(), "{language}: the documentation lacks the API");
    assert!(docs.path().join("index.html").is_file(), "{language}: no first page");
}

#[test]
#[ignore = "needs a C++ compiler, cmake and valgrind; run by make polyglot"]
fn c() {
    prove("c");
}

#[test]
#[ignore = "needs a Python; run by make polyglot"]
fn python() {
    prove("python");
}

#[test]
#[ignore = "needs Node; run by make polyglot"]
fn node() {
    prove("node");
}

#[test]
#[ignore = "needs a JDK and Maven; run by make polyglot"]
fn java() {
    prove("java");
}
