//! A process that runs out of descriptors.

mod common;

use common::{at, connected, descriptors, node, quiet};
use p2pnet_driver::protocol::Duration;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::TcpStream;

#[tokio::test]
async fn accepting_is_put_off_and_goes_on() {
    let (hub, mut hub_events) = node(quiet());
    let (late, mut late_events) = node(quiet());
    let before = getrlimit(Resource::Nofile);
    // Strangers until the process can't open anything more.
    let room = descriptors() as u64 + 11;
    setrlimit(Resource::Nofile, Rlimit { current: Some(room), ..before }).unwrap();
    let mut strangers = Vec::new();
    while let Ok(stream) = TcpStream::connect(at(&hub)) {
        strangers.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (pauses, turns) = (hub.counters().accept_pauses, hub.counters().turns);
    assert!(pauses > 0, "it was told");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let spun = hub.counters().turns - turns;
    assert!(spun < 50, "{spun} turns in half a second without descriptors");
    drop(strangers);
    setrlimit(Resource::Nofile, before).unwrap();
    late.connect(at(&hub), None).await.unwrap();
    assert_eq!(connected(&mut late_events).await, hub.id());
    assert_eq!(connected(&mut hub_events).await, late.id());
}
