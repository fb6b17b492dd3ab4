//! `files`: what is offered and under way, and decisions about it.

use super::args::{Files, FilesAction, OneFile};
use crate::args::Node;
use crate::commands::connect;
use crate::control::protocol::{Request, Response};
use crate::failure::Failure;
use crate::out::{note, out};
use crate::text::{clean, size, table};
use p2pnet_protocol::{Digest, FileDirection, FileId, PeerId, TransferState, TransferView};
use serde::Serialize;

/// `files`.
pub(crate) fn files(args: Files) -> Result<(), Failure> {
    match args.action {
        None => list(&args.node),
        Some(FilesAction::Accept(one)) => {
            decide(&one, &Request::AcceptFile { id: one.id.clone() }, "coming")
        }
        Some(FilesAction::Refuse(one)) => {
            decide(&one, &Request::RefuseFile { id: one.id.clone() }, "turned down")
        }
        Some(FilesAction::Cancel(one)) => {
            decide(&one, &Request::CancelFile { id: one.id.clone() }, "cancelled")
        }
        Some(FilesAction::Stored(node)) => stored(&node),
    }
}

/// A transfer, as JSON.
#[derive(Serialize)]
struct Row<'a> {
    id: FileId,
    name: &'a str,
    bytes: u64,
    sha256: Digest,
    direction: FileDirection,
    state: TransferState,
    done: u64,
    peers: &'a [PeerId],
}

impl<'a> From<&'a TransferView> for Row<'a> {
    fn from(view: &'a TransferView) -> Self {
        let file = &view.file;
        Self {
            id: file.id,
            name: &file.name,
            bytes: file.bytes,
            sha256: file.sha256,
            direction: view.direction,
            state: view.state,
            done: view.done_bytes,
            peers: &view.peers,
        }
    }
}

fn list(node: &Node) -> Result<(), Failure> {
    let mut client = connect(node)?;
    let Response::Transfers(views) = client.ask(&Request::Files)? else {
        return Err(client.unexpected());
    };
    if node.json {
        return views.iter().try_for_each(|view| out().json(&Row::from(view)));
    }
    if views.is_empty() {
        note("No file is offered or under way.");
        return Ok(());
    }
    let cells: Vec<Vec<String>> = views.iter().map(cells).collect();
    out().bytes(table(&["ID", "STATE", "DONE", "SIZE", "PEERS", "NAME"], &cells).as_bytes())
}

fn cells(view: &TransferView) -> Vec<String> {
    let bytes = view.file.bytes;
    let done = match (view.state, bytes) {
        (TransferState::Offered, _) | (_, 0) => String::from("-"),
        _ => format!("{} %", u128::from(view.done_bytes) * 100 / u128::from(bytes)),
    };
    let first = view.peers.first().map_or_else(|| "-".into(), |peer| peer.short().to_string());
    let peers = match view.peers.len() {
        0 | 1 => first,
        more => format!("{first} and {} more", more - 1),
    };
    vec![
        view.file.id.short().to_string(),
        state_words(view).into(),
        done,
        size(bytes),
        peers,
        clean(&view.file.name),
    ]
}

fn state_words(view: &TransferView) -> &'static str {
    match (view.direction, view.state) {
        (_, TransferState::Offered) => "waits for your word",
        (FileDirection::Incoming, TransferState::Running) => "coming",
        (FileDirection::Outgoing, TransferState::Running) if view.done_bytes == 0 => "offered",
        (FileDirection::Outgoing, TransferState::Running) => "going",
        (_, TransferState::Waiting) => "waits for its peers",
        (_, TransferState::Finishing) => "finishing",
    }
}

/// Does something about one file, and says what was done to which.
fn decide(one: &OneFile, request: &Request, done: &str) -> Result<(), Failure> {
    let mut client = connect(&one.node)?;
    let Response::Transfers(views) = client.ask(request)? else {
        return Err(client.unexpected());
    };
    views.iter().try_for_each(|view| match one.node.json {
        true => out().json(&Row::from(view)),
        false => out().line(format_args!(
            "{done}: {} ({})",
            clean(&view.file.name),
            size(view.file.bytes)
        )),
    })
}

fn stored(node: &Node) -> Result<(), Failure> {
    let mut client = connect(node)?;
    let Response::StoredFiles(rows) = client.ask(&Request::StoredFiles)? else {
        return Err(client.unexpected());
    };
    if node.json {
        return rows.iter().try_for_each(|row| out().json(row));
    }
    if rows.is_empty() {
        note("No file is kept yet.");
        return Ok(());
    }
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| vec![size(row.bytes), clean(&row.name)]).collect();
    out().bytes(table(&["SIZE", "NAME"], &cells).as_bytes())
}
