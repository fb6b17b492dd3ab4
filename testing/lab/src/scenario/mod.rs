//! The stories that the lab tells, each a function with a count or a duration: the tests tell them short, the
//! `p2pnet-lab` program in full.

pub mod crowd;
pub mod discovery;
pub mod files;
pub mod inspect;
pub mod meet;
pub mod repair;
pub mod storm;
pub mod strict;

use crate::node::Node;
use crate::shell::Outcome;
use std::fmt;
use std::time::Duration;

/// Two nodes that can hear each other are to be connected after so long.
pub const MEET_MAX: Duration = Duration::from_secs(2);

/// A message on an open channel is to arrive within so long.
pub const MESSAGE_MAX: Duration = Duration::from_secs(2);

/// How long something took, many times over.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Adds one.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
        self.0.sort_unstable();
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }

    /// The one in the middle.
    pub fn median(&self) -> Duration {
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, max) = (self.median().as_millis(), self.max().as_millis());
        write!(f, "{} times: median {median} ms, longest {max} ms", self.0.len())
    }
}

/// Each says something to the other, and hears it.
///
/// # Errors
/// If a message doesn't arrive.
pub fn talk(a: &Node, b: &Node) -> Outcome<()> {
    a.say(b, "is anybody there?", MESSAGE_MAX)?;
    b.say(a, "yes, \"here\" \u{1f44b}", MESSAGE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_know_their_middle_and_their_end() {
        let mut times = Times::default();
        for seconds in [3, 1, 2] {
            times.add(Duration::from_secs(seconds));
        }
        assert_eq!(times.median(), Duration::from_secs(2));
        assert_eq!(times.max(), Duration::from_secs(3));
        assert_eq!(times.to_string(), "3 times: median 2000 ms, longest 3000 ms");
    }
}
