//! Sending records side by side, each on a connection of its own (spec 03 §C5).

use super::{Pause, Sender, open};
use crate::storage::binlog::Position;
use crate::storage::sync::batch::Batch;
use crate::storage::sync::reader::Entry;
use crate::storage::sync::send::PeerConn;
use tokio::task::JoinSet;

impl Sender {
    /// Sends a batch, each record on a connection of its own.
    pub(super) async fn send_batch(
        &mut self,
        batch: Batch,
        read_to: Position,
    ) -> Result<(), Pause> {
        let entries = batch.into_entries();
        let count = entries.len();
        self.conns.resize_with(self.conns.len().max(count), || None);
        let ends: Vec<Position> = entries.iter().map(|(_, end)| *end).collect();
        let outcomes = match self.conns.first_mut() {
            Some(Some(conn)) if count == 1 => {
                let mut sent = Ok(());
                for (entry, _) in &entries {
                    sent = conn.send(entry).await;
                }
                vec![sent]
            }
            _ => self.send_side_by_side(entries).await,
        };
        let mut before = self.mark.position;
        for (outcome, end) in outcomes.into_iter().zip(ends) {
            if let Err(error) = outcome {
                // Later ones that succeeded are sent again: that does no harm.
                self.read_from(before).await?;
                return Err(error.into());
            }
            (before, self.mark.sent) = (end, self.mark.sent + 1);
        }
        self.mark.position = read_to;
        let saved = self.saved.unwrap_or_default();
        if self.mark.sent >= saved.sent + self.settings.records_per_mark
            || self.mark.position.index != saved.position.index
        {
            self.save_mark().await;
        }
        Ok(())
    }

    async fn send_side_by_side(
        &mut self,
        entries: Vec<(Entry, Position)>,
    ) -> Vec<fdfs_core::Result<()>> {
        let Some(peer) = self.peer() else { return Vec::new() };
        let mut sending = JoinSet::new();
        let count = entries.len();
        for ((at, slot), (entry, _)) in self.conns.iter_mut().enumerate().zip(entries) {
            let (conn, peer) =
                (slot.take().filter(|conn| at == 0 || conn.is_fresh()), peer.clone());
            let (options, engine) = (self.settings.connect, self.engine.clone());
            sending.spawn(async move {
                let conn = match conn {
                    Some(conn) => Ok(conn),
                    None => {
                        let conn = open(&peer, &engine, &options).await;
                        conn.map(|conn| PeerConn::new(conn, engine))
                    }
                };
                match conn {
                    Ok(mut conn) => {
                        let sent = conn.send(&entry).await;
                        (at, Some(conn), sent)
                    }
                    Err(error) => (at, None, Err(error)),
                }
            });
        }
        let mut outcomes: Vec<fdfs_core::Result<()>> = Vec::new();
        outcomes.resize_with(count, || {
            Err(fdfs_core::Error::new(fdfs_core::ErrorKind::Internal, "sending ended early"))
        });
        while let Some(sent) = sending.join_next().await {
            let Ok((at, conn, sent)) = sent else { continue };
            if let (Some(slot), Some(outcome)) = (self.conns.get_mut(at), outcomes.get_mut(at)) {
                (*slot, *outcome) = (conn, sent);
            }
        }
        outcomes
    }
}
