//! Files from peer to peer, as commands speak of them: offering, getting, and what is under way.

pub(crate) mod args;
mod follow;
mod listing;
mod progress;
mod told;

pub(crate) use listing::files;

use crate::args::Send;
use crate::commands::connect;
use crate::control::Client;
use crate::control::protocol::{FileTicket, Request, Response};
use crate::failure::Failure;
use crate::out::out;
use crate::text::{clean, size};
use args::Get;
use follow::{Until, follow};
use p2pnet_driver::{FilePeer, StoredFile};
use p2pnet_protocol::{Digest, FileError, FileId, FileInfo, PeerId};
use serde::Serialize;
use std::fs::File;
use std::path::Path;

/// `send --file`.
pub(crate) fn send(path: &Path, args: &Send) -> Result<(), Failure> {
    let request = Request::SendFile { path: readable(path)?, to: args.to.clone() };
    let mut client = connect(&args.node)?;
    let asked = ask(&mut client, &request)?;
    let shown = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let until = if args.detach { Until::Opened } else { Until::Over };
    let record = follow(&mut client, &asked, &shown, args.node.json, until)?;
    let Some(file) = &record.file else {
        return Err(record.error.unwrap_or(FileError::Io).into());
    };
    if args.detach {
        return tell_offered(file, &asked, args.node.json);
    }
    if record.peers.iter().any(|peer| peer.outcome == Some(Ok(()))) {
        return Ok(());
    }
    match record.peers.first().and_then(|peer| peer.outcome) {
        Some(Err(error)) if record.peers.len() == 1 => Err(error.into()),
        _ => Err(Failure::failed("nobody took it")),
    }
}

/// The absolute path of a file that can be read.
fn readable(path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let failed = |error: std::io::Error| {
        Failure::failed(format!("can't read {shown}: {error}"))
            .fix("see whether the path is right and the file is yours to read")
    };
    // A pipe would wait for its other end if it were opened.
    let there = std::fs::metadata(path).map_err(failed)?;
    if !there.is_file() {
        let what = if there.is_dir() { "a directory" } else { "no regular file" };
        return Err(Failure::failed(format!("{shown} is {what}"))
            .fix("name a file; an archive (tar, zip) makes one of a directory"));
    }
    File::open(path).map_err(failed)?;
    let absolute = std::path::absolute(path).map_err(failed)?;
    absolute.into_os_string().into_string().map_err(|_| {
        Failure::failed(format!("the path {shown} is no text (UTF-8)"))
            .fix("rename the file, or make a link to it")
    })
}

/// `get`.
pub(crate) fn get(args: Get) -> Result<(), Failure> {
    let mut client = connect(&args.node)?;
    let request = Request::GetFile { name: args.name.clone(), from: args.from };
    let asked = ask(&mut client, &request)?;
    if args.detach {
        let peers = asked.peers.iter().map(|peer| peer.short().to_string()).collect::<Vec<_>>();
        return match args.node.json {
            true => out().json(&AskedFor { name: &args.name, from: &asked.peers }),
            false => out().line(format_args!(
                "asked {} for \"{}\"; `p2pnet files` shows how it goes once it is found",
                peers.join(", "),
                clean(&args.name)
            )),
        };
    }
    let record = follow(&mut client, &asked, &args.name, args.node.json, Until::Over)?;
    match (&record.file, &record.stored) {
        (Some(file), Some(stored)) => tell_got(file, stored, &record.peers, args.node.json),
        _ => Err(not_had(record.error.unwrap_or(FileError::Io))),
    }
}

fn ask(client: &mut Client, request: &Request) -> Result<FileTicket, Failure> {
    match client.ask(request)? {
        Response::FileTicket(ticket) => Ok(ticket),
        _ => Err(client.unexpected()),
    }
}

fn not_had(error: FileError) -> Failure {
    let failure = Failure::from(error);
    match error {
        FileError::Gone(_) => {
            failure.fix("`p2pnet files stored` over there lists the names; they give files only to peers that they trust")
        }
        _ => failure,
    }
}

/// A file that is being offered, as JSON.
#[derive(Serialize)]
struct Offered<'a> {
    id: FileId,
    name: &'a str,
    bytes: u64,
    sha256: Digest,
    to: &'a [PeerId],
}

fn tell_offered(file: &FileInfo, asked: &FileTicket, json: bool) -> Result<(), Failure> {
    let FileInfo { id, name, bytes, sha256 } = file;
    if json {
        let (id, bytes, sha256) = (*id, *bytes, *sha256);
        return out().json(&Offered { id, name, bytes, sha256, to: &asked.peers });
    }
    let to: Vec<String> = asked.peers.iter().map(|peer| peer.short().to_string()).collect();
    out().line(format_args!(
        "offered to {}: {} ({}); `p2pnet files cancel {}` takes it back",
        to.join(", "),
        clean(name),
        size(*bytes),
        id.short()
    ))
}

/// A file that was asked for, as JSON.
#[derive(Serialize)]
struct AskedFor<'a> {
    name: &'a str,
    from: &'a [PeerId],
}

/// A file that came, as JSON.
#[derive(Serialize)]
struct Got<'a> {
    id: FileId,
    name: &'a str,
    bytes: u64,
    sha256: Digest,
    path: &'a str,
    from: Vec<PeerId>,
}

fn tell_got(
    file: &FileInfo,
    stored: &StoredFile,
    peers: &[FilePeer],
    json: bool,
) -> Result<(), Failure> {
    let from: Vec<PeerId> =
        peers.iter().filter(|peer| peer.fault.is_none()).map(|peer| peer.peer).collect();
    if json {
        return out().json(&Got {
            id: file.id,
            name: &stored.name,
            bytes: file.bytes,
            sha256: stored.sha256,
            path: &stored.place,
            from,
        });
    }
    let from: Vec<String> = from.iter().map(|peer| peer.short().to_string()).collect();
    out().line(format_args!(
        "got from {}: {} ({})",
        from.join(", "),
        clean(&stored.place),
        size(file.bytes)
    ))
}
