//! The core alone: two nodes in one thread, joined by memory, both ends' work counted.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use p2pnet_crypto::FastCrypto;
use p2pnet_protocol::{
    CloseCause, Config, ConnId, Event, Instant, ListenerId, MessageBatch, Output, Packet, PeerId,
    PeerNetwork, Seed,
};
use std::hint::black_box;

type Node = PeerNetwork<FastCrypto>;

const NOW: Instant = Instant::from_nanos(1);

/// Two nodes and the connection between them.
struct Pair {
    nodes: [Node; 2],
    conns: [ConnId; 2],
    wire: Vec<u8>,
    packets: u64,
}

impl Pair {
    fn new() -> Self {
        let mut config = Config::default();
        config.lan.enabled = false;
        config.policies.incoming.trust_authenticated = true;
        let node = |n: u8| {
            let crypto = FastCrypto::new().expect("the system gives random bytes");
            Node::new(config.clone(), &[n; 32], Seed::from_u64(n.into()), crypto, NOW)
                .expect("the configuration is valid")
        };
        let mut nodes = [node(1), node(2)];
        let to = "192.0.2.2:9".parse().expect("an address");
        let dialled = nodes[0].connect(NOW, to, None).expect("room for a dial");
        let accepted = nodes[1].handle_incoming(NOW, ListenerId(0), to).expect("room for a peer");
        nodes[0].handle_connected(NOW, dialled, to);
        let mut pair = Self { nodes, conns: [dialled, accepted], wire: Vec::new(), packets: 0 };
        pair.settle();
        assert_eq!(pair.nodes[0].open_peers().len(), 1);
        pair
    }

    fn settle(&mut self) {
        loop {
            let mut moved = false;
            for from in [0, 1] {
                while let Some(output) = self.nodes[from].poll_output() {
                    moved = true;
                    self.perform(from, output);
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn perform(&mut self, from: usize, output: Output) {
        match output {
            Output::WriteReady(conn) => {
                while let Some(chunk) = self.nodes[from].poll_write(conn, 64 << 10) {
                    // One copy stands for the network's: the receiver decrypts in its own buffer.
                    self.wire.clear();
                    self.wire.extend_from_slice(&chunk);
                    drop(chunk);
                    let there = self.conns[1 - from];
                    self.nodes[1 - from].handle_stream(NOW, there, &mut self.wire);
                }
            }
            Output::Event(Event::Received(received)) => {
                let (conn, lane, bytes) = (received.conn, received.lane, received.bytes);
                self.packets += received
                    .map(|packet| u64::from(black_box(packet).payload().is_some()))
                    .sum::<u64>();
                self.nodes[from].consumed(NOW, conn, lane, bytes);
            }
            Output::Abort(_) | Output::Close(_) => panic!("the channel stays"),
            _ => {}
        }
    }

    fn peer(&self) -> PeerId {
        self.nodes[1].id()
    }
}

fn bulk(c: &mut Criterion) {
    let mut group = c.benchmark_group("core");
    let mut pair = Pair::new();
    let peer = pair.peer();
    let payload = bytes::Bytes::from(vec![7u8; 64 << 10]);
    group.throughput(Throughput::Bytes(1 << 20));
    group.bench_function("bulk, 64 KiB packets", |b| {
        b.iter(|| {
            for _ in 0..4 {
                for _ in 0..4 {
                    let packet = Packet::misc_data(payload.clone());
                    pair.nodes[0].send(NOW, &peer, &packet).expect("room");
                }
                pair.settle();
            }
        });
    });
    group.throughput(Throughput::Elements(2000));
    group.bench_function("messages of 64 bytes, one call each", |b| {
        let message = Packet::message(vec![b'm'; 64]);
        b.iter(|| {
            for _ in 0..2000 {
                pair.nodes[0].send(NOW, &peer, &message).expect("room");
            }
            pair.settle();
        });
    });
    group.bench_function("messages of 64 bytes, batched", |b| {
        b.iter(|| {
            let mut batch = MessageBatch::default();
            for _ in 0..2000 {
                batch.push(black_box(&[b'm'; 64]));
            }
            pair.nodes[0].send_batch(NOW, &peer, &mut batch).expect("room");
            pair.settle();
        });
    });
    assert!(pair.packets > 0);
    group.finish();
}

fn set_up(c: &mut Criterion) {
    let mut group = c.benchmark_group("core");
    group.throughput(Throughput::Elements(1));
    group.bench_function("set-up of a channel", |b| {
        b.iter_batched(
            Pair::new,
            |mut pair| {
                // The nodes exist; what is measured is one more dial between them.
                let to = "192.0.2.2:9".parse().expect("an address");
                for (node, conn) in pair.nodes.iter_mut().zip(pair.conns) {
                    node.handle_closed(NOW, conn, CloseCause::Reset);
                }
                pair.nodes[0].poll_output();
                let dialled = pair.nodes[0].connect(NOW, to, None).expect("room for a dial");
                let accepted =
                    pair.nodes[1].handle_incoming(NOW, ListenerId(0), to).expect("room for a peer");
                pair.nodes[0].handle_connected(NOW, dialled, to);
                pair.conns = [dialled, accepted];
                pair.settle();
                pair
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, bulk, set_up);
criterion_main!(benches);
