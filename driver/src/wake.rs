//! Waking the loop from other threads, and waiting for a future without a runtime.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::Thread;

/// Who waits for something that another thread does.
#[derive(Debug, Default)]
pub(crate) struct Sleeper(Mutex<Option<Waker>>);

impl Sleeper {
    fn lock(&self) -> MutexGuard<'_, Option<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes this one from now on. Look for what it waits for only afterwards: whoever did it before may have found nobody
    /// to wake.
    pub(crate) fn register(&self, waker: &Waker) {
        let mut kept = self.lock();
        if !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            *kept = Some(waker.clone());
        }
    }

    /// Wakes whoever waits, if anybody does.
    pub(crate) fn wake(&self) {
        // Woken outside the lock: a waker may do anything.
        let kept = self.lock().take();
        if let Some(waker) = kept {
            waker.wake();
        }
    }

    /// Nobody waits any more.
    pub(crate) fn forget(&self) {
        let kept = self.lock().take();
        drop(kept);
    }
}

/// Tells the loop that something was left for it. Cheap when the loop has been told already.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    told: AtomicBool,
    sleeper: Sleeper,
}

impl Wake {
    /// Tells the loop. What was left for it must have been left under a lock that the loop takes after
    /// [`clear`](Self::clear): the lock orders the two sides even where the load below is stale.
    pub(crate) fn tell(&self) {
        if !self.told.load(Ordering::Relaxed) && !self.told.swap(true, Ordering::AcqRel) {
            self.sleeper.wake();
        }
    }

    /// The loop begins to look at everything that was left for it. Says whether it was told that there is something.
    pub(crate) fn clear(&self) -> bool {
        self.sleeper.forget();
        self.told.swap(false, Ordering::AcqRel)
    }

    /// Whether the loop was told since it last began to look. It is awake, and need not be woken until it
    /// [polls](Self::poll).
    pub(crate) fn is_told(&self) -> bool {
        self.sleeper.forget();
        self.told.load(Ordering::Acquire)
    }

    /// The loop is gone: nobody is to be woken any more.
    pub(crate) fn end(&self) {
        self.sleeper.forget();
    }

    /// Whether the loop was told since it last began to look. If not, it will be woken, which may cost a system call: only
    /// a loop that is about to sleep asks.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        self.sleeper.register(cx.waker());
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
    use std::sync::atomic::AtomicUsize;

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

    #[test]
    fn who_is_awake_is_not_woken() {
        struct Count(AtomicUsize);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let (wake, cx) = (Wake::default(), Context::from_waker(&waker));
        let mut woken = 0;
        let looks: [fn(&Wake) -> bool; 2] = [Wake::clear, Wake::is_told];
        for look in looks {
            assert!(wake.poll(&cx).is_pending());
            assert!(!look(&wake));
            wake.tell();
            assert_eq!(
                count.0.load(Ordering::Relaxed),
                woken,
                "it looked and has not polled since"
            );
            assert!(wake.poll(&cx).is_ready() && wake.is_told() && wake.clear());
            assert!(wake.poll(&cx).is_pending());
            wake.tell();
            woken += 1;
            assert_eq!(count.0.load(Ordering::Relaxed), woken);
            wake.clear();
        }
    }
}
