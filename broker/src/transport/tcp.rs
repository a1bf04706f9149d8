//! Binding a listener, and the options of an accepted socket.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

/// How many connections may wait to be accepted; beyond that the kernel makes clients try again.
const BACKLOG: i32 = 1024;

/// How many bytes the kernel takes of one connection beyond those that are on their way, at least and at most. Without
/// a bound it takes up to 4 MiB for each client that does not read: a thousand of them use up the memory that the machine
/// has for all its sockets, and everybody else's packets are dropped. What is on its way is not bounded, so a long way is
/// still filled. With more than the least a large answer needs fewer turns: a quarter less time of the broker, as measured.
const UNSENT_BYTES: std::ops::RangeInclusive<usize> = 256 * 1024..=1024 * 1024;

/// What all connections together may have of it beyond the least.
const UNSENT_BYTES_SHARED: usize = 64 * 1024 * 1024;

/// Listens on `address`; port 0 takes a free one. Must be called within a runtime.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted broker takes its port back although old connections linger in the kernel.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Answers leave at once: they are written whole, so there is nothing to gather by waiting. Those that are not taken
/// wait in the log and not in the kernel. The more `connections` there are, the less each is given there.
pub(crate) fn prepare(stream: &TcpStream, connections: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let bytes = u32::try_from(unsent_bytes_max(connections)).unwrap_or(u32::MAX);
    SockRef::from(stream).set_tcp_notsent_lowat(bytes)
}

fn unsent_bytes_max(connections: usize) -> usize {
    let share = UNSENT_BYTES_SHARED / connections.max(1);
    share.clamp(*UNSENT_BYTES.start(), *UNSENT_BYTES.end())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Once a thousand readers that never read had 2.3 GB in the kernel: all that this machine has for its sockets.
    #[tokio::test]
    async fn the_kernel_takes_little_for_a_client_that_does_not_read() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        prepare(&stream, 1_000).unwrap();
        let answer = vec![0; 1024 * 1024];
        let mut taken = 0;
        // The end of the wait is what is expected: a socket that is full stays full.
        while tokio::time::timeout(Duration::from_millis(200), stream.writable()).await.is_ok() {
            match stream.try_write(&answer) {
                Ok(count) => taken += count,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        assert!((1..1024 * 1024).contains(&taken), "the kernel took {taken} bytes");
    }

    #[test]
    fn few_connections_have_more_room_in_the_kernel_than_many() {
        let kib = [0, 64, 128, 1_000, 100_000].map(|count| unsent_bytes_max(count) / 1024);
        assert_eq!(kib, [1024, 1024, 512, 256, 256]);
    }
}
