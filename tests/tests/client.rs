//! The client against our own servers, and against the original where one is named.
#![allow(clippy::unwrap_used, missing_docs)]

use fdfs_core::client::{ClientOptions, Range, UploadOptions, blocking};
use fdfs_servers::embedded::{EmbeddedCluster, EmbeddedOptions};
use fdfs_tests::scenarios;
use fdfs_tests::stage::Stage;

#[test]
fn all_scenarios_pass_on_the_stage() {
    let stage = Stage::set();
    let client = ClientOptions::new([stage.var("FDFS_TRACKER")]).unwrap().connect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(scenarios::all(&client));
    runtime.block_on(scenarios::on_stage(&stage));
}

/// Proves interoperation with FastDFS itself; `FDFS_ORIGINAL_TRACKER=host:port` names a tracker of
/// a running cluster.
#[test]
fn all_scenarios_pass_on_the_original_when_one_is_named() {
    let Ok(tracker) = std::env::var("FDFS_ORIGINAL_TRACKER") else {
        println!("not run: FDFS_ORIGINAL_TRACKER names no tracker of an original cluster");
        return;
    };
    let client = ClientOptions::new([tracker]).unwrap().connect();
    tokio::runtime::Runtime::new().unwrap().block_on(scenarios::all(&client));
}

#[test]
fn the_blocking_client_does_the_same_from_many_threads() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = EmbeddedOptions::new(dir.path());
    let cluster = runtime.block_on(EmbeddedCluster::start(options)).unwrap();
    let options = ClientOptions::new([cluster.tracker_addr().to_string()]).unwrap();
    let client = blocking::Client::new(options);
    let threads: Vec<_> = (0..8u8)
        .map(|number| {
            let client = client.clone();
            std::thread::spawn(move || {
                use std::io::{Read as _, Write as _};
                let content = vec![number; 400_000];
                let mut writer = client.create(UploadOptions::ext("bin"), true).unwrap();
                writer.write_all(&content).unwrap();
                let id = writer.finish().unwrap();
                let mut read = Vec::new();
                client.open(&id, Range::default()).unwrap().read_to_end(&mut read).unwrap();
                assert!(read == content);
                let sized = Some(400_000);
                let copy = client.upload_reader(&content[..], sized, UploadOptions::default());
                let mut sink = Vec::new();
                let copy = copy.unwrap();
                client.download_to(&copy, &mut sink, Range::default()).unwrap();
                assert!(sink == content);
                client.delete(&id, false).unwrap();
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    runtime.block_on(cluster.shutdown()).unwrap();
}
