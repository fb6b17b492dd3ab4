//! The answer to a command, to be awaited or waited for.

use crate::wake::block_on;
use p2pnet_protocol::CommandError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// The node has stopped, or stopped before it came to this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the node has stopped")
    }
}

impl std::error::Error for Stopped {}

impl From<Stopped> for CommandError {
    fn from(_: Stopped) -> Self {
        Self::ShuttingDown
    }
}

/// What the node will answer. Await it, or [`wait`](Self::wait) where there is no runtime. Dropping it doesn't take the
/// command back.
#[derive(Debug)]
#[must_use = "the command runs anyway, but only the reply says whether it worked"]
pub struct Reply<T, E = Stopped>(Arc<Mutex<Slot<T, E>>>);

#[derive(Debug)]
enum Slot<T, E> {
    Waiting(Option<Waker>),
    Answered(Result<T, E>),
    Taken,
}

/// The side that answers. Dropped without an answer, it answers [`Stopped`].
pub(crate) struct Promise<T, E: From<Stopped>>(Option<Arc<Mutex<Slot<T, E>>>>);

/// A promise and its reply.
pub(crate) fn promise<T, E: From<Stopped>>() -> (Promise<T, E>, Reply<T, E>) {
    let slot = Arc::new(Mutex::new(Slot::Waiting(None)));
    (Promise(Some(Arc::clone(&slot))), Reply(slot))
}

impl<T, E: From<Stopped>> Promise<T, E> {
    pub(crate) fn answer(mut self, result: Result<T, E>) {
        self.put(result);
    }

    fn put(&mut self, result: Result<T, E>) {
        let Some(slot) = self.0.take() else { return };
        let before = std::mem::replace(
            &mut *slot.lock().unwrap_or_else(PoisonError::into_inner),
            Slot::Answered(result),
        );
        if let Slot::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }
}

impl<T, E: From<Stopped>> Drop for Promise<T, E> {
    fn drop(&mut self) {
        self.put(Err(Stopped.into()));
    }
}

impl<T, E> Reply<T, E> {
    /// Blocks this thread until the node has answered. Never call it on the thread that runs the node.
    ///
    /// # Errors
    /// What the node answered.
    pub fn wait(self) -> Result<T, E> {
        block_on(self)
    }
}

impl<T, E> Future for Reply<T, E> {
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *slot, Slot::Taken) {
            Slot::Answered(result) => Poll::Ready(result),
            Slot::Waiting(_) => {
                *slot = Slot::Waiting(Some(cx.waker().clone()));
                Poll::Pending
            }
            Slot::Taken => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_arrive_and_silence_means_stopped() {
        let (promise_a, reply) = promise::<u8, Stopped>();
        promise_a.answer(Ok(7));
        assert_eq!(reply.wait(), Ok(7));
        let (promise_b, reply) = promise::<u8, Stopped>();
        let thread = std::thread::spawn(move || reply.wait());
        drop(promise_b);
        assert_eq!(thread.join().unwrap(), Err(Stopped));
    }
}
