//! Waking the loop from other threads, and waiting for a future without a runtime.

use futures_util::task::AtomicWaker;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread::Thread;

/// Tells the loop that something was left for it. Cheap when the loop has been told already.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    told: AtomicBool,
    waker: AtomicWaker,
}

impl Wake {
    /// Tells the loop. What was left for it must have been left under a lock that the loop takes after
    /// [`clear`](Self::clear): the lock orders the two sides even where the load below is stale.
    pub(crate) fn tell(&self) {
        if !self.told.load(Ordering::Relaxed) && !self.told.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// The loop begins to look at everything that was left for it. Says whether it was told that there is something.
    pub(crate) fn clear(&self) -> bool {
        self.told.swap(false, Ordering::AcqRel)
    }

    /// The loop is gone: nobody is to be woken any more.
    pub(crate) fn end(&self) {
        drop(self.waker.take());
    }

    /// Whether the loop was told since it last began to look. If not, it will be woken.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        self.waker.register(cx.waker());
        if self.told.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

struct Unpark(Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs `future` on this thread until it is done.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_before_or_while_waiting_wakes() {
        let wake = Arc::new(Wake::default());
        wake.tell();
        block_on(std::future::poll_fn(|cx| wake.poll(cx)));
        wake.clear();
        let other = Arc::clone(&wake);
        let thread = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(5));
            other.tell();
        });
        block_on(std::future::poll_fn(|cx| wake.poll(cx)));
        thread.join().unwrap();
    }
}
