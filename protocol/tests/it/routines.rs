//! Routines in whole nodes.

use crate::world::{self, World, quiet};
use p2pnet_protocol::handlers::{Disposition, Handlers};
use p2pnet_protocol::*;

fn routine(world: &mut World, name: &str, change: RoutineChange) -> Result<(), CommandError> {
    world.nodes[0].routine(world.now, name, change)
}

fn dues(world: &World, name: &str) -> usize {
    world.saw(0, |event| matches!(event, Event::RoutineDue { name: due } if due == name))
}

#[test]
fn a_custom_routine_runs_until_it_is_stopped() {
    let mut world = World::new(vec![quiet()]);
    let add = RoutineChange::Add { interval: Duration::from_secs(10), jitter_percent: 0 };
    routine(&mut world, "mine", add).unwrap();
    world.pass(Duration::from_secs(60));
    assert_eq!(dues(&world, "mine"), 0, "it was not started");
    routine(&mut world, "mine", RoutineChange::Start).unwrap();
    world.pass(Duration::from_secs(60));
    assert_eq!(dues(&world, "mine"), 6);
    routine(&mut world, "mine", RoutineChange::SetInterval(Duration::from_secs(30))).unwrap();
    world.pass(Duration::from_secs(60));
    assert_eq!(dues(&world, "mine"), 8);
    routine(&mut world, "mine", RoutineChange::Stop).unwrap();
    world.pass(Duration::from_secs(60));
    assert_eq!(dues(&world, "mine"), 8);
    routine(&mut world, "mine", RoutineChange::Remove).unwrap();
    let gone = routine(&mut world, "mine", RoutineChange::Start);
    assert_eq!(gone, Err(CommandError::NoSuchRoutine("mine".into())));
}

#[test]
fn a_node_that_sleeps_runs_a_routine_once_when_it_wakes() {
    let mut world = World::new(vec![quiet()]);
    let add = RoutineChange::Add { interval: Duration::from_secs(10), jitter_percent: 0 };
    routine(&mut world, "mine", add).unwrap();
    routine(&mut world, "mine", RoutineChange::Start).unwrap();
    world.now = world.now + Duration::from_secs(3600);
    let now = world.now;
    world.nodes[0].handle_timeout(now);
    world.settle();
    assert_eq!(dues(&world, "mine"), 1);
    let next = world.nodes[0].poll_timeout().map(|deadline| (deadline.at, deadline.why));
    assert_eq!(next, Some((now + Duration::from_secs(10), Why::Routine)));
}

#[test]
fn a_routine_of_the_application_runs_its_code() {
    let mut world = World::new(vec![quiet()]);
    let mut handlers = Handlers::default();
    handlers.on_routine("mine", |wishes| wishes.command(Command::AcceptInbound(false)));
    let due = Event::RoutineDue { name: "mine".into() };
    let taken = handlers.on_event(world.now, &due, &mut world.nodes[0]);
    assert_eq!(taken, Disposition::Consumed);
    world.add(quiet(), [9; 32], 9);
    world.nodes[1].connect(world.now, world::address(0), None).unwrap();
    world.settle();
    assert_eq!(world.connected(1), []);
}

#[test]
fn discern_peer_channels_ends_idle_channels_and_spares_used_ones() {
    for started in [false, true] {
        let mut world = World::new(vec![quiet(), quiet(), quiet()]);
        world.join(1, 0);
        world.join(2, 0);
        if started {
            routine(&mut world, "DiscernPeerChannels", RoutineChange::Start).unwrap();
        }
        for _ in 0..7 {
            world.pass(Duration::from_secs(600));
            let hub = world.id(0);
            world.nodes[2].send(world.now, &hub, &Packet::message("still here")).unwrap();
        }
        let idle = CloseReason::Local(DisconnectReason::Idle);
        let ended = world.saw(0, |event| {
            let idler = world.id(1);
            matches!(event, Event::PeerClosed { peer, reason, .. } if *peer == idler && *reason == idle)
        });
        assert_eq!(ended, usize::from(started));
        assert_eq!(world.saw(2, |event| matches!(event, Event::PeerClosed { .. })), 0);
    }
}

#[test]
fn rotate_broadcast_port_moves_to_another_designated_port() {
    let mut world = World::new(vec![Config::default()]);
    let before = world.nodes[0].broadcast_port();
    routine(&mut world, "RotateBroadcastPort", RoutineChange::Start).unwrap();
    world.pass(Duration::from_secs(29));
    assert_eq!(world.nodes[0].broadcast_port(), before);
    world.pass(Duration::from_secs(2));
    let after = world.nodes[0].broadcast_port();
    assert_ne!(after, before);
    let told = world
        .saw(0, |event| matches!(event, Event::BroadcastPortChanged { port } if *port == after));
    assert_eq!(told, 1);
}

#[test]
fn a_node_that_shuts_down_waits_for_no_routine() {
    let mut world = World::pair();
    world.join(0, 1);
    routine(&mut world, "DiscernPeerChannels", RoutineChange::Start).unwrap();
    world.cut = true;
    let node = &mut world.nodes[0];
    node.shutdown(world.now);
    while node.poll_output().is_some() {}
    let later = world.now + Duration::from_secs(61);
    node.handle_timeout(later);
    while node.poll_output().is_some() {}
    let next = node.poll_timeout();
    assert!(next.is_none_or(|deadline| deadline.at > later), "{next:?}");
}
