//! What the core asks to be kept is kept at once: tasks wait for it, and whoever asked for a change hears that it is safe.

use super::Turns;
use crate::sockets::Sockets;
use p2pnet_protocol::{Answer, Keeps, RequestId};

impl<S: Sockets> Turns<S> {
    pub(super) fn keep(&mut self, request: RequestId, keeps: Keeps, bytes: &[u8]) {
        let answer = match &self.state {
            // What an anonymous node wrote would link one run to another.
            Some(_) if self.anonymous => Answer::Saved,
            Some(state) => match state.keep(keeps, bytes) {
                Ok(()) => Answer::Saved,
                Err(error) => {
                    self.shared.warn(format!("what must be kept was not saved: {error}"));
                    self.not_saved = Some(error);
                    Answer::Failed
                }
            },
            None => Answer::Failed,
        };
        self.net.handle_answer(self.now, request, answer);
    }
}
