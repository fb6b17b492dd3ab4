//! The recorder's door: inputs as bytes, and a whole node driven by arbitrary ones.

use crate::node::{self, Node, START};
use crate::watch::Watch;
use p2pnet_protocol::{Config, Duration, Input, Instant, Output};

/// One encoded input: what decodes can be encoded, and means the same then.
pub(crate) fn input(data: &[u8]) {
    let Ok((input, _)) = postcard::take_from_bytes::<Input>(data) else { return };
    let again = postcard::to_allocvec(&input).expect("any input can be encoded");
    let read: Input = postcard::from_bytes(&again).expect("what was written reads");
    assert_eq!(read, input);
    assert_eq!(postcard::to_allocvec(&read).expect("it can"), again);
}

/// A node on a LAN gets inputs of every kind: each is preceded by the milliseconds that pass before it.
pub(crate) fn node(data: &[u8]) -> u64 {
    let config = Config { limits: node::tight(), ..Config::default() };
    let mut node = node::with(config, 0).expect("the configuration is sound");
    let mut watch = Watch::default();
    let (mut now, mut steps, mut rest) = (START, 0, data);
    while let Ok(((millis, input), after)) = postcard::take_from_bytes::<(u16, Input)>(rest) {
        rest = after;
        now = now + Duration::from_millis(millis.into());
        steps += 1;
        give(&mut node, &mut watch, now, input);
        if millis > 0 {
            watch.pass(&mut node, now);
        }
    }
    steps
}

fn give(node: &mut Node, watch: &mut Watch, now: Instant, input: Input) {
    if let Input::Closed { conn, .. } = &input {
        watch.on_closed(*conn);
    }
    node.handle(now, input);
    for output in watch.drain(node) {
        if let Output::WriteReady(conn) = output {
            while node.poll_write(conn, 4096).is_some() {}
        }
    }
    watch.drain(node);
}

/// The encoding that [`node`] reads.
pub(crate) fn recording(inputs: &[(u16, Input)]) -> Vec<u8> {
    let encoded = inputs.iter().map(|timed| postcard::to_allocvec(timed).expect("it can"));
    encoded.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2pnet_protocol::ListenerId;

    #[test]
    fn a_recording_is_read_to_its_end() {
        let listening = Input::Listening { listener: ListenerId(0), at: node::address(0) };
        let inputs = [(0, listening), (20, Input::Timeout), (500, Input::Timeout)];
        assert_eq!(node(&recording(&inputs)), 3);
        assert_eq!(node(&[&recording(&inputs)[..], &[0xff; 3]].concat()), 3);
    }
}
