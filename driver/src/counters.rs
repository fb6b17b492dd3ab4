//! What the loop counts about itself, for tests and for those who wonder why it is awake.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        #[derive(Debug, Default)]
        pub(crate) struct Counts { $(pub(crate) $name: Count,)* }

        /// How often the loop did what, since the node started.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters { $($(#[$doc])* pub $name: u64,)* }

        impl Counters {
            /// Each by its name.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),*].into_iter()
            }
        }

        impl Counts {
            pub(crate) fn read(&self) -> Counters {
                Counters { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Turns of the loop.
    turns,
    /// Turns because work was left over from the turn before.
    wakes_leftover,
    /// Turns because the application left something to do.
    wakes_told,
    /// Turns because a socket was ready.
    wakes_socket,
    /// Turns because a time had come.
    wakes_timer,
    /// Streams accepted.
    accepted,
    /// Times that accepting failed and was put off.
    accept_pauses,
    /// Datagrams that could not be sent.
    datagrams_unsent,
    /// Bytes read from streams.
    bytes_read,
    /// Bytes written to streams.
    bytes_written,
    /// Events that nobody took in time and that were dropped.
    events_missed,
}

/// A number that one thread counts up and any may read.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }
}
