//! Values of configuration keys: what a file, a variable or an option may hold, and how it becomes a setting.

use super::units;
use crate::log::{Filter, LogConsole, LogFormat};
use crate::runtime::Runtime;
use p2pnet_protocol::discovery::bootstrap::PublicIpv4GetPolicy;
use p2pnet_protocol::task::NetworkTaskTrustConfiguration;
use p2pnet_protocol::trust::policy::LocalIdentifierSetPolicy;
use p2pnet_protocol::{
    BlockTarget, Duration, FileAcceptance, IncomingPeerPlacement, NetworkName, PeerId,
};
use serde::de::value::{Error as SerdeError, StrDeserializer};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// A value as TOML writes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Value>),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => toml::Value::from(text.as_str()).fmt(f),
            Self::Integer(number) => number.fmt(f),
            Self::Boolean(flag) => flag.fmt(f),
            Self::List(values) => {
                f.write_str("[")?;
                for (i, value) in values.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{value}")?;
                }
                f.write_str("]")
            }
        }
    }
}

/// Something that a key can set.
pub(crate) trait Setting: Sized {
    /// Reads a value from a file.
    fn read(value: &Value) -> Result<Self, String>;
    /// Reads the text of a variable or an option.
    fn read_text(text: &str) -> Result<Self, String>;
    /// The value that reads back as this setting.
    fn show(&self) -> Value;
}

fn wrong_kind<T>(wanted: &str, found: &Value) -> Result<T, String> {
    Err(format!("expected {wanted}, found {}", found.kind()))
}

impl Setting for bool {
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Boolean(flag) => Ok(*flag),
            other => wrong_kind("true or false", other),
        }
    }
    fn read_text(text: &str) -> Result<Self, String> {
        match text {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err("expected true or false".into()),
        }
    }
    fn show(&self) -> Value {
        Value::Boolean(*self)
    }
}

impl Setting for NetworkTaskTrustConfiguration {
    fn read(value: &Value) -> Result<Self, String> {
        let mut all = Self::default();
        for line in Vec::<String>::read(value)? {
            all.read_line(&line)?;
        }
        Ok(all)
    }
    fn read_text(text: &str) -> Result<Self, String> {
        let mut all = Self::default();
        for line in text.split(',').map(str::trim).filter(|line| !line.is_empty()) {
            all.read_line(line)?;
        }
        Ok(all)
    }
    fn show(&self) -> Value {
        self.lines().collect::<Vec<_>>().show()
    }
}

macro_rules! whole_numbers {
    ($($int:ty),*) => {$(
        impl Setting for $int {
            fn read(value: &Value) -> Result<Self, String> {
                match value {
                    Value::Integer(number) => Self::try_from(*number)
                        .map_err(|_| format!("expected a number from 0 to {}", Self::MAX)),
                    other => wrong_kind("a number", other),
                }
            }
            fn read_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| format!("expected a number from 0 to {}", Self::MAX))
            }
            fn show(&self) -> Value {
                Value::Integer(i64::from(*self))
            }
        }
    )*};
}
whole_numbers!(u16, u32);

/// Settings that a file, too, holds as text.
macro_rules! texts {
    ($($kind:ty { $read:expr, $show:expr })*) => {$(
        impl Setting for $kind {
            fn read(value: &Value) -> Result<Self, String> {
                match value {
                    Value::Text(text) => Self::read_text(text),
                    other => wrong_kind("a text in quotes", other),
                }
            }
            fn read_text(text: &str) -> Result<Self, String> {
                let read: fn(&str) -> Result<Self, String> = $read;
                read(text)
            }
            fn show(&self) -> Value {
                let show: fn(&Self) -> String = $show;
                Value::Text(show(self))
            }
        }
    )*};
}

texts! {
    String { |text| Ok(text.into()), |text| text.clone() }
    Duration { units::parse_duration, |duration| units::show_duration(*duration) }
    NetworkName { |text| Self::new(text).map_err(|error| error.to_string()), |name| name.to_string() }
    PeerId { |text| text.parse().map_err(|_| "expected a peer id of 64 hex digits".into()),
        |peer| peer.to_string() }
    BlockTarget { parse_block_target, show_block_target }
    SocketAddr { units::parse_listen, |address| address.to_string() }
    Option<RangeInclusive<u16>> { |text| optional(text, units::parse_ports), |ports| ports.as_ref().map(units::show_ports).unwrap_or_default() }
    Filter { |text| text.parse(), |filter| filter.to_string() }
    FileAcceptance { read_name, show_name }
    IncomingPeerPlacement { read_name, show_name }
    PublicIpv4GetPolicy { read_name, show_name }
    LocalIdentifierSetPolicy { read_name, show_name }
    LogConsole { read_name, show_name }
    LogFormat { read_name, show_name }
    Runtime { read_name, show_name }
    Option<PathBuf> { |text| optional(text, |text| Ok(text.into())),
        |path| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default() }
    Option<u64> { |text| optional(text, units::parse_size),
        |size| size.map(units::show_size).unwrap_or_default() }
}

/// An empty text stands for nothing.
fn optional<T>(text: &str, read: fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    if text.is_empty() { Ok(None) } else { read(text).map(Some) }
}

impl<T: Setting> Setting for Vec<T> {
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::List(values) => values.iter().map(T::read).collect(),
            other => wrong_kind("a list in brackets", other),
        }
    }
    fn read_text(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(T::read_text).collect()
    }
    fn show(&self) -> Value {
        Value::List(self.iter().map(T::show).collect())
    }
}

/// Reads the name of an enum's variant as serde knows it.
pub(crate) fn read_name<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    T::deserialize(StrDeserializer::<SerdeError>::new(text)).map_err(|error| error.to_string())
}

/// The name that [`read_name`] reads.
pub(crate) fn show_name<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

/// Reads a peer id, an address or a prefix.
pub(crate) fn parse_block_target(text: &str) -> Result<BlockTarget, String> {
    let peer = text.parse().map(BlockTarget::Peer);
    peer.or_else(|_| text.parse().map(BlockTarget::Prefix)).map_err(|_| {
        "expected a peer id of 64 hex digits, an IP address, or a prefix such as 192.0.2.0/24"
            .into()
    })
}

/// Writes what [`parse_block_target`] reads; a prefix that is one address is written as that address.
pub(crate) fn show_block_target(target: &BlockTarget) -> String {
    match target {
        BlockTarget::Peer(peer) => peer.to_string(),
        BlockTarget::Prefix(prefix) => {
            let width = if prefix.address().is_ipv4() { 32 } else { 128 };
            if prefix.length() == width { prefix.address().to_string() } else { prefix.to_string() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_say_what_they_expected() {
        assert_eq!(
            bool::read(&Value::Text("true".into())),
            Err("expected true or false, found a text".into())
        );
        assert_eq!(
            u16::read(&Value::Integer(70_000)),
            Err("expected a number from 0 to 65535".into())
        );
        assert_eq!(u32::read_text("-1"), Err("expected a number from 0 to 4294967295".into()));
        assert!(IncomingPeerPlacement::read_text("maybe").unwrap_err().contains("queue-based"));
        assert!(Vec::<u16>::read(&Value::Integer(1)).is_err());
    }

    #[test]
    fn lists_and_names_round_trip() {
        let ports = Vec::<u16>::read_text("8001, 8002").unwrap();
        assert_eq!(ports, [8001, 8002]);
        assert_eq!(Vec::<u16>::read(&ports.show()), Ok(ports));
        let placement = IncomingPeerPlacement::read_text("QueueBased").unwrap();
        assert_eq!(placement.show(), Value::Text("queue-based".into()));
        assert_eq!(
            Value::List(vec![Value::Text("a\"b".into()), Value::Integer(1)]).to_string(),
            r#"['a"b', 1]"#
        );
    }

    #[test]
    fn block_targets_take_all_three_forms() {
        for text in ["ab".repeat(32).as_str(), "192.0.2.0/24", "192.0.2.1", "2001:db8::/32", "::1"]
        {
            assert_eq!(show_block_target(&parse_block_target(text).unwrap()), text);
        }
        assert!(parse_block_target("example.org").is_err());
    }
}
