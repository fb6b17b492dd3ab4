//! `DiscernPeerChannels`: channels to blocked peers and channels that nobody uses are ended.
//!
//! Blocks take effect at once anyway, so for them this is a second look; idle channels end here alone.

use crate::time::Duration;
use crate::wire::packet::DisconnectReason;

/// The routine's name.
pub const NAME: &str = "DiscernPeerChannels";
/// How often it runs unless told otherwise.
pub const INTERVAL: Duration = Duration::from_secs(60);
/// A channel without a packet for longer than this is ended. Keep-alive doesn't count as use.
pub const IDLE_MAX: Duration = Duration::from_secs(60 * 60);

/// Why this channel shall end, if it shall.
pub fn discern(blocked: bool, idle: Duration) -> Option<DisconnectReason> {
    if blocked {
        Some(DisconnectReason::Blocked)
    } else if idle > IDLE_MAX {
        Some(DisconnectReason::Idle)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocked_and_idle_channels_end_and_others_stay() {
        assert_eq!(discern(true, Duration::ZERO), Some(DisconnectReason::Blocked));
        assert_eq!(discern(false, IDLE_MAX), None);
        let longer = IDLE_MAX + Duration::from_secs(1);
        assert_eq!(discern(false, longer), Some(DisconnectReason::Idle));
    }
}
