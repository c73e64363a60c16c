//! Our servers and those of the original in one group, in every combination: what clients change at
//! one member reaches the other, whoever's they are. Needs the original's daemons on PATH and root,
//! for a network: the original refuses trackers on the loopback interface.
//!
//! The original loses changes when a file is cut, appended to after a cut, or renamed before what
//! was done before has been sent (spec 03, quirks C), so each step waits for the one before.
#![allow(clippy::unwrap_used, missing_docs, clippy::cast_possible_wrap)]

use fdfs_core::client::StorageStatus;
use fdfs_core::protocol::Command;
use fdfs_core::protocol::storage::{
    Append, META_MERGE, META_OVERWRITE, Modify, Truncate, UploadSlave,
};
use fdfs_tests::daemons;
use fdfs_tests::lan::{Lan, did_not_run, has_no_network};
use fdfs_tests::members::{Members, STORAGE_PORT, TRACKER};
use fdfs_tests::raw::Raw;
use fdfs_tests::requests::{bytes, download, file, set_metadata, stored, upload};
use fdfs_tests::trees::{Tree, settle};
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Longest wait until both have the same.
const PATIENCE: Duration = Duration::from_secs(60);

/// The folder of the original's daemons.
fn originals() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let ours = daemons::folder().unwrap().canonicalize().unwrap();
    let has_both = |folder: &PathBuf| {
        ["fdfs_trackerd", "fdfs_storaged"].iter().all(|name| folder.join(name).is_file())
    };
    std::env::split_paths(&path)
        .filter(has_both)
        .find(|folder| folder.canonicalize().is_ok_and(|folder| folder != ours))
}

/// The files that clients have made at one member.
struct Made {
    host: u8,
    /// Files with the content they must have.
    files: Vec<(String, Vec<u8>)>,
    /// An appender file.
    log: String,
    /// A file to be deleted.
    gone: String,
    /// An appender file to be given its final name.
    draft: String,
}

fn connect(host: u8) -> Raw {
    Raw::connect((Lan::addr(host), STORAGE_PORT).into())
}

/// Uploads of all kinds, with metadata.
fn make(host: u8) -> Made {
    let mut raw = connect(host);
    let mut files = Vec::new();
    for len in [0, 1, 4096, 262_144, 262_145, 3_000_000] {
        let content = bytes(len);
        let name = upload(&mut raw, Command::UPLOAD_FILE, &content, "jpg");
        set_metadata(&mut raw, &name, META_OVERWRITE, b"a\x021\x01b\x022").body();
        files.push((name, content));
    }
    let (master, _) = files.last().unwrap();
    let slave = UploadSlave {
        master: master.as_str().try_into().unwrap(),
        content_len: 5,
        prefix: "_s".try_into().unwrap(),
        ext: "jpg".try_into().unwrap(),
    };
    let slave = stored(raw.call_with(Command::UPLOAD_SLAVE_FILE, &slave, b"slave"));
    files.push((slave, b"slave".to_vec()));
    let log = upload(&mut raw, Command::UPLOAD_APPENDER_FILE, b"one", "log");
    let gone = upload(&mut raw, Command::UPLOAD_FILE, b"gone", "txt");
    let draft = upload(&mut raw, Command::UPLOAD_APPENDER_FILE, b"draft", "txt");
    Made { host, files, log, gone, draft }
}

fn append(raw: &mut Raw, name: &str, content: &[u8]) {
    let head = Append { name: name.try_into().unwrap(), content_len: content.len() as i64 };
    raw.call_with(Command::APPEND_FILE, &head, content).body();
}

/// What was appended to the log.
fn appended() -> Vec<u8> {
    let pieces = (1..20).map(|at| bytes(at * 1000));
    [b"one".to_vec()].into_iter().chain(pieces).flatten().collect()
}

/// Appends, a modification, merged and removed metadata.
fn change(made: &Made) {
    let mut raw = connect(made.host);
    for at in 1..20 {
        append(&mut raw, &made.log, &bytes(at * 1000));
    }
    append(&mut raw, &made.draft, b" and more");
    let name = made.log.as_str().try_into().unwrap();
    let head = Modify { name, offset: 2, content_len: 8 };
    raw.call_with(Command::MODIFY_FILE, &head, b"MODIFIED").body();
    let [(first, _), (second, _), ..] = &made.files[..] else { unreachable!("there are more") };
    set_metadata(&mut raw, first, META_MERGE, b"b\x023\x01c\x024").body();
    set_metadata(&mut raw, second, META_OVERWRITE, b"").body();
}

fn truncate(made: &Made) {
    let name = made.log.as_str().try_into().unwrap();
    let head = Truncate { name, size: 5000 };
    connect(made.host).call_with(Command::TRUNCATE_FILE, &head, &[]).body();
}

/// One more append, the final name, a deletion.
fn finish(made: &mut Made) {
    let mut raw = connect(made.host);
    append(&mut raw, &made.log, b"tail");
    let mut content = appended();
    content.get_mut(2..10).unwrap().copy_from_slice(b"MODIFIED");
    content.truncate(5000);
    content.extend(b"tail");
    made.files.push((made.log.clone(), content));
    raw.call_with(Command::DELETE_FILE, &file(&made.gone), &[]).body();
    let renamed = raw.call(Command::REGENERATE_APPENDER_FILENAME, made.draft.as_bytes());
    made.files.push((stored(renamed), b"draft and more".to_vec()));
}

/// All operations at each of the members, and the same files at both afterwards.
fn exercise(members: &mut Members) -> Tree {
    let paths = members.store_paths();
    let mut made: Vec<Made> = members.storages().map(make).collect();
    settle(&paths, PATIENCE);
    made.iter().for_each(change);
    settle(&paths, PATIENCE);
    made.iter().for_each(truncate);
    settle(&paths, PATIENCE);
    made.iter_mut().for_each(finish);
    let tree = settle(&paths, PATIENCE);
    for made in &made {
        for host in members.storages() {
            let mut raw = connect(host);
            for (name, content) in made.files.iter().filter(|(_, content)| !content.is_empty()) {
                assert!(download(&mut raw, name) == *content, "{name} at host {host}");
            }
        }
        for name in [&made.gone, &made.draft] {
            let path = PathBuf::from("data").join(name.split_once('/').unwrap().1);
            assert!(!tree.contains_key(&path), "{name} is there");
        }
    }
    members.check_alive();
    tree
}

fn verify() {
    let mut tool = std::process::Command::new(daemons::folder().unwrap().join("fdfs"));
    tool.args(["verify", "group1", "--content", "--settle", "0", "--tracker"]);
    let output = tool.arg(Members::tracker()).output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    print!("{out}");
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
}

/// A cluster with these of its parts the original's; `None` where that cannot be.
fn cluster(
    test: &str,
    dir: &tempfile::TempDir,
    theirs: [bool; 3],
) -> Option<(Members, Runtime, [PathBuf; 2])> {
    let Some(originals) = originals() else {
        did_not_run(test, "the original's daemons are not on PATH");
        return None;
    };
    let both = [daemons::folder().unwrap(), originals];
    let [ours, originals] = &both;
    let folders = theirs.map(|theirs| if theirs { originals.clone() } else { ours.clone() });
    let mut members = match Members::new(dir.path(), &folders, "") {
        Ok(members) => members,
        Err(error) => {
            has_no_network(test, &error);
            return None;
        }
    };
    members.lan.enter().unwrap();
    let runtime = Runtime::new().unwrap();
    members.start(TRACKER);
    // One after the other: of two that are new at the same time, either may become the source.
    for host in members.storages() {
        members.start(host);
        members.wait_status(&runtime, host, StorageStatus::ACTIVE);
    }
    Some((members, runtime, both))
}

fn mix(test: &str, theirs: [bool; 3]) {
    let dir = tempfile::tempdir().unwrap();
    let Some((mut members, ..)) = cluster(test, &dir, theirs) else { return };
    let files = exercise(&mut members).len();
    verify();
    println!("{test}: {files} files are equal");
}

macro_rules! mixes {
    ($($name:ident: $tracker:literal $first:literal $second:literal;)*) => {$(
        #[test]
        fn $name() {
            mix(stringify!($name), [$tracker, $first, $second].map(|who| who == "theirs"));
        }
    )*};
}

// Tracker, storage 1, storage 2.
mixes! {
    mix_ours_ours_ours: "ours" "ours" "ours";
    mix_ours_ours_theirs: "ours" "ours" "theirs";
    mix_ours_theirs_ours: "ours" "theirs" "ours";
    mix_ours_theirs_theirs: "ours" "theirs" "theirs";
    mix_theirs_ours_ours: "theirs" "ours" "ours";
    mix_theirs_ours_theirs: "theirs" "ours" "theirs";
    mix_theirs_theirs_ours: "theirs" "theirs" "ours";
    mix_theirs_theirs_theirs: "theirs" "theirs" "theirs";
}

#[test]
fn a_running_group_moves_to_our_servers_and_back() {
    let test = "a_running_group_moves_to_our_servers_and_back";
    let dir = tempfile::tempdir().unwrap();
    let Some((mut members, runtime, [ours, theirs])) = cluster(test, &dir, [true; 3]) else {
        return;
    };
    let mut files = exercise(&mut members);
    for (host, folder) in
        [(2, &ours), (TRACKER, &ours), (1, &ours), (2, &theirs), (1, &theirs), (TRACKER, &theirs)]
    {
        members.stop(host);
        members.set_folder(host, folder);
        members.start(host);
        members.wait_active(&runtime);
        let more = exercise(&mut members);
        let kept = files.iter().all(|(path, content)| more.get(path) == Some(content));
        assert!(kept && more.len() > files.len(), "host {host}: files were lost");
        files = more;
        verify();
        println!("host {host} runs from {}: {} files are equal", folder.display(), files.len());
    }
}
