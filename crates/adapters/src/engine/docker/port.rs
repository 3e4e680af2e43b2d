//! Ports of the engine's machine, for containers in its own network.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpSocket;

/// A port that nobody else is given while this lives: bound, but not listened on, so that the
/// container can (programs that listen allow that by `SO_REUSEADDR`, which is usual).
pub struct Port {
    pub address: SocketAddr,
    _socket: TcpSocket,
}

impl Port {
    pub fn reserve(address: IpAddr) -> io::Result<Self> {
        let socket = match address {
            IpAddr::V4(_) => TcpSocket::new_v4()?,
            IpAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.bind(SocketAddr::new(address, 0))?;
        // Only now: a port that can be shared from the beginning might be given out twice.
        socket.set_reuseaddr(true)?;
        Ok(Self { address: socket.local_addr()?, _socket: socket })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_port_can_be_listened_on_and_is_given_to_nobody_else() {
        let port = Port::reserve([127, 0, 0, 1].into()).unwrap();
        let listener = std::net::TcpListener::bind(("0.0.0.0", port.address.port())).unwrap();
        std::net::TcpStream::connect(port.address).unwrap();
        drop(listener);
        let others: Vec<_> =
            (0..100).map(|_| Port::reserve([127, 0, 0, 1].into()).unwrap()).collect();
        assert!(others.iter().all(|other| other.address != port.address));
    }
}
