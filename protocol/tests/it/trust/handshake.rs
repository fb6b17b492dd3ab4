//! The application's own handshake.

use super::*;
use crate::card::{Desk, SignedCard};
use p2pnet_protocol::handlers::Disposition;
use p2pnet_protocol::trust::handshake::{PeerTrustHandshake, Step};
use std::sync::Arc;

/// Two nodes with a handshake each, and what their handlers leave to the application.
struct Handshaking {
    world: World,
    handlers: [Handlers; 2],
    told: [usize; 2],
}

fn badge(seed: u8) -> PublicKey {
    crypto().public_key(&crypto().signing_key(&[seed; 32]))
}

impl Handshaking {
    /// Nodes whose badges are 1 and 2, and whom they have on file.
    fn new(on_file: [&[u8]; 2], strict: bool) -> Self {
        let config = || {
            config(|policy| {
                policy.application_handshake = true;
                policy.trusted_only = strict;
            })
        };
        let mut world = World::new(vec![config(), config()]);
        // The handlers give back what they take.
        world.deaf = vec![true; 2];
        let handlers = [0, 1].map(|index| {
            let on_file = on_file[index].iter().map(|seed| badge(*seed)).collect();
            let badge = crypto().signing_key(&[index as u8 + 1; 32]);
            let desk = Arc::new(Desk { crypto: crypto(), badge, on_file });
            let mut handlers = Handlers::default();
            handlers.trust_handshake(move |session| SignedCard::new(desk.clone(), session));
            handlers
        });
        Self { world, handlers, told: [0; 2] }
    }

    fn run(&mut self) {
        self.world.join(0, 1);
        self.hand_over();
    }

    /// Gives the handlers what happened, until nothing more does.
    fn hand_over(&mut self) {
        self.world.settle();
        let mut moved = true;
        while moved {
            moved = false;
            for index in 0..2 {
                while let Some(event) = self.world.events[index].get(self.told[index]).cloned() {
                    self.told[index] += 1;
                    moved = true;
                    let node = &mut self.world.nodes[index];
                    let _: Disposition =
                        self.handlers[index].on_event(self.world.now, &event, node);
                }
                self.world.settle();
            }
        }
    }

    fn closed_for(&self, index: usize, reason: CloseReason) -> usize {
        self.world.saw(
            index,
            |event| matches!(event, Event::PeerClosed { reason: r, .. } if *r == reason),
        )
    }
}

#[test]
fn an_application_handshake_decides_about_trust() {
    for strict in [false, true] {
        let mut pair = Handshaking::new([&[2], &[1]], strict);
        pair.run();
        assert_eq!(trust(&pair.world), BOTH_TRUSTED);
        let data = Packet::misc_data("data");
        assert_eq!(send(&mut pair.world, 0, &data), Ok(()));
        assert_eq!(received(&pair.world, 1, PacketKind::DataTransmission), 1);
        // It is over: its messages don't pass any more.
        let (now, peer) = (pair.world.now, pair.world.id(1));
        let conn = pair.world.nodes[0].peer(&peer).and_then(|view| view.conn).unwrap();
        let late = pair.world.nodes[0].send_trust_step(now, conn, "late".into());
        assert_eq!(late, Err(SendError::NotConnected));
        assert_eq!(pair.world.saw(0, |event| matches!(event, Event::PeerConnected { .. })), 1);
    }
}

#[test]
fn a_failed_application_handshake_ends_the_channel() {
    let mut pair = Handshaking::new([&[2], &[9]], false);
    pair.run();
    assert_eq!(trust(&pair.world), [None, None]);
    assert_eq!(pair.closed_for(1, CloseReason::Local(DisconnectReason::TrustRefused)), 1);
    assert_eq!(refusals(&pair.world, 1), [Refusal::Handshake]);
    assert_eq!(refusals(&pair.world, 0), []);
    assert_eq!(pair.closed_for(0, CloseReason::Remote(DisconnectReason::TrustRefused)), 1);
}

#[test]
fn an_application_handshake_that_nobody_runs_ends_the_channel_in_time() {
    let quiet = || config(|policy| policy.application_handshake = true);
    let mut world = World::new(vec![quiet(), quiet()]);
    world.join(0, 1);
    world.pass(Duration::from_secs(9));
    assert_eq!(trust(&world), BOTH_AUTHENTICATED);
    world.pass(Duration::from_secs(2));
    assert_eq!(trust(&world), [None, None]);
    let late = (0..2).flat_map(|index| refusals(&world, index)).collect::<Vec<_>>();
    assert!(!late.is_empty() && late.iter().all(|refusal| *refusal == Refusal::HandshakeTimedOut));
}

/// Membership alone does not pass for the application's word.
#[test]
fn no_proof_of_membership_stands_in_for_the_application_handshake() {
    let member = || {
        with_secret(config(|policy| policy.application_handshake = true), "a secret of the network")
    };
    let mut world = World::new(vec![member(), member()]);
    world.join(0, 1);
    world.pass(Duration::from_secs(5));
    assert_eq!(trust(&world), BOTH_AUTHENTICATED);
}

#[test]
fn trust_steps_pass_only_where_the_application_has_a_handshake() {
    let mut world = joined(quiet(), quiet());
    let step = Packet::TrustStep(TrustStepPacket { message: "step".into() });
    assert_eq!(send(&mut world, 0, &step), Err(SendError::NotAllowed));
    assert_eq!(world.saw(0, |event| matches!(event, Event::TrustHandshakeStarted { .. })), 0);
}

/// A handshake that is content after a while, whatever the peer says.
struct Slow {
    takes: Duration,
}

impl PeerTrustHandshake for Slow {
    fn on_start(&mut self) -> Vec<Step> {
        vec![Step::Wait(self.takes)]
    }
    fn on_message(&mut self, _: &[u8]) -> Vec<Step> {
        vec![]
    }
    fn on_timeout(&mut self) -> Vec<Step> {
        vec![Step::Confirm(Trust::Trusted)]
    }
}

impl Handshaking {
    /// Nodes whose handshakes take so long. Node 1 lets nobody in by itself if `queued`.
    fn slow(takes: Duration, strict: bool, queued: bool) -> Self {
        let mut pair = Self::new([&[], &[]], strict);
        if queued {
            let mut config = config(|policy| {
                policy.application_handshake = true;
                policy.trusted_only = strict;
            });
            config.placement = IncomingPeerPlacement::QueueAndEventBased;
            pair.world = World::new(vec![config.clone(), config]);
            pair.world.deaf = vec![true; 2];
        }
        for handlers in &mut pair.handlers {
            handlers.trust_handshake(move |_| Slow { takes });
        }
        pair
    }

    /// Lets a second pass, and the handshakes with it.
    fn wait_a_second(&mut self) {
        self.world.pass(Duration::from_secs(1));
        for index in 0..2 {
            let node = &mut self.world.nodes[index];
            self.handlers[index].on_timeout(self.world.now, node);
        }
        self.hand_over();
    }
}

#[test]
fn a_slow_application_handshake_has_all_of_its_own_time() {
    for strict in [false, true] {
        let mut pair = Handshaking::slow(Duration::from_secs(8), strict, false);
        pair.run();
        for second in 1..=12 {
            pair.wait_a_second();
            let still = if strict { [None, None] } else { BOTH_AUTHENTICATED };
            assert_eq!(trust(&pair.world), if second < 8 { still } else { BOTH_TRUSTED });
        }
    }
}

#[test]
fn the_application_handshake_is_timed_from_its_own_start() {
    for strict in [false, true] {
        let mut pair = Handshaking::slow(Duration::from_secs(3), strict, true);
        pair.run();
        for _ in 0..30 {
            pair.wait_a_second();
        }
        let (dialler, now) = (pair.world.id(0), pair.world.now);
        pair.world.nodes[1].accept(now, &dialler).unwrap();
        pair.hand_over();
        for _ in 0..5 {
            pair.wait_a_second();
        }
        assert_eq!(trust(&pair.world), BOTH_TRUSTED, "strict: {strict}");
        assert_eq!(refusals(&pair.world, 1), []);
    }
}

/// As in the program, where nobody runs a handshake and the operators decide.
#[test]
fn the_operator_list_settles_an_application_handshake() {
    for strict in [false, true] {
        let asks = || {
            config(|policy| {
                policy.application_handshake = true;
                policy.trusted_only = strict;
            })
        };
        let mut world = joined(asks(), asks());
        let (a, b) = (world.id(0), world.id(1));
        let still = if strict { [None, None] } else { BOTH_AUTHENTICATED };
        assert_eq!(trust(&world), still);
        world.nodes[0].trust(world.now, b).unwrap();
        world.nodes[1].trust(world.now, a).unwrap();
        world.settle();
        assert_eq!(trust(&world), BOTH_TRUSTED);
        world.pass(Duration::from_secs(60));
        assert_eq!(trust(&world), BOTH_TRUSTED, "no time-out ends it");
        assert_eq!((refusals(&world, 0), refusals(&world, 1)), (vec![], vec![]));
        // Listed peers that meet again wait for nobody.
        let now = world.now;
        world.nodes[0].disconnect(now, &b, DisconnectReason::Requested).unwrap();
        world.settle();
        world.join(0, 1);
        assert_eq!(trust(&world), BOTH_TRUSTED);
        let asked = |listed| {
            world.saw(
                0,
                |event| matches!(event, Event::TrustHandshakeStarted { listed: l, .. } if *l == listed),
            )
        };
        assert_eq!((asked(false), asked(true)), (1, 1));
        // And who is off the list again is asked for: in vain.
        world.nodes[0].untrust(world.now, b).unwrap();
        world.pass(Duration::from_secs(11));
        assert_eq!(trust(&world), [None, None]);
    }
}

/// What a handshake on one channel wants does nothing to another channel, nor to one that runs none.
#[test]
fn the_commands_of_a_handshake_reach_its_own_channel_alone() {
    let asks = || {
        let mut config = config(|policy| policy.application_handshake = true);
        config.placement = IncomingPeerPlacement::QueueAndEventBased;
        config
    };
    let mut world = World::new(vec![asks(), asks()]);
    world.join(0, 1);
    let a = world.id(0);
    world.nodes[1].accept(world.now, &a).unwrap();
    world.settle();
    let started = world.events[1].iter().find_map(|event| match event {
        Event::TrustHandshakeStarted { conn, .. } => Some(*conn),
        _ => None,
    });
    let first = started.unwrap();
    // The peer starts anew, and waits to be let in once more.
    let again = world.add(asks(), [1; 32], 77);
    world.join(again, 1);
    let now = world.now;
    let second = world.nodes[1].peer(&a).and_then(|view| view.conn).unwrap();
    assert_ne!(first, second);
    for conn in [first, second] {
        let node = &mut world.nodes[1];
        let refused = Err(CommandError::NotConnected);
        assert_eq!(node.set_trust(now, conn, Trust::Trusted), refused);
        assert_eq!(node.finish_trust_handshake(now, conn, Some(Trust::Trusted)), refused);
        assert_eq!(node.finish_trust_handshake(now, conn, None), refused);
        let step = node.send_trust_step(now, conn, "step".into());
        assert_eq!(step, Err(SendError::NotConnected));
    }
    world.settle();
    assert_eq!(world.nodes[1].peer(&a).map(|view| view.state), Some(PeerState::Pending));
    // Whoever was told that a handshake began is told that its channel ended.
    world.pass(Duration::from_secs(6));
    let ended = |event: &Event| matches!(event, Event::PeerClosed { conn, .. } if *conn == first);
    assert_eq!(world.saw(1, ended), 1);
}
