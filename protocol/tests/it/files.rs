//! Files from node to node: offers and policies, resumption, several sources, liars and trouble.

use crate::world::disk::info;
use crate::world::{World, quiet};
use p2pnet_protocol::*;

/// A configuration that trusts whoever proves an identity, and takes files as told.
fn open(accept: FileAcceptance) -> Config {
    let mut config = quiet();
    config.policies.incoming.trust_authenticated = true;
    config.files.accept = accept;
    config
}

fn world(nodes: usize, accept: FileAcceptance) -> World {
    World::new(vec![open(accept); nodes])
}

fn bytes(length: usize) -> Vec<u8> {
    let mut rng = Rng::new(Seed::from_u64(length as u64), "content");
    (0..length).map(|_| rng.next_u64() as u8).collect()
}

fn offer(world: &mut World, from: usize, name: &str, to: &[usize]) {
    let to = to.iter().map(|index| world.id(*index)).collect();
    world.nodes[from].offer_file(world.now, name, to).unwrap();
    world.settle();
}

fn received(world: &World, index: usize) -> Vec<(String, u64)> {
    let found = world.events[index].iter().filter_map(|event| match event {
        Event::FileReceived { file, name, sha256, .. } => {
            assert_eq!(*sha256, file.sha256);
            Some((name.clone(), file.bytes))
        }
        _ => None,
    });
    found.collect()
}

fn failures(world: &World, index: usize) -> Vec<FileError> {
    let failed = world.events[index].iter().filter_map(|event| match event {
        Event::FileFailed { error, .. } | Event::FileNotOpened { error, .. } => Some(*error),
        _ => None,
    });
    failed.collect()
}

/// Nothing is left over at either end.
fn assert_clean(world: &World) {
    for (index, node) in world.nodes.iter().enumerate() {
        assert_eq!(node.transfers(), [], "node {index}");
        assert_eq!(world.disks[index].open_sources(), 0, "node {index}");
        assert!(world.disks[index].partial.is_empty(), "node {index}");
    }
}

#[test]
fn files_of_every_length_arrive_as_they_are() {
    for length in [0, 1, 65_535, 65_536, 65_537, 1_000_000] {
        let mut world = world(2, FileAcceptance::Trusted);
        world.join(0, 1);
        world.disks[0].files.insert("a".into(), bytes(length));
        offer(&mut world, 0, "a", &[1]);
        assert_eq!(received(&world, 1), [("a".to_string(), length as u64)]);
        assert_eq!(world.disks[1].files["a"], bytes(length));
        assert_eq!(world.saw(0, |event| matches!(event, Event::FileSent { .. })), 1);
        assert_clean(&world);
    }
}

#[test]
fn a_peer_that_takes_short_packets_alone_gets_chunks_in_parts() {
    let mut small = open(FileAcceptance::Trusted);
    small.limits.packet_bytes_max = 4096;
    let mut world = World::new(vec![open(FileAcceptance::Trusted), small]);
    world.join(0, 1);
    world.disks[0].files.insert("a".into(), bytes(300_000));
    offer(&mut world, 0, "a", &[1]);
    assert_eq!(world.disks[1].files["a"], bytes(300_000));
    assert_clean(&world);
}

#[test]
fn the_policy_decides_about_offers() {
    let content = bytes(100_000);
    let file = info("a", &content).id;
    // Asked, and said yes.
    let mut asked = world(2, FileAcceptance::Ask);
    asked.join(0, 1);
    asked.disks[0].files.insert("a".into(), content.clone());
    offer(&mut asked, 0, "a", &[1]);
    let offered =
        |event: &Event| matches!(event, Event::FileOffered { file: f, .. } if f.id == file);
    assert_eq!(asked.saw(1, offered), 1);
    assert_eq!(received(&asked, 1), []);
    assert_eq!(asked.nodes[1].transfers()[0].state, TransferState::Offered);
    asked.nodes[1].accept_file(asked.now, &file).unwrap();
    asked.settle();
    assert_eq!(asked.disks[1].files["a"], content);
    let again = asked.nodes[1].accept_file(asked.now, &file);
    assert_eq!(again, Err(CommandError::File(FileError::NotFound)));
    assert_clean(&asked);
    // Asked, and said no.
    let mut refused = world(2, FileAcceptance::Ask);
    refused.join(0, 1);
    refused.disks[0].files.insert("a".into(), content.clone());
    offer(&mut refused, 0, "a", &[1]);
    refused.nodes[1].refuse_file(refused.now, &file).unwrap();
    refused.settle();
    assert_eq!(failures(&refused, 0), [FileError::Refused(RefusalReason::Declined)]);
    assert_clean(&refused);
    // Never.
    let mut never = world(2, FileAcceptance::Never);
    never.join(0, 1);
    never.disks[0].files.insert("a".into(), content.clone());
    offer(&mut never, 0, "a", &[1]);
    assert_eq!(failures(&never, 0), [FileError::Refused(RefusalReason::Declined)]);
    assert_clean(&never);
    // Trusted alone: this one is let through the gate, and isn't trusted.
    let mut wary = open(FileAcceptance::Trusted);
    wary.policies.incoming.trust_authenticated = false;
    wary.policies.incoming.allow_enhanced_packet_exchange = true;
    let mut wary = World::new(vec![open(FileAcceptance::Ask), wary]);
    wary.join(0, 1);
    wary.disks[0].files.insert("a".into(), content);
    offer(&mut wary, 0, "a", &[1]);
    assert_eq!(failures(&wary, 0), [FileError::Refused(RefusalReason::NotTrusted)]);
    assert_clean(&wary);
}

#[test]
fn an_offer_before_trust_waits_for_it() {
    let mut late = open(FileAcceptance::Trusted);
    late.policies.incoming.trust_authenticated = false;
    let mut world = World::new(vec![open(FileAcceptance::Ask), late]);
    world.join(0, 1);
    world.disks[0].files.insert("a".into(), bytes(10));
    offer(&mut world, 0, "a", &[1]);
    world.pass(Duration::from_secs(5));
    assert_eq!(received(&world, 1), []);
    let sender = world.id(0);
    world.nodes[1].trust(world.now, sender).unwrap();
    world.pass(Duration::from_secs(10));
    assert_eq!(received(&world, 1).len(), 1);
    assert_clean(&world);
}

#[test]
fn one_offer_reaches_many_and_those_who_come_later() {
    let mut world = world(4, FileAcceptance::Trusted);
    world.disks[0].files.insert("a".into(), bytes(200_000));
    world.join(0, 1);
    offer(&mut world, 0, "a", &[1, 2, 3]);
    assert_eq!(received(&world, 1).len(), 1);
    assert_eq!(world.nodes[0].transfers()[0].peers.len(), 2);
    world.join(2, 0);
    world.join(3, 0);
    for index in 1..4 {
        assert_eq!(world.disks[index].files["a"], bytes(200_000), "{index}");
    }
    assert_eq!(world.saw(0, |event| matches!(event, Event::FileSent { .. })), 3);
    assert_clean(&world);
}

/// Whoever stops at whatever moment: both go on, and no chunk that was written is written again.
#[test]
fn a_cut_at_any_moment_loses_nothing_that_was_written() {
    let content = bytes(700_000);
    let chunks = info("a", &content).chunks();
    for stopped in [0, 1] {
        for after in 0..14 {
            let mut world = world(2, FileAcceptance::Trusted);
            world.disks[0].files.insert("a".into(), content.clone());
            world.join(0, 1);
            world.disks[stopped].answers_left = Some(after);
            offer(&mut world, 0, "a", &[1]);
            let saved = [world.nodes[0].saved_transfers(), world.nodes[1].saved_transfers()];
            let names = saved[0].outgoing.clone();
            world.restart(stopped, open(FileAcceptance::Trusted), 77);
            let mine = saved[stopped].clone();
            world.nodes[stopped].restore_transfers(world.now, mine.clone());
            if stopped == 0 {
                let to = vec![world.id(1)];
                match names.first() {
                    Some(one) => {
                        let now = world.now;
                        let (to, expect) = (one.to.clone(), Some(one.file));
                        world.nodes[0].offer_again(now, &one.name, to, one.offer, expect).unwrap();
                    }
                    None if world.disks[1].files.contains_key("a") => {}
                    // It was not even open.
                    None => drop(world.nodes[0].offer_file(world.now, "a", to).unwrap()),
                }
            }
            world.pass(Duration::from_secs(1));
            world.join(0, 1);
            world.pass(Duration::from_secs(60));
            assert_eq!(world.disks[1].files.get("a"), Some(&content), "{stopped} after {after}");
            assert_eq!(world.disks[1].files.len(), 1, "{stopped} after {after}: once");
            assert_eq!(world.disks[1].writes, chunks, "{stopped} after {after}");
            assert_clean(&world);
        }
    }
}

fn sources(world: &mut World, content: &[u8], count: usize) -> Vec<PeerId> {
    for index in 1..=count {
        world.disks[index].files.insert("a".into(), content.to_vec());
        world.join(0, index);
    }
    (1..=count).map(|index| world.id(index)).collect()
}

#[test]
fn a_file_comes_from_several_peers_at_once() {
    let content = bytes(5_000_000);
    let mut world = world(4, FileAcceptance::Ask);
    let from = sources(&mut world, &content, 3);
    world.nodes[0].fetch_file(world.now, "a", &from).unwrap();
    world.settle();
    assert_eq!(world.disks[0].files["a"], content);
    let stats: Vec<u64> =
        (0..3).map(|i| world.nodes[0].peer(&from[i]).unwrap().stats.bytes_received).collect();
    assert!(stats.iter().all(|bytes| *bytes > 500_000), "{stats:?}");
    assert_eq!(world.disks[0].writes, info("a", &content).chunks(), "each chunk once");
    assert_clean(&world);
}

#[test]
fn a_liar_is_named_and_a_leaver_does_not_matter() {
    let content = bytes(5_000_000);
    let mut world = world(4, FileAcceptance::Ask);
    let from = sources(&mut world, &content, 3);
    world.disks[1].lies = true;
    world.disks[2].answers_left = Some(12);
    world.nodes[0].fetch_file(world.now, "a", &from).unwrap();
    world.settle();
    world.restart(2, open(FileAcceptance::Ask), 5);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.disks[0].files["a"], content);
    let dropped: Vec<_> = world.events[0]
        .iter()
        .filter_map(|event| match event {
            Event::FileSourceDropped { peer, fault, .. } => Some((*peer, *fault)),
            _ => None,
        })
        .collect();
    assert_eq!(dropped, [(from[0], SourceFault::WrongBytes)]);
}

#[test]
fn a_source_that_falls_silent_loses_its_chunks_to_others() {
    let content = bytes(3_000_000);
    let mut world = world(3, FileAcceptance::Ask);
    let from = sources(&mut world, &content, 2);
    world.disks[1].answers_left = Some(3);
    world.nodes[0].fetch_file(world.now, "a", &from).unwrap();
    world.pass(Duration::from_secs(60));
    assert_eq!(world.disks[0].files["a"], content);
}

#[test]
fn what_most_have_under_a_name_is_what_is_meant() {
    let mut world = world(4, FileAcceptance::Ask);
    let content = bytes(100_000);
    let from = sources(&mut world, &content, 3);
    world.disks[2].files.insert("a".into(), bytes(99_999));
    world.nodes[0].fetch_file(world.now, "a", &from).unwrap();
    world.settle();
    assert_eq!(world.disks[0].files["a"], content);
    let other = |event: &Event| matches!(event, Event::FileSourceDropped { peer, fault: SourceFault::OtherContent, .. } if *peer == from[1]);
    assert_eq!(world.saw(0, other), 1);
}

#[test]
fn what_nobody_has_or_shares_is_told_so() {
    let mut world = world(2, FileAcceptance::Ask);
    world.join(0, 1);
    let from = [world.id(1)];
    world.nodes[0].fetch_file(world.now, "nothing", &from).unwrap();
    world.settle();
    assert_eq!(failures(&world, 0), [FileError::Gone(GoneReason::NotFound)]);
    world.disks[1].files.insert("a".into(), bytes(10));
    let closed = FileConfig { share: false, ..FileConfig::default() };
    world.nodes[1].set_files(world.now, closed);
    world.nodes[0].fetch_file(world.now, "a", &from).unwrap();
    world.settle();
    assert_eq!(failures(&world, 0).len(), 2);
    // A peer that isn't there is waited for, and not for ever.
    world.nodes[0].fetch_file(world.now, "a", &[PeerId([9; 32])]).unwrap();
    world.pass(Duration::from_secs(59));
    assert_eq!(failures(&world, 0).len(), 2);
    world.pass(Duration::from_secs(2));
    assert_eq!(failures(&world, 0).len(), 3);
    assert_clean(&world);
}

#[test]
fn trouble_at_either_end_is_told_at_both() {
    for (trouble, told) in [
        (FileError::DiskFull, RefusalReason::NoRoom),
        (FileError::QuotaExceeded, RefusalReason::NoRoom),
        (FileError::BadName, RefusalReason::Failed),
    ] {
        let mut world = world(2, FileAcceptance::Trusted);
        world.join(0, 1);
        world.disks[0].files.insert("a".into(), bytes(300_000));
        world.disks[1].trouble = Some(trouble);
        offer(&mut world, 0, "a", &[1]);
        assert_eq!(failures(&world, 1), [trouble]);
        assert_eq!(failures(&world, 0), [FileError::Refused(told)]);
        assert_clean(&world);
    }
    // A source that changes: the reader finds out.
    let mut world = world(2, FileAcceptance::Ask);
    world.join(0, 1);
    world.disks[0].files.insert("a".into(), bytes(300_000));
    offer(&mut world, 0, "a", &[1]);
    world.disks[0].restart();
    let file = world.nodes[1].transfers()[0].file.id;
    world.nodes[1].accept_file(world.now, &file).unwrap();
    world.settle();
    assert_eq!(failures(&world, 0), [FileError::Changed]);
    assert_eq!(failures(&world, 1), [FileError::Gone(GoneReason::Changed)]);
    assert_clean(&world);
}

#[test]
fn either_end_can_cancel() {
    for (who, direction) in [(0, FileDirection::Outgoing), (1, FileDirection::Incoming)] {
        let mut world = world(2, FileAcceptance::Trusted);
        world.join(0, 1);
        world.disks[0].files.insert("a".into(), bytes(900_000));
        world.disks[1].answers_left = Some(4);
        offer(&mut world, 0, "a", &[1]);
        world.disks[1].answers_left = None;
        let file = world.nodes[who].transfers()[0].file.id;
        world.nodes[who].cancel_file(world.now, &file, direction).unwrap();
        world.settle();
        assert_eq!(failures(&world, who), [FileError::Cancelled]);
        let other = match direction {
            FileDirection::Outgoing => FileError::Gone(GoneReason::Cancelled),
            FileDirection::Incoming => FileError::Refused(RefusalReason::Cancelled),
        };
        assert_eq!(failures(&world, 1 - who), [other]);
        assert_clean(&world);
        let unknown = world.nodes[who].cancel_file(world.now, &file, direction);
        assert_eq!(unknown, Err(CommandError::File(FileError::NotFound)));
    }
}

#[test]
fn several_files_share_a_channel_and_messages_overtake_them() {
    let mut world = world(2, FileAcceptance::Trusted);
    world.patient = true;
    world.join(0, 1);
    let names: Vec<String> = (0..8).map(|n| format!("file {n}")).collect();
    for (n, name) in names.iter().enumerate() {
        world.disks[0].files.insert(name.clone(), bytes(400_000 + n));
        let to = vec![world.id(1)];
        world.nodes[0].offer_file(world.now, name, to).unwrap();
    }
    world.settle();
    for (n, name) in names.iter().enumerate() {
        assert_eq!(world.disks[1].files[name], bytes(400_000 + n));
    }
    assert_clean(&world);
}

#[test]
fn offers_and_questions_are_bounded() {
    let mut world = world(2, FileAcceptance::Ask);
    world.join(0, 1);
    for n in 0..40usize {
        world.disks[0].files.insert(format!("{n}"), bytes(n + 1));
        offer(&mut world, 0, &format!("{n}"), &[1]);
    }
    assert_eq!(world.nodes[1].transfers().len(), 16, "of one peer");
    assert_eq!(failures(&world, 0), [FileError::Refused(RefusalReason::Busy); 24]);
    let max = world.nodes[0].limits().transfers_max as usize;
    for n in 16..max {
        let to = vec![PeerId([7; 32])];
        world.disks[0].files.insert(format!("other {n}"), bytes(n + 1000));
        world.nodes[0].offer_file(world.now, &format!("other {n}"), to).unwrap();
        world.settle();
    }
    let over = world.nodes[0].offer_file(world.now, "0", Vec::new());
    assert_eq!(over, Err(CommandError::File(FileError::Busy)));
}

/// What waits for a decision gives way to others once whoever offered it is gone.
#[test]
fn offers_of_peers_that_left_make_room() {
    let mut ask = open(FileAcceptance::Ask);
    ask.limits.transfers_max = 4;
    let mut world = World::new(vec![open(FileAcceptance::Ask), ask, open(FileAcceptance::Ask)]);
    world.join(0, 1);
    for n in 0..4usize {
        world.disks[0].files.insert(format!("{n}"), bytes(n + 1));
        offer(&mut world, 0, &format!("{n}"), &[1]);
    }
    world.join(2, 1);
    world.disks[2].files.insert("late".into(), bytes(99));
    offer(&mut world, 2, "late", &[1]);
    assert_eq!(failures(&world, 2), [FileError::Refused(RefusalReason::Busy)]);
    world.restart(0, open(FileAcceptance::Ask), 9);
    world.disks[2].files.insert("later".into(), bytes(100));
    offer(&mut world, 2, "later", &[1]);
    assert_eq!(failures(&world, 2).len(), 1, "the second one found room");
    assert_eq!(failures(&world, 1), [FileError::Busy], "one was given up");
    let waiting = world.nodes[1].transfers();
    assert_eq!(waiting.len(), 4);
    assert!(waiting.iter().any(|transfer| transfer.file.name == "later"));
}

/// Who asks for a file by its name has no place in its offer: it is forgotten as soon as it leaves.
#[test]
fn who_asked_for_an_offered_file_is_forgotten_when_it_leaves() {
    let mut share = open(FileAcceptance::Ask);
    share.files.share = true;
    let mut world = World::new(vec![share, open(FileAcceptance::Ask), open(FileAcceptance::Ask)]);
    world.join(0, 1);
    world.disks[0].files.insert("a".into(), bytes(3_000_000));
    offer(&mut world, 0, "a", &[1]);
    world.join(2, 0);
    let sharer = world.id(0);
    world.disks[2].answers_left = Some(3);
    world.nodes[2].fetch_file(world.now, "a", &[sharer]).unwrap();
    world.settle();
    assert_eq!(world.nodes[0].transfers()[0].peers.len(), 2);
    assert_eq!(world.nodes[0].saved_transfers().outgoing[0].to, [world.id(1)]);
    world.restart(2, open(FileAcceptance::Ask), 9);
    assert_eq!(world.nodes[0].transfers()[0].peers, [world.id(1)]);
}

/// Offers have numbers that no earlier run of the sender gave, whoever asked for them.
#[test]
fn files_can_be_asked_for_again_after_their_sender_was_restarted() {
    let share = || {
        let mut share = open(FileAcceptance::Ask);
        share.files.share = true;
        share
    };
    let mut world = World::new(vec![open(FileAcceptance::Ask), share()]);
    world.disks[1].files.insert("a".into(), bytes(70_000));
    world.disks[1].files.insert("b".into(), bytes(80_000));
    let from = [world.id(1)];
    for (run, name) in ["a", "b"].into_iter().enumerate() {
        world.join(0, 1);
        world.nodes[0].fetch_file(world.now, name, &from).unwrap();
        world.pass(Duration::from_secs(5));
        assert_eq!(received(&world, 0).len(), run + 1, "{name}");
        world.restart(1, share(), 40 + run as u64);
    }
    // Nor does a file that somebody else still waits for keep anyone from getting it again.
    let absent = PeerId([9; 32]);
    let to = vec![world.id(0), absent];
    world.join(0, 1);
    world.disks[0].files.clear();
    for run in 0..2 {
        world.nodes[1].offer_file(world.now, "a", to.clone()).unwrap();
        world.settle();
        let file = info("a", &bytes(70_000)).id;
        world.nodes[0].accept_file(world.now, &file).unwrap();
        world.pass(Duration::from_secs(5));
        assert!(world.disks[0].files.remove("a").is_some(), "{run}");
    }
    let kept = world.nodes[1].saved_transfers().outgoing;
    assert_eq!(kept.iter().map(|one| one.to.clone()).collect::<Vec<_>>(), [vec![absent]]);
}

#[test]
fn what_is_not_known_yet_is_cancelled_by_its_ticket() {
    let mut world = world(3, FileAcceptance::Ask);
    world.join(0, 1);
    world.disks[0].files.insert("a".into(), bytes(100));
    // While it is read for its hashes: nobody hears of it.
    world.disks[0].answers_left = Some(0);
    let to = vec![world.id(1)];
    let ticket = world.nodes[0].offer_file(world.now, "a", to).unwrap();
    world.settle();
    world.nodes[0].cancel_file_request(world.now, ticket).unwrap();
    let again = world.nodes[0].cancel_file_request(world.now, ticket);
    assert_eq!(again, Err(CommandError::File(FileError::NotFound)));
    let cancelled = |event: &Event| matches!(event, Event::FileNotOpened { ticket: of, error: FileError::Cancelled, .. } if *of == ticket);
    world.settle();
    assert_eq!(world.saw(0, cancelled), 1);
    assert_eq!(world.saw(1, |event| matches!(event, Event::FileOffered { .. })), 0);
    assert_clean(&world);
    // While it is looked for: who answers afterwards is turned away, and nothing comes.
    let from = sources(&mut world, &bytes(100), 2);
    world.disks[1].answers_left = Some(0);
    let ticket = world.nodes[0].fetch_file(world.now, "a", &from).unwrap();
    world.settle();
    world.nodes[0].cancel_file_request(world.now, ticket).unwrap();
    world.pass(Duration::from_secs(70));
    assert_eq!(received(&world, 0), []);
    let not_opened = |event: &Event| matches!(event, Event::FileNotOpened { .. });
    assert_eq!(world.saw(0, not_opened), 2, "once each");
    assert_eq!(world.saw(0, |event| matches!(event, Event::FileOffered { .. })), 0);
    assert_eq!(world.nodes[0].transfers(), []);
}

/// One who isn't trusted offers a file before one who is: the policy takes it from the second, and from nobody else.
#[test]
fn each_peer_is_judged_by_its_own_trust() {
    let mut wary = open(FileAcceptance::Trusted);
    wary.policies.incoming.trust_authenticated = false;
    wary.policies.incoming.allow_enhanced_packet_exchange = true;
    let trusted = World::pair().id(1);
    wary.membership.trusted.push(trusted);
    let mut world = World::new(vec![wary, open(FileAcceptance::Ask), open(FileAcceptance::Ask)]);
    assert_eq!(world.id(1), trusted);
    for index in [1, 2] {
        world.disks[index].files.insert("a".into(), bytes(50_000));
        world.join(index, 0);
    }
    offer(&mut world, 2, "a", &[0]);
    assert_eq!(failures(&world, 2), [FileError::Refused(RefusalReason::NotTrusted)]);
    offer(&mut world, 1, "a", &[0]);
    assert_eq!(received(&world, 0).len(), 1);
    assert_clean(&world);
}

#[test]
fn an_anonymous_node_gives_no_stored_file() {
    let mut nobody = open(FileAcceptance::Ask);
    (nobody.anonymous, nobody.files.share) = (true, true);
    let mut world = World::new(vec![open(FileAcceptance::Ask), nobody]);
    world.join(0, 1);
    world.disks[1].files.insert("a".into(), bytes(10));
    let from = [world.id(1)];
    world.nodes[0].fetch_file(world.now, "a", &from).unwrap();
    world.pass(Duration::from_secs(70));
    assert_eq!(received(&world, 0), []);
    let config = FileConfig { share: true, ..world.nodes[1].files() };
    world.nodes[1].set_files(world.now, config);
    assert!(!world.nodes[1].files().share);
}

/// A stranger's gate is closed: it can neither offer nor ask.
#[test]
fn strangers_get_nothing() {
    let mut world = World::pair();
    world.join(0, 1);
    world.disks[0].files.insert("a".into(), bytes(10));
    offer(&mut world, 0, "a", &[1]);
    let from = [world.id(0)];
    world.nodes[1].fetch_file(world.now, "a", &from).unwrap();
    world.pass(Duration::from_secs(70));
    assert_eq!(failures(&world, 1), [FileError::Gone(GoneReason::NotFound)]);
    assert_eq!(world.saw(1, |event| matches!(event, Event::FileOffered { .. })), 0);
}

/// The vectors of docs/wire.md.
#[test]
fn the_specification_prints_messages_about_files_as_they_are() {
    use FileMessage::{Ask, Gone, Offer, Part, Reply, Unknown, Want};
    let info = info("a.txt", b"hello");
    let file = info.id;
    let name = String::from("a.txt");
    let reply = |reply| Reply { file, reply };
    let hello = b"hello"[..].into();
    let refused = OfferReply::Refused(RefusalReason::NoRoom);
    let messages = [
        ("offer number 7 of `a.txt` with the content `hello`", Offer { offer: 7, file: info }),
        ("accepted", reply(OfferReply::Accepted)),
        ("chunk 0 wanted", Want { file, first: 0, count: 1 }),
        (
            "chunk 0, whole, without hashes",
            Part { file, chunk: 0, offset: 0, proof: vec![], bytes: hello },
        ),
        ("complete", reply(OfferReply::Complete)),
        ("refused: no room", reply(refused)),
        ("gone: changed", Gone { file, reason: GoneReason::Changed }),
        ("ask for `a.txt`", Ask { name: name.clone() }),
        ("unknown: not found", Unknown { name, reason: GoneReason::NotFound }),
    ];
    let specification = include_str!("../../../docs/wire.md");
    for (what, message) in messages {
        let hex: String = message.encode().iter().map(|byte| format!("{byte:02x}")).collect();
        let row = format!("| {what} | `{hex}` |");
        assert!(specification.contains(&row), "{row}");
    }
}
