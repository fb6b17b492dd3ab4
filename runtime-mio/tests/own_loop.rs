//! Nodes in an event loop that isn't theirs.

use mio::net::UdpSocket;
use mio::{Interest, Poll, Token, Waker};
use p2pnet_mio::{Builder, Config, Event, Events, Handle, Node};
use std::sync::Arc;
use std::time::{Duration, Instant};

const WAKE: Token = Token(0);
const OWN: Token = Token(1);
/// The nodes' tokens begin here, each node's far above the last.
const NODES: [Token; 2] = [Token(1 << 10), Token(1 << 20)];

fn quiet() -> Builder {
    let mut config = Config { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() };
    config.lan.enabled = false;
    Builder::new(config)
}

/// A program's loop: a poll with a socket of its own, and two nodes.
struct Host {
    poll: Poll,
    nodes: [(Handle, Events, Node); 2],
    socket: UdpSocket,
    heard: Vec<Event>,
    datagrams: usize,
    polls: usize,
    /// Times that somebody had to wake the loop.
    wakes: usize,
}

impl Host {
    fn new() -> Self {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), WAKE).unwrap());
        let mut socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        poll.registry().register(&mut socket, OWN, Interest::READABLE).unwrap();
        let nodes = NODES
            .map(|first| Node::register(quiet(), poll.registry(), waker.clone(), first).unwrap());
        Self { poll, nodes, socket, heard: Vec::new(), datagrams: 0, polls: 0, wakes: 0 }
    }

    /// Once round the loop. `false`: all nodes have stopped.
    fn round(&mut self) -> bool {
        let mut goes_on = false;
        for (_, _, node) in &mut self.nodes {
            goes_on |= node.turn();
        }
        for (_, events, _) in &mut self.nodes {
            self.heard.extend(std::iter::from_fn(|| events.try_next()));
        }
        let patience = self.nodes.iter_mut().filter_map(|(_, _, node)| node.patience()).min();
        let mut ready = mio::Events::with_capacity(8);
        self.poll.poll(&mut ready, patience.or(Some(Duration::ZERO))).unwrap();
        self.polls += 1;
        for event in &ready {
            // The last node's tokens are above the first one's: it is asked first.
            if self.nodes.iter_mut().rev().any(|(_, _, node)| node.take(event)) {
                continue;
            }
            assert!([WAKE, OWN].contains(&event.token()), "{event:?}");
            self.wakes += usize::from(event.token() == WAKE);
            while self.socket.recv(&mut [0; 16]).is_ok() {
                self.datagrams += 1;
            }
        }
        goes_on
    }

    fn until(&mut self, mut seen: impl FnMut(&Self) -> bool) {
        let started = Instant::now();
        while !seen(self) {
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "not in ten seconds: {:?}",
                self.heard
            );
            self.round();
        }
    }
}

#[test]
fn two_nodes_and_the_programs_own_socket_share_one_thread() {
    let mut host = Host::new();
    let at = host.socket.local_addr().unwrap();
    let [a, b] = [0, 1].map(|index| host.nodes[index].0.clone());
    let dialled = a.connect(b.listening()[0], Some(b.id()));
    host.until(|host| {
        host.heard.iter().filter(|event| matches!(event, Event::PeerConnected { .. })).count() == 2
    });
    assert!(dialled.wait().is_ok(), "it was answered on this thread: waiting takes no time");
    for _ in 0..100 {
        a.try_send(b.id(), b"one way").unwrap();
    }
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"other", at).unwrap();
    let told = |host: &Host| {
        host.heard
            .iter()
            .map(|event| match event {
                Event::Received(received) => received.clone().count(),
                _ => 0,
            })
            .sum::<usize>()
    };
    host.until(|host| told(host) == 100 && host.datagrams == 1);
    // Another thread wakes the loop while it is asleep.
    let other = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        b.try_send(a.id(), b"and back")
    });
    host.until(|host| told(host) == 101);
    other.join().unwrap().unwrap();
    // By the other thread, and by what this one sent after a poll and before the turn. What it sends or takes between the
    // turn and the question for patience wakes nobody.
    assert!(host.wakes <= 2, "{} wakes", host.wakes);
    assert!(host.polls < 300, "{} polls", host.polls);
    let stopping: Vec<_> = host.nodes.iter().map(|(handle, ..)| handle.shutdown()).collect();
    let started = Instant::now();
    while host.round() {
        assert!(started.elapsed() < Duration::from_secs(5));
    }
    stopping.into_iter().for_each(|reply| reply.wait().unwrap());
}
