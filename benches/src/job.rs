//! What is measured between two processes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// One measurement. Its text form travels to the child process that serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// One way, as fast as it goes, 64 KiB handed over at a time.
    Bulk(Duration),
    /// One way, messages of `bytes`, each behind a length of 4 bytes. With `each`, every message is one call that pushes
    /// it out, as `send(message).await` does; otherwise the program packs 64 KiB before it pushes.
    Messages {
        /// The size of one message without its length.
        bytes: usize,
        /// Whether each message is pushed out by itself.
        each: bool,
        /// How long the sender sends.
        span: Duration,
    },
    /// A message of 64 bytes there and back, one at a time.
    RoundTrip(Duration),
    /// New channels, [`AT_ONCE`] at a time: connect, shake hands, send a byte, get it back, close.
    SetUps(Duration),
    /// So many channels that are open and silent.
    Idle(usize),
}

/// How many bytes [`Job::Bulk`] hands over at a time, and how many a batch of messages fills.
pub const BATCH_BYTES: usize = 65_536;
/// The bytes of a length in front of a message.
pub const LENGTH_BYTES: usize = 4;
/// The size of the message of [`Job::RoundTrip`].
pub const PING_BYTES: usize = 64;
/// How many set-ups go on at the same time.
pub const AT_ONCE: usize = 16;
/// How many channels are opened before [`Job::Idle`] counts, so that what is allocated once is not divided up.
pub const IDLE_WARM_UP: usize = 100;

/// What a connection of [`Job::SetUps`] begins with.
pub const HELLO: u8 = 1;
/// What the last [`AT_ONCE`] of them begin with: whoever of the server's workers reads it may end.
pub const BYE: u8 = 0;

/// A message of `bytes` behind its length.
pub fn framed(bytes: usize) -> Vec<u8> {
    let mut message = vec![7; LENGTH_BYTES + bytes];
    message[..LENGTH_BYTES].copy_from_slice(&(bytes as u32).to_le_bytes());
    message
}

/// Fills `batch` with copies of `message`, one by one as a program would, and gives the part that is full.
pub fn pack<'b>(batch: &'b mut [u8], message: &[u8]) -> &'b [u8] {
    let mut filled = 0;
    for place in batch.chunks_exact_mut(message.len()) {
        place.copy_from_slice(message);
        filled += message.len();
    }
    &batch[..filled]
}

/// What the client saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// From the first byte to the server's word that it has all.
    pub seconds: f64,
    /// Bytes, messages, round trips, set-ups or channels.
    pub count: u64,
    /// Each round trip, in microseconds.
    pub round_trips_us: Vec<f64>,
}

/// What the server saw.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Served {
    /// Bytes of resident memory for each idle channel.
    pub idle_bytes: f64,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bulk(span) => write!(f, "bulk:{}", span.as_millis()),
            Self::Messages { bytes, each: false, span } => {
                write!(f, "batched:{bytes}:{}", span.as_millis())
            }
            Self::Messages { bytes, each: true, span } => {
                write!(f, "each:{bytes}:{}", span.as_millis())
            }
            Self::RoundTrip(span) => write!(f, "roundtrip:{}", span.as_millis()),
            Self::SetUps(span) => write!(f, "setups:{}", span.as_millis()),
            Self::Idle(channels) => write!(f, "idle:{channels}"),
        }
    }
}

/// The text is not a job's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAJob;

impl FromStr for Job {
    type Err = NotAJob;
    fn from_str(text: &str) -> Result<Self, NotAJob> {
        let (name, arguments) = text.split_once(':').ok_or(NotAJob)?;
        let numbers: Result<Vec<usize>, _> = arguments.split(':').map(str::parse).collect();
        let span = |millis: usize| Duration::from_millis(millis as u64);
        match (name, &*numbers.map_err(|_| NotAJob)?) {
            ("bulk", &[millis]) => Ok(Self::Bulk(span(millis))),
            ("batched", &[bytes, millis]) => {
                Ok(Self::Messages { bytes, each: false, span: span(millis) })
            }
            ("each", &[bytes, millis]) => {
                Ok(Self::Messages { bytes, each: true, span: span(millis) })
            }
            ("roundtrip", &[millis]) => Ok(Self::RoundTrip(span(millis))),
            ("setups", &[millis]) => Ok(Self::SetUps(span(millis))),
            ("idle", &[channels]) => Ok(Self::Idle(channels)),
            _ => Err(NotAJob),
        }
    }
}

/// Finds the messages in a byte stream that is cut anywhere.
#[derive(Debug, Default)]
pub struct Messages {
    /// The start of a message whose end has not come.
    partial: Vec<u8>,
}

impl Messages {
    /// Calls `each` with every message that ends in `bytes`.
    pub fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) {
        while !self.partial.is_empty() && !bytes.is_empty() {
            let wanted = match self.partial.first_chunk() {
                Some(length) => LENGTH_BYTES + u32::from_le_bytes(*length) as usize,
                None => LENGTH_BYTES,
            };
            let (head, rest) = bytes.split_at(bytes.len().min(wanted - self.partial.len()));
            self.partial.extend_from_slice(head);
            bytes = rest;
            if self.partial.len() == wanted && wanted > LENGTH_BYTES {
                each(&self.partial[LENGTH_BYTES..]);
                self.partial.clear();
            }
        }
        while let Some((length, rest)) = bytes.split_first_chunk() {
            let Some((message, rest)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)
            else {
                break;
            };
            each(message);
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_survive_the_trip_to_the_child() {
        let span = Duration::from_millis(250);
        let jobs = [
            Job::Bulk(span),
            Job::Messages { bytes: 64, each: true, span },
            Job::Messages { bytes: 1_024, each: false, span },
            Job::RoundTrip(span),
            Job::SetUps(span),
            Job::Idle(1_000),
        ];
        for job in jobs {
            assert_eq!(job.to_string().parse(), Ok(job));
        }
        for wrong in ["", "bulk", "bulk:", "bulk:x", "bulk:1:2", "other:1"] {
            assert_eq!(wrong.parse::<Job>(), Err(NotAJob), "{wrong}");
        }
    }

    #[test]
    fn any_cut_gives_the_same_messages() {
        let sent: Vec<Vec<u8>> = [1, 64, 3, 200, 64].map(|n: usize| vec![n as u8; n]).to_vec();
        let mut wire = Vec::new();
        for message in &sent {
            wire.extend_from_slice(&(message.len() as u32).to_le_bytes());
            wire.extend_from_slice(message);
        }
        for piece in 1..=wire.len() {
            let (mut messages, mut received) = (Messages::default(), Vec::new());
            for bytes in wire.chunks(piece) {
                messages.feed(bytes, |message| received.push(message.to_vec()));
            }
            assert_eq!(received, sent, "pieces of {piece}");
        }
    }
}
