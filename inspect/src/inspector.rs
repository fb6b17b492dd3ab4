//! The whole: frames in, findings out.

use crate::capture::Frame;
use crate::conversation::{Conversation, Key};
use crate::dialogue::{Cx, hex};
use crate::finding::{Ending, Finding, Summary, What};
use crate::key_log::KeyLog;
use crate::limits::Limits;
use crate::packet::{self, Datagram, Packet, Segment, Skipped};
use crate::timestamp::Timestamp;
use p2pnet_protocol::PeerId;
use p2pnet_protocol::crypto::Crypto;
use p2pnet_protocol::wire::SignedBeacon;
use p2pnet_protocol::wire::beacon::NoBeacon;
use std::collections::BTreeMap;

/// Reads frames and tells what P2PNet nodes said in them. `C` checks signatures and opens records.
pub struct Inspector<C: Crypto> {
    crypto: C,
    keys: KeyLog,
    limits: Limits,
    conversations: BTreeMap<Key, (u64, Conversation<C>)>,
    /// Which conversation was heard when, by a count of segments: the one that was silent longest comes first.
    heard: BTreeMap<u64, Key>,
    segments: u64,
    held_bytes: usize,
    summary: Summary,
    latest: Timestamp,
}

impl<C: Crypto> Inspector<C> {
    /// Begins, with what is known about keys.
    pub fn new(crypto: C, keys: KeyLog, limits: Limits) -> Self {
        Self {
            crypto,
            keys,
            limits,
            conversations: BTreeMap::new(),
            heard: BTreeMap::new(),
            segments: 0,
            held_bytes: 0,
            summary: Summary::default(),
            latest: Timestamp::default(),
        }
    }

    /// Takes the next frame and tells what it completed.
    pub fn on_frame(&mut self, frame: &Frame<'_>, tell: &mut dyn FnMut(Finding)) {
        self.latest = frame.at;
        let summary = &mut self.summary;
        summary.frames = summary.frames.saturating_add(1);
        let skipped = match packet::read(frame) {
            Ok(Packet::Datagram(datagram)) => return self.on_datagram(&datagram, tell),
            Ok(Packet::Segment(segment)) => return self.on_segment(&segment, tell),
            Err(Skipped::Fragment) => &mut summary.frames_fragments,
            Err(Skipped::Damaged) => &mut summary.frames_damaged,
            Err(Skipped::Other | Skipped::LinkType(_)) => &mut summary.frames_other,
        };
        *skipped = skipped.saturating_add(1);
    }

    /// The capture is over: tells how the streams stand, and the summary.
    pub fn finish(mut self, tell: &mut dyn FnMut(Finding)) {
        while let Some((_, key)) = self.heard.pop_first() {
            self.drop_conversation(&key, Ending::CaptureEnded, tell);
        }
        let (time, what) = (self.latest, What::Summary(self.summary));
        tell(Finding { time, what });
    }

    /// The counts so far.
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Bytes that are held for streams at present.
    pub const fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    fn on_datagram(&mut self, datagram: &Datagram<'_>, tell: &mut dyn FnMut(Finding)) {
        let &Datagram { from, to, payload } = datagram;
        let (bytes, summary) = (payload.len(), &mut self.summary);
        let problem = match SignedBeacon::decode(payload) {
            Ok(beacon) => {
                let claims = beacon.claims();
                let signed = beacon.verify(&self.crypto);
                summary.beacons = summary.beacons.saturating_add(1);
                summary.beacons_forged = summary.beacons_forged.saturating_add(u64::from(!signed));
                let what = What::Beacon {
                    from,
                    to,
                    network: hex(&claims.network),
                    network_name: self.keys.network(&claims.network).map(|name| name.to_string()),
                    peer: PeerId::of(&claims.key),
                    port: claims.tcp_port,
                    start: format!("{:016x}", claims.start),
                    counter: claims.counter,
                    bytes,
                    signed,
                };
                return tell(Finding { time: self.latest, what });
            }
            Err(NoBeacon::Version(version)) => format!("version {version}"),
            Err(NoBeacon::Malformed(malformed)) => malformed.to_string(),
            Err(NoBeacon::Foreign) if payload.starts_with(b"P2PB") => "wrong length".into(),
            Err(NoBeacon::Foreign) => return,
        };
        summary.beacons_bad = summary.beacons_bad.saturating_add(1);
        tell(Finding { time: self.latest, what: What::BadBeacon { from, to, bytes, problem } });
    }

    fn on_segment(&mut self, segment: &Segment<'_>, tell: &mut dyn FnMut(Finding)) {
        let (key, end) = Key::of(segment);
        let replaced = self.conversations.get(&key);
        if replaced.is_some_and(|(_, conversation)| conversation.is_replaced_by(segment, end)) {
            self.drop_conversation(&key, Ending::Replaced, tell);
        }
        self.segments = self.segments.saturating_add(1);
        let (limits, segments) = (self.limits, self.segments);
        let fresh = || (segments, Conversation::new(key, &limits));
        let (stamp, conversation) = self.conversations.entry(key).or_insert_with(fresh);
        self.heard.remove(stamp);
        self.heard.insert(segments, key);
        *stamp = segments;
        let before = conversation.held_bytes();
        let mut cx = Cx {
            at: self.latest,
            crypto: &self.crypto,
            keys: &self.keys,
            limits: &self.limits,
            summary: &mut self.summary,
            sink: tell,
        };
        conversation.on_segment(segment, end, &mut cx);
        let after = conversation.held_bytes();
        self.held_bytes = self.held_bytes.saturating_sub(before).saturating_add(after);
        while self.conversations.len() > limits.conversations_max
            || self.held_bytes > limits.held_bytes_max
        {
            let Some((_, longest_silent)) = self.heard.pop_first() else { break };
            self.drop_conversation(&longest_silent, Ending::Forgotten, tell);
        }
    }

    fn drop_conversation(&mut self, key: &Key, how: Ending, tell: &mut dyn FnMut(Finding)) {
        let Some((stamp, mut conversation)) = self.conversations.remove(key) else { return };
        self.heard.remove(&stamp);
        self.held_bytes = self.held_bytes.saturating_sub(conversation.held_bytes());
        let mut cx = Cx {
            at: self.latest,
            crypto: &self.crypto,
            keys: &self.keys,
            limits: &self.limits,
            summary: &mut self.summary,
            sink: tell,
        };
        conversation.finish(how, &mut cx);
    }
}
