//! One suite for both back ends.

use crate::cluster::{Cluster, cluster};
use p2pnet_bootstrap::store::open as open_store;
use p2pnet_bootstrap::store::*;
use p2pnet_protocol::{PeerId, PublicKey, TaskId};
use std::sync::Arc;

/// Where a store is, so that it can be opened again.
struct Place {
    url: String,
    directory: tempfile::TempDir,
    /// Runs as long as this lives.
    _cluster: Option<Arc<Cluster>>,
}

impl Place {
    fn open(&self) -> Store {
        open_store(&self.url, self.directory.path()).unwrap()
    }
}

fn sqlite() -> Place {
    let directory = tempfile::tempdir().unwrap();
    Place { url: "sqlite".into(), directory, _cluster: None }
}

fn postgres() -> Place {
    let (cluster, directory) = (cluster(), tempfile::tempdir().unwrap());
    Place { url: cluster.database(), directory, _cluster: Some(cluster) }
}

macro_rules! suite {
    ($($case:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[test] fn $case() { super::$case(&super::sqlite()); })*
        }
        mod on_postgres {
            $(#[test] fn $case() { super::$case(&super::postgres()); })*
        }
    };
}

suite! {
    bans_last_until_they_end_or_are_lifted,
    a_change_by_one_is_noticed_by_the_other,
    settings_are_set_and_brought_back,
    the_audit_log_is_read_backwards_in_pages,
    keys_are_kept_and_change_their_state,
    signings_are_found_by_their_hash,
    tasks_wait_in_order_until_delivered_or_stale,
    identifiers_are_found_by_their_start,
    of_two_copies_of_a_lease_the_fresher_counts,
    leases_are_read_in_pages_without_a_gap,
    servers_are_alive_and_delegated_to,
    everything_is_there_when_opened_again,
    a_store_of_a_later_version_is_refused,
    what_fails_halfway_has_not_happened,
    two_that_open_at_once_make_one_schema,
    hostile_text_is_kept_as_it_is,
}

fn ban(subject: &str, at_ms: u64, until_ms: Option<u64>) -> Ban {
    let (reason, actor) = ("why".into(), "operator".into());
    Ban { subject: subject.parse().unwrap(), reason, actor, at_ms, until_ms }
}

fn bans_last_until_they_end_or_are_lifted(place: &Place) {
    let mut store = place.open();
    assert_eq!(store.bans(0), Ok(vec![]));
    let peer = ban(&"ab".repeat(32), 1, None);
    let address = ban("192.0.2.7", 2, Some(100));
    let prefix = ban("2001:db8::/32", 3, None);
    let label = ban("label:Robert'); DROP TABLE bans;--", 4, None);
    for ban in [&peer, &address, &prefix, &label] {
        store.add_ban(ban).unwrap();
    }
    let all = vec![peer.clone(), address.clone(), prefix.clone(), label.clone()];
    assert_eq!(store.bans(99), Ok(all));
    assert_eq!(store.bans(100), Ok(vec![peer.clone(), prefix.clone(), label.clone()]));
    // Another against the same replaces it.
    let longer = ban("192.0.2.7", 5, Some(1000));
    store.add_ban(&longer).unwrap();
    assert_eq!(store.bans(500), Ok(vec![peer, prefix.clone(), label, longer]));
    assert_eq!(store.lift_ban(&prefix.subject), Ok(true));
    assert_eq!(store.lift_ban(&prefix.subject), Ok(false));
    assert_eq!(store.bans(5000).unwrap().len(), 2);
}

fn a_change_by_one_is_noticed_by_the_other(place: &Place) {
    let (mut one, mut other) = (place.open(), place.open());
    let before = other.changes().unwrap();
    assert_eq!(one.changes(), Ok(before));
    one.add_ban(&ban("192.0.2.7", 1, None)).unwrap();
    let after = other.changes().unwrap();
    assert!(after > before);
    assert_eq!(other.bans(2).unwrap().len(), 1);
    // What no server goes by isn't announced.
    let note = AuditEntry {
        at_ms: 1,
        server: "a".into(),
        actor: "b".into(),
        action: "c".into(),
        subject: "d".into(),
        detail: "e".into(),
    };
    one.note(&note).unwrap();
    assert_eq!(other.changes(), Ok(after));
    other.set("x", Some("y")).unwrap();
    assert!(one.changes().unwrap() > after);
}

fn settings_are_set_and_brought_back(place: &Place) {
    let mut store = place.open();
    store.set("limits.header_secs", Some("7")).unwrap();
    store.set("a", Some("1")).unwrap();
    store.set("a", Some("2")).unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(store.settings(), Ok(vec![pair("a", "2"), pair("limits.header_secs", "7")]));
    store.set("a", None).unwrap();
    assert_eq!(store.settings(), Ok(vec![pair("limits.header_secs", "7")]));
}

fn the_audit_log_is_read_backwards_in_pages(place: &Place) {
    let mut store = place.open();
    let entry = |at_ms| AuditEntry {
        at_ms,
        server: "one".into(),
        actor: "operator".into(),
        action: "block".into(),
        subject: format!("192.0.2.{at_ms}"),
        detail: String::new(),
    };
    (0..5).for_each(|at_ms| store.note(&entry(at_ms)).unwrap());
    let first = store.audit(None, 2).unwrap();
    assert_eq!(first.iter().map(|(_, entry)| entry.at_ms).collect::<Vec<_>>(), [4, 3]);
    let rest = store.audit(Some(first[1].0), 9).unwrap();
    assert_eq!(rest.iter().map(|(_, entry)| entry.at_ms).collect::<Vec<_>>(), [2, 1, 0]);
    assert_eq!(rest[2].1, entry(0));
    assert_eq!(store.audit(Some(rest[2].0), 9), Ok(vec![]));
}

fn keys_are_kept_and_change_their_state(place: &Place) {
    let mut store = place.open();
    let key = StoredKey {
        fingerprint: "ab".repeat(20),
        holder: "Ours <a@b>".into(),
        state: "active".into(),
        public: "public".into(),
        secret: "under a passphrase".into(),
        created_ms: 5,
    };
    let before = store.changes().unwrap();
    store.put_key(&key, 6).unwrap();
    assert!(store.changes().unwrap() > before);
    assert_eq!(store.keys(), Ok(vec![key.clone()]));
    let revoked = StoredKey { state: "revoked".into(), secret: String::new(), ..key };
    store.put_key(&revoked, 7).unwrap();
    assert_eq!(store.keys(), Ok(vec![revoked]));
}

fn signings_are_found_by_their_hash(place: &Place) {
    let mut store = place.open();
    let signing = Signing {
        hash: [7; 32],
        at_ms: 1,
        kind: "task".into(),
        subject: "somebody".into(),
        signer: "cd".repeat(32),
    };
    store.note_signing(&signing).unwrap();
    store.note_signing(&Signing { kind: "other".into(), ..signing.clone() }).unwrap();
    assert_eq!(store.signing(&[7; 32]), Ok(Some(signing)));
    assert_eq!(store.signing(&[8; 32]), Ok(None));
}

fn tasks_wait_in_order_until_delivered_or_stale(place: &Place) {
    let mut store = place.open();
    let (peer, other) = (PeerId([1; 32]), PeerId([2; 32]));
    let task = |id: u8, peer, until_ms| QueuedTask {
        number: 0,
        id: TaskId([id; 16]),
        peer,
        task: vec![id, 0, 255],
        until_ms,
    };
    let queued = [task(9, Some(peer), 100), task(3, None, 50), task(5, Some(other), 100)];
    let numbers: Vec<u64> = queued.iter().map(|task| store.queue(task).unwrap()).collect();
    assert!(numbers.is_sorted() && numbers[0] < numbers[2]);
    let there = |store: &mut Store, now_ms, most| -> Vec<u8> {
        store.tasks(now_ms, most).unwrap().iter().map(|task| task.id.0[0]).collect()
    };
    assert_eq!(there(&mut store, 0, 9), [9, 3, 5]);
    assert_eq!(there(&mut store, 0, 2), [9, 3]);
    assert_eq!(there(&mut store, 50, 9), [9, 5]);
    assert_eq!(
        store.tasks(0, 1).unwrap()[0],
        QueuedTask { number: numbers[0], ..queued[0].clone() }
    );
    // Nobody else's, and not everybody's.
    assert_eq!(store.delivered(&other, &TaskId([9; 16])), Ok(false));
    assert_eq!(store.delivered(&peer, &TaskId([3; 16])), Ok(false));
    assert_eq!(store.delivered(&peer, &TaskId([9; 16])), Ok(true));
    assert_eq!(there(&mut store, 0, 9), [3, 5]);
    assert_eq!(store.forget_tasks(50), Ok(1));
    assert_eq!(there(&mut store, 0, 9), [5]);
    assert!(store.queue(&queued[2]).is_err(), "one name, two tasks");
    assert_eq!(there(&mut store, 0, 9), [5]);
}

fn identifiers_are_found_by_their_start(place: &Place) {
    let mut store = place.open();
    let assigned = |peer: u8, identifier: &str| Assigned {
        peer: PeerId([peer; 32]),
        serial: [peer; 16],
        identifier: identifier.into(),
        network: "default".into(),
        at_ms: 1,
    };
    let all = [assigned(1, "abc"), assigned(2, "abd"), assigned(3, "b%_")];
    all.iter().for_each(|one| store.assign(one).unwrap());
    assert_eq!(store.identifier_of(&PeerId([2; 32])), Ok(Some(all[1].clone())));
    assert_eq!(store.identifier_of(&PeerId([9; 32])), Ok(None));
    assert_eq!(store.identifiers("ab", 9), Ok(all[..2].to_vec()));
    assert_eq!(store.identifiers("ab", 1), Ok(all[..1].to_vec()));
    assert_eq!(store.identifiers("b%", 9), Ok(all[2..].to_vec()));
    assert_eq!(store.identifiers("%", 9), Ok(vec![]));
    store.assign(&assigned(1, "zz")).unwrap();
    assert_eq!(store.identifiers("abc", 9), Ok(vec![]));
}

fn lease(peer: u8, freshness: u64, changed_ms: u64) -> StoredLease {
    StoredLease {
        network: [9; 8],
        peer: PeerId([peer; 32]),
        server: "one".into(),
        address: "[2001:db8::1]:77".parse().unwrap(),
        label: "Ада".into(),
        freshness,
        ends_ms: 1000 + freshness,
        changed_ms,
    }
}

fn of_two_copies_of_a_lease_the_fresher_counts(place: &Place) {
    let mut store = place.open();
    store.put_leases(&[lease(1, 5, 10), lease(2, 5, 10)]).unwrap();
    store.put_leases(&[lease(1, 4, 11), lease(2, 6, 11)]).unwrap();
    assert_eq!(store.leases_since(0, 9), Ok(vec![lease(1, 5, 10), lease(2, 6, 11)]));
    assert_eq!(store.forget_leases(1006), Ok(1));
    assert_eq!(store.leases_since(0, 9), Ok(vec![lease(2, 6, 11)]));
}

fn leases_are_read_in_pages_without_a_gap(place: &Place) {
    let mut store = place.open();
    // Many of one moment may not be torn apart.
    let times = [1, 2, 2, 2, 2, 3, 4, 5, 5];
    let leases: Vec<_> = (0..).zip(times).map(|(peer, at)| lease(peer, 1, at)).collect();
    store.put_leases(&leases).unwrap();
    let (mut from, mut seen) = (0, Vec::new());
    loop {
        let page = store.leases_since(from, 2).unwrap();
        let Some(last) = page.last() else { break };
        from = last.changed_ms + 1;
        seen.extend(page.iter().map(|lease| lease.peer.0[0]));
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
}

fn servers_are_alive_and_delegated_to(place: &Place) {
    let mut store = place.open();
    let server = |wire: u8, seen_ms| StoredServer {
        wire: PublicKey([wire; 32]),
        name: format!("server {wire}"),
        seen_ms,
        leases: seen_ms * 2,
        delegation: String::new(),
    };
    store.server_is_alive(&server(1, 5)).unwrap();
    store.server_is_alive(&server(2, 6)).unwrap();
    let before = store.changes().unwrap();
    assert_eq!(store.delegate(&PublicKey([1; 32]), "{}"), Ok(true));
    assert_eq!(store.delegate(&PublicKey([3; 32]), "{}"), Ok(false));
    assert!(store.changes().unwrap() > before);
    store.server_is_alive(&server(1, 9)).unwrap();
    let first = StoredServer { delegation: "{}".into(), ..server(1, 9) };
    assert_eq!(store.servers(), Ok(vec![first, server(2, 6)]));
}

fn everything_is_there_when_opened_again(place: &Place) {
    let mut store = place.open();
    store.add_ban(&ban("192.0.2.7", 1, None)).unwrap();
    store.set("a", Some("b")).unwrap();
    let changes = store.changes().unwrap();
    drop(store);
    let mut store = place.open();
    assert_eq!(store.changes(), Ok(changes));
    assert_eq!(store.bans(2), Ok(vec![ban("192.0.2.7", 1, None)]));
    assert_eq!(store.settings().unwrap().len(), 1);
}

fn backend(place: &Place) -> Box<dyn Backend> {
    match place.url.as_str() {
        "sqlite" => {
            let path = place.directory.path().join("bootstrap.db");
            Box::new(sqlite::Sqlite::open(&path).unwrap())
        }
        url => Box::new(postgres::Postgres::open(url).unwrap()),
    }
}

fn a_store_of_a_later_version_is_refused(place: &Place) {
    drop(place.open());
    let mut later = backend(place);
    later.run("UPDATE meta SET value = 99 WHERE name = 'schema'", &[]).unwrap();
    drop(later);
    let refused = open_store(&place.url, place.directory.path()).unwrap_err();
    assert!(matches!(refused, StoreError::FromTheFuture { found: 99, .. }), "{refused}");
}

fn what_fails_halfway_has_not_happened(place: &Place) {
    let mut store = place.open();
    // The second breaks a rule of the table that only a broken program breaks.
    backend(place).batch("CREATE UNIQUE INDEX one_label ON leases (label)").unwrap();
    let other = StoredLease { freshness: 7, ..lease(2, 1, 1) };
    assert!(store.put_leases(&[lease(1, 1, 1), other]).is_err());
    assert_eq!(store.leases_since(0, 9), Ok(vec![]));
    // And the store goes on.
    store.put_leases(&[lease(1, 1, 1)]).unwrap();
    assert_eq!(store.leases_since(0, 9).unwrap().len(), 1);
}

fn two_that_open_at_once_make_one_schema(place: &Place) {
    std::thread::scope(|scope| {
        let opening: Vec<_> = (0..4).map(|_| scope.spawn(|| place.open().changes())).collect();
        opening.into_iter().for_each(|one| assert_eq!(one.join().unwrap(), Ok(0)));
    });
}

fn hostile_text_is_kept_as_it_is(place: &Place) {
    let mut store = place.open();
    for text in
        ["'; DROP TABLE settings;--", "$1", "\u{202e}x\u{1b}[31m", "%_\\", "", "ё\u{10ffff}"]
    {
        store.set("x", Some(text)).unwrap();
        assert_eq!(store.settings(), Ok(vec![("x".into(), text.into())]), "{text:?}");
    }
}
