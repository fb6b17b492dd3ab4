//! A node under whatever executor there is.

use p2pnet_smol::{Builder, Config, Event, Events, Handle};

fn quiet() -> Builder {
    let mut config = Config { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() };
    config.lan.enabled = false;
    Builder::new(config)
}

/// The two meet, and the first says something that the second hears.
async fn meet([(a, mut a_events), (b, mut b_events)]: [(Handle, Events); 2]) {
    a.connect(b.listening()[0], Some(b.id())).await.unwrap();
    while !matches!(a_events.next().await.unwrap(), Event::PeerConnected { .. }) {}
    a.send(b.id(), b"hello").await.unwrap();
    let heard = loop {
        if let Event::Received(mut received) = b_events.next().await.unwrap() {
            break received.next().unwrap();
        }
    };
    assert_eq!(heard.payload().unwrap(), &b"hello"[..]);
    for node in [a, b] {
        node.shutdown().await.unwrap();
    }
    while b_events.next().await.is_some() {}
}

#[test]
fn an_executor_on_one_thread_runs_nodes() {
    let executor = smol::LocalExecutor::new();
    let nodes = [(), ()].map(|()| {
        let (handle, events, node) = p2pnet_smol::start(quiet()).unwrap();
        executor.spawn(node).detach();
        (handle, events)
    });
    smol::block_on(executor.run(meet(nodes)));
}
