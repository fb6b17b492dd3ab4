//! Strangers: raw bytes on accepted and dialled streams, in any pieces, from any address.

use crate::node::{self, START};
use crate::script::Script;
use crate::watch::Watch;
use p2pnet_protocol::{CloseCause, Config, ConnId, Duration, ListenerId, Output};

/// Streams come, speak and go as the script says. Whatever they say, no peer comes of it.
pub(crate) fn strangers(data: &[u8]) -> u64 {
    let mut script = Script::new(data);
    let mut node = node::quiet(Config { limits: node::tight(), ..Config::default() }, 0);
    let mut watch = Watch::default();
    let mut conns: Vec<ConnId> = Vec::new();
    let (mut now, mut steps) = (START, 0);
    while !script.is_over() {
        steps += 1;
        let pick = usize::from(script.byte());
        let conn = conns.get(pick / 8 % conns.len().max(1)).copied().unwrap_or(ConnId(pick as u64));
        match pick % 8 {
            0 => {
                let from = node::dialling(script.byte(), script.word());
                conns.extend(node.handle_incoming(now, ListenerId(0), from));
            }
            1 => {
                if let Ok(conn) = node.connect(now, node::address(script.byte() % 8 + 1), None) {
                    node.handle_connected(now, conn, node::dialling(0, 40_000));
                    conns.push(conn);
                }
            }
            2..=4 => node.handle_stream(now, conn, &mut script.bytes(255).to_vec()),
            5 => node.handle_stream(now, conn, &mut script.long_bytes(4096).to_vec()),
            6 => {
                node.handle_closed(now, conn, CloseCause::Reset);
                watch.on_closed(conn);
                conns.retain(|known| *known != conn);
            }
            _ => {
                now = now + Duration::from_millis(u64::from(script.word()));
                watch.pass(&mut node, now);
            }
        }
        for output in watch.drain(&mut node) {
            if let Output::Abort(conn) = output {
                conns.retain(|known| *known != conn);
            }
        }
        while node.poll_write(conn, 4096).is_some() {}
        watch.drain(&mut node);
        assert!(node.open_peers().is_empty() && node.peers().is_empty(), "nobody proved anything");
    }
    steps
}
