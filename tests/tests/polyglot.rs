//! Every scenario of `tests/scenarios.tsv` in every language, with the package as a user installs
//! it. `make polyglot`; `FDFS_SDK=python` runs one language only.
#![allow(clippy::unwrap_used, missing_docs)]

use fdfs_tests::stage::Stage;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SCENARIOS: &str = include_str!("../scenarios.tsv");
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
    command.arg(folder).current_dir(std::env::temp_dir());
    // Cargo names its own folders there: what is loaded must be what is installed.
    command.env_remove("LD_LIBRARY_PATH");
    command
}

/// Runs a runner and returns what it printed; it must end well.
fn play(language: &str, vars: &[(&str, String)], names: &[&str]) {
    let mut command = script(&format!("tests/runners/{language}/run.sh"), &folder(language));
    command.args(names).stdout(Stdio::piped());
    command.envs(vars.iter().map(|(name, value)| (*name, value)));
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    println!("{printed}");
    assert!(output.status.success(), "{language}: the runner ended with {}", output.status);
    for name in names {
        let line = format!("ok {name}");
        assert!(printed.lines().any(|printed| printed == line), "{language}: no {line:?}");
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
    play(language, stage.vars(), &names);
    match std::env::var("FDFS_ORIGINAL_TRACKER") {
        Err(_) => println!("NOT RUN: {language} against the original, none is named"),
        Ok(tracker) => {
            let mut vars = stage.vars().to_vec();
            vars.retain(|(name, _)| *name != "FDFS_TRACKER");
            vars.push(("FDFS_TRACKER", tracker));
            let any = scenarios().filter(|(_, servers)| *servers == "any");
            let names: Vec<&str> = any.map(|(name, _)| name).collect();
            play(language, &vars, &names);
        }
    }
    let mut check = script(&format!("bindings/{language}/check.sh"), &folder(language));
    check.envs(stage.vars().iter().map(|(name, value)| (*name, value)));
    assert!(check.status().unwrap().success(), "{language}: check.sh");
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
