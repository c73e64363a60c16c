//! One question of the tracker to a storage, on a connection of its own: there are few of them,
//! when a trunk server is chosen.

use bytes::BytesMut;
use fdfs_core::net::world::TcpStream;
use fdfs_core::protocol::frame::{HEADER_LEN, Header};
use fdfs_core::protocol::{Command, Status};
use fdfs_core::wire::Wire;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

/// Longest answer taken.
const ANSWER_LEN_MAX: usize = 1024;

/// How long the other side may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) connect: Duration,
    pub(super) network: Duration,
}

/// Sends a request and decodes the answer; errors of the network become statuses.
pub(super) async fn ask<Q: Wire, A: Wire>(
    addr: SocketAddr,
    command: Command,
    question: Q,
    timeouts: Timeouts,
) -> Result<A, Status> {
    let body = question.encode();
    let mut packet = BytesMut::with_capacity(HEADER_LEN + body.len());
    packet.extend_from_slice(&Header::request(command, body.len() as u64).encode());
    packet.extend_from_slice(&body);
    let connecting = timeout(timeouts.connect, TcpStream::connect(addr)).await;
    let stream = connecting.map_err(|_| Status::ETIMEDOUT)?.map_err(|e| Status::of_io(&e))?;
    let answer = timeout(timeouts.network, exchange(stream, &packet)).await;
    let answer = answer.map_err(|_| Status::ETIMEDOUT)??;
    A::decode(&answer).map_err(|_| Status::EINVAL)
}

async fn exchange(mut stream: TcpStream, packet: &[u8]) -> Result<Vec<u8>, Status> {
    let failed = |error: std::io::Error| Status::of_io(&error);
    stream.write_all(packet).await.map_err(failed)?;
    let mut header = [0; HEADER_LEN];
    stream.read_exact(&mut header).await.map_err(failed)?;
    let header = Header::parse(header).map_err(|_| Status::EINVAL)?;
    if !header.status.is_ok() {
        return Err(header.status);
    }
    let len = usize::try_from(header.body_len).ok().filter(|len| *len <= ANSWER_LEN_MAX);
    let mut body = vec![0; len.ok_or(Status::EINVAL)?];
    stream.read_exact(&mut body).await.map_err(failed)?;
    Ok(body)
}
