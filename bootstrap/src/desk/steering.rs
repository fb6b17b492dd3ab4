//! How often peers are asked to come: the more there are, the less often.

use crate::config::LeasesConfig;
use crate::lease::Leases;
use p2pnet_protocol::discovery::bootstrap::Steering;

/// What peers are asked to do while there are `leases` leases and `requests_per_sec` requests a second.
///
/// Every lease costs a request an interval, so the interval grows with their number. When more requests come than that,
/// from whomever, it grows with these too.
pub fn steering(config: &LeasesConfig, leases: usize, requests_per_sec: u32) -> Steering {
    let welcome = u64::from(config.requests_per_sec.max(1));
    let by_leases = (leases as u64).div_ceil(welcome);
    let base = by_leases.max(config.interval_secs.into());
    let pressed = base * u64::from(requests_per_sec).max(welcome) / welcome;
    let interval = pressed.clamp(1, config.interval_secs_max.max(config.interval_secs).into());
    let late = interval * (100 + u64::from(config.jitter_percent)) / 100;
    let kept = late * u64::from(config.intervals_kept);
    Steering {
        interval_secs: interval as u32,
        jitter_percent: config.jitter_percent,
        lease_secs: kept.min(Leases::LIFETIME_SECS_MAX.into()) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_grows_with_leases_and_load_and_has_an_end() {
        let config = LeasesConfig::default();
        let interval = |leases, load| steering(&config, leases, load).interval_secs;
        assert_eq!(interval(0, 0), 300);
        assert_eq!(interval(600_000, 2000), 300);
        assert_eq!(interval(1_000_000, 2000), 500);
        assert_eq!(interval(0, 6000), 900);
        assert_eq!(interval(50_000_000, 1_000_000), 1800);
    }

    #[test]
    fn a_lease_outlasts_the_latest_heartbeat_by_a_lost_one() {
        for leases in [0, 1_000_000, 50_000_000] {
            let Steering { interval_secs, jitter_percent, lease_secs } =
                steering(&LeasesConfig::default(), leases, 0);
            let latest = interval_secs * (100 + u32::from(jitter_percent)) / 100;
            assert!(lease_secs >= 2 * latest, "{leases}");
            assert!(lease_secs <= Leases::LIFETIME_SECS_MAX);
        }
    }
}
