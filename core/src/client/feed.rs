//! Content that somebody else pushes, piece by piece: how streams of other languages are uploaded.

use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;

/// Pieces under way between the two ends.
const PIECES_MAX: usize = 4;

/// Longest piece; [`Feeder::push`] cuts what is longer.
const PIECE_LEN_MAX: usize = crate::net::CHUNK_LEN;

/// Connects one who has content with a call that wants to read it.
///
/// ```no_run
/// # use fdfs_core::client::{Client, UploadOptions, feed};
/// # async fn example(client: Client) -> fdfs_core::Result<()> {
/// let (feeder, content) = feed();
/// let upload = client.upload_reader(content, Some(5), UploadOptions::default());
/// let (id, ()) = tokio::join!(upload, async move {
///     feeder.push(b"hello".as_slice().into()).await;
///     feeder.finish().await;
/// });
/// # Ok(()) }
/// ```
pub fn feed() -> (Feeder, Feed) {
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    (Feeder(sender), Feed { pieces, now: Bytes::new(), ended: false })
}

/// Pushes content. Dropping it without [`Feeder::finish`] fails the call that reads.
#[derive(Debug, Clone)]
pub struct Feeder(mpsc::Sender<Piece>);

/// Content as it is pushed.
#[derive(Debug)]
pub struct Feed {
    pieces: mpsc::Receiver<Piece>,
    now: Bytes,
    ended: bool,
}

#[derive(Debug)]
enum Piece {
    Content(Bytes),
    End,
    Failed(io::Error),
}

impl Feeder {
    /// Adds content; waits while 1 MiB is under way. Whether the other end still reads: when it
    /// does not, its call has ended.
    pub async fn push(&self, mut content: Bytes) -> bool {
        while !content.is_empty() {
            let piece = content.split_to(content.len().min(PIECE_LEN_MAX));
            if self.0.send(Piece::Content(piece)).await.is_err() {
                return false;
            }
        }
        !self.0.is_closed()
    }

    /// Says that all content has been pushed.
    pub async fn finish(&self) -> bool {
        self.0.send(Piece::End).await.is_ok()
    }

    /// Says that there will be no more because of an error, which the call then fails with.
    pub async fn fail(&self, error: io::Error) -> bool {
        self.0.send(Piece::Failed(error)).await.is_ok()
    }
}

impl AsyncRead for Feed {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let feed = self.get_mut();
        if feed.now.is_empty() && !feed.ended {
            match ready!(feed.pieces.poll_recv(context)) {
                Some(Piece::Content(content)) => feed.now = content,
                Some(Piece::End) => feed.ended = true,
                Some(Piece::Failed(error)) => return Poll::Ready(Err(error)),
                None => {
                    let text = "the source was given up before its end";
                    return Poll::Ready(Err(io::Error::other(text)));
                }
            }
        }
        let room = buffer.remaining().min(feed.now.len());
        buffer.put_slice(&feed.now.split_to(room));
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    #[tokio::test]
    async fn what_is_pushed_is_read_and_the_end_must_be_said() {
        let (feeder, mut content) = feed();
        let pushed = vec![7; 3 * PIECE_LEN_MAX * PIECES_MAX];
        let all = Bytes::from(pushed.clone());
        let task = tokio::spawn(async move { feeder.push(all).await && feeder.finish().await });
        let mut read = Vec::new();
        content.read_to_end(&mut read).await.unwrap();
        assert!(read == pushed && task.await.unwrap());

        let (feeder, mut content) = feed();
        assert!(feeder.push(Bytes::from_static(b"half")).await);
        drop(feeder);
        assert!(content.read_to_end(&mut Vec::new()).await.is_err());

        let (feeder, mut content) = feed();
        assert!(feeder.fail(io::Error::other("no more")).await);
        let error = content.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.to_string(), "no more");
    }

    #[tokio::test]
    async fn a_slow_reader_holds_the_feeder_back_and_one_that_left_tells_it() {
        let (feeder, content) = feed();
        let piece = Bytes::from(vec![0; PIECE_LEN_MAX]);
        for _ in 0..PIECES_MAX {
            assert!(feeder.push(piece.clone()).await);
        }
        let waiting = tokio::spawn(async move { feeder.push(piece).await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(content);
        assert!(!waiting.await.unwrap());
    }
}
