//! What lies below a store path, to be compared with what lies below another.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test that cannot look fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Content by path: of links, the name they point to.
pub type Tree = BTreeMap<PathBuf, Vec<u8>>;

/// Files, links and content below a store path.
pub fn tree(dir: &Path) -> Tree {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.join("data")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().to_owned();
            let in_store = name.components().count() == 4;
            // What was there a moment ago may have got its final name since.
            let Ok(meta) = path.symlink_metadata() else { continue };
            if meta.is_dir() {
                folders.push(path);
            } else if meta.is_symlink() {
                let target = std::fs::read_link(&path).unwrap();
                found.insert(name, target.file_name().unwrap().as_encoded_bytes().to_vec());
            } else if in_store && !name.starts_with("data/sync") {
                let Ok(content) = std::fs::read(&path) else { continue };
                found.insert(name, content);
            }
        }
    }
    found
}

/// What differs between trees: each path with its length in each of them.
pub fn differences(trees: &[Tree]) -> Vec<String> {
    let names: std::collections::BTreeSet<_> = trees.iter().flat_map(Tree::keys).collect();
    let same = |name: &&&PathBuf| {
        trees.iter().all(|tree| tree.get(**name) == trees.first().unwrap().get(**name))
    };
    let lens = |name: &PathBuf| -> Vec<_> {
        trees.iter().map(|tree| tree.get(name).map(Vec::len)).collect()
    };
    let different = names.iter().filter(|name| !same(name));
    different.map(|name| format!("{} {:?}", name.display(), lens(name))).collect()
}

/// Waits until all store paths hold the same, and gives it.
pub fn settle(dirs: &[PathBuf], patience: Duration) -> Tree {
    let began = Instant::now();
    loop {
        let trees: Vec<_> = dirs.iter().map(|dir| tree(dir)).collect();
        let different = differences(&trees);
        if different.is_empty() {
            return trees.into_iter().next().unwrap();
        }
        assert!(began.elapsed() < patience, "still different: {different:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
