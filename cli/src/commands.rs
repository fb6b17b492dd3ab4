//! The commands that speak to the running node.

use crate::args;
use crate::control::Client;
use crate::control::protocol::{PeerRow, Request, Response, RoutineWish, SentRow};
use crate::failure::Failure;
use crate::out::{note, out};
use crate::settings::{parse_duration, show_block_target, show_duration};
use crate::state_path;
use crate::text::{clean, size, span, table};
use crate::transfers;
use p2pnet_driver::state::StateDir;
use p2pnet_protocol::{CommandError, Direction, Duration, PeerId};
use serde::Serialize;
use std::io::{self, Read as _};

/// The largest message that is read from standard input: the largest packet that a node can be set to take, roughly.
const INPUT_BYTES_MAX: u64 = 4 << 20;

pub(crate) fn connect(node: &args::Node) -> Result<Client, Failure> {
    Client::connect(&state_path::choose(node.state.dir.as_deref())?)
}

/// Something that was done, as JSON.
#[derive(Serialize)]
struct Done {
    done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<PeerId>,
}

/// A peer by itself, as JSON.
#[derive(Serialize)]
struct OnePeer {
    peer: PeerId,
}

/// Something blocked, as JSON.
#[derive(Serialize)]
struct OneTarget {
    target: String,
}

/// Asks for something whose answer is no more than yes, and the peer meant.
fn act(node: &args::Node, request: &Request, done: &str) -> Result<(), Failure> {
    let mut client = connect(node)?;
    let peer = match client.ask(request)? {
        Response::Done => None,
        Response::DoneTo(peer) => Some(peer),
        _ => return Err(client.unexpected()),
    };
    match (node.json, peer) {
        (true, peer) => out().json(&Done { done: true, peer }),
        (false, Some(peer)) => out().line(format_args!("{done} {}", peer.short())),
        (false, None) => out().line(done),
    }
}

/// `disconnect`.
pub(crate) fn disconnect(args: args::OnePeer) -> Result<(), Failure> {
    act(&args.node, &Request::Disconnect { peer: args.peer }, "disconnected from")
}

/// `accept`.
pub(crate) fn accept(args: args::OnePeer) -> Result<(), Failure> {
    act(&args.node, &Request::Accept { peer: args.peer }, "let in")
}

/// `refuse`.
pub(crate) fn refuse(args: args::OnePeer) -> Result<(), Failure> {
    act(&args.node, &Request::Refuse { peer: args.peer }, "turned away")
}

/// `untrust`.
pub(crate) fn untrust(args: args::OnePeer) -> Result<(), Failure> {
    act(&args.node, &Request::Untrust { peer: args.peer }, "no longer on the list of trusted:")
}

/// `stop`.
pub(crate) fn stop(node: &args::Node) -> Result<(), Failure> {
    act(node, &Request::Stop, "stopped")
}

/// `inbound`.
pub(crate) fn inbound(args: &args::Inbound) -> Result<(), Failure> {
    let accept = args.accept == args::OnOff::On;
    let done = if accept { "accepting" } else { "accepting no more" };
    act(&args.node, &Request::Inbound { accept }, &format!("{done} incoming connections"))
}

/// `connect`.
pub(crate) fn connect_to(args: args::Connect) -> Result<(), Failure> {
    let done =
        format!("dialling {}; `p2pnet peers` lists it once it is connected", clean(&args.address));
    act(&args.node, &Request::Connect { address: args.address, expect: args.expect }, &done)
}

/// `trust`.
pub(crate) fn trust(args: args::Trust) -> Result<(), Failure> {
    if let Some(peer) = args.peer {
        return act(&args.node, &Request::Trust { peer }, "trusted from now on:");
    }
    let mut client = connect(&args.node)?;
    let Response::Trusted(peers) = client.ask(&Request::Trusted)? else {
        return Err(client.unexpected());
    };
    if peers.is_empty() && !args.node.json {
        note("Nobody is on the list of trusted peers.");
    }
    peers.into_iter().try_for_each(|peer| match args.node.json {
        true => out().json(&OnePeer { peer }),
        false => out().line(peer),
    })
}

/// `block`.
pub(crate) fn block(args: args::Block) -> Result<(), Failure> {
    let (request, before) = match args.target {
        Some(target) => (Request::Block { target }, "blocked from now on: "),
        None => (Request::Blocked, ""),
    };
    let count = tell_targets(&args.node, &request, before)?;
    if count == 0 && !args.node.json {
        note("Nobody is blocked.");
    }
    Ok(())
}

/// `unblock`.
pub(crate) fn unblock(args: args::Unblock) -> Result<(), Failure> {
    let request = Request::Unblock { target: args.target };
    tell_targets(&args.node, &request, "no longer blocked: ").map(drop)
}

/// `allow`.
pub(crate) fn allow(args: args::Block) -> Result<(), Failure> {
    let (request, before) = match args.target {
        Some(target) => (Request::Allow { target }, "allowed from now on, and nobody who isn't: "),
        None => (Request::Allowed, ""),
    };
    let count = tell_targets(&args.node, &request, before)?;
    if count == 0 && !args.node.json {
        note("There is no allow-list: everybody who isn't blocked may come.");
    }
    Ok(())
}

/// `disallow`.
pub(crate) fn disallow(args: args::Unblock) -> Result<(), Failure> {
    let request = Request::Disallow { target: args.target };
    tell_targets(&args.node, &request, "no longer on the allow-list: ").map(drop)
}

/// Tells what the node answers about lists, and how many there are.
fn tell_targets(node: &args::Node, request: &Request, before: &str) -> Result<usize, Failure> {
    let mut client = connect(node)?;
    let Response::Targets(targets) = client.ask(request)? else { return Err(client.unexpected()) };
    for target in targets.iter().map(show_block_target) {
        match node.json {
            true => out().json(&OneTarget { target })?,
            false => out().line(format_args!("{before}{target}"))?,
        }
    }
    Ok(targets.len())
}

/// `send`.
pub(crate) fn send(args: args::Send) -> Result<(), Failure> {
    if let Some(path) = &args.file {
        return transfers::send(path, &args);
    }
    let text = match args.text {
        Some(text) if text != "-" => text,
        _ => from_stdin()?,
    };
    let mut client = connect(&args.node)?;
    let Response::Sent(rows) = client.ask(&Request::Send { to: args.to, text })? else {
        return Err(client.unexpected());
    };
    for row in &rows {
        tell_sent(row, args.node.json)?;
    }
    match rows.first().map(|row| row.error) {
        _ if rows.iter().any(|row| row.error.is_none()) => Ok(()),
        Some(Some(error)) if rows.iter().all(|row| row.error == Some(error)) => {
            Err(CommandError::Send(error).into())
        }
        Some(_) => Err(Failure::failed("nobody took it")),
        None => Err(Failure::failed("nobody is connected, so nobody got it").fix(
            "`p2pnet peers` shows who is there; `p2pnet doctor` explains what stands in the way",
        )),
    }
}

/// How sending to one peer went, as JSON.
#[derive(Serialize)]
struct Sent {
    peer: PeerId,
    sent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

fn tell_sent(row: &SentRow, json: bool) -> Result<(), Failure> {
    let (peer, reason) = (row.peer, row.error.map(|error| error.to_string()));
    match (json, reason) {
        (true, reason) => out().json(&Sent { peer, sent: reason.is_none(), reason }),
        (false, None) => out().line(format_args!("sent to {}", peer.short())),
        (false, Some(reason)) => {
            note(format_args!("not sent to {}: {reason}", peer.short()));
            Ok(())
        }
    }
}

fn from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    let read = io::stdin().take(INPUT_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => Failure::usage("standard input is no text (UTF-8)")
            .fix("send text; base64 makes text of anything"),
        _ => Failure::failed(format!("can't read standard input: {error}")),
    })?;
    if text.len() as u64 > INPUT_BYTES_MAX {
        return Err(Failure::usage("standard input holds more than 4 MiB").fix("send less at once"));
    }
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    Ok(text)
}

/// `id`.
pub(crate) fn id(args: &args::Node) -> Result<(), Failure> {
    let peer = node_id(&args.state)?;
    #[derive(Serialize)]
    struct Id {
        peer: PeerId,
    }
    if args.json { out().json(&Id { peer }) } else { out().line(peer) }
}

/// The running node's id, or the one that the next node on this state will have.
fn node_id(state: &args::State) -> Result<PeerId, Failure> {
    let path = state_path::choose(state.dir.as_deref())?;
    let not_running = match Client::connect(&path) {
        Ok(mut client) => match client.ask(&Request::Id)? {
            Response::Id(peer) => return Ok(peer),
            _ => return Err(client.unexpected()),
        },
        Err(failure) => failure,
    };
    let saved = StateDir::saved_identity(&path);
    match saved.map_err(|error| Failure::failed(error.to_string()))? {
        Some(seed) => crate::authority::peer_id(&seed),
        None => Err(not_running),
    }
}

/// `peers`.
pub(crate) fn peers(args: &args::Node) -> Result<(), Failure> {
    list_peers(
        args,
        &Request::Peers,
        "Nobody was found yet. `p2pnet doctor` explains what may stand in the way.",
    )
}

/// `pending`.
pub(crate) fn pending(args: &args::Node) -> Result<(), Failure> {
    list_peers(args, &Request::Pending, "Nobody waits to be let in.")
}

fn list_peers(args: &args::Node, request: &Request, nobody: &str) -> Result<(), Failure> {
    let mut client = connect(args)?;
    let Response::Peers(rows) = client.ask(request)? else { return Err(client.unexpected()) };
    if args.json {
        return rows.iter().try_for_each(|row| out().json(row));
    }
    if rows.is_empty() {
        note(nobody);
        return Ok(());
    }
    let cells: Vec<Vec<String>> = rows.iter().map(peer_cells).collect();
    let header =
        ["PEER", "STATE", "TRUST", "ADDRESS", "RTT", "SENT", "RECEIVED", "QUEUED", "IDLE", "LABEL"];
    out().bytes(table(&header, &cells).as_bytes())
}

fn peer_cells(row: &PeerRow) -> Vec<String> {
    let name = |value: serde_json::Result<serde_json::Value>| match value {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::from("-"),
    };
    let arrow = match row.direction {
        Some(Direction::Outgoing) => "to ",
        Some(Direction::Incoming) => "from ",
        None => "",
    };
    let dash = || String::from("-");
    let has_channel = row.bytes_received > 0 || row.bytes_sent > 0;
    let when = |text: String| if has_channel { text } else { dash() };
    vec![
        row.peer.short().to_string(),
        name(serde_json::to_value(row.state)),
        row.trust.to_string(),
        row.addr.as_ref().map_or_else(dash, |addr| format!("{arrow}{addr}")),
        row.rtt_us.map_or_else(dash, round_trip),
        when(size(row.bytes_sent)),
        when(size(row.bytes_received)),
        when(size(row.queued_bytes)),
        when(span(row.idle_ms)),
        clean(row.assigned.as_ref().unwrap_or(&row.label)),
    ]
}

fn round_trip(micros: u64) -> String {
    if micros < 10_000 {
        format!("{}.{:02} ms", micros / 1_000, micros % 1_000 / 10)
    } else {
        span(micros / 1_000)
    }
}

/// `stats`.
pub(crate) fn stats(args: &args::Node) -> Result<(), Failure> {
    let mut client = connect(args)?;
    let Response::Stats(row) = client.ask(&Request::Stats)? else {
        return Err(client.unexpected());
    };
    if args.json {
        return out().json(&row);
    }
    let mut cells = Vec::new();
    flatten("", &serde_json::to_value(&row).unwrap_or_default(), &mut cells);
    out().bytes(table(&["WHAT", "COUNT"], &cells).as_bytes())
}

/// Each number in `value`, called by the keys that lead to it.
fn flatten(name: &str, value: &serde_json::Value, cells: &mut Vec<Vec<String>>) {
    let serde_json::Value::Object(parts) = value else {
        return cells.push(vec![name.to_owned(), value.to_string()]);
    };
    for (key, part) in parts {
        let dot = if name.is_empty() { "" } else { "." };
        flatten(&format!("{name}{dot}{key}"), part, cells);
    }
}

/// `routine`.
pub(crate) fn routine(args: args::Routine) -> Result<(), Failure> {
    let (routine, change, done) = match args.action {
        args::RoutineAction::List(listing) => return list_routines(&listing),
        args::RoutineAction::Start(routine) => (routine, RoutineWish::Start, "running".into()),
        args::RoutineAction::Stop(routine) => (routine, RoutineWish::Stop, "not running".into()),
        args::RoutineAction::Interval { routine, every } => {
            let every = parse_duration(&every).map_err(|expected| {
                Failure::usage(format!("the interval \"{}\": {expected}", every.escape_debug()))
            })?;
            (routine, RoutineWish::Interval(every), format!("runs every {}", show_duration(every)))
        }
    };
    let done = format!("{}: {done}", clean(&routine.name));
    act(&routine.node, &Request::Routine { name: routine.name, change }, &done)
}

fn list_routines(args: &args::Node) -> Result<(), Failure> {
    let mut client = connect(args)?;
    let Response::Routines(rows) = client.ask(&Request::Routines)? else {
        return Err(client.unexpected());
    };
    if args.json {
        return rows.iter().try_for_each(|row| out().json(row));
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let state = if row.running { "running" } else { "stopped" };
            let every = show_duration(Duration::from_millis(row.interval_ms));
            vec![clean(&row.name), state.into(), every]
        })
        .collect();
    out().bytes(table(&["ROUTINE", "STATE", "EVERY"], &cells).as_bytes())
}
