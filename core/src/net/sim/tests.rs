use super::{Network, Power, TcpListener, TcpSocket, TcpStream, is_quiet, run, spawn_on};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

const PORT: u16 = 7;
const LONG: Duration = Duration::from_secs(30);

fn host(at: u8) -> IpAddr {
    [10, 0, 0, at].into()
}

fn listen(at: u8) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(host(at), PORT)).unwrap();
    socket.listen(1).unwrap()
}

async fn connect(from: u8, to: u8) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(host(from), 0))?;
    socket.connect(SocketAddr::new(host(to), PORT)).await
}

/// A connection from host 1 to host 2: both ends.
async fn connected(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let (client, server) = tokio::join!(connect(1, 2), listener.accept());
    (client.unwrap(), server.unwrap().0)
}

fn play<F: Future<Output = ()>>(scenario: impl Fn(Arc<Network>) -> F) {
    for seed in 0..20 {
        run(seed, &scenario);
    }
}

#[test]
fn bytes_arrive_in_order_and_the_end_after_them() {
    play(|_| async {
        let (mut client, mut server) = connected(&listen(2)).await;
        let sent: Vec<u8> = (0..1_000_000u32).map(|at| at.to_le_bytes()[1]).collect();
        let expected = sent.clone();
        spawn_on(host(1), async move { client.write_all(&sent).await.unwrap() });
        let mut received = Vec::new();
        server.read_to_end(&mut received).await.unwrap();
        assert!(received == expected);
    });
}

#[test]
fn what_is_sent_into_a_cut_arrives_when_it_heals() {
    play(|network| async move {
        let (mut client, mut server) = connected(&listen(2)).await;
        network.cut(host(1), host(2));
        client.write_all(b"late").await.unwrap();
        let mut buffer = [0; 4];
        assert!(timeout(LONG, server.read_exact(&mut buffer)).await.is_err());
        server.write_all(b"open").await.unwrap();
        client.read_exact(&mut buffer).await.unwrap();
        network.heal(host(1), host(2));
        server.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"late");
    });
}

#[test]
fn nobody_listening_is_a_refusal_and_a_host_without_power_is_silence() {
    play(|network| async move {
        let refused = connect(1, 2).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let listener = listen(2);
        network.stop(host(2), Power::Off);
        assert!(timeout(LONG, connect(1, 2)).await.is_err());
        network.start(host(2));
        connected(&listener).await;
    });
}

#[test]
fn peers_of_a_killed_host_are_told_and_those_of_a_dark_one_when_they_send() {
    play(|network| async move {
        let listener = listen(2);
        let (mut client, server) = connected(&listener).await;
        network.stop(host(2), Power::Killed);
        drop(server);
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "the end");
        network.start(host(2));
        let (mut client, server) = connected(&listener).await;
        network.stop(host(2), Power::Off);
        drop(server);
        network.start(host(2));
        sleep(LONG).await;
        assert!(is_quiet(&client), "it knows nothing yet");
        client.write_all(b"?").await.unwrap();
        let error = client.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn what_is_on_its_way_goes_with_the_power_or_with_a_connection_that_discards() {
    play(|network| async move {
        let listener = listen(2);
        let (mut client, mut server) = connected(&listener).await;
        network.cut(host(1), host(2));
        client.write_all(b"lost").await.unwrap();
        network.stop(host(1), Power::Off);
        network.heal(host(1), host(2));
        network.start(host(1));
        assert!(timeout(LONG, server.read(&mut [0])).await.is_err());
        let (mut client, mut server) = connected(&listener).await;
        client.set_zero_linger().unwrap();
        network.cut(host(1), host(2));
        client.write_all(b"lost").await.unwrap();
        drop(client);
        network.heal(host(1), host(2));
        let error = server.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_seed_is_a_run() {
    let log = |seed| {
        run(seed, |network| async move {
            let listener = listen(2);
            for _ in 0..20 {
                let (mut client, _server) = connected(&listener).await;
                client.write_all(&[7; 1000]).await.unwrap();
            }
            network.log()
        })
    };
    assert_eq!(log(5), log(5));
    assert_ne!(log(5), log(6));
}
