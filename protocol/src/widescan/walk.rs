//! Walking through a plan: shards, cursors, and what is left out on the way.

use super::plan::{Plan, Turn};
use super::range::RangeSet;
use core::fmt;
use core::net::Ipv6Addr;
use core::num::NonZeroU32;
use serde::{Deserialize, Serialize};

/// One of several equal parts of a scan, for machines that share it: the indices that leave the same rest.
///
/// ```
/// use p2pnet_protocol::widescan::{BadShard, Shard};
/// let second: Shard = "2/3".parse()?;
/// assert_eq!((second.number(), second.count()), (2, 3));
/// assert_eq!(Shard::default().to_string(), "1/1");
/// assert_eq!("0/3".parse::<Shard>(), Err(BadShard));
/// # Ok::<(), BadShard>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(u32, u32)", into = "(u32, u32)")]
pub struct Shard {
    /// Counted from 0.
    rest: u32,
    count: NonZeroU32,
}

/// The numbers or text name no shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadShard;

impl fmt::Display for BadShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a shard and how many there are, counted from 1, as in 2/3")
    }
}

impl core::error::Error for BadShard {}

impl Shard {
    /// The shard with that number, from 1, of so many.
    ///
    /// # Errors
    /// [`BadShard`] if the number is 0 or larger than the count.
    pub fn new(number: u32, count: u32) -> Result<Self, BadShard> {
        let rest = number.checked_sub(1).ok_or(BadShard)?;
        let count = NonZeroU32::new(count).filter(|_| number <= count).ok_or(BadShard)?;
        Ok(Self { rest, count })
    }

    /// Its number, from 1.
    pub fn number(&self) -> u32 {
        self.rest.saturating_add(1)
    }

    /// How many shards there are.
    pub fn count(&self) -> u32 {
        self.count.get()
    }

    /// The number of its indices in a plan with the last index `last`, less one; none if there is no index at all.
    fn last_position(&self, last: u128) -> Option<u128> {
        Some(last.checked_sub(self.rest.into())? / core::num::NonZeroU128::from(self.count))
    }
}

impl Default for Shard {
    /// The whole.
    fn default() -> Self {
        Self { rest: 0, count: NonZeroU32::MIN }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number(), self.count)
    }
}

impl core::str::FromStr for Shard {
    type Err = BadShard;
    fn from_str(text: &str) -> Result<Self, BadShard> {
        let (number, count) = text.split_once('/').ok_or(BadShard)?;
        Self::new(number.parse().map_err(|_| BadShard)?, count.parse().map_err(|_| BadShard)?)
    }
}

impl TryFrom<(u32, u32)> for Shard {
    type Error = BadShard;
    fn try_from((number, count): (u32, u32)) -> Result<Self, BadShard> {
        Self::new(number, count)
    }
}

impl From<Shard> for (u32, u32) {
    fn from(shard: Shard) -> Self {
        (shard.number(), shard.count())
    }
}

/// A walk through one shard of a plan.
///
/// ```
/// use p2pnet_protocol::widescan::{Cursor, CursorError, Order, Plan, RangeSet, Shard, SpaceLimits, Targets, Walk};
/// let plan = |prefix: &str| {
///     let mut targets = Targets::new();
///     targets.add(prefix.parse().unwrap());
///     Plan::new(targets.compile(&SpaceLimits::default()).unwrap(), Order::Random, 1)
/// };
/// let (wide, other) = (plan("2a00::/64"), plan("2a00::/65"));
/// let mut walk = Walk::new(&wide, Shard::default());
/// let mut some = [core::net::Ipv6Addr::UNSPECIFIED; 100];
/// assert_eq!(walk.fill(&wide, &RangeSet::new(), &mut some), 100);
/// let kept: [u8; Cursor::BYTES] = walk.cursor(&wide).to_bytes();
/// let cursor = Cursor::from_bytes(&kept)?;
/// assert_eq!(cursor.resume(&wide)?, walk);
/// assert_eq!(cursor.resume(&other), Err(CursorError::OtherPlan));
/// # Ok::<(), CursorError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    shard: Shard,
    /// How many of the shard's indices are behind.
    done: u128,
    /// How many there are, less one; none if the shard has no index.
    last: Option<u128>,
    /// Where the next index is in the order `even`.
    turn: Option<Turn>,
}

impl Walk {
    /// A walk from the beginning.
    pub fn new(plan: &Plan, shard: Shard) -> Self {
        let last = shard.last_position(plan.space().last_index());
        Self { shard, done: 0, last, turn: None }
    }

    /// How many of the shard's indices are behind. After all 2¹²⁸ of them it stays at the last.
    pub fn done(&self) -> u128 {
        self.done
    }

    /// How many indices are left, less one; none at the end.
    pub fn left(&self) -> Option<u128> {
        self.last?.checked_sub(self.done)
    }

    /// Whether all indices are behind.
    pub fn is_finished(&self) -> bool {
        self.left().is_none()
    }

    /// The shard.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// The next index.
    pub fn index(&self) -> Option<u128> {
        self.left().map(|_| self.index_bits())
    }

    fn index_bits(&self) -> u128 {
        self.done.wrapping_mul(self.shard.count.get().into()).wrapping_add(self.shard.rest.into())
    }

    /// Goes on to the next index.
    fn step(&mut self) {
        match self.done.checked_add(1) {
            Some(done) => self.done = done,
            // The very last of 2¹²⁸.
            None => self.last = None,
        }
        if let Some(turn) = &mut self.turn {
            turn.turn = turn.turn.wrapping_add(self.shard.count.get().into());
            if turn.turn >= turn.active {
                self.turn = None;
            }
        }
    }

    /// Leaves `count` indices out, or all that are left.
    pub fn skip(&mut self, count: u128) {
        let Some(left) = self.left() else { return };
        self.turn = None;
        if count <= left {
            self.done = self.done.wrapping_add(count);
        } else {
            self.last = None;
        }
    }

    /// Puts the next targets into `out`, without those in `skipped`, and gives how many. It looks at as many indices as `out` has
    /// room for, so that fewer targets don't mean that the walk is [finished](Self::is_finished).
    ///
    /// What is skipped changes nothing about the rest: addresses can be taken out at any time. The plan must be the one that the
    /// walk was made for.
    pub fn fill(&mut self, plan: &Plan, skipped: &RangeSet, out: &mut [Ipv6Addr]) -> usize {
        if let Some(filled) = self.fill_run(plan, skipped, out) {
            return filled;
        }
        let mut filled = 0usize;
        for _ in 0..out.len() {
            if self.is_finished() {
                break;
            }
            let address = self.target(plan).map(|(_, address)| address);
            self.step();
            if let Some(address) =
                address.filter(|address| skipped.is_empty() || !skipped.holds(*address))
                && let Some(slot) = out.get_mut(filled)
            {
                *slot = Ipv6Addr::from_bits(address);
                filled = filled.wrapping_add(1);
            }
        }
        filled
    }

    /// The next target, and the number of its prefix. None if its index has none, or if it is skipped.
    pub(super) fn next(&mut self, plan: &Plan, skipped: &RangeSet) -> Option<(u32, u128)> {
        let target = self.target(plan);
        self.step();
        let (group, address) = target.filter(|(_, address)| !skipped.holds(*address))?;
        let group = group.or_else(|| plan.space().prefix_of(Ipv6Addr::from_bits(address)))?;
        Some((u32::try_from(group).ok()?, address))
    }

    #[inline]
    fn target(&mut self, plan: &Plan) -> Option<(Option<usize>, u128)> {
        let index = self.index_bits();
        match plan.even() {
            None => plan.address_bits(index).map(|address| (None, address)),
            Some(even) => {
                let turn = self.turn.get_or_insert_with(|| even.turn(index));
                let (number, offset) = even.place(turn);
                let group = plan.space().groups().get(number)?;
                plan.space().address_of(group, offset).map(|address| (Some(number), address))
            }
        }
    }

    /// The short way for one run of addresses in random order.
    fn fill_run(&mut self, plan: &Plan, skipped: &RangeSet, out: &mut [Ipv6Addr]) -> Option<usize> {
        let (first, geometry, keys) = plan.run().filter(|_| skipped.is_empty())?;
        let left = self.left()?;
        let room = u128::try_from(out.len()).ok()?;
        // The end is left to the careful way.
        let count = if room <= left { out.len() } else { return None };
        let stride = u128::from(self.shard.count.get());
        let index = self.index_bits();
        geometry.fill(keys, first, index, stride, out);
        self.done = self.done.wrapping_add(room);
        Some(count)
    }

    /// What it takes to go on later.
    pub fn cursor(&self, plan: &Plan) -> Cursor {
        Cursor {
            plan: *plan.digest(),
            shard: self.shard,
            // One after the last of 2¹²⁸ is no number: the mark says it.
            done: if self.is_finished() { u128::MAX } else { self.done },
            finished: self.is_finished(),
            seed: plan.seed(),
            order: plan.order(),
        }
    }
}

/// Where a walk was: enough to go on with it on any machine that has the same plan.
///
/// In bytes: `P2WC`, the version 1, the order (0 `even`, 1 `random`), a byte that is 1 at the end, a zero; the seed; the number
/// of the shard from 0 and the count, 4 bytes each; how many of the shard's indices are behind, 16 bytes; the plan's digest, 32
/// bytes; the first 8 bytes of the SHA-256 of all that. Numbers are big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    plan: [u8; 32],
    shard: Shard,
    done: u128,
    finished: bool,
    seed: u64,
    order: super::plan::Order,
}

/// Why a walk can't go on from a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorError {
    /// These bytes are no cursor.
    Malformed,
    /// They were changed, or cut and filled up.
    Damaged,
    /// The cursor belongs to other prefixes, exclusions, strategies, another order or another seed.
    OtherPlan,
}

impl fmt::Display for CursorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "this is no cursor of a scan",
            Self::Damaged => "the cursor is damaged",
            Self::OtherPlan => {
                "the cursor belongs to another scan: prefixes, exclusions, strategies, order or seed differ"
            }
        })
    }
}

impl core::error::Error for CursorError {}

impl Cursor {
    /// How long a cursor is.
    pub const BYTES: usize = 80;

    const MAGIC: [u8; 5] = *b"P2WC\x01";

    /// The seed of its plan.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The order of its plan.
    pub fn order(&self) -> super::plan::Order {
        self.order
    }

    /// The shard that was walked through.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// The walk, where it was.
    ///
    /// # Errors
    /// [`CursorError::OtherPlan`] if `plan` isn't the one it belongs to.
    pub fn resume(&self, plan: &Plan) -> Result<Walk, CursorError> {
        if self.plan != *plan.digest() {
            return Err(CursorError::OtherPlan);
        }
        let mut walk = Walk::new(plan, self.shard);
        if self.finished {
            walk.last = None;
        } else if walk.last.is_some_and(|last| self.done <= last) {
            walk.done = self.done;
        } else {
            // A cursor of this plan is never there: somebody made it up.
            return Err(CursorError::Malformed);
        }
        Ok(walk)
    }

    /// As bytes, to be kept.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let order = match self.order {
            super::plan::Order::Even => 0,
            super::plan::Order::Random => 1,
        };
        let parts: [&[u8]; 7] = [
            &Self::MAGIC,
            &[order, u8::from(self.finished), 0],
            &self.seed.to_be_bytes(),
            &self.shard.rest.to_be_bytes(),
            &self.shard.count.get().to_be_bytes(),
            &self.done.to_be_bytes(),
            &self.plan,
        ];
        let content = parts.iter().flat_map(|part| part.iter());
        bytes.iter_mut().zip(content).for_each(|(to, from)| *to = *from);
        if let Some((content, check)) = bytes.split_last_chunk_mut::<8>() {
            *check = checksum(content);
        }
        bytes
    }

    /// From bytes that were kept.
    ///
    /// # Errors
    /// [`CursorError::Malformed`] and [`CursorError::Damaged`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CursorError> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().map_err(|_| CursorError::Malformed)?;
        Self::read(bytes).ok_or(CursorError::Malformed)?
    }

    fn read(bytes: &[u8; Self::BYTES]) -> Option<Result<Self, CursorError>> {
        let (content, check) = bytes.split_last_chunk::<8>()?;
        let (magic, rest) = content.split_first_chunk::<5>()?;
        if *magic != Self::MAGIC {
            return None;
        }
        if *check != checksum(content) {
            return Some(Err(CursorError::Damaged));
        }
        let ([order, finished, zero], rest) = rest.split_first_chunk::<3>()?;
        let (seed, rest) = rest.split_first_chunk::<8>()?;
        let (shard, rest) = rest.split_first_chunk::<4>()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let (done, plan) = rest.split_first_chunk::<16>()?;
        let number = u32::from_be_bytes(*shard).checked_add(1)?;
        Some(Ok(Self {
            plan: *plan.first_chunk()?,
            shard: Shard::new(number, u32::from_be_bytes(*count)).ok()?,
            done: u128::from_be_bytes(*done),
            finished: match finished {
                0 => false,
                1 => true,
                _ => return None,
            },
            seed: u64::from_be_bytes(*seed),
            order: match (order, zero) {
                (0, 0) => super::plan::Order::Even,
                (1, 0) => super::plan::Order::Random,
                _ => return None,
            },
        }))
    }
}

fn checksum(content: &[u8]) -> [u8; 8] {
    let digest = crate::hash::sha256(&[b"p2pnet widescan cursor v1", content]);
    digest.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
