//! The public IPv4 address, as others see it (feature N4).
//!
//! Nobody is asked unless the configuration names sources. A source that fails, or says what is no public address, has no
//! vote; it never ends the look-up.

use crate::time::{Duration, Instant};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use serde::{Deserialize, Serialize};

/// How the sources are asked.
#[doc(alias = "PublicIPv4GetPolicy")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PublicIpv4GetPolicy {
    /// The first source alone.
    #[doc(alias = "SingleStaticURL")]
    #[serde(alias = "SingleStaticURL")]
    SingleStaticUrl,
    /// The first source, and when it fails the next.
    #[default]
    #[doc(alias = "StaticURLAndFailover")]
    #[serde(alias = "StaticURLAndFailover")]
    StaticUrlAndFailover,
    /// All sources: what more than half of those that answer say, two at least.
    #[doc(alias = "URLListConsensus")]
    #[serde(alias = "URLListConsensus")]
    UrlListConsensus,
}

/// Whom to ask for the public IPv4 address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicIpConfig {
    /// How.
    pub policy: PublicIpv4GetPolicy,
    /// URLs that answer with an address in plain text, at most [`SOURCES_MAX`](Self::SOURCES_MAX). With none nobody is
    /// asked.
    #[doc(alias = "PublicIPv4Sources")]
    pub sources: Vec<String>,
}

impl PublicIpConfig {
    /// The most sources.
    pub const SOURCES_MAX: usize = 16;
}

/// The most bytes of a source's answer.
pub(crate) const ANSWER_BYTES_MAX: u32 = 64;

/// After a look-up that found an address.
const AGAIN: Duration = Duration::from_secs(30 * 60);
/// After one that didn't, doubling.
const RETRY_MIN: Duration = Duration::from_secs(10);

/// What is known of the public IPv4 address, and the look-up under way.
#[derive(Debug)]
pub(crate) struct PublicIp {
    config: PublicIpConfig,
    pub(crate) found: Option<Ipv4Addr>,
    /// The number of the look-up: answers to earlier ones don't count.
    round: u32,
    /// Sources asked and not answered, and how many were asked.
    waiting: usize,
    asked: usize,
    votes: BTreeMap<Ipv4Addr, usize>,
    due: Option<Instant>,
    failures: u32,
}

/// What comes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// More answers are to come, or the next source is due.
    Open,
    /// This is the address, and whether it is news.
    Found(Ipv4Addr, bool),
    /// Nobody knows, or they don't agree.
    Unknown,
}

impl PublicIp {
    pub(crate) fn new(now: Instant, config: PublicIpConfig) -> Self {
        let due = (!config.sources.is_empty()).then_some(now);
        Self {
            config,
            found: None,
            round: 0,
            waiting: 0,
            asked: 0,
            votes: BTreeMap::new(),
            due,
            failures: 0,
        }
    }

    pub(crate) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Begins a look-up if it is time: the sources to ask now, and the number of the look-up.
    pub(crate) fn on_due(&mut self, now: Instant) -> (u32, Vec<String>) {
        if self.due.is_none_or(|at| at > now) {
            return (self.round, Vec::new());
        }
        self.due = None;
        self.round = self.round.wrapping_add(1);
        self.votes.clear();
        self.asked = 0;
        let at_once = match self.config.policy {
            PublicIpv4GetPolicy::UrlListConsensus => self.config.sources.len(),
            _ => 1,
        };
        (self.round, self.ask(at_once))
    }

    fn ask(&mut self, count: usize) -> Vec<String> {
        let urls = self.config.sources.iter().skip(self.asked).take(count).cloned();
        let urls: Vec<String> = urls.collect();
        self.asked = self.asked.saturating_add(urls.len());
        self.waiting = self.waiting.saturating_add(urls.len());
        urls
    }

    /// A source answered: with an address, or with nothing of use. Gives whom to ask next, and what came of it.
    pub(crate) fn on_answer(
        &mut self,
        now: Instant,
        round: u32,
        vote: Option<Ipv4Addr>,
    ) -> (Vec<String>, Verdict) {
        if round != self.round || self.waiting == 0 {
            return (Vec::new(), Verdict::Open);
        }
        self.waiting = self.waiting.saturating_sub(1);
        if let Some(address) = vote {
            let votes = self.votes.entry(address).or_default();
            *votes = votes.saturating_add(1);
        }
        let all = self.config.policy == PublicIpv4GetPolicy::UrlListConsensus;
        if self.waiting > 0 {
            return (Vec::new(), Verdict::Open);
        }
        let next = self.config.policy == PublicIpv4GetPolicy::StaticUrlAndFailover;
        if next && self.votes.is_empty() {
            let urls = self.ask(1);
            if !urls.is_empty() {
                return (urls, Verdict::Open);
            }
        }
        let address = if all { self.consensus() } else { self.votes.keys().next().copied() };
        let Some(address) = address else {
            let wait = RETRY_MIN.saturating_mul(1u32 << self.failures.min(7)).min(AGAIN);
            self.failures = self.failures.saturating_add(1);
            self.due = Some(now + wait);
            return (Vec::new(), Verdict::Unknown);
        };
        self.failures = 0;
        self.due = Some(now + AGAIN);
        let news = self.found.replace(address) != Some(address);
        (Vec::new(), Verdict::Found(address, news))
    }

    /// What more than half of those say that say anything; two at least, unless there is one source alone.
    fn consensus(&self) -> Option<Ipv4Addr> {
        let cast: usize = self.votes.values().fold(0, |sum, votes| sum.saturating_add(*votes));
        let least = self.config.sources.len().min(2);
        let (address, votes) = self.votes.iter().max_by_key(|(_, votes)| **votes)?;
        (votes.saturating_mul(2) > cast && *votes >= least).then_some(*address)
    }
}

/// The address in a source's answer: one in plain text, and one that can be public.
pub(crate) fn read(body: &[u8]) -> Option<Ipv4Addr> {
    let text = core::str::from_utf8(body).ok()?;
    let address: Ipv4Addr = text.trim().parse().ok()?;
    let no_host = address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_link_local();
    (!no_host).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const B: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

    fn look_up(policy: PublicIpv4GetPolicy, sources: usize) -> PublicIp {
        let sources = (0..sources).map(|n| format!("http://source{n}")).collect();
        PublicIp::new(Instant::ZERO, PublicIpConfig { policy, sources })
    }

    /// Runs one look-up in which the sources say this, in order, and gives how many were asked.
    fn run(ip: &mut PublicIp, said: &[Option<Ipv4Addr>]) -> (usize, Verdict) {
        let now = ip.due().expect("a look-up is due");
        let (round, mut urls) = ip.on_due(now);
        let mut asked = 0;
        let mut verdict = Verdict::Open;
        while let Some(url) = urls.pop() {
            let n: usize = url["http://source".len()..].parse().unwrap();
            let (more, came) = ip.on_answer(now, round, said[n]);
            asked += 1;
            verdict = came;
            urls.extend(more);
        }
        (asked, verdict)
    }

    #[test]
    fn nobody_is_asked_unless_somebody_is_named() {
        assert_eq!(look_up(PublicIpv4GetPolicy::UrlListConsensus, 0).due(), None);
    }

    #[test]
    fn a_single_source_is_the_only_one_asked() {
        let mut ip = look_up(PublicIpv4GetPolicy::SingleStaticUrl, 3);
        assert_eq!(run(&mut ip, &[None, Some(A), Some(A)]), (1, Verdict::Unknown));
        assert_eq!(run(&mut ip, &[Some(B), None, None]), (1, Verdict::Found(B, true)));
        assert_eq!(run(&mut ip, &[Some(B), None, None]), (1, Verdict::Found(B, false)));
    }

    #[test]
    fn failing_sources_hand_over_to_the_next() {
        let mut ip = look_up(PublicIpv4GetPolicy::StaticUrlAndFailover, 3);
        assert_eq!(run(&mut ip, &[None, None, Some(A)]), (3, Verdict::Found(A, true)));
        assert_eq!(run(&mut ip, &[Some(A), None, None]), (1, Verdict::Found(A, false)));
        assert_eq!(run(&mut ip, &[None, None, None]), (3, Verdict::Unknown));
        assert_eq!(run(&mut ip, &[None, Some(B), None]), (2, Verdict::Found(B, true)));
    }

    #[test]
    fn consensus_takes_more_than_half_of_the_votes_and_silence_is_no_vote() {
        let consensus = || look_up(PublicIpv4GetPolicy::UrlListConsensus, 5);
        let found = Verdict::Found(A, true);
        for (said, verdict) in [
            ([Some(A), Some(A), Some(A), Some(B), Some(B)], found),
            ([Some(A), Some(A), None, None, None], found),
            ([Some(A), Some(A), Some(B), None, None], found),
            ([Some(A), Some(A), Some(B), Some(B), None], Verdict::Unknown),
            ([Some(A), None, None, None, None], Verdict::Unknown),
            ([None; 5], Verdict::Unknown),
        ] {
            assert_eq!(run(&mut consensus(), &said), (5, verdict), "{said:?}");
        }
        let mut alone = look_up(PublicIpv4GetPolicy::UrlListConsensus, 1);
        assert_eq!(run(&mut alone, &[Some(A)]), (1, found));
    }

    #[test]
    fn failed_look_ups_are_repeated_less_and_less_often() {
        let mut ip = look_up(PublicIpv4GetPolicy::SingleStaticUrl, 1);
        let mut before = Duration::ZERO;
        for _ in 0..20 {
            let began = ip.due().unwrap();
            run(&mut ip, &[None]);
            let wait = ip.due().unwrap().since(began);
            assert!(wait >= before && wait >= RETRY_MIN && wait <= AGAIN);
            before = wait;
        }
        assert_eq!(before, AGAIN.min(RETRY_MIN * 128));
    }

    #[test]
    fn answers_to_an_earlier_look_up_do_not_count() {
        let mut ip = look_up(PublicIpv4GetPolicy::SingleStaticUrl, 1);
        let (round, _) = ip.on_due(Instant::ZERO);
        assert_eq!(ip.on_answer(Instant::ZERO, round.wrapping_sub(1), Some(A)).1, Verdict::Open);
        assert_eq!(ip.on_answer(Instant::ZERO, round, Some(B)).1, Verdict::Found(B, true));
        assert_eq!(ip.on_answer(Instant::ZERO, round, Some(A)).1, Verdict::Open);
    }

    #[test]
    fn only_an_address_that_can_be_public_is_read() {
        assert_eq!(read(b"192.0.2.1\n"), Some(A));
        for bad in
            [&b"<html>"[..], b"", b"127.0.0.1", b"0.0.0.0", b"2001:db8::1", b"1.2.3.4 x", b"\xff"]
        {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
