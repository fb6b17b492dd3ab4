//! The command's end of the control socket.

use super::address::{Address, NAME};
use super::line;
use super::protocol::{Request, Response};
use crate::failure::Failure;
use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the node may take to answer. The slowest answer is that to `stop`, which waits for a graceful end.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection to the running node.
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
    state: PathBuf,
}

impl Client {
    /// Connects to the node that runs on `state`.
    ///
    /// # Errors
    /// No node runs there, or it belongs to someone else.
    pub(crate) fn connect(state: &Path) -> Result<Self, Failure> {
        let connected = Address::in_state(state).and_then(|at| UnixStream::connect(at.path()));
        let stream = connected.map_err(|error| not_reached(state, &error))?;
        let ready = stream
            .set_read_timeout(Some(ANSWER_TIMEOUT))
            .and_then(|()| stream.set_write_timeout(Some(ANSWER_TIMEOUT)));
        ready.map_err(|error| not_reached(state, &error))?;
        Ok(Self { stream: BufReader::new(stream), state: state.into() })
    }

    /// Asks one thing.
    ///
    /// # Errors
    /// What the node answered, or that it didn't.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Response, Failure> {
        let answer = line::write(self.stream.get_mut(), request)
            .and_then(|()| line::read::<Response>(&mut self.stream));
        match answer {
            Ok(Some(Response::Failed(failure))) => Err(failure),
            Ok(Some(response)) => Ok(response),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                Err(Failure::usage("this is more than one command can hold")
                    .fix("send less at once"))
            }
            Ok(None) => Err(self.broken("it closed the connection without an answer")),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(self.broken("it gave no answer within a minute"))
            }
            Err(error) => Err(self.broken(&error.to_string())),
        }
    }

    /// The failure for an answer of the wrong kind, which another version of the program may give.
    pub(crate) fn unexpected(&self) -> Failure {
        self.broken("it gave an answer that this version doesn't know")
    }

    fn broken(&self, problem: &str) -> Failure {
        Failure::failed(format!("the node in {}: {problem}", self.state.display()))
            .fix("see whether it still runs; end it with its terminal's Ctrl-C and start it again")
    }
}

fn not_reached(state: &Path, error: &io::Error) -> Failure {
    let at = state.display();
    match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::NotADirectory => {
            Failure::failed(format!("no node is running on the state in {at}"))
                .fix("start one with `p2pnet up`, or name another state with --state DIR")
        }
        io::ErrorKind::PermissionDenied => {
            Failure::failed(format!("the node in {at} belongs to another user"))
                .fix("run this as that user, or name your own state with --state DIR")
        }
        _ => Failure::failed(format!("can't reach the node by {at}/{NAME}: {error}"))
            .fix("see whether it still runs, or name another state with --state DIR"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn pair() -> (Client, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Client { stream: BufReader::new(ours), state: "/state".into() }, theirs)
    }

    #[test]
    fn failures_of_the_node_are_failures_here() {
        let (mut client, mut node) = pair();
        let failure = Failure::usage("no").fix("yes");
        line::write(&mut node, &Response::Failed(failure.clone())).unwrap();
        assert_eq!(client.ask(&Request::Id), Err(failure));
        let asked: Option<Request> = line::read(&mut BufReader::new(node)).unwrap();
        assert_eq!(asked, Some(Request::Id));
    }

    #[test]
    fn silence_and_nonsense_are_told() {
        let (mut client, node) = pair();
        drop(node);
        assert!(client.ask(&Request::Id).is_err());
        let (mut client, mut node) = pair();
        node.write_all(b"what?\n").unwrap();
        assert!(client.ask(&Request::Id).unwrap_err().to_string().contains("/state"));
    }

    #[test]
    fn what_is_too_large_is_not_blamed_on_the_node() {
        let (mut client, _node) = pair();
        // Each of these takes six bytes as JSON.
        let text = "\u{1}".repeat(2 << 20);
        let said = client.ask(&Request::Send { to: None, text }).unwrap_err().to_string();
        assert!(said.contains("send less at once") && !said.contains("/state"), "{said}");
    }

    #[test]
    fn no_node_is_told_with_the_fix() {
        let outer = tempfile::tempdir().unwrap();
        let said = Client::connect(outer.path()).err().unwrap().to_string();
        assert!(said.contains("no node is running") && said.contains("p2pnet up"), "{said}");
        let long = outer.path().join("x".repeat(200));
        assert!(Client::connect(&long).err().unwrap().to_string().contains("no node is running"));
    }
}
