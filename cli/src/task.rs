//! `task`: asks peers to do something, under the node's own name or the authority's.

use crate::args::Node;
use crate::authority;
use crate::commands::connect;
use crate::control::Client;
use crate::control::protocol::{Request, Response};
use crate::failure::Failure;
use crate::out::{note, out};
use crate::settings::parse_duration;
use crate::task_args::{Task, TaskSend};
use crate::task_body;
use crate::text::{clean, table};
use p2pnet_protocol::task::envelope::{Terms, sequence_at};
use p2pnet_protocol::task::{Audience, NetworkTask, TaskBody, TaskKind, TaskOutcome};
use p2pnet_protocol::{Crypto as _, Duration, PeerId, TaskId, TaskState, UnixTime};
use serde::Serialize;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Does what the command line asks.
///
/// # Errors
/// What went wrong, or what the peer said.
pub(crate) fn run(command: Task) -> Result<(), Failure> {
    match command {
        Task::Send(args) => send(&args),
        Task::List(node) => list(&node),
    }
}

fn send(args: &TaskSend) -> Result<(), Failure> {
    let kind: TaskKind = args.kind.parse().map_err(|error| {
        Failure::usage(format!("\"{}\": {error}", args.kind.escape_debug()))
            .fix("`p2pnet task send --help` lists the kinds")
    })?;
    let valid = parse_duration(&args.valid).map_err(|expected| {
        Failure::usage(format!("--valid \"{}\": {expected}", args.valid.escape_debug()))
    })?;
    let mut client = connect(&args.node)?;
    let me = own_id(&mut client)?;
    let now = authority::now()?;
    let body = task_body::read(kind, &args.arguments, |text| resolve(&mut client, text), me, now)?;
    let to = args.to.as_deref().map(|peer| resolve(&mut client, peer)).transpose()?;
    let request = match &args.sign_with {
        Some(key) => signed(&mut client, key, to, &body, now, valid)?,
        None => Request::Task { to, body: Box::new(body), valid, keep: args.keep },
    };
    match client.ask(&request)? {
        Response::Outcome(outcome) => tell_outcome(&outcome, to, args.node.json),
        Response::Asked(task) => tell_asked(task, args.node.json),
        _ => Err(client.unexpected()),
    }
}

fn own_id(client: &mut Client) -> Result<PeerId, Failure> {
    match client.ask(&Request::Id)? {
        Response::Id(me) => Ok(me),
        _ => Err(client.unexpected()),
    }
}

/// The peer that `text` names among those that the running node knows.
pub(crate) fn resolve(client: &mut Client, text: &str) -> Result<PeerId, Failure> {
    match client.ask(&Request::Resolve { peer: text.into() })? {
        Response::DoneTo(peer) => Ok(peer),
        _ => Err(client.unexpected()),
    }
}

/// A task under the authority's name. The key stays in this process.
fn signed(
    client: &mut Client,
    key: &Path,
    to: Option<PeerId>,
    body: &TaskBody,
    now: UnixTime,
    valid: Duration,
) -> Result<Request, Failure> {
    let Response::Network(network) = client.ask(&Request::Network)? else {
        return Err(client.unexpected());
    };
    let mut crypto = authority::crypto()?;
    let key = authority::signing_key(&crypto, key)?;
    let (mut id, mut noise) = ([0; 16], [0; 2]);
    crypto.random(&mut id);
    crypto.random(&mut noise);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let terms = Terms {
        network: network.tag(),
        id: TaskId(id),
        audience: to.map_or(Audience::All, Audience::One),
        sequence: sequence_at(now, since.subsec_micros().into(), u16::from_be_bytes(noise).into()),
        not_before: UnixTime(now.0.saturating_sub(NetworkTask::BACKDATE_SECS)),
        not_after: now.plus_secs(valid.as_secs()),
        in_reply_to: None,
    };
    let task = NetworkTask::issue(&crypto, &key, &terms, body)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let task = task.encode().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Request::SignedTask { to, task })
}

/// What came of a task, as JSON.
#[derive(Serialize)]
struct Answered<'a> {
    done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<PeerId>,
    result: &'a TaskOutcome,
}

pub(crate) fn tell_outcome(
    outcome: &TaskOutcome,
    peer: Option<PeerId>,
    json: bool,
) -> Result<(), Failure> {
    if json {
        return out().json(&Answered { done: true, peer, result: outcome });
    }
    match outcome {
        TaskOutcome::Done | TaskOutcome::Synchronized { .. } => out().line("done"),
        TaskOutcome::Entry(Some(entry)) => match &entry.value {
            Some(value) => out().line(clean(&String::from_utf8_lossy(value))),
            None => Err(Failure::failed("the key was deleted there")),
        },
        TaskOutcome::Entry(None) => Err(Failure::failed("there is no such key there")),
        TaskOutcome::Merged { taken, left_out: 0 } => out().line(format_args!("{taken} taken")),
        TaskOutcome::Merged { taken, left_out } => Err(Failure::failed(format!(
            "{taken} taken, and {left_out} left out: the peer's data area is full"
        ))),
        TaskOutcome::Verdict(yes) => out().line(if *yes { "yes" } else { "no" }),
        TaskOutcome::PublicKey(key) => out().line(key),
        TaskOutcome::Opaque(bytes) => out().line(clean(&String::from_utf8_lossy(bytes))),
    }
}

/// A task that went out, as JSON.
#[derive(Serialize)]
struct Asked {
    task: TaskId,
}

fn tell_asked(task: TaskId, json: bool) -> Result<(), Failure> {
    if json {
        return out().json(&Asked { task });
    }
    out().line(format_args!("task {task} is out; `p2pnet up` tells the answers"))
}

fn list(node: &Node) -> Result<(), Failure> {
    let mut client = connect(node)?;
    let Response::Tasks(tasks) = client.ask(&Request::Tasks)? else {
        return Err(client.unexpected());
    };
    if node.json {
        return tasks.iter().try_for_each(|task| out().json(task));
    }
    if tasks.is_empty() {
        note("No task is under way.");
        return Ok(());
    }
    let state = |state| match state {
        TaskState::Queued => "to be done here",
        TaskState::Asked => "waits for an answer",
        TaskState::Kept => "kept until the peer asks",
    };
    let cells: Vec<Vec<String>> = tasks
        .iter()
        .map(|task| {
            let kind = task.kind.map_or_else(|| "-".into(), |kind| kind.to_string());
            vec![
                task.task.to_string(),
                task.peer.short().to_string(),
                kind,
                state(task.state).into(),
            ]
        })
        .collect();
    out().bytes(table(&["TASK", "PEER", "KIND", "STATE"], &cells).as_bytes())
}
