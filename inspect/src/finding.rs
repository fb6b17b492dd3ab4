//! What is found in a capture. As JSON the variant is the key `event`, as in the story of `p2pnet up`.

use crate::timestamp::Timestamp;
use p2pnet_protocol::{DataPayloadFormat, Lane, PacketKind, PeerId};
use serde::Serialize;
use std::net::SocketAddr;

/// Something in a capture, and when it was captured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// When the frame that completed it was captured.
    pub time: Timestamp,
    /// What it is.
    #[serde(flatten)]
    pub what: What,
}

/// One way of a stream: its number, who sent and who was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Way {
    /// The number of the TCP stream, from 1 on, in the order of appearance.
    pub stream: u64,
    /// The sender's address.
    pub from: SocketAddr,
    /// The receiver's address.
    pub to: SocketAddr,
}

/// What can be found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum What {
    /// A beacon of the version that is known here.
    Beacon {
        /// The sender's address.
        from: SocketAddr,
        /// Where it was sent to.
        to: SocketAddr,
        /// The network's tag, in hex.
        network: String,
        /// The network's name, where the key log tells it or it is the default one.
        #[serde(skip_serializing_if = "Option::is_none")]
        network_name: Option<String>,
        /// Whose key it names.
        peer: PeerId,
        /// The port on which the sender accepts.
        port: u16,
        /// Names the run of the sender, in hex: numbers of 64 bits don't survive every reader of JSON.
        start: String,
        /// Larger in each beacon of a run.
        counter: u64,
        /// The datagram's length.
        bytes: usize,
        /// Whether the holder of that key signed it.
        signed: bool,
    },
    /// A datagram that begins as beacons do and is none that is known here.
    BadBeacon {
        /// The sender's address.
        from: SocketAddr,
        /// Where it was sent to.
        to: SocketAddr,
        /// The datagram's length.
        bytes: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A message of a handshake.
    Handshake {
        /// Whose.
        #[serde(flatten)]
        way: Way,
        /// 1, 2 or 3.
        message: u8,
        /// Its length, header not counted.
        bytes: usize,
        /// What the first one offers.
        #[serde(flatten)]
        offer: Option<Offered>,
    },
    /// The responder refused the handshake.
    Refused {
        /// Whose.
        #[serde(flatten)]
        way: Way,
        /// Why, as it says.
        reason: String,
    },
    /// A handshake is complete.
    Opened {
        /// From the initiator to the responder.
        #[serde(flatten)]
        way: Way,
        /// What the key log says about this channel; nothing if its keys aren't there.
        #[serde(flatten)]
        known: Option<Known>,
    },
    /// A record.
    Record {
        /// Whose.
        #[serde(flatten)]
        way: Way,
        /// Its number in this direction, from 0 on.
        number: u64,
        /// Its length, header and tag included.
        bytes: usize,
        /// Whether it could be decrypted.
        opened: bool,
    },
    /// What a side said within a channel.
    Said {
        /// Whose.
        #[serde(flatten)]
        way: Way,
        /// Who said it.
        peer: PeerId,
        /// To whom.
        to_peer: PeerId,
        /// What was said.
        #[serde(flatten)]
        said: Said,
    },
    /// Bytes of a stream are missing from the capture.
    Gap {
        /// Where.
        #[serde(flatten)]
        way: Way,
        /// How many.
        bytes: u64,
    },
    /// What follows in this direction can't be told apart or decrypted.
    Unreadable {
        /// Whose.
        #[serde(flatten)]
        way: Way,
        /// Why.
        reason: String,
    },
    /// A stream is over, or the capture is.
    Ended {
        /// From the initiator to the responder.
        #[serde(flatten)]
        way: Way,
        /// Records of the initiator.
        records_there: u64,
        /// Their bytes.
        bytes_there: u64,
        /// Records of the responder.
        records_back: u64,
        /// Their bytes.
        bytes_back: u64,
        /// How it ended.
        how: Ending,
    },
    /// All in all.
    Summary(Summary),
}

/// What an initiator offers, in the clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offered {
    /// The network's tag, in hex.
    pub network: String,
    /// The network's name, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_name: Option<String>,
    /// The versions that it speaks.
    pub versions: Vec<u8>,
    /// The ciphers that it speaks, its favourite first; the numbers of those that aren't known here.
    pub ciphers: Vec<String>,
}

/// What a key log says about a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Known {
    /// Who opened the stream.
    pub initiator: PeerId,
    /// Who answered.
    pub responder: PeerId,
    /// The records' cipher.
    pub cipher: String,
}

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Said {
    /// It lets the other side in.
    Open {
        /// The longest packet that it takes.
        packet_bytes_max: u32,
        /// How far the other may go in the message lane for now.
        message_credit: u32,
        /// How far the other may go in the bulk lane for now.
        bulk_credit: u32,
        /// The port that it accepts connections on.
        port: u16,
        /// What it shows as proof: `secret`, `certificate`.
        proofs: Vec<&'static str>,
    },
    /// It asks for a sign of life.
    Ping {
        /// The number that the answer shall have.
        number: u32,
    },
    /// It gives one.
    Pong {
        /// The number of the ping.
        number: u32,
    },
    /// It lets the other go further.
    Credit {
        /// In which lane.
        lane: Lane,
        /// How far.
        limit: u64,
    },
    /// How it describes itself; empty texts ask the other to describe itself.
    Identity {
        /// Its label.
        label: String,
        /// Its note.
        note: String,
    },
    /// It ends the channel.
    Disconnect {
        /// Why.
        reason: String,
    },
    /// Peers that it knows.
    PeerGroup {
        /// Which.
        peers: Vec<PeerId>,
    },
    /// Bytes for the file manager, the task queue or the application.
    DataTransmission {
        /// Who unwraps them.
        format: DataPayloadFormat,
        /// How many.
        bytes: usize,
    },
    /// A message.
    PureMessage {
        /// Its text; what isn't UTF-8 becomes U+FFFD.
        text: String,
        /// Its length.
        bytes: usize,
    },
    /// A message of the application's trust handshake.
    TrustStep {
        /// Its length.
        bytes: usize,
    },
    /// A packet in parts that is too long to be kept.
    Long {
        /// Its kind.
        packet: PacketKind,
        /// Its length.
        bytes: u64,
    },
    /// A frame of a kind that isn't known here.
    Unknown {
        /// Its number.
        frame: u8,
        /// The length of its body.
        bytes: usize,
    },
    /// A frame or a packet that breaks the rules.
    Malformed {
        /// The number of the frame's kind, if it has one.
        frame: Option<u8>,
        /// What is wrong.
        problem: String,
    },
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Both sides ended it.
    Closed,
    /// One side broke it off.
    Reset,
    /// Another stream between the same addresses and ports began.
    Replaced,
    /// The capture ended first.
    CaptureEnded,
    /// There was no more room to follow it.
    Forgotten,
}

/// Counts of a whole capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Frames that were read.
    pub frames: u64,
    /// Frames that carry neither TCP nor UDP over IP, or on a link that isn't known here.
    pub frames_other: u64,
    /// Frames with a fragment of an IP packet, which weren't looked into.
    pub frames_fragments: u64,
    /// Frames that are damaged, or were cut within their headers.
    pub frames_damaged: u64,
    /// Beacons.
    pub beacons: u64,
    /// Beacons whose signature is wrong.
    pub beacons_forged: u64,
    /// Datagrams that begin as beacons and are none.
    pub beacons_bad: u64,
    /// TCP streams of P2PNet.
    pub streams: u64,
    /// TCP streams of something else, or whose beginning wasn't captured.
    pub streams_other: u64,
    /// Complete handshakes.
    pub handshakes: u64,
    /// Of these, such as the key log has keys of.
    pub handshakes_with_keys: u64,
    /// Records.
    pub records: u64,
    /// Of these, such as could be decrypted.
    pub records_opened: u64,
    /// Packets in them.
    pub packets: u64,
    /// Bytes of streams that are missing from the capture.
    pub bytes_missing: u64,
}

impl What {
    /// Whether it is told of again and again as long as a channel is open, whatever its users do.
    pub const fn is_routine(&self) -> bool {
        matches!(
            self,
            Self::Record { .. }
                | Self::Said {
                    said: Said::Ping { .. } | Said::Pong { .. } | Said::Credit { .. },
                    ..
                }
        )
    }
}

impl Said {
    /// Whether it is a packet, as an application sees them.
    pub const fn is_packet(&self) -> bool {
        matches!(
            self,
            Self::Identity { .. }
                | Self::Disconnect { .. }
                | Self::PeerGroup { .. }
                | Self::DataTransmission { .. }
                | Self::PureMessage { .. }
                | Self::TrustStep { .. }
                | Self::Long { .. }
        )
    }
}
