//! Records of bootstrap servers, delegations by OpenPGP, and what is kept of servers. The first byte says which.

use p2pnet_protocol::discovery::bootstrap::memory::Memory;
use p2pnet_protocol::discovery::bootstrap::{
    Heartbeat, HeartbeatReply, PeerList, Refusal, Registration, ServerIdentity, openpgp, url,
};

/// What decodes has one meaning, and that has one encoding, the same bytes.
pub(crate) fn bootstrap(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let again = match first {
        0 => Registration::decode(rest).map(|read| {
            assert_eq!(read.check(), Ok(()));
            read.encode()
        }),
        1 => Heartbeat::decode(rest).map(|read| read.encode()),
        2 => HeartbeatReply::decode(rest).map(|read| {
            let bytes = read.tasks.iter().map(|task| task.len()).sum::<usize>();
            assert!(bytes <= HeartbeatReply::TASKS_BYTES_MAX);
            read.encode()
        }),
        3 => ServerIdentity::decode(rest).map(|read| read.encode()),
        4 => Refusal::decode(rest).map(|read| read.encode()),
        5 => Memory::decode(rest).map(|read| read.encode()),
        6 => return list(rest),
        7 => {
            let _ = openpgp::Packet::decode(rest);
            return;
        }
        _ => {
            if let Ok(plain) = core::str::from_utf8(rest)
                .map_err(drop)
                .and_then(|text| url::check(text).map_err(drop))
            {
                let host = plain.split(['/', '?']).nth(2).unwrap_or_default();
                assert!(plain.starts_with("http") && !plain.contains([' ', '\n']));
                assert!(!host.is_empty() && !host.contains('@'));
                assert_eq!(url::check(&plain), Ok(plain.clone()));
            }
            return;
        }
    };
    if let Ok(again) = again {
        assert_eq!(again, rest, "one meaning, one encoding");
    }
}

/// Addresses of unknown kinds are skipped, so that a list which had some is shorter.
fn list(bytes: &[u8]) {
    let Ok(read) = PeerList::decode(bytes) else { return };
    assert!(read.peers.len() <= PeerList::PEERS_MAX);
    let again = read.encode();
    assert!(again.len() <= bytes.len());
    if again.len() == bytes.len() {
        assert_eq!(again, bytes);
    }
    assert_eq!(PeerList::decode(&again), Ok(read));
}
