//! `docs/protocol.md` and `tests/vectors/errors.tsv` are what the tables say; `BLESS=1` writes them.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use fdfs_core::ErrorKind;
use fdfs_core::protocol::{COMMANDS, Resend, Status};
use std::fmt::Write as _;
use std::path::Path;

fn compare(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "{} is not what the tables say: run make bless", path.display());
}

#[test]
fn the_protocol_page_is_fresh() {
    let mut text = String::from(
        "# Commands\n\nGenerated from the table in `core/src/protocol/command.rs` by `make bless`. \
         Structures are documented there too.\nTwice: whether a request may be sent again when its \
         outcome is unknown. Content: bytes of the request before file content begins.\n\n\
         | number | name | receiver | twice | request | content | reply | |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for info in COMMANDS {
        let content = match info.stream {
            None => String::new(),
            Some(head) if head.named => format!("after {} + name", head.fixed),
            Some(head) => format!("after {}", head.fixed),
        };
        let twice = if info.resend == Resend::Safe { "yes" } else { "no" };
        let short = |ty: &str| ty.replace("super :: ", "").replace(' ', "").replace("::", ".");
        writeln!(
            text,
            "| {} | {} | {:?} | {twice} | `{}` | {content} | `{}`{} | {} |",
            info.command.0,
            info.name,
            info.receiver,
            short(info.request),
            short(info.reply),
            if info.reply_is_content { ", content" } else { "" },
            info.doc.trim(),
        )
        .unwrap();
    }
    compare("docs/protocol.md", &text);
}

#[test]
fn the_error_vectors_are_fresh() {
    let mut text = String::from("kind\tnumber\tretryable\tstatuses\n");
    for kind in ErrorKind::ALL {
        let statuses: Vec<String> = (1..=255)
            .map(Status)
            .filter(|status| *kind != ErrorKind::Server && ErrorKind::of_status(*status) == *kind)
            .map(|status| status.0.to_string())
            .collect();
        let (name, number, retryable) = (kind.name(), kind.number(), kind.retryable());
        writeln!(text, "{name}\t{number}\t{retryable}\t{}", statuses.join(",")).unwrap();
    }
    compare("tests/vectors/errors.tsv", &text);
}
