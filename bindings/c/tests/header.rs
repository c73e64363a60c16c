//! The committed header is what the sources say; `BLESS=1` writes it anew.
#![allow(clippy::unwrap_used, missing_docs)]

use fdfs_core::ErrorKind;
use std::fmt::Write as _;
use std::path::Path;

/// Kinds whose constant is not simply their name in capitals (SDK conventions §3).
const SHORT: &[(&str, &str)] = &[
    ("already_exists", "EXISTS"),
    ("invalid_argument", "INVAL"),
    ("permission", "PERM"),
    ("local_io", "IO"),
];

fn version() -> String {
    let mut parts = env!("CARGO_PKG_VERSION").split('.');
    let mut text = String::new();
    for name in ["MAJOR", "MINOR", "PATCH"] {
        writeln!(text, "#define FDFS_VERSION_{name} {}", parts.next().unwrap()).unwrap();
    }
    text
}

fn codes() -> String {
    let mut text = String::from("enum {\n  FDFS_OK = 0,\n");
    for kind in ErrorKind::ALL {
        let short = SHORT.iter().find(|(name, _)| *name == kind.name());
        let constant = short.map_or(kind.name().to_uppercase(), |(_, short)| (*short).to_owned());
        writeln!(text, "  FDFS_E_{constant} = {},", kind.number()).unwrap();
    }
    text + "};\n"
}

fn generate() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rules = std::fs::read_to_string(folder.join("header.txt")).unwrap();
    let config = cbindgen::Config {
        language: cbindgen::Language::C,
        cpp_compat: true,
        include_guard: Some("LIBFDFS_H".into()),
        documentation_style: cbindgen::DocumentationStyle::Doxy,
        style: cbindgen::Style::Type,
        usize_is_size_t: true,
        header: Some(rules.trim_end().to_owned()),
        after_includes: Some(format!("\n{}\n{}", version(), codes())),
        export: cbindgen::ExportConfig {
            // Nothing takes it: levels are passed as int.
            include: vec!["fdfs_log_level".into()],
            ..Default::default()
        },
        ..Default::default()
    };
    let mut out = Vec::new();
    let builder = cbindgen::Builder::new().with_config(config);
    let mut sources: Vec<_> =
        folder.join("src").read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    sources.sort();
    let builder = sources.iter().fold(builder, |builder, source| builder.with_src(source));
    builder.generate().unwrap().write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_header_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include/libfdfs.h");
    let fresh = generate();
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &fresh).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == fresh, "include/libfdfs.h is stale: run make bless");
}
