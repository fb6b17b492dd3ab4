//! A memory budget: the limits are lowered until their sum fits, or the budget is refused.

use super::units::show_size;
use p2pnet_protocol::Limits;
use serde::{Deserialize, Serialize};

/// A named starting point for the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LimitsPreset {
    /// A device with a few kibibytes to spare.
    Tiny,
    /// A host with a few megabytes to spare.
    Small,
    /// A desktop or a server among hundreds of peers.
    Default,
    /// A hub with ten thousand peers.
    Large,
}

impl LimitsPreset {
    /// The limits that this preset stands for.
    pub(crate) fn limits(self) -> Limits {
        match self {
            Self::Tiny => Limits::tiny(),
            Self::Small => Limits::small(),
            Self::Default => Limits::default(),
            Self::Large => Limits::large(),
        }
    }
}

/// A limit that weighs on memory and may be lowered.
struct Lever {
    value: fn(&mut Limits) -> &mut u32,
    floor: u32,
}

const LEVERS: [Lever; 16] = [
    Lever { value: |l| &mut l.bulk_window_bytes, floor: 64 << 10 },
    Lever { value: |l| &mut l.send_queue_bytes_max, floor: 128 << 10 },
    Lever { value: |l| &mut l.unread_events_max, floor: 256 },
    Lever { value: |l| &mut l.file_chunks_max, floor: 1 << 14 },
    Lever { value: |l| &mut l.transfers_max, floor: 2 },
    Lever { value: |l| &mut l.connections_max, floor: 8 },
    Lever { value: |l| &mut l.message_window_bytes, floor: 32 << 10 },
    Lever { value: |l| &mut l.known_peers_max, floor: 64 },
    Lever { value: |l| &mut l.outputs_max, floor: 1024 },
    Lever { value: |l| &mut l.tasks_max, floor: 8 },
    Lever { value: |l| &mut l.task_issuers_max, floor: 32 },
    Lever { value: |l| &mut l.data_entries_max, floor: 64 },
    Lever { value: |l| &mut l.data_bytes_max, floor: 16 << 10 },
    Lever { value: |l| &mut l.labels_max, floor: 64 },
    Lever { value: |l| &mut l.blocked_max, floor: 64 },
    Lever { value: |l| &mut l.listed_max, floor: 64 },
];

/// Lowers `limits` until [`Limits::total_bytes_max`] is at most `budget_bytes`. Limits that differ from `preset` were set
/// on purpose and stay.
///
/// # Errors
/// A sentence that says how far the rest could be lowered.
pub(crate) fn fit(
    mut limits: Limits,
    preset: LimitsPreset,
    budget_bytes: u64,
) -> Result<Limits, String> {
    let mut original = preset.limits();
    let packet_is_set = limits.packet_bytes_max != original.packet_bytes_max;
    let movable: Vec<&Lever> = LEVERS
        .iter()
        .filter(|lever| (lever.value)(&mut limits) == (lever.value)(&mut original))
        .collect();
    while limits.total_bytes_max() > budget_bytes {
        let lowered =
            movable.iter().any(|lever| lower(&mut limits, lever, budget_bytes, packet_is_set));
        if !lowered {
            return Err(format!(
                "{} can't hold the limits: lowered as far as they go they still add up to {}; allow that \
                 much, or lower the limits that you set yourself",
                show_size(budget_bytes),
                show_size(limits.total_bytes_max().next_multiple_of(1 << 10)),
            ));
        }
        for lever in &movable {
            lower(&mut limits, lever, budget_bytes, packet_is_set);
        }
    }
    Ok(limits)
}

/// Halves one limit if that is still needed and possible, along with those that may not exceed it. A length of packets
/// that was set on purpose stays, and what must hold a packet stays with it.
fn lower(limits: &mut Limits, lever: &Lever, budget_bytes: u64, packet_is_set: bool) -> bool {
    let before = *limits;
    let fits = limits.total_bytes_max() <= budget_bytes;
    let value = (lever.value)(limits);
    if fits || *value <= lever.floor {
        return false;
    }
    *value = (*value / 2).max(lever.floor);
    let window_bytes = limits.message_window_bytes.min(limits.bulk_window_bytes);
    let longest = Limits::packet_bytes_in(window_bytes).min(limits.send_queue_bytes_max);
    if packet_is_set && longest < limits.packet_bytes_max {
        *limits = before;
        return false;
    }
    limits.packet_bytes_max = limits.packet_bytes_max.min(longest);
    limits.channels_auto_max = limits.channels_auto_max.min(limits.connections_max);
    limits.handshakes_max = limits.handshakes_max.min(limits.connections_max);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_met_without_waste() {
        for preset in [LimitsPreset::Small, LimitsPreset::Default, LimitsPreset::Large] {
            for mib in [16, 17, 32, 64, 100, 128, 200, 256, 1024] {
                let budget = mib << 20;
                let limits = fit(preset.limits(), preset, budget).unwrap();
                assert!(limits.total_bytes_max() <= budget);
                let untouched = limits == preset.limits();
                assert!(untouched || limits.total_bytes_max() >= budget / 3, "{preset:?} {mib}");
                let config = p2pnet_protocol::Config { limits, ..Default::default() };
                assert_eq!(config.validate(), Ok(()));
            }
        }
    }

    #[test]
    fn what_was_set_on_purpose_stays() {
        let set = Limits { connections_max: 500, ..Limits::default() };
        assert_eq!(fit(set, LimitsPreset::Default, 512 << 20).unwrap().connections_max, 500);
        // A packet that was asked for keeps the room that it needs.
        let packet_bytes_max = 128 << 10;
        let set = Limits { packet_bytes_max, ..Limits::small() };
        let set = Limits { send_queue_bytes_max: 256 << 10, ..set };
        let set = Limits { message_window_bytes: 1 << 20, bulk_window_bytes: 1 << 20, ..set };
        let fitted = fit(set, LimitsPreset::Small, 200 << 20).unwrap();
        assert_eq!(fitted.packet_bytes_max, packet_bytes_max);
        let long = Limits { packet_bytes_max: 300 << 10, ..Limits::default() };
        let fitted = fit(long, LimitsPreset::Default, 64 << 20).unwrap();
        assert_eq!(fitted.packet_bytes_max, 300 << 10);
        let config = p2pnet_protocol::Config { limits: fitted, ..Default::default() };
        assert_eq!(config.validate(), Ok(()));
        let set = Limits { connections_max: 500, ..Limits::default() };
        let refused = fit(set, LimitsPreset::Default, 1 << 20).unwrap_err();
        assert!(refused.contains("1MiB can't hold"), "{refused}");
    }
}
