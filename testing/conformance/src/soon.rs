//! Waiting with a limit, without a runtime.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// What doesn't come in this time never will.
const SOON: Duration = Duration::from_secs(20);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A future that should be done soon.
pub trait Soon: Future + Sized {
    /// Waits for it on this thread, or gives up after `time`.
    fn within(self, time: Duration) -> Option<Self::Output> {
        let deadline = Instant::now() + time;
        let mut future = pin!(self);
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut cx = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return Some(output);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            std::thread::park_timeout(left);
        }
    }

    /// Waits for it on this thread, and panics when it takes too long.
    #[track_caller]
    fn soon(self) -> Self::Output {
        match self.within(SOON) {
            Some(output) => output,
            None => panic!("not done in {SOON:?}"),
        }
    }
}

impl<F: Future> Soon for F {}

/// Looks again and again until `seen` gives something, and panics when it takes too long.
#[track_caller]
pub fn eventually<T>(what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = seen() {
            return found;
        }
        assert!(started.elapsed() < SOON, "not in {SOON:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_is_given_and_what_is_not_is_given_up() {
        assert_eq!(std::future::ready(7).soon(), 7);
        let started = Instant::now();
        assert_eq!(std::future::pending::<()>().within(Duration::from_millis(20)), None);
        assert!(started.elapsed() >= Duration::from_millis(20));
    }
}
