//! What a script found, the rules it is judged by, and how both are shown.

use crate::attacker::Counts;
use crate::probe::Felt;
use serde_json::{Value, json};
use std::time::Duration;

/// The victim has this long to give everything back.
pub const REAPED_MAX: Duration = Duration::from_secs(15);
/// An honest median may be this many times its quiet value.
pub const SLOWER_MAX: u32 = 2;
/// Quiet medians below this count as this much. The victim, the honest peer, this program and the attackers share two
/// cores or fewer: a process that becomes ready while another runs waits for the scheduler's next decision, for a
/// millisecond and more, whatever the victim does. A program that isn't optimised takes many times as long for each line of
/// its story, and the tests' reader for each line that it reads: there the floor only tells slow from stuck.
pub const QUIET_FLOOR: Duration =
    Duration::from_millis(if cfg!(debug_assertions) { 10 } else { 1 });

/// Something that the victim must have refused, bounded or survived, by its own counters or its own story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub what: String,
    /// What was seen.
    pub got: u64,
    /// What must be seen.
    pub wanted: Wanted,
}

/// What a check wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// This and nothing else.
    Exactly(u64),
    /// This or more.
    AtLeast(u64),
    /// This or less.
    AtMost(u64),
}

impl Check {
    /// `got` must be `wanted`.
    pub fn exactly(what: &str, got: u64, wanted: u64) -> Self {
        Self { what: what.to_owned(), got, wanted: Wanted::Exactly(wanted) }
    }

    /// `got` must be `least` or more.
    pub fn at_least(what: &str, got: u64, least: u64) -> Self {
        Self { what: what.to_owned(), got, wanted: Wanted::AtLeast(least) }
    }

    /// `got` must be `most` or less.
    pub fn at_most(what: &str, got: u64, most: u64) -> Self {
        Self { what: what.to_owned(), got, wanted: Wanted::AtMost(most) }
    }

    fn holds(&self) -> bool {
        match self.wanted {
            Wanted::Exactly(wanted) => self.got == wanted,
            Wanted::AtLeast(least) => self.got >= least,
            Wanted::AtMost(most) => self.got <= most,
        }
    }

    fn wish(&self) -> String {
        match self.wanted {
            Wanted::Exactly(wanted) => format!("{wanted}"),
            Wanted::AtLeast(least) => format!("at least {least}"),
            Wanted::AtMost(most) => format!("at most {most}"),
        }
    }
}

/// What one script measured.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The script.
    pub script: String,
    /// The rows of the attack table that it is about.
    pub attacks: String,
    /// What the honest peer felt before.
    pub quiet: Felt,
    /// What it felt during each take of the attack. There is more than one only if the first was too slow.
    pub under: Vec<Felt>,
    /// The victim's peak, less what it had just after its start.
    pub growth_kib: u64,
    /// What its limits add up to.
    pub budget_kib: u64,
    /// What the attackers did.
    pub did: Counts,
    /// What the victim refused.
    pub checks: Vec<Check>,
    /// How long it took to give everything back; `None` if it didn't in time.
    pub reaped: Option<Duration>,
    /// What wasn't given back, in words.
    pub left: String,
}

impl Report {
    /// The take in the middle, by its median.
    pub fn felt(&self) -> Felt {
        let mut takes = self.under.clone();
        takes.sort_by_key(|felt| felt.median);
        takes.get(takes.len() / 2).copied().unwrap_or_default()
    }

    /// The longest median that is allowed.
    pub fn median_max(&self) -> Duration {
        self.quiet.median.max(QUIET_FLOOR) * SLOWER_MAX
    }

    /// Whether the honest peer was slowed down more than allowed.
    pub fn is_slow(&self) -> bool {
        self.felt().median > self.median_max()
    }

    /// Everything that isn't as it must be, in words.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let felt = self.felt();
        if self.is_slow() {
            faults.push(format!(
                "latency: an honest median of {:?} under attack, {:?} in quiet, at most {:?}",
                felt.median,
                self.quiet.median,
                self.median_max()
            ));
        }
        if felt.sent == 0 || self.quiet.sent == 0 {
            faults.push("latency: the honest peer said nothing, so nothing was measured".into());
        }
        let lost = self.under.iter().map(|felt| felt.lost).sum::<u64>() + self.quiet.lost;
        if lost > 0 {
            faults.push(format!("loss: {lost} of the honest peer's messages never arrived"));
        }
        if self.growth_kib > self.budget_kib + self.budget_kib / 10 {
            faults.push(format!(
                "memory: {} KiB over the idle process, the budget is {} KiB",
                self.growth_kib, self.budget_kib
            ));
        }
        if self.reaped.is_none() {
            faults.push(format!("reaping: in the end there are {}", self.left));
        }
        if self.checks.is_empty() {
            faults.push("refusal: nothing was checked".into());
        }
        faults.extend(self.checks.iter().filter(|check| !check.holds()).map(|check| {
            format!("refusal: {}: {}, must be {}", check.what, check.got, check.wish())
        }));
        faults
    }

    /// One object.
    pub fn json(&self) -> Value {
        let felt = |felt: &Felt| {
            json!({
                "sent": felt.sent,
                "lost": felt.lost,
                "median_us": micros(felt.median),
                "p99_us": micros(felt.p99),
            })
        };
        json!({
            "script": self.script,
            "attacks": self.attacks,
            "quiet": felt(&self.quiet),
            "under_attack": felt(&self.felt()),
            "takes": self.under.len(),
            "growth_kib": self.growth_kib,
            "budget_kib": self.budget_kib,
            "did": self.did,
            "checks": self.checks.iter().map(|check| json!({
                "what": check.what, "got": check.got, "wanted": check.wish(), "holds": check.holds(),
            })).collect::<Vec<_>>(),
            "reaped_ms": self.reaped.map(|time| time.as_millis() as u64),
            "faults": self.faults(),
        })
    }

    /// One row of the table for people.
    pub fn row(&self) -> String {
        let felt = self.felt();
        let reaped =
            self.reaped.map_or_else(|| "no".into(), |time| format!("{:.1} s", time.as_secs_f64()));
        format!(
            "{:<20} {:>7} {:>7} {:>8} {:>8} {:>5} {:>9} {:>8} {:>7}  {}",
            self.script,
            millis(self.quiet.median),
            millis(felt.median),
            millis(self.quiet.p99),
            millis(felt.p99),
            felt.lost + self.quiet.lost,
            self.growth_kib,
            self.budget_kib,
            reaped,
            if self.faults().is_empty() { "held" } else { "FELL" },
        )
    }

    /// What attackers did and what was checked, in a few lines.
    pub fn details(&self) -> String {
        let did: Vec<String> =
            self.did.iter().map(|(what, count)| format!("{what} {count}")).collect();
        let checks: Vec<String> = self
            .checks
            .iter()
            .map(|check| format!("{} {} ({})", check.what, check.got, check.wish()))
            .collect();
        let mut lines = format!("   did: {}\n   victim: {}\n", did.join(", "), checks.join("; "));
        for fault in self.faults() {
            lines += &format!("   FAULT {fault}\n");
        }
        lines
    }
}

/// The table's head.
pub fn head() -> String {
    format!(
        "{:<20} {:>7} {:>7} {:>8} {:>8} {:>5} {:>9} {:>8} {:>7}",
        "script", "quiet", "attack", "q. p99", "a. p99", "lost", "grew KiB", "budget", "reaped"
    )
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn millis(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Report {
        let felt = |ms| Felt {
            sent: 100,
            lost: 0,
            median: Duration::from_millis(ms),
            p99: Duration::from_millis(ms * 3),
        };
        Report {
            quiet: felt(20),
            under: vec![felt(40)],
            growth_kib: 110,
            budget_kib: 100,
            checks: vec![Check::at_least("refused", 5, 5)],
            reaped: Some(Duration::from_secs(1)),
            ..Report::default()
        }
    }

    fn only_fault(report: &Report, about: &str) {
        let faults = report.faults();
        assert!(faults.len() == 1 && faults[0].starts_with(about), "{faults:?}");
    }

    #[test]
    fn each_rule_bites_at_its_bound() {
        assert_eq!(good().faults(), [""; 0]);
        let mut slow = good();
        slow.under[0].median += Duration::from_nanos(1);
        only_fault(&slow, "latency");
        let mut lossy = good();
        lossy.under[0].lost = 1;
        only_fault(&lossy, "loss");
        only_fault(&Report { growth_kib: 111, ..good() }, "memory");
        only_fault(&Report { reaped: None, ..good() }, "reaping");
        only_fault(&Report { checks: Vec::new(), ..good() }, "refusal");
        for wrong in
            [Check::at_least("x", 1, 2), Check::at_most("x", 2, 1), Check::exactly("x", 1, 2)]
        {
            only_fault(&Report { checks: vec![wrong], ..good() }, "refusal");
        }
    }

    #[test]
    fn several_takes_are_judged_by_the_one_in_the_middle() {
        let mut report = good();
        let take = |ms| Felt { median: Duration::from_millis(ms), ..report.under[0] };
        let (slow, quick) = (take(500), take(3));
        report.under = vec![slow, quick, quick];
        assert_eq!(report.felt().median, Duration::from_millis(3));
        report.under = vec![slow, quick, slow];
        assert!(report.is_slow());
    }

    #[test]
    fn an_honest_peer_that_said_nothing_proves_nothing() {
        let mut report = good();
        report.under[0].sent = 0;
        only_fault(&report, "latency");
    }
}
