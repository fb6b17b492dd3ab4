//! Hosts and the LANs that they stand in: addresses, power, cables, clocks.

use crate::chance::rng;
use crate::nat::Nat;
use crate::queue::{HostId, Life};
use crate::scenario::Scenario;
use p2pnet_protocol::{
    BlockTarget, Duration, Instant, Interface, InterfaceAddress, IpPrefix, PeerId,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The port that every node accepts streams on.
pub(crate) const PORT: u16 = 4000;
/// The index of every host's interface.
const INTERFACE: u32 = 2;
/// Clocks of hosts start so far ahead of the world's, so that one that stood still never runs below zero.
const CLOCK_HEAD: u64 = 100_000_000_000_000;
/// The wall clock when the world begins.
const WALL_START: u64 = 1_800_000_000;

/// Whether a node can prove membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    /// It knows the secret.
    Yes,
    /// It believes in another secret.
    Mistaken,
    /// It has none.
    No,
}

/// One machine.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) lan: u32,
    /// Its place in the LAN.
    pub(crate) place: u32,
    pub(crate) member: Member,
    /// The seed of its identity: what its state directory holds, with the two lists.
    pub(crate) identity: [u8; 32],
    pub(crate) blocked: Vec<BlockTarget>,
    pub(crate) id: Option<PeerId>,
    pub(crate) powered: bool,
    pub(crate) plugged: bool,
    /// Asleep until then.
    pub(crate) asleep_until: Instant,
    /// Its application reads late until then.
    pub(crate) slow_until: Instant,
    pub(crate) life: Life,
    /// How far its monotonic clock is from the world's.
    pub(crate) clock: u64,
    /// How far its wall clock is from the truth, in seconds.
    pub(crate) wall_seconds: i64,
    /// When its line is free to send the next packet.
    pub(crate) line_free: Instant,
    /// The next ephemeral port.
    pub(crate) next_port: u16,
    /// Which members of its LAN this life of its node has heard of.
    pub(crate) found: Vec<u64>,
    pub(crate) found_count: u32,
    /// Addresses beyond its LAN that its application was told.
    pub(crate) told: Vec<SocketAddr>,
}

impl Host {
    pub(crate) fn new(scenario: &Scenario, id: HostId, lan: u32, place: u32) -> Self {
        let mut chance = rng(scenario.seed, &format!("host {id}"));
        let mut identity = [0; 32];
        for word in identity.chunks_mut(8) {
            word.copy_from_slice(&chance.next_u64().to_le_bytes());
        }
        let drawn = chance.below(100);
        let members = u64::from(scenario.members_percent);
        let member = match drawn {
            drawn if drawn < members => Member::Yes,
            drawn if drawn < members + (100 - members) / 3 => Member::Mistaken,
            _ => Member::No,
        };
        Self {
            lan,
            place,
            member,
            identity,
            blocked: Vec::new(),
            id: None,
            powered: false,
            plugged: true,
            asleep_until: Instant::ZERO,
            slow_until: Instant::ZERO,
            life: 0,
            clock: CLOCK_HEAD + chance.below(CLOCK_HEAD),
            wall_seconds: 0,
            line_free: Instant::ZERO,
            next_port: 30_000,
            found: Vec::new(),
            found_count: 0,
            told: Vec::new(),
        }
    }

    /// The reading of its monotonic clock.
    pub(crate) fn clock_at(&self, world: Instant) -> Instant {
        Instant::from_nanos(world.as_nanos().saturating_add(self.clock))
    }

    /// When its monotonic clock will show `reading`.
    pub(crate) fn when(&self, reading: Instant) -> Instant {
        Instant::from_nanos(reading.as_nanos().saturating_sub(self.clock))
    }

    /// The reading of its wall clock, in seconds.
    pub(crate) fn wall_at(&self, world: Instant) -> u64 {
        let truth = WALL_START + world.as_nanos() / 1_000_000_000;
        truth.saturating_add_signed(self.wall_seconds)
    }

    /// Its monotonic clock stood still for a while.
    pub(crate) fn clock_stood_still(&mut self, span: Duration) {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        self.clock = self.clock.saturating_sub(nanos);
    }

    /// Its monotonic clock jumps ahead.
    pub(crate) fn clock_jumps(&mut self, span: Duration) {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        self.clock = self.clock.saturating_add(nanos);
    }

    pub(crate) fn is_awake(&self, now: Instant) -> bool {
        self.powered && self.asleep_until <= now
    }

    /// A port for an outgoing stream.
    pub(crate) fn ephemeral(&mut self) -> u16 {
        self.next_port = if self.next_port >= 60_000 { 30_000 } else { self.next_port + 1 };
        self.next_port
    }

    /// Notes that its node heard of the member of its LAN at `place`; whether that is new.
    pub(crate) fn finds(&mut self, place: u32) -> bool {
        let (word, bit) = (place as usize / 64, 1 << (place % 64));
        if self.found.len() <= word {
            self.found.resize(word + 1, 0);
        }
        let new = self.found[word] & bit == 0;
        self.found[word] |= bit;
        self.found_count += u32::from(new);
        new
    }
}

/// One LAN: hosts on one link, routed or behind a NAT.
#[derive(Debug)]
pub(crate) struct Lan {
    pub(crate) members: Vec<HostId>,
    network: Ipv4Addr,
    prefix_length: u8,
    /// Its NAT and the address of that.
    pub(crate) nat: Option<(Ipv4Addr, Nat)>,
    /// What was sent in the second that runs, by datagrams.
    pub(crate) second: (u64, u64),
}

impl Lan {
    /// All LANs together fit into 11.0.0.0/8; NATs have their addresses in 12.0.0.0/8.
    pub(crate) fn new(scenario: &Scenario, id: u32, natted: bool) -> Self {
        let room = scenario.lan_nodes + scenario.newcomers + 2;
        let bits = 32 - room.next_power_of_two().leading_zeros() - 1;
        let size = 1_u32 << bits.max(3);
        let (network, nat) = if natted {
            let outside = Ipv4Addr::from_bits(0x0c00_0000 + id);
            (Ipv4Addr::new(192, 168, 0, 0), Some((outside, Nat::new(scenario.nat))))
        } else {
            (Ipv4Addr::from_bits(0x0b00_0000_u32.wrapping_add(id * size)), None)
        };
        let prefix_length = 32 - u8::try_from(size.trailing_zeros()).unwrap_or(32);
        Self { members: Vec::new(), network, prefix_length, nat, second: (0, 0) }
    }

    pub(crate) fn v4(&self, place: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network.to_bits() + 1 + place)
    }

    /// The link-local address of the host at `place`, with its scope.
    pub(crate) fn v6(place: u32, port: u16) -> SocketAddr {
        let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 2, 0, (place >> 16) as u16, place as u16);
        SocketAddrV6::new(address, port, 0, INTERFACE).into()
    }

    /// The place of the host with this address, if it is one of this LAN.
    pub(crate) fn place_of(&self, address: IpAddr) -> Option<u32> {
        let place = match address {
            IpAddr::V4(v4) => v4.to_bits().checked_sub(self.network.to_bits() + 1)?,
            IpAddr::V6(v6) if v6.is_unicast_link_local() => {
                let segments = v6.segments();
                (u32::from(segments[6]) << 16) | u32::from(segments[7])
            }
            IpAddr::V6(_) => return None,
        };
        ((place as usize) < self.members.len()).then_some(place)
    }

    /// What the host at `place` sees of its interface.
    pub(crate) fn interface(&self, place: u32) -> Interface {
        let v4 = self.v4(place);
        let v6 = Self::v6(place, 0).ip();
        let broadcast = self.network.to_bits() | (u32::MAX >> self.prefix_length);
        let address = |address: IpAddr, length, broadcast| InterfaceAddress {
            prefix: IpPrefix::new(address, length).unwrap_or_else(|_| IpPrefix::single(address)),
            address,
            broadcast,
        };
        Interface {
            index: INTERFACE,
            name: "eth0".into(),
            loopback: false,
            multicast: true,
            addresses: vec![
                address(v4.into(), self.prefix_length, Some(Ipv4Addr::from_bits(broadcast))),
                address(v6, 64, None),
            ],
        }
    }
}

/// Which LAN has this public address, and the place in it.
pub(crate) fn public_place(lans: &[Lan], lan_size: u32, address: Ipv4Addr) -> Option<(u32, u32)> {
    let offset = address.to_bits().checked_sub(0x0b00_0000)?;
    let lan = offset / lan_size;
    let found = lans.get(lan as usize).filter(|lan| lan.nat.is_none())?;
    Some((lan, found.place_of(address.into())?))
}

impl Lan {
    /// How many addresses a LAN takes.
    pub(crate) const fn size(&self) -> u32 {
        1 << (32 - self.prefix_length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_back_to_their_hosts() {
        let scenario = Scenario { lan_nodes: 300, nodes: 900, ..Scenario::default() };
        let mut lans: Vec<Lan> = (0..3).map(|id| Lan::new(&scenario, id, id == 1)).collect();
        for lan in &mut lans {
            lan.members = (0..300).collect();
        }
        let size = lans[0].size();
        for (id, lan) in lans.iter().enumerate() {
            for place in [0, 7, 299] {
                assert_eq!(lan.place_of(lan.v4(place).into()), Some(place));
                assert_eq!(lan.place_of(Lan::v6(place, 1).ip()), Some(place));
                let public = public_place(&lans, size, lan.v4(place));
                let expected = (id != 1).then_some((u32::try_from(id).unwrap(), place));
                assert_eq!(public, expected);
            }
            assert_eq!(lan.place_of(lan.v4(300).into()), None, "nobody there");
        }
    }

    #[test]
    fn clocks_run_apart_and_may_stand_still() {
        let mut host = Host::new(&Scenario::default(), 3, 0, 3);
        let at = |s| Instant::ZERO + Duration::from_secs(s);
        assert_eq!(host.when(host.clock_at(at(9))), at(9));
        let before = host.clock_at(at(9));
        host.clock_stood_still(Duration::from_secs(4));
        assert_eq!(host.clock_at(at(13)), before);
    }
}
