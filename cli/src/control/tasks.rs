//! What the running node does for commands about tasks and shared data.

use super::protocol::{Request, Response};
use crate::failure::Failure;
use p2pnet_driver::{AskError, Handle};
use p2pnet_protocol::PeerId;
use p2pnet_protocol::task::{Audience, TaskBody};

/// Answers what the service itself doesn't.
pub(super) fn answer(node: &Handle, request: Request) -> Result<Response, Failure> {
    match request {
        Request::Network => {
            Ok(Response::Network(node.call(|net, _| net.network().clone()).wait()?))
        }
        Request::Task { to: Some(peer), body, valid, keep: true } => {
            Ok(Response::Asked(node.keep_task(peer, *body, valid).wait()?))
        }
        Request::Task { to: Some(peer), body, valid, .. } => {
            Ok(Response::Outcome(node.ask_task(peer, *body, Some(valid)).wait()?))
        }
        Request::Task { to: None, body, valid, .. } => ask_all(node, *body, valid),
        Request::SignedTask { to, task } => signed(node, to, &task),
        Request::Tasks => Ok(Response::Tasks(node.tasks().wait()?)),
        Request::DataGet { key } => {
            Ok(Response::Entries(node.data(key).wait()?.into_iter().collect()))
        }
        Request::DataSet { key, value } => {
            let written = node.put_data(key, value.map(String::into_bytes)).wait()?;
            Ok(Response::Entries(vec![written]))
        }
        Request::DataList => Ok(Response::Entries(node.data_entries().wait()?)),
        Request::DataSync { peer } => Ok(Response::Outcome(node.ask_sync(peer).wait()?)),
        _ => Err(Failure::failed("the running node doesn't know this command")
            .fix("restart it with this version of the program")),
    }
}

fn ask_all(node: &Handle, body: TaskBody, valid: std::time::Duration) -> Result<Response, Failure> {
    Ok(Response::Asked(node.issue_task(Audience::All, body, Some(valid)).wait()?))
}

fn signed(node: &Handle, to: Option<PeerId>, task: &str) -> Result<Response, Failure> {
    let task = from_hex(task).ok_or_else(|| Failure::usage("the task is no hex"))?;
    match to {
        Some(peer) => Ok(Response::Outcome(node.ask_signed_task(peer, task).wait()?)),
        None => Ok(Response::Asked(node.deliver_task(task).wait()?)),
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16));
    pairs.collect::<Result<_, _>>().ok()
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        match error {
            AskError::NotSent(error) => error.into(),
            other => Self::failed(other.to_string())
                .fix("`p2pnet up` on the other side tells what it made of it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_whole_or_not_at_all() {
        assert_eq!(from_hex("00ff7a"), Some(vec![0, 0xff, 0x7a]));
        for bad in ["0", "zz", "é0"] {
            assert_eq!(from_hex(bad), None, "{bad}");
        }
    }
}
