//! Opening sockets: listeners, dials, and what a stream is set to.

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::RangeInclusive;

/// Streams that the kernel holds until they are accepted.
const BACKLOG: i32 = 1024;

/// Opens a listener at `address`. An unspecified IPv6 address takes IPv4 as well, and falls back to IPv4 alone on a host
/// without IPv6. If the port is 0 and there are `ports` to choose from, the first free one of them is taken.
pub(crate) fn listen(
    address: SocketAddr,
    ports: Option<&RangeInclusive<u16>>,
) -> io::Result<TcpListener> {
    let Some(ports) = ports.filter(|_| address.port() == 0) else { return listen_at(address) };
    let mut last = io::ErrorKind::AddrInUse.into();
    for port in ports.clone() {
        match listen_at(SocketAddr::new(address.ip(), port)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
            done => return done,
        }
    }
    Err(last)
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    match listen_exactly(address) {
        Err(error) if is_missing_family(&error) && address.ip().is_unspecified() => {
            listen_exactly((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        done => done,
    }
}

fn is_missing_family(error: &io::Error) -> bool {
    [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL].map(Some).contains(&error.raw_os_error())
}

fn listen_exactly(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // A restarted node takes its port back although old connections linger. (On Windows this would mean another thing.)
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Begins to dial. The stream becomes writable when it is decided.
pub(crate) fn dial(to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::from(to)) {
        Err(error) if !is_in_progress(&error) => Err(error),
        _ => Ok(socket.into()),
    }
}

fn is_in_progress(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::EINPROGRESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_address_takes_both_families() {
        let listener = listen("[::]:0".parse().unwrap(), None).unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        if listener.local_addr().unwrap().is_ipv6() {
            TcpStream::connect(("::1", port)).unwrap();
        }
    }

    #[test]
    fn a_taken_port_is_an_error_and_a_range_goes_on() {
        let first = listen("127.0.0.1:0".parse().unwrap(), None).unwrap().local_addr().unwrap();
        let held = listen(first, None).unwrap_or_else(|_| TcpListener::bind(first).unwrap());
        let error = listen(first, None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let range = first.port()..=first.port().saturating_add(20);
        let next = listen("127.0.0.1:0".parse().unwrap(), Some(&range)).unwrap();
        assert!(range.contains(&next.local_addr().unwrap().port()));
        assert_ne!(next.local_addr().unwrap(), first);
        drop(held);
        let only = first.port()..=first.port();
        listen("127.0.0.1:0".parse().unwrap(), Some(&only)).unwrap();
    }
}
