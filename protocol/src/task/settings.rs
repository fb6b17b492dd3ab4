//! What a running node lets be changed by a task, and how tasks are set up.

use super::trust::NetworkTaskTrustConfiguration;
use crate::config::{IncomingPeerPlacement, Timing};
use crate::time::Duration;
use crate::wire::codec::{Malformed, Reader};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use serde::{Deserialize, Serialize};

/// How tasks are judged and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskConfig {
    /// Who may have which kind done here.
    #[doc(alias = "NetworkTaskTrustSettings")]
    pub trust: NetworkTaskTrustConfiguration,
    /// Whether the driver keeps what must outlive the process. If so, nothing is done or answered before it was saved
    /// ([`Request::Save`](crate::io::Request::Save)).
    pub durable: bool,
    /// What an earlier run saved ([`Keeps::Tasks`](crate::io::Keeps::Tasks)).
    pub saved: Option<Bytes>,
    /// The data area that an earlier run saved ([`Keeps::Data`](crate::io::Keeps::Data)).
    pub saved_data: Option<Bytes>,
    /// Whether the data area is kept the same as that of trusted peers without being asked.
    pub replicate_data: bool,
    /// How long an answer may take, if the task doesn't end before.
    pub answer_timeout: Duration,
}

impl Default for TaskConfig {
    fn default() -> Self {
        Self {
            trust: NetworkTaskTrustConfiguration::default(),
            durable: false,
            saved: None,
            saved_data: None,
            replicate_data: true,
            answer_timeout: Duration::from_secs(30),
        }
    }
}

/// One setting with its new value: the few that may change while a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// [`Config::accept_inbound`](crate::Config::accept_inbound).
    AcceptInbound(bool),
    /// [`Config::placement`](crate::Config::placement).
    Placement(IncomingPeerPlacement),
    /// [`Timing::keep_alive`], in milliseconds.
    KeepAliveMs(u32),
    /// [`Limits::packets_per_second_max`](crate::Limits::packets_per_second_max): 0 for no bound, else at least
    /// [`PACKETS_PER_SECOND_MIN`](Self::PACKETS_PER_SECOND_MIN).
    PacketsPerSecondMax(u32),
}

/// A value that the setting can't have, and what it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSetting(pub &'static str);

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for BadSetting {}

impl Setting {
    /// The most settings in one task.
    pub const COUNT_MAX: usize = 8;
    /// The lowest bound on packets: below it a peer could not even say that it is there.
    pub const PACKETS_PER_SECOND_MIN: u32 = 100;

    const PLACEMENTS: [(&'static str, IncomingPeerPlacement); 3] = [
        ("queue-based", IncomingPeerPlacement::QueueBased),
        ("event-based", IncomingPeerPlacement::EventBased),
        ("queue-and-event-based", IncomingPeerPlacement::QueueAndEventBased),
    ];

    /// Whether a node with this timing can have it.
    ///
    /// # Errors
    /// [`BadSetting`] says what would do.
    pub fn check(&self, timing: &Timing) -> Result<(), BadSetting> {
        let good = match self {
            Self::AcceptInbound(_) | Self::Placement(_) => true,
            Self::KeepAliveMs(ms) => {
                let span = Duration::from_millis(u64::from(*ms));
                *ms >= 10 && span < timing.silence_timeout
            }
            Self::PacketsPerSecondMax(most) => *most == 0 || *most >= Self::PACKETS_PER_SECOND_MIN,
        };
        match self {
            _ if good => Ok(()),
            Self::KeepAliveMs(_) => {
                Err(BadSetting("keep_alive_ms: at least 10, and below timing.silence_timeout"))
            }
            _ => Err(BadSetting("packets_per_second_max: 0 for no bound, or at least 100")),
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::AcceptInbound(on) => out.extend_from_slice(&[1, u8::from(*on)]),
            Self::Placement(placement) => {
                let at = Self::PLACEMENTS.iter().position(|(_, one)| one == placement);
                out.extend_from_slice(&[2, at.and_then(|at| u8::try_from(at).ok()).unwrap_or(0)]);
            }
            Self::KeepAliveMs(ms) => {
                out.push(3);
                out.extend_from_slice(&ms.to_be_bytes());
            }
            Self::PacketsPerSecondMax(most) => {
                out.push(4);
                out.extend_from_slice(&most.to_be_bytes());
            }
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        const WHAT: &str = "setting";
        Ok(match from.u8(WHAT)? {
            1 => Self::AcceptInbound(super::body::read_bool(from, WHAT)?),
            2 => {
                let at = usize::from(from.u8(WHAT)?);
                let (_, placement) = Self::PLACEMENTS.get(at).ok_or(Malformed(WHAT))?;
                Self::Placement(*placement)
            }
            3 => Self::KeepAliveMs(from.u32(WHAT)?),
            4 => Self::PacketsPerSecondMax(from.u32(WHAT)?),
            _ => return Err(Malformed(WHAT)),
        })
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AcceptInbound(on) => write!(f, "accept_inbound={on}"),
            Self::Placement(placement) => {
                let named = Self::PLACEMENTS.iter().find(|(_, one)| one == placement);
                write!(f, "placement={}", named.map_or("", |(name, _)| name))
            }
            Self::KeepAliveMs(ms) => write!(f, "keep_alive_ms={ms}"),
            Self::PacketsPerSecondMax(most) => write!(f, "packets_per_second_max={most}"),
        }
    }
}

impl core::str::FromStr for Setting {
    type Err = String;

    /// `NAME=VALUE`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
        let number = || value.parse().map_err(|_| alloc::format!("{name}: expected a number"));
        match name {
            "accept_inbound" => value
                .parse()
                .map(Self::AcceptInbound)
                .map_err(|_| String::from("accept_inbound: true or false")),
            "placement" => Self::PLACEMENTS
                .iter()
                .find(|(one, _)| *one == value)
                .map(|(_, placement)| Self::Placement(*placement))
                .ok_or_else(|| {
                    "placement: queue-based, event-based or queue-and-event-based".into()
                }),
            "keep_alive_ms" => number().map(Self::KeepAliveMs),
            "packets_per_second_max" => number().map(Self::PacketsPerSecondMax),
            _ => Err("expected accept_inbound, placement, keep_alive_ms or packets_per_second_max"
                .into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    #[test]
    fn settings_are_written_read_and_checked() {
        let timing = Timing::default();
        for text in [
            "accept_inbound=false",
            "placement=queue-and-event-based",
            "keep_alive_ms=250",
            "packets_per_second_max=0",
            "packets_per_second_max=100",
        ] {
            let setting: Setting = text.parse().unwrap();
            assert_eq!(setting.to_string(), text);
            let mut bytes = Vec::new();
            setting.encode(&mut bytes);
            assert_eq!(Setting::decode(&mut Reader::new(&bytes)), Ok(setting));
            assert_eq!(setting.check(&timing), Ok(()));
        }
        for text in ["keep_alive_ms=9", "keep_alive_ms=20000", "packets_per_second_max=99"] {
            assert!(text.parse::<Setting>().unwrap().check(&timing).is_err(), "{text}");
        }
        for text in ["", "accept_inbound", "accept_inbound=1", "placement=x", "identity=00"] {
            assert!(text.parse::<Setting>().is_err(), "{text}");
        }
    }
}
