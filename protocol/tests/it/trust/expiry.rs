//! Certificates that run out.

use super::*;

/// Two members of an authority's network, at noon; their certificates hold for so many seconds from then on.
fn certified(seconds: u64, change: impl Fn(&mut IncomingPeerTrustPolicy)) -> World {
    let crypto = crypto();
    let authority = crypto.signing_key(&[99; 32]);
    let ids = World::new(vec![quiet(), quiet()]);
    let member = |index: usize| {
        let mut config = config(&change);
        let (from, to) = (UnixTime(NOON.0 - 60), UnixTime(NOON.0 + seconds));
        let issued =
            Certificate::issue(&crypto, &authority, &config.network, ids.id(index), from, to);
        config.membership.certificate = Some(issued.unwrap());
        config.membership.authority = Some(crypto.public_key(&authority));
        config
    };
    let mut world = World::new(vec![member(0), member(1)]);
    let now = world.now;
    for node in &mut world.nodes {
        node.handle_wall_time(now, Some(NOON));
    }
    world.join(0, 1);
    assert_eq!(trust(&world), BOTH_TRUSTED);
    world
}

#[test]
fn trust_ends_with_the_certificate_that_it_rests_on() {
    let mut world = certified(3600, |_| {});
    world.pass(Duration::from_secs(3599));
    assert_eq!(trust(&world), BOTH_TRUSTED);
    world.pass(Duration::from_secs(1));
    assert_eq!(trust(&world), BOTH_AUTHENTICATED);
    let because = |event: &Event| {
        matches!(
            event,
            Event::TrustChanged {
                because: TrustChange::Certificate,
                trust: Trust::Authenticated,
                ..
            }
        )
    };
    assert_eq!((world.saw(0, because), refusals(&world, 0).len()), (1, 1));
    assert_eq!(send(&mut world, 0, &Packet::misc_data("data")), Err(SendError::NotAllowed));
    // A node that lets only trusted peers in ends the channel.
    let mut world = certified(3600, |policy| policy.trusted_only = true);
    world.pass(Duration::from_secs(3601));
    assert_eq!(trust(&world), [None, None]);
}

#[test]
fn a_clock_that_is_put_right_counts_for_certificates_at_once() {
    let mut world = certified(3600, |_| {});
    world.pass(Duration::from_secs(10));
    let now = world.now;
    // Back, and the certificate has longer to run. Forward, and it has run out.
    world.nodes[0].handle_wall_time(now, Some(UnixTime(NOON.0 - 30)));
    world.nodes[1].handle_wall_time(now, Some(UnixTime(NOON.0 + 7200)));
    world.settle();
    assert_eq!(trust(&world), [Some(Trust::Trusted), Some(Trust::Authenticated)]);
    world.pass(Duration::from_secs(3629));
    assert_eq!(trust(&world)[0], Some(Trust::Trusted));
    world.pass(Duration::from_secs(1));
    assert_eq!(trust(&world), BOTH_AUTHENTICATED);
}

#[test]
fn another_reason_for_trust_outlives_a_certificate() {
    let mut world = certified(3600, |_| {});
    let b = world.id(1);
    world.nodes[0].trust(world.now, b).unwrap();
    world.pass(Duration::from_secs(4000));
    assert_eq!(trust(&world), [Some(Trust::Trusted), Some(Trust::Authenticated)]);
    // And a channel that is gone leaves no timer behind.
    let mut world = certified(3600, |_| {});
    let b = world.id(1);
    world.nodes[0].disconnect(world.now, &b, DisconnectReason::Requested).unwrap();
    world.pass(Duration::from_secs(10));
    assert!(world.nodes.iter().all(|node| node.poll_timeout().is_none()));
}
