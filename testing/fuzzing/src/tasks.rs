//! Network tasks: envelopes, bodies of every kind, and what is kept of them. The first byte says which.

use bytes::Bytes;
use p2pnet_crypto::SimulatedCrypto;
use p2pnet_protocol::task::data::DataArea;
use p2pnet_protocol::task::memory::TaskMemory;
use p2pnet_protocol::task::{NetworkTask, TaskBody, TaskKind};
use p2pnet_protocol::wire::codec::Reader;
use p2pnet_protocol::{Limits, Seed};

/// What decodes has one meaning, and that has one encoding, the same bytes.
pub(crate) fn task(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let bytes = Bytes::copy_from_slice(rest);
    match first {
        0 => envelope(&bytes),
        1 => memory(&bytes),
        2 => area(&bytes),
        kind => {
            let kinds: Vec<TaskKind> = TaskKind::all().collect();
            body(kinds[usize::from(*kind) % kinds.len()], &bytes);
        }
    }
}

fn envelope(bytes: &Bytes) {
    let Ok(task) = NetworkTask::decode(bytes) else { return };
    assert!(bytes.len() <= NetworkTask::BYTES_MAX);
    assert!(task.not_before < task.not_after);
    assert_eq!(task.encode(), bytes[..]);
    // Another bit of the signature is another signature.
    let crypto = SimulatedCrypto::new(Seed::from_u64(1));
    if task.is_signed(&crypto) {
        let mut changed = task.clone();
        changed.signature.0[0] ^= 1;
        assert!(!changed.is_signed(&crypto));
    }
    if let Some(kind) = TaskKind::from_number(task.kind) {
        assert_eq!(kind.number(), task.kind);
        body(kind, &task.body);
    }
}

fn body(kind: TaskKind, bytes: &Bytes) {
    let Ok(read) = TaskBody::decode(kind, bytes) else { return };
    assert_eq!(read.kind(), kind);
    let again = Bytes::from(read.encode());
    // Addresses of unknown kind are skipped, so that a list which had some is shorter.
    if kind == TaskKind::BootstrapInitialization && again.len() < bytes.len() {
        assert_eq!(TaskBody::decode(kind, &again), Ok(read));
    } else {
        assert_eq!(again, bytes);
    }
}

fn memory(bytes: &[u8]) {
    let limits = Limits::small();
    if let Ok(memory) = TaskMemory::decode(bytes, &limits) {
        assert_eq!(TaskMemory::decode(&memory.encode(), &limits), Ok(memory));
    }
}

fn area(bytes: &[u8]) {
    const ENTRIES_MAX: usize = 8;
    const BYTES_MAX: usize = 1024;
    let Ok(area) = DataArea::decode(&mut Reader::new(bytes), ENTRIES_MAX, BYTES_MAX) else {
        return;
    };
    assert!(area.iter().count() <= ENTRIES_MAX);
    let mut again = Vec::new();
    area.encode(&mut again);
    assert_eq!(DataArea::decode(&mut Reader::new(&again), ENTRIES_MAX, BYTES_MAX), Ok(area));
}
