//! What the running node does for commands about files.

use super::protocol::{FileTicket, Request, Response, StoredRow};
use super::service::NodeService;
use crate::failure::Failure;
use p2pnet_driver::Handle;
use p2pnet_protocol::trust::gate::Gate;
use p2pnet_protocol::{
    CommandError, FileDirection, FileError, FileId, PacketKind, PeerId, PeerState, PeerView,
    RequestId, SendError, TransferState, TransferView,
};
use std::collections::BTreeSet;

/// The fewest digits that name a file.
const PREFIX_DIGITS_MIN: usize = 4;

/// Answers what the service itself doesn't.
pub(super) fn answer(service: &NodeService, request: Request) -> Result<Response, Failure> {
    let node = service.node();
    match request {
        Request::SendFile { path, to } => send(service, &path, to.as_deref()),
        Request::GetFile { name, from } => get(service, name, &from),
        Request::FileRecord { ticket } => record(node, ticket),
        Request::Files => Ok(Response::Transfers(node.transfers().wait()?)),
        Request::StoredFiles => stored(node),
        Request::AcceptFile { id } => {
            decide(node, &id, |file| node.accept_file(file).wait().map_err(Into::into))
        }
        Request::RefuseFile { id } => {
            decide(node, &id, |file| node.refuse_file(file).wait().map_err(Into::into))
        }
        Request::CancelFile { id } => cancel(node, &id),
        Request::CancelTicket { ticket } => {
            node.cancel_file_request(ticket).wait()?;
            Ok(Response::Done)
        }
        _ => Err(Failure::failed("the running node doesn't know this command")
            .fix("restart it with this version of the program")),
    }
}

/// Whether files pass to and from this peer now.
fn passes(service: &NodeService, view: &PeerView) -> bool {
    let gate = Gate::new(view.trust, service.policy(), false);
    view.state == PeerState::Open && gate.passes(PacketKind::DataTransmission)
}

fn not_trusted(peer: &PeerId) -> Failure {
    Failure::failed(format!("{} is not trusted, and files pass only between trusted peers", peer.short()))
        .fix("a common secret (`up --secret`) on both sides, or `p2pnet trust PEER` on both; `p2pnet peers` shows who is")
}

fn send(service: &NodeService, path: &str, to: Option<&str>) -> Result<Response, Failure> {
    let node = service.node();
    let (peers, absent) = match to {
        Some(text) => {
            let peer = service.peer(text)?;
            let view = node.peer(peer).wait()?;
            match view.filter(|view| view.state == PeerState::Open) {
                Some(view) if !passes(service, &view) => return Err(not_trusted(&peer)),
                Some(_) => (vec![peer], Vec::new()),
                None => (vec![peer], vec![peer]),
            }
        }
        None => (everyone(service)?, Vec::new()),
    };
    let ticket = node.offer_file(path, peers.clone()).wait()?;
    Ok(Response::FileTicket(FileTicket { ticket, peers, absent }))
}

/// Everyone whom a file may be offered.
fn everyone(service: &NodeService) -> Result<Vec<PeerId>, Failure> {
    let mut views = service.node().peers().wait()?;
    views.retain(|view| view.state == PeerState::Open);
    let open = views.len();
    views.retain(|view| passes(service, view));
    match (open, views.len()) {
        (0, _) => Err(CommandError::Send(SendError::NotConnected).into()),
        (_, 0) => Err(Failure::failed("none of the connected peers is trusted, and files pass only between trusted ones")
            .fix("a common secret (`up --secret`) on both sides, or `p2pnet trust PEER` on both; `p2pnet peers` shows who is")),
        _ => Ok(views.into_iter().map(|view| view.peer).collect()),
    }
}

fn get(service: &NodeService, name: String, from: &[String]) -> Result<Response, Failure> {
    let node = service.node();
    let (mut peers, mut absent, mut problem) = (Vec::new(), Vec::new(), None);
    for text in from {
        let peer = service.peer(text)?;
        if peers.contains(&peer) {
            continue;
        }
        peers.push(peer);
        let view = node.peer(peer).wait()?.filter(|view| view.state == PeerState::Open);
        match view {
            Some(view) if passes(service, &view) => continue,
            Some(_) => problem = Some(not_trusted(&peer)),
            None => problem = Some(CommandError::NotConnected.into()),
        }
        absent.push(peer);
    }
    // Nobody who could answer is there.
    if let Some(problem) = problem
        && absent.len() == peers.len()
    {
        return Err(problem);
    }
    let ticket = node.fetch_file(name, peers.clone()).wait()?;
    Ok(Response::FileTicket(FileTicket { ticket, peers, absent }))
}

fn record(node: &Handle, ticket: RequestId) -> Result<Response, Failure> {
    let record = node.file_record(ticket);
    let awaited = record.iter().flat_map(|record| &record.peers);
    let mut absent: Vec<PeerId> =
        awaited.filter(|peer| peer.outcome.is_none()).map(|peer| peer.peer).collect();
    if !absent.is_empty() {
        let open = |view: &PeerView| view.state == PeerState::Open;
        let there: BTreeSet<PeerId> =
            node.peers().wait()?.iter().filter(|view| open(view)).map(|view| view.peer).collect();
        absent.retain(|peer| !there.contains(peer));
    }
    Ok(Response::FileRecord { record: record.map(Box::new), absent })
}

fn stored(node: &Handle) -> Result<Response, Failure> {
    let stored = node.stored_files().map_err(CommandError::File)?;
    let row = |file: p2pnet_driver::storage::FileInfo| StoredRow {
        name: file.name,
        bytes: file.size,
        path: file.path.map(|path| path.to_string_lossy().into_owned()),
    };
    Ok(Response::StoredFiles(stored.into_iter().map(row).collect()))
}

fn decide(
    node: &Handle,
    id: &str,
    act: impl Fn(FileId) -> Result<(), Failure>,
) -> Result<Response, Failure> {
    let mut offered = node.transfers().wait()?;
    offered.retain(|view| {
        view.direction == FileDirection::Incoming && view.state == TransferState::Offered
    });
    let found = find(id, offered, "offered here")?;
    for view in &found {
        act(view.file.id)?;
    }
    Ok(Response::Transfers(found))
}

fn cancel(node: &Handle, id: &str) -> Result<Response, Failure> {
    let found = find(id, node.transfers().wait()?, "under way")?;
    for view in &found {
        // One that is only offered is turned down.
        let cancelled = match view.state {
            TransferState::Offered => node.refuse_file(view.file.id).wait(),
            _ => node.cancel_file(view.file.id, view.direction).wait(),
        };
        cancelled?;
    }
    Ok(Response::Transfers(found))
}

/// The transfers of the file that `text` names: one, or one each way.
fn find(text: &str, views: Vec<TransferView>, which: &str) -> Result<Vec<TransferView>, Failure> {
    let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hex || !(PREFIX_DIGITS_MIN..=64).contains(&text.len()) {
        return Err(Failure::usage(format!("\"{}\" names no file", text.escape_debug()))
            .fix("write a file's id, or its first digits (4 or more); `p2pnet files` lists them"));
    }
    let text = text.to_ascii_lowercase();
    let fits = |view: &TransferView| view.file.id.to_string().starts_with(&text);
    let found: Vec<_> = views.into_iter().filter(fits).collect();
    match found.first() {
        None => Err(Failure::failed(format!(
            "no file that is {which} has an id that begins with {text}"
        ))
        .fix("`p2pnet files` lists them")),
        Some(first) if found.iter().any(|view| view.file.id != first.file.id) => {
            let ids: Vec<String> =
                found.iter().map(|view| format!("\n    {}", view.file.id)).collect();
            Err(Failure::failed(format!("several files' ids begin with {text}:{}", ids.concat()))
                .fix("write more digits"))
        }
        Some(_) => Ok(found),
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let failure = Self::failed(error.to_string());
        match error {
            FileError::NoFileManager => failure.fix("restart the node with `p2pnet up --inbox DIR`"),
            FileError::Busy => failure.fix("`p2pnet files` lists what is under way; limits.transfers_max bounds it"),
            FileError::DiskFull => failure.fix("make room, or keep files elsewhere with `up --inbox DIR`"),
            FileError::QuotaExceeded => failure.fix("remove files, or raise files.quota"),
            FileError::TooLarge => {
                failure.fix("limits.file_chunks_max bounds what is taken here, and a disk image holds no file over 4 GiB")
            }
            FileError::Io => failure.fix("`p2pnet up --log warn,files=debug` tells more"),
            _ => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2pnet_protocol::{Digest, distribution::FileInfo};

    fn view(id: [u8; 32], direction: FileDirection) -> TransferView {
        let file = FileInfo { id: FileId(id), name: "f".into(), bytes: 1, sha256: Digest([0; 32]) };
        let (state, done_bytes, peers) = (TransferState::Running, 0, Vec::new());
        TransferView { file, direction, state, done_bytes, peers }
    }

    #[test]
    fn files_go_by_the_beginning_of_their_id() {
        let mut other = [0xab; 32];
        other[31] = 1;
        let views = || {
            vec![
                view([0xab; 32], FileDirection::Incoming),
                view([0xab; 32], FileDirection::Outgoing),
                view([0xcd; 32], FileDirection::Incoming),
            ]
        };
        assert_eq!(find("ABAB", views(), "there").unwrap().len(), 2, "one each way");
        assert_eq!(find(&"cd".repeat(32), views(), "there").unwrap().len(), 1);
        let said = find("0123", views(), "there").unwrap_err().to_string();
        assert!(said.contains("no file that is there"), "{said}");
        for bad in ["", "abc", "abxy", &"a".repeat(65)] {
            assert!(find(bad, views(), "there").unwrap_err().to_string().contains("names no file"));
        }
        let mut more = views();
        more.push(view(other, FileDirection::Incoming));
        let said = find("abab", more, "there").unwrap_err().to_string();
        assert!(said.contains("several files") && said.contains("more digits"), "{said}");
    }
}
