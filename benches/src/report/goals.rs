//! What the project promises, held against what was measured.

use super::table::Rows;
use super::{Axis, Sample, median};
use crate::memory::CoreRates;
use crate::peers::{NOISE, Protection, RAW_TOKIO};
use std::fmt::{self, Write as _};

/// A promise: an axis, the figure, and what it must not fall short of.
struct Goal {
    axis: String,
    measured: f64,
    bound: Bound,
    /// For a rate: what tells how fast this machine is at such work.
    yardstick: Option<Yardstick>,
}

/// Something measured in the same run, and its figure where the goals were set.
#[derive(Clone, Copy)]
struct Yardstick {
    name: &'static str,
    here: f64,
    there: f64,
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    /// How fast this machine is, where that matters.
    fn scale(&self) -> f64 {
        self.yardstick.map_or(1.0, |yardstick| yardstick.here / yardstick.there)
    }

    fn met(&self) -> bool {
        match self.bound {
            Bound::AtLeast(least) => self.measured >= least * self.scale(),
            Bound::AtMost(most) => self.measured <= most,
        }
    }
}

/// A figure with three digits that count, and a unit for thousands.
struct Figure(f64);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            value if value.abs() >= 1e6 => write!(f, "{:.2} M", value / 1e6),
            value if value.abs() >= 10.0 => write!(f, "{value:.0}"),
            value => write!(f, "{value:.2}"),
        }
    }
}

/// Rates are by processor time of the busier end, so that a busy machine judges no worse than a quiet one.
fn goals(rows: &Rows<'_>) -> Vec<Goal> {
    let in_memory = |axis: &str, measured: f64, least: f64, yardstick| Goal {
        axis: axis.to_owned(),
        measured,
        bound: Bound::AtLeast(least),
        yardstick: Some(yardstick),
    };
    let snow = Yardstick {
        name: "snow, pairs",
        here: median(rows.rounds, |round| round.handshakes.snow),
        there: 2_017.0,
    };
    let aes = Yardstick {
        name: "AES, sealed and opened, MiB/s",
        here: median(rows.rounds, |round| round.aeads.aes_both_mib_s()),
        there: 2_890.0,
    };
    let rate_of = |name: &'static str, peer: &str, axis, there| {
        let here = rows.index(peer).map_or(f64::NAN, |peer| rows.processor_rate(peer, axis));
        Some(Yardstick { name, here, there })
    };
    let core = |figure: fn(&CoreRates) -> f64| median(rows.rounds, |round| figure(&round.core));
    let pairs = median(rows.rounds, |round| round.handshakes.fast);
    let mut goals = vec![
        in_memory("handshake pairs/s in memory, fast provider", pairs, 3_200.0, snow),
        in_memory(
            "the core alone, MiB/s",
            core(|core| core.bulk) / f64::from(1 << 20),
            2_200.0,
            aes,
        ),
        in_memory(
            "the core alone, 64 B messages a second, packed",
            core(|core| core.packed),
            10e6,
            aes,
        ),
    ];
    for (peer, entry) in rows.entries.iter().enumerate().filter(|(_, entry)| entry.ours) {
        let mut goal = |axis: &str, measured: f64, bound: Bound, yardstick: Option<Yardstick>| {
            goals.push(Goal {
                axis: format!("{}: {axis}", entry.name),
                measured,
                bound,
                yardstick,
            });
        };
        goal(
            "bulk × serial bound, by CPU",
            rows.bound_ratio(peer, Sample::processor_rate),
            Bound::AtLeast(0.95),
            None,
        );
        if matches!(entry.protection, Protection::ChaCha(_)) {
            continue;
        }
        goal(
            "64 B messages, one call each, a CPU second",
            rows.processor_rate(peer, Axis::SmallEach),
            Bound::AtLeast(15e6),
            rate_of("raw tokio, batched", RAW_TOKIO, Axis::Small, 36e6),
        );
        goal(
            "64 B messages, batched, a CPU second",
            rows.processor_rate(peer, Axis::Small),
            Bound::AtLeast(20e6),
            rate_of("raw tokio, batched", RAW_TOKIO, Axis::Small, 36e6),
        );
        goal(
            "1 KiB messages, batched, a CPU second",
            rows.processor_rate(peer, Axis::Medium),
            Bound::AtLeast(1.5e6),
            rate_of("hand-framed Noise", NOISE, Axis::Medium, 2.3e6),
        );
        goal("round trip × raw tokio", rows.round_trip_ratio(peer), Bound::AtMost(1.10), None);
        goal(
            "set-ups a CPU second, 16 at once",
            rows.processor_rate(peer, Axis::SetUps),
            Bound::AtLeast(4_500.0),
            rate_of("hand-framed Noise", NOISE, Axis::SetUps, 3_250.0),
        );
        goal("bytes for an idle channel", rows.idle_bytes(peer), Bound::AtMost(2_048.0), None);
    }
    goals
}

pub(super) fn table(rows: &Rows<'_>, out: &mut String) -> fmt::Result {
    out.push_str(
        "\n## Goals\n\nGoals for rates were set on another machine. A yardstick that was measured on both says how fast \
         this one is at such work; what counts is the goal in proportion.\n\n\
         | axis | measured | goal | yardstick here / there | goal in proportion | |\n|---|---|---|---|---|---|\n",
    );
    for goal in goals(rows) {
        let (sign, bound) = match goal.bound {
            Bound::AtLeast(least) => ("≥", least),
            Bound::AtMost(most) => ("≤", most),
        };
        let verdict = if goal.met() { "met" } else { "**missed**" };
        write!(out, "| {} | {} | {sign} {} ", goal.axis, Figure(goal.measured), Figure(bound))?;
        match goal.yardstick {
            Some(Yardstick { name, here, there }) => {
                let scaled = Figure(bound * goal.scale());
                write!(out, "| {name}: {} / {} | {sign} {scaled} ", Figure(here), Figure(there))?;
            }
            None => out.push_str("| | "),
        }
        writeln!(out, "| {verdict} |")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_on_its_own_side() {
        let yardstick = Some(Yardstick { name: "", here: 0.5, there: 1.0 });
        let goal = |measured, bound| Goal { axis: String::new(), measured, bound, yardstick: None };
        assert!(goal(2.0, Bound::AtLeast(1.0)).met());
        assert!(!goal(2.0, Bound::AtMost(1.0)).met());
        assert!(Goal { yardstick, ..goal(0.6, Bound::AtLeast(1.0)) }.met());
        assert!(!Goal { yardstick, ..goal(0.4, Bound::AtLeast(1.0)) }.met());
        // What was not measured is not met.
        assert!(!goal(f64::NAN, Bound::AtLeast(1.0)).met());
        assert!(!goal(f64::NAN, Bound::AtMost(1.0)).met());
    }
}
