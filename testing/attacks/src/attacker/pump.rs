//! An open channel that is written to as fast as the victim takes it, within the victim's credit, while what the victim
//! says is read.

use super::is_not_yet;
use crate::speaker::{Channel, kind, split_frame};
use std::io::{self, Read as _, Write as _};

/// A lane's credit and what was spent of it.
#[derive(Default)]
struct Lane {
    limit: u64,
    spent: u64,
}

/// A channel and what waits to be written.
pub(super) struct Pump {
    channel: Channel,
    pending: Vec<u8>,
    written: usize,
    heard: Vec<u8>,
    lanes: [Lane; 2],
    /// Frames that answered something.
    pub(super) answers: u64,
    opened: bool,
}

impl Pump {
    pub(super) fn new(channel: Channel) -> io::Result<Self> {
        channel.stream.set_nonblocking(true)?;
        Ok(Self {
            channel,
            pending: Vec::new(),
            written: 0,
            heard: Vec::new(),
            lanes: Default::default(),
            answers: 0,
            opened: false,
        })
    }

    /// Whether the victim has let this side in.
    pub(super) const fn is_open(&self) -> bool {
        self.opened
    }

    /// Writes on, and puts the next record of `plain` behind what waits once that is written; `cost` is what it takes of
    /// a lane's credit. Gives whether `plain` was put there.
    ///
    /// # Errors
    /// If the stream is over.
    pub(super) fn put(&mut self, plain: &[u8], cost: Option<(usize, u64)>) -> io::Result<bool> {
        self.read()?;
        self.flush()?;
        if !self.pending.is_empty() || !self.opened {
            return Ok(false);
        }
        if let Some((lane, bytes)) = cost
            && let Some(lane) = self.lanes.get_mut(lane)
        {
            if lane.spent + bytes > lane.limit {
                return Ok(false);
            }
            lane.spent += bytes;
        }
        self.pending = self.channel.record(plain);
        self.written = 0;
        self.flush()?;
        Ok(true)
    }

    fn flush(&mut self) -> io::Result<()> {
        while let Some(rest) = self.pending.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.channel.stream.write(rest) {
                Ok(bytes) => self.written += bytes,
                Err(error) if is_not_yet(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.pending.clear();
        Ok(())
    }

    fn read(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 << 10];
        loop {
            match self.channel.stream.read(&mut piece) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(bytes) => self.heard.extend_from_slice(piece.get(..bytes).unwrap_or_default()),
                Err(error) if is_not_yet(&error) => break,
                Err(error) => return Err(error),
            }
        }
        while let Some((header, rest)) = self.heard.split_first_chunk() {
            let length = usize::from(u16::from_be_bytes(*header));
            let Some(body) = rest.get(..length) else { break };
            let plain = self.channel.unseal(body)?;
            self.heard.drain(..length + 2);
            self.on_plain(&plain);
        }
        Ok(())
    }

    fn on_plain(&mut self, mut plain: &[u8]) {
        while let Some((kind, body, after)) = split_frame(plain) {
            plain = after;
            match (kind, body) {
                (kind::OPEN, [_, _, _, _, a, b, c, d, e, f, g, h, ..]) => {
                    self.opened = true;
                    self.lanes[0].limit = u32::from_be_bytes([*a, *b, *c, *d]).into();
                    self.lanes[1].limit = u32::from_be_bytes([*e, *f, *g, *h]).into();
                }
                (kind::CREDIT, [lane @ 1..=2, limit @ ..]) => {
                    let limit = limit.try_into().map_or(0, u64::from_be_bytes);
                    let lane = &mut self.lanes[usize::from(*lane) - 1];
                    lane.limit = lane.limit.max(limit);
                }
                _ => self.answers += 1,
            }
        }
    }
}
