//! Rounds over two processes, and the tables made of them.

mod goals;
mod runtimes;
mod table;

pub use runtimes::side_by_side;
pub use table::tables;

use crate::job::{Job, Outcome};
use crate::machine::{self, Disturbance};
use crate::memory::{Aeads, CoreRates, Handshakes};
use crate::peers::{self, Entry, Peer};
use std::env;
use std::io::{self, BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// A server that takes longer than this has lost its client.
const SERVE_MAX: Duration = Duration::from_secs(60);

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Times that everything is measured.
    pub rounds: usize,
    /// How long each job sends.
    pub span: Duration,
    /// How long each AEAD and handshake is measured.
    pub memory_span: Duration,
    /// Idle channels.
    pub channels: usize,
}

impl Extent {
    /// Less than a minute.
    pub const QUICK: Self = Self {
        rounds: 2,
        span: Duration::from_millis(200),
        memory_span: Duration::from_millis(20),
        channels: 300,
    };
    /// Enough for medians that mean something on a quiet machine: about five minutes.
    pub const FULL: Self = Self {
        rounds: 5,
        span: Duration::from_secs(1),
        memory_span: Duration::from_millis(100),
        channels: 1_000,
    };

    /// The jobs in the order of [`Axis`].
    pub fn jobs(&self) -> [Job; Axis::COUNT] {
        let span = self.span;
        [
            Job::Bulk(span),
            Job::Messages { bytes: 64, each: false, span },
            Job::Messages { bytes: 64, each: true, span },
            Job::Messages { bytes: 1_024, each: false, span },
            Job::RoundTrip(span),
            Job::SetUps(span),
            Job::Idle(self.channels),
        ]
    }
}

/// What a column is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Bytes one way.
    Bulk,
    /// 64-byte messages, packed by the program.
    Small,
    /// 64-byte messages, one call each.
    SmallEach,
    /// 1 KiB messages, packed by the program.
    Medium,
    /// There and back.
    RoundTrip,
    /// New channels.
    SetUps,
    /// Silent channels.
    Idle,
}

impl Axis {
    const COUNT: usize = 7;
}

/// One job by one peer, once.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What the client saw.
    pub outcome: Outcome,
    /// Processor seconds of the client and of the server.
    pub processor_s: [f64; 2],
    /// Bytes of resident memory for each idle channel.
    pub idle_bytes: f64,
    /// The share of the machine that others used.
    pub disturbance: f64,
}

impl Sample {
    /// Bytes, messages or set-ups a second.
    pub fn rate(&self) -> f64 {
        self.outcome.count as f64 / self.outcome.seconds
    }

    /// The same for each processor second of the busier end: what one core an end gives if nothing disturbs it.
    pub fn processor_rate(&self) -> f64 {
        let [client, server] = self.processor_s;
        self.outcome.count as f64 / client.max(server)
    }

    /// The round trip that `share` of all are quicker than, in microseconds.
    pub fn round_trip_us(&self, share: f64) -> f64 {
        quantile(&self.outcome.round_trips_us, share)
    }
}

/// Everything, once.
pub struct Round {
    /// For each peer, in the order given, a sample of each axis.
    pub samples: Vec<[Sample; Axis::COUNT]>,
    /// The AEADs.
    pub aeads: Aeads,
    /// The handshakes.
    pub handshakes: Handshakes,
    /// The core alone.
    pub core: CoreRates,
}

impl Round {
    /// Measures every peer and job once, one after another.
    ///
    /// # Errors
    /// If a process can't be started, or a connection breaks.
    pub fn measure(entries: &[&'static Entry], extent: &Extent) -> io::Result<Self> {
        let mut samples = Vec::new();
        for entry in entries {
            let jobs = extent.jobs();
            let measured: io::Result<Vec<_>> =
                jobs.into_iter().map(|job| measure(entry, job)).collect();
            let measured =
                measured?.try_into().map_err(|_| io::Error::other("a job is missing"))?;
            samples.push(measured);
        }
        let span = extent.memory_span;
        Ok(Self {
            samples,
            aeads: Aeads::measure(span),
            handshakes: Handshakes::measure(span),
            core: CoreRates::measure(span),
        })
    }
}

/// Does one job by one peer: the client in this process, the server in another.
///
/// # Errors
/// If a process can't be started, or a connection breaks.
pub fn measure(entry: &Entry, job: Job) -> io::Result<Sample> {
    let failed =
        |error: io::Error| io::Error::new(error.kind(), format!("{} {job}: {error}", entry.name));
    let peer = (entry.make)();
    let server = Server::start(entry.name, job)?;
    let watch = Disturbance::watch();
    let before = machine::processor_time();
    let outcome =
        peer.run(server.address.parse().map_err(io::Error::other)?, job).map_err(failed)?;
    let ours = machine::processor_time().saturating_sub(before);
    let (theirs, idle_bytes) = server.finish().map_err(failed)?;
    Ok(Sample {
        outcome,
        processor_s: [ours, theirs].map(|time| time.as_secs_f64()),
        idle_bytes,
        disturbance: watch.share(ours + theirs),
    })
}

/// The other process.
struct Server {
    child: Child,
    lines: io::Lines<BufReader<std::process::ChildStdout>>,
    address: String,
}

impl Server {
    fn start(name: &str, job: Job) -> io::Result<Self> {
        let (key, value) = peers::inheritance();
        let mut child = Command::new(env::current_exe()?)
            .args(["--serve", name, &job.to_string()])
            .env(key, value)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut lines = BufReader::new(stdout).lines();
        let address = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
        Ok(Self { child, lines, address })
    }

    /// Processor time and bytes for each idle channel.
    fn finish(mut self) -> io::Result<(Duration, f64)> {
        let line = self.lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
        let broken = || io::Error::other(format!("the server said: {line}"));
        let (micros, idle) = line.split_once(' ').ok_or_else(broken)?;
        let micros = micros.parse().map_err(|_| broken())?;
        let idle = idle.parse().map_err(|_| broken())?;
        self.child.wait()?;
        Ok((Duration::from_micros(micros), idle))
    }
}

/// The child's part: serves one job and reports on standard output.
///
/// # Errors
/// If a connection breaks.
pub fn serve(entry: &Entry, job: Job) -> io::Result<()> {
    machine::pin(machine::SERVER_CORE)?;
    thread::spawn(|| {
        thread::sleep(SERVE_MAX);
        std::process::abort();
    });
    let peer: Box<dyn Peer> = (entry.make)();
    // What it took to make the peer doesn't count.
    let mut before = Duration::ZERO;
    let served = peer.serve(job, &mut |address| {
        before = machine::processor_time();
        println!("{address}");
    })?;
    let used = machine::processor_time().saturating_sub(before);
    println!("{} {}", used.as_micros(), served.idle_bytes);
    Ok(())
}

/// The value that `share` of `values` are below; not a number if there are none.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len().saturating_sub(1)) as f64 * share;
    sorted.get(at.round() as usize).copied().unwrap_or(f64::NAN)
}

/// The median of what `value` gives for each round.
fn median(rounds: &[Round], value: impl Fn(&Round) -> f64) -> f64 {
    let values: Vec<f64> = rounds.iter().map(value).filter(|value| value.is_finite()).collect();
    quantile(&values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(quantile(&values, 0.5), 3.0);
        assert_eq!(quantile(&values, 0.99), 5.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
