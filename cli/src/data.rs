//! `data`: the keys and values that trusted members of the network share.

use crate::commands::connect;
use crate::control::protocol::{Request, Response};
use crate::failure::Failure;
use crate::out::{note, out};
use crate::task::{resolve, tell_outcome};
use crate::task_args::{Data, OneKey};
use crate::text::{clean, table};
use p2pnet_protocol::PeerId;
use p2pnet_protocol::task::DataEntry;
use serde::Serialize;

/// Does what the command line asks.
///
/// # Errors
/// What went wrong.
pub(crate) fn run(command: Data) -> Result<(), Failure> {
    match command {
        Data::Get(one) => get(one),
        Data::Set { key, value } => set(key, Some(value), "set"),
        Data::Delete(key) => set(key, None, "deleted"),
        Data::List(node) => {
            let mut client = connect(&node)?;
            let Response::Entries(entries) = client.ask(&Request::DataList)? else {
                return Err(client.unexpected());
            };
            list(&entries, node.json)
        }
        Data::Sync { peer, node } => {
            let mut client = connect(&node)?;
            let peer = resolve(&mut client, &peer)?;
            match client.ask(&Request::DataSync { peer })? {
                Response::Outcome(outcome) => tell_outcome(&outcome, Some(peer), node.json),
                _ => Err(client.unexpected()),
            }
        }
    }
}

/// An entry, as JSON. Values that are no text show with replacement characters; `value_hex` is exact.
#[derive(Serialize)]
struct Row {
    key: String,
    value: Option<String>,
    value_hex: Option<String>,
    counter: u64,
    writer: PeerId,
}

impl From<&DataEntry> for Row {
    fn from(entry: &DataEntry) -> Self {
        let hex = |value: &[u8]| value.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let value = entry.value.as_deref();
        Self {
            key: entry.key.clone(),
            value: value.map(|value| String::from_utf8_lossy(value).into_owned()),
            value_hex: value.map(hex),
            counter: entry.version.counter,
            writer: entry.version.writer,
        }
    }
}

fn get(one: OneKey) -> Result<(), Failure> {
    let mut client = connect(&one.node)?;
    let Response::Entries(entries) = client.ask(&Request::DataGet { key: one.key })? else {
        return Err(client.unexpected());
    };
    let found = entries.first().filter(|entry| entry.value.is_some());
    let Some(entry) = found else {
        return Err(Failure::failed("there is no such key").fix("`p2pnet data list` lists all"));
    };
    match &entry.value {
        Some(value) if !one.node.json => out().line(clean(&String::from_utf8_lossy(value))),
        _ => out().json(&Row::from(entry)),
    }
}

fn set(one: OneKey, value: Option<String>, done: &str) -> Result<(), Failure> {
    let mut client = connect(&one.node)?;
    let request = Request::DataSet { key: one.key, value };
    let Response::Entries(entries) = client.ask(&request)? else {
        return Err(client.unexpected());
    };
    entries.iter().try_for_each(|entry| match one.node.json {
        true => out().json(&Row::from(entry)),
        false => out().line(format_args!("{done}: {}", clean(&entry.key))),
    })
}

fn list(entries: &[DataEntry], json: bool) -> Result<(), Failure> {
    if json {
        return entries.iter().try_for_each(|entry| out().json(&Row::from(entry)));
    }
    let cells: Vec<Vec<String>> = entries
        .iter()
        .filter_map(|entry| {
            let value = clean(&String::from_utf8_lossy(entry.value.as_deref()?));
            Some(vec![clean(&entry.key), entry.version.writer.short().to_string(), value])
        })
        .collect();
    if cells.is_empty() {
        note("Nothing is there yet. `p2pnet data set KEY VALUE` writes something.");
        return Ok(());
    }
    out().bytes(table(&["KEY", "WRITER", "VALUE"], &cells).as_bytes())
}
