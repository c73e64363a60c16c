//! Any bytes as a stream of packets, and as the body of every command.
#![no_main]

use fdfs_core::protocol::frame::{Decoder, Event};
use fdfs_core::protocol::{COMMANDS, Command, meta};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::new(2048);
    let mut rest = bytes;
    while let Ok((event, used)) = decoder.next(rest) {
        match event {
            Event::Need(len) => {
                assert!(len > rest.len() || decoder.content_left() > 0);
                break;
            }
            Event::Request { header, head, .. } => recode(header.command, head),
            Event::Content(piece) => assert!(!piece.is_empty()),
        }
        rest = &rest[used..];
    }
    if let Some((command, body)) = bytes.split_first() {
        recode(Command(*command), body);
        let index = usize::from(*command) % COMMANDS.len();
        recode(COMMANDS[index].command, body);
    }
    assert_eq!(meta::normalize(&meta::normalize(bytes)), meta::normalize(bytes));
});

/// What decodes encodes to something that decodes to the same.
fn recode(command: Command, body: &[u8]) {
    let Some(info) = command.info() else { return };
    for recode in [info.recode_request, info.recode_reply] {
        if let Ok(ours) = recode(body) {
            assert_eq!(recode(&ours).as_ref(), Ok(&ours));
        }
    }
}
