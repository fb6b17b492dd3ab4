//! What is going to happen, in order of time; what falls on one moment happens in the order it was planned.

use crate::stream::EndId;
use p2pnet_protocol::{BlockTarget, ConnId, Instant, Lane};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;

/// A host's place in the list of hosts.
pub(crate) type HostId = u32;

/// How often a host's node was started: what was planned for an earlier life doesn't happen in a later one.
pub(crate) type Life = u32;

/// One thing that is going to happen.
#[derive(Debug)]
pub(crate) enum What {
    /// A node's deadline.
    Wake(HostId, Life),
    /// Bytes, or the end of them, reach an end of a stream.
    Arrive(EndId, Carried),
    /// What stood still for want of a path is tried again.
    Retry(EndId),
    /// The other side's kernel knows nothing of this stream.
    Reset(EndId),
    /// A dial reaches the host at this end.
    Syn(EndId),
    /// The answer to a dial reaches the dialler's end.
    SynAck(EndId),
    /// The host at this end accepts.
    Accept(EndId),
    /// Room to write again.
    Pump(EndId),
    /// A stream that has ended is forgotten.
    Free(EndId),
    /// A datagram reaches a LAN.
    Datagram(Box<Datagram>),
    /// An application is done with payload.
    Consume(HostId, Life, ConnId, Lane, u32),
    /// An application does something.
    Act(HostId, Life),
    /// An application connects to an address that it was told.
    Dial(HostId, Life, SocketAddr),
    /// A host is switched on.
    Start(HostId),
    /// A cable is plugged in.
    Plug(HostId),
    /// A block is lifted.
    Pardon(HostId, BlockTarget),
    /// Something goes wrong.
    Trouble(crate::scenario::Fault),
    /// The partition ends.
    Rejoin,
    /// A node tells all others something, by way of its neighbours.
    Broadcast(u32),
    /// The next phase begins.
    Phase(crate::report::Phase),
    /// Time to look whether the bounds hold.
    Check,
}

/// What a stream carries.
#[derive(Debug)]
pub(crate) enum Carried {
    Bytes(Box<[u8]>),
    End,
}

/// A datagram under way to all hosts of a LAN.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub(crate) sender: HostId,
    pub(crate) from: SocketAddr,
    pub(crate) contents: Box<[u8]>,
}

#[derive(Debug)]
struct Planned {
    at: Instant,
    order: u64,
    what: What,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Planned {}
impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Planned {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// The plan.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Planned>>,
    order: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Instant, what: What) {
        self.order += 1;
        self.heap.push(Reverse(Planned { at, order: self.order, what }));
    }

    /// The next thing, if it happens by `end`.
    pub(crate) fn pop(&mut self, end: Instant) -> Option<(Instant, What)> {
        if self.heap.peek()?.0.at > end {
            return None;
        }
        self.heap.pop().map(|Reverse(planned)| (planned.at, planned.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2pnet_protocol::Duration;

    #[test]
    fn time_orders_and_the_plan_breaks_ties() {
        let mut queue = Queue::default();
        let at = |ms| Instant::ZERO + Duration::from_millis(ms);
        for (ms, host) in [(5, 1), (3, 2), (5, 3), (3, 4)] {
            queue.push(at(ms), What::Start(host));
        }
        let mut order = Vec::new();
        while let Some((_, What::Start(host))) = queue.pop(at(4)) {
            order.push(host);
        }
        assert_eq!(order, [2, 4], "nothing after the end");
        while let Some((_, What::Start(host))) = queue.pop(at(9)) {
            order.push(host);
        }
        assert_eq!(order, [2, 4, 1, 3]);
    }
}
