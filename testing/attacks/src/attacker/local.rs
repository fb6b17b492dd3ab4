//! A program on the victim's own host, under the same user, that misuses the control socket.

use super::Assault;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// More connections than are served, lines without end, nesting without end, nonsense, silence.
pub(super) fn abuse(assault: &mut Assault) -> io::Result<()> {
    let path = assault.orders.control.clone();
    let mut idle = Vec::new();
    while assault.is_on() {
        if idle.len() < assault.orders.count
            && let Ok(stream) = UnixStream::connect(&path)
        {
            idle.push(stream);
        }
        let nonsense: [Vec<u8>; 5] = [
            b"{\"command\":\"fly\"}\n".to_vec(),
            [vec![b'['; 200_000], b"\n".to_vec()].concat(),
            [vec![b'x'; 9 << 20], b"\n".to_vec()].concat(),
            b"{\"command\":\"send\",\"to\":\"zz\",\"text\":17}\n".to_vec(),
            assault.random_bytes(5000),
        ];
        for line in nonsense {
            let Ok(mut stream) = UnixStream::connect(&path) else { continue };
            stream.set_read_timeout(Some(Duration::from_millis(20)))?;
            stream.set_write_timeout(Some(Duration::from_millis(200)))?;
            assault.count("lines");
            let written = stream.write_all(&line);
            let mut said = [0; 512];
            if matches!(stream.read(&mut said), Ok(1..)) {
                assault.count("answered");
            } else if written.is_err() {
                assault.count("cut short");
            }
        }
        // Every other idle one gives its place back, so that places change hands.
        if idle.len() >= assault.orders.count {
            idle.truncate(idle.len() / 2);
        }
    }
    Ok(())
}
