//! What LAN discovery counts.

use crate::wire::beacon::NoBeacon;
use serde::{Deserialize, Serialize};

/// Why a datagram was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BeaconRefusal {
    /// Discovery is off.
    Off,
    /// Not a beacon, or one of another version.
    Foreign,
    /// Of another network.
    OtherNetwork,
    /// A beacon that breaks the layout.
    Malformed,
    /// The source is not a host on the link.
    OffLink,
    /// Heard before.
    Stale,
    /// The budget of signature checks is spent.
    OverBudget,
    /// Not signed by the key that it names.
    Forged,
    /// The table of neighbours has no room.
    Full,
}

/// What LAN discovery sent, heard and turned away, in datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanStats {
    /// Beacons handed out for sending.
    pub sent: u64,
    /// Datagrams heard, of whatever kind.
    pub heard: u64,
    /// Of these: verified beacons of other nodes.
    pub accepted: u64,
    /// Of these: beacons that said nothing new and were not verified.
    pub repeated: u64,
    /// Of these: beacons under this node's own identity.
    pub own: u64,
    /// Turned away: discovery is off.
    pub off: u64,
    /// Turned away: not a beacon of this version.
    pub foreign: u64,
    /// Turned away: of another network.
    pub other_network: u64,
    /// Turned away: broke the layout.
    pub malformed: u64,
    /// Turned away: the source is not a host on the link.
    pub off_link: u64,
    /// Turned away: heard before.
    pub stale: u64,
    /// Turned away: the budget of signature checks was spent.
    pub over_budget: u64,
    /// Turned away: not signed by the key that it names.
    pub forged: u64,
    /// Turned away: no room.
    pub full: u64,
}

impl LanStats {
    /// All that was turned away.
    pub fn refused(&self) -> u64 {
        [
            self.off,
            self.foreign,
            self.other_network,
            self.malformed,
            self.off_link,
            self.stale,
            self.over_budget,
            self.forged,
            self.full,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    pub(super) fn of(&mut self, refusal: BeaconRefusal) -> &mut u64 {
        match refusal {
            BeaconRefusal::Off => &mut self.off,
            BeaconRefusal::Foreign => &mut self.foreign,
            BeaconRefusal::OtherNetwork => &mut self.other_network,
            BeaconRefusal::Malformed => &mut self.malformed,
            BeaconRefusal::OffLink => &mut self.off_link,
            BeaconRefusal::Stale => &mut self.stale,
            BeaconRefusal::OverBudget => &mut self.over_budget,
            BeaconRefusal::Forged => &mut self.forged,
            BeaconRefusal::Full => &mut self.full,
        }
    }
}

pub(super) fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

impl From<NoBeacon> for BeaconRefusal {
    fn from(no_beacon: NoBeacon) -> Self {
        match no_beacon {
            NoBeacon::Foreign | NoBeacon::Version(_) => Self::Foreign,
            NoBeacon::Malformed(_) => Self::Malformed,
        }
    }
}
