//! Incoming peers that wait to be let in: where they are told of, how many there may be, and for how long.

use crate::world::{World, quiet};
use p2pnet_protocol::*;

/// Node 0 lets nobody in by itself; the others dial it.
fn gatekeeper(placement: IncomingPeerPlacement, callers: usize) -> World {
    let mut config = Config { placement, ..quiet() };
    config.limits.pending_max = 2;
    let mut configs = vec![config];
    configs.resize_with(callers + 1, quiet);
    World::new(configs)
}

fn waiting(world: &World) -> Vec<PeerId> {
    world.nodes[0].pending().into_iter().map(|view| view.peer).collect()
}

fn told_of(world: &World, peer: PeerId) -> usize {
    world.saw(0, |event| matches!(event, Event::PeerPending { peer: told, .. } if *told == peer))
}

fn closed(world: &World, index: usize, wanted: CloseReason) -> usize {
    world.saw(index, |event| matches!(event, Event::PeerClosed { reason, .. } if *reason == wanted))
}

#[test]
fn the_placement_says_whether_waiting_peers_are_told_of() {
    for (placement, waits, told) in [
        (IncomingPeerPlacement::EventBased, false, 0),
        (IncomingPeerPlacement::QueueBased, true, 0),
        (IncomingPeerPlacement::QueueAndEventBased, true, 1),
    ] {
        let mut world = gatekeeper(placement, 1);
        world.join(1, 0);
        let caller = world.id(1);
        assert_eq!(waiting(&world).contains(&caller), waits, "{placement:?}");
        assert_eq!(told_of(&world, caller), told, "{placement:?}");
        for index in [0, 1] {
            assert_eq!(world.connected(index).is_empty(), waits, "{placement:?}");
        }
        if waits {
            let view = world.nodes[0].peer(&caller).unwrap();
            assert_eq!(view.state, PeerState::Pending);
            let now = world.now;
            world.nodes[0].accept(now, &caller).unwrap();
            world.settle();
        }
        assert!(waiting(&world).is_empty());
        assert_eq!((world.connected(0).len(), world.connected(1).len()), (1, 1), "{placement:?}");
    }
}

#[test]
fn more_than_pending_max_do_not_wait() {
    let mut world = gatekeeper(IncomingPeerPlacement::QueueAndEventBased, 3);
    for caller in 1..=3 {
        world.join(caller, 0);
    }
    assert_eq!(waiting(&world).len(), 2);
    let late = world.id(3);
    assert!(!waiting(&world).contains(&late) && told_of(&world, late) == 0);
    assert_eq!(closed(&world, 3, CloseReason::Remote(DisconnectReason::TooMany)), 1);
    // There is room again once one of them has its answer.
    let (now, first) = (world.now, world.id(1));
    world.nodes[0].refuse(now, &first).unwrap();
    world.settle();
    assert_eq!(closed(&world, 1, CloseReason::Remote(DisconnectReason::NotAccepted)), 1);
    world.join(3, 0);
    assert!(waiting(&world).contains(&late));
}

#[test]
fn whoever_waits_too_long_is_let_go_and_both_sides_are_told() {
    let mut world = gatekeeper(IncomingPeerPlacement::QueueBased, 1);
    world.join(1, 0);
    let timeout = Timing::default().pending_timeout;
    world.pass(timeout.saturating_sub(Duration::from_secs(1)));
    assert_eq!(waiting(&world).len(), 1);
    world.pass(Duration::from_secs(2));
    assert!(waiting(&world).is_empty());
    assert_eq!(closed(&world, 0, CloseReason::Local(DisconnectReason::NotAccepted)), 1);
    assert_eq!(closed(&world, 1, CloseReason::Remote(DisconnectReason::NotAccepted)), 1);
    let (now, caller) = (world.now, world.id(1));
    assert_eq!(world.nodes[0].accept(now, &caller), Err(CommandError::NotPending));
}
