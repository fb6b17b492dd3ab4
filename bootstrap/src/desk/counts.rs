//! What the server counted, and how Prometheus reads it.

use p2pnet_protocol::discovery::bootstrap::RefusalCode;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident, $help:literal;)*) => {
        /// Counters since the start.
        #[derive(Debug, Default)]
        pub struct Counts {
            $($(#[$doc])* pub $name: Count,)*
            refusals: [Count; RefusalCode::ALL.len()],
        }

        impl Counts {
            fn rows(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((stringify!($name), $help, self.$name.get()),)*].into_iter()
            }
        }
    };
}

/// One counter.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

counts! {
    /// Connections that were accepted.
    connections_accepted, "Connections accepted.";
    /// Connections that were closed at once, because there were too many.
    connections_refused, "Connections closed at once, because there were too many.";
    /// TLS handshakes that failed.
    tls_failures, "TLS handshakes that failed.";
    /// HTTP requests of any kind.
    http_requests, "HTTP requests of any kind.";
    /// Registrations that were answered with a list.
    registrations, "Registrations answered with a list.";
    /// Heartbeats that renewed a lease.
    heartbeats_renewed, "Heartbeats that renewed a lease.";
    /// Heartbeats of nodes without a lease.
    heartbeats_unknown, "Heartbeats of nodes without a lease.";
    /// Leases ended by their nodes.
    leases_left, "Leases ended by their nodes.";
    /// Leases that nobody renewed.
    leases_expired, "Leases that nobody renewed.";
    /// Leases ended by an operator.
    leases_ended, "Leases ended by an operator.";
    /// Peers that lists told of.
    peers_told, "Peers that lists told of.";
    /// Tasks that were handed to their peers.
    tasks_sent, "Tasks handed to their peers, repetitions included.";
    /// Tasks that their peers have got.
    tasks_received, "Tasks that their peers have got.";
    /// Times the database failed.
    store_errors, "Times the database failed.";
}

impl Counts {
    /// A request was refused.
    pub fn refused(&self, code: RefusalCode) {
        let at = RefusalCode::ALL.iter().position(|other| *other == code);
        if let Some(count) = at.and_then(|at| self.refusals.get(at)) {
            count.up();
        }
    }

    /// How many requests were refused for this reason.
    pub fn refusals(&self, code: RefusalCode) -> u64 {
        let at = RefusalCode::ALL.iter().position(|other| *other == code);
        at.and_then(|at| self.refusals.get(at)).map_or(0, Count::get)
    }

    /// Everything in Prometheus' text format, with `gauges` (name, help, value).
    pub fn render(&self, gauges: &[(&str, &str, u64)]) -> String {
        let mut text = String::new();
        let mut row = |kind: &str, name: &str, end: &str, help: &str, value: u64| {
            // Writing to a String can't fail.
            let _ = writeln!(text, "# HELP p2pnet_bootstrap_{name}{end} {help}");
            let _ = writeln!(text, "# TYPE p2pnet_bootstrap_{name}{end} {kind}");
            let _ = writeln!(text, "p2pnet_bootstrap_{name}{end} {value}");
        };
        self.rows().for_each(|(name, help, value)| row("counter", name, "_total", help, value));
        gauges.iter().for_each(|(name, help, value)| row("gauge", name, "", help, *value));
        text.push_str("# HELP p2pnet_bootstrap_refusals_total Requests refused, by reason.\n");
        text.push_str("# TYPE p2pnet_bootstrap_refusals_total counter\n");
        for (code, count) in RefusalCode::ALL.iter().zip(&self.refusals) {
            let _ = writeln!(
                text,
                "p2pnet_bootstrap_refusals_total{{reason=\"{code:?}\"}} {}",
                count.get()
            );
        }
        text
    }
}
