//! `fdfs verify` against real members: it finds every kind of difference, and none where there is
//! none.
#![allow(clippy::unwrap_used, missing_docs)]

use fdfs_core::client::{Client, Metadata, UploadOptions};
use fdfs_core::file_id::FileId;
use fdfs_tests::daemons;
use fdfs_tests::group::Group;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

/// Runs the tool on a group; its exit code and what it printed.
fn verify(group: &Group, arguments: &[&str]) -> (i32, String) {
    let tracker = group.tracker();
    let output = tool(&[&["group1", "--tracker", &tracker], arguments].concat());
    print!("{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn tool(arguments: &[&str]) -> Output {
    let mut command = Command::new(daemons::folder().unwrap().join("fdfs"));
    command.arg("verify").args(arguments).output().unwrap()
}

/// One file of each kind.
struct Files {
    normal: FileId,
    appender: FileId,
    slave: FileId,
    with_metadata: FileId,
}

async fn upload(client: &Client) -> Files {
    let normal = client.upload(b"normal", UploadOptions::ext("txt")).await.unwrap();
    client.upload(b"", UploadOptions::default()).await.unwrap();
    client.upload(vec![7; 600_000], UploadOptions::ext("bin")).await.unwrap();
    let options = UploadOptions { appender: true, ..UploadOptions::ext("log") };
    let appender = client.upload(b"one", options).await.unwrap();
    client.append(&appender, b"two").await.unwrap();
    let slave = client.upload_slave(&normal, "_s", b"slave", UploadOptions::ext("txt"));
    let slave = slave.await.unwrap();
    let options = UploadOptions {
        metadata: Metadata::from([("a".into(), "1".into())]),
        ..UploadOptions::ext("jpg")
    };
    let with_metadata = client.upload(b"with metadata", options).await.unwrap();
    Files { normal, appender, slave, with_metadata }
}

#[test]
fn every_difference_is_found_and_nothing_else() {
    let group = Group::start(3);
    group.wait_active();
    let files = group.runtime.block_on(upload(&group.client()));
    group.settle();
    for arguments in [&["--settle", "0"][..], &["--settle", "0", "--content"]] {
        let (code, out) = verify(&group, arguments);
        assert_eq!(code, 0, "{out}");
        let summary = "group1: 7 names at 127.0.0.1, 127.0.0.2, 127.0.0.3: all the same\n";
        assert_eq!(out, summary);
    }
    // A missing file, another size, other content of the same size, other metadata.
    std::fs::remove_file(group.path(2, &files.slave)).unwrap();
    std::fs::write(group.path(3, &files.appender), b"onetwo+").unwrap();
    std::fs::write(group.path(1, &files.normal), b"NORMAL").unwrap();
    let metadata = format!("{}-m", group.path(1, &files.with_metadata).display());
    std::fs::write(metadata, b"a\x022").unwrap();
    let (code, out) = verify(&group, &["--settle", "0"]);
    assert_eq!(code, 1, "{out}");
    let lines: Vec<&str> = out.lines().collect();
    let line = |id: &str| lines.iter().find(|line| line.starts_with(id)).copied();
    let slave = line(files.slave.as_ref()).unwrap();
    assert!(slave.contains("127.0.0.1: 5 bytes, crc ") && slave.contains("127.0.0.2: missing"));
    let appender = line(files.appender.as_ref()).unwrap();
    assert!(appender.contains("127.0.0.3: 7 bytes") && appender.contains("127.0.0.1: 6 bytes"));
    assert!(line(&format!("{}-m", files.with_metadata)).is_some());
    assert_eq!(line(files.normal.as_ref()), None, "its name still says what it was");
    assert_eq!((lines.len(), lines.last().unwrap().contains(": 3 different")), (4, true), "{out}");
    // What a name promises is only found to be broken by reading the content.
    let (code, out) = verify(&group, &["--settle", "0", "--content", "--json"]);
    assert_eq!(code, 1, "{out}");
    let lines: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let normal = lines.iter().find(|line| line["name"] == files.normal.path()).unwrap();
    assert_eq!(normal["members"]["127.0.0.1"]["status"], 5, "{normal}");
    assert_eq!(normal["members"]["127.0.0.2"]["size"], 6, "{normal}");
    let summary = lines.last().unwrap();
    assert_eq!((&summary["names"], &summary["different"]), (&7.into(), &4.into()));
    group.shutdown();
}

#[test]
fn a_difference_that_is_on_its_way_is_none() {
    let group = Group::start(3);
    group.wait_active();
    let client = group.client();
    let files = group.runtime.block_on(upload(&client));
    group.settle();
    let path = group.path(2, &files.normal);
    let aside = group.dir().join("aside");
    std::fs::rename(&path, &aside).unwrap();
    let tracker = group.tracker();
    let mut tool = Command::new(daemons::folder().unwrap().join("fdfs"));
    tool.args(["verify", "group1", "--settle", "30", "--tracker", &tracker]);
    let mut running = tool.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(running.stderr.take().unwrap()).lines();
    let found = said.map_while(Result::ok).any(|line| line.contains("looking again"));
    assert!(found, "it ended without having seen the difference");
    std::fs::rename(&aside, &path).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(0));
    group.shutdown();
}

#[test]
fn what_cannot_be_compared_is_said_and_has_its_own_code() {
    let group = Group::start(1);
    let (code, out) = verify(&group, &[]);
    assert_eq!((code, &*out), (2, ""), "one member");
    let tracker = group.tracker();
    for arguments in [
        &["group9", "--tracker", &tracker][..],
        &["group1", "--tracker", "127.0.0.1:1"],
        &["group1", "--conf", "/nonexistent/client.conf"],
        &["group-name-with-more-than-sixteen", "--tracker", &tracker],
        &["group1", "--parallel", "0", "--tracker", &tracker],
        &[],
    ] {
        let output = tool(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{arguments:?}");
    }
    group.shutdown();
}
