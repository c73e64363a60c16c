//! Reading a file piece by piece.

use super::download::Incoming;
use super::{Client, Range};
use crate::error::Result;
use crate::file_id::FileId;

/// An open file. Memory does not grow with the file; dropping it early closes its connection.
#[derive(Debug)]
pub struct Reader {
    client: Client,
    id: FileId,
    range: Range,
    incoming: Incoming,
}

impl Reader {
    pub(super) fn new(client: Client, id: FileId, range: Range, incoming: Incoming) -> Self {
        Self { client, id, range, incoming }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> u64 {
        self.incoming.left
    }

    /// Reads some bytes; 0 at the end.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.incoming.read(buffer).await
    }

    /// Continues at another offset of the file, up to the end of the range it was opened with: a
    /// new request.
    pub async fn seek(&mut self, offset: u64) -> Result<()> {
        let start = self.range.offset.max(0).unsigned_abs();
        let end = self.range.length.map(|length| start.saturating_add(length));
        let length = end.map(|end| end.saturating_sub(offset));
        let range = Range { offset: i64::try_from(offset).unwrap_or(i64::MAX), length };
        self.incoming = self.client.begin_download(&self.id, range).await?;
        Ok(())
    }
}
