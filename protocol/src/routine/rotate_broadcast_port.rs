//! `RotateBroadcastPort`: beacons go to another designated port from time to time.

use crate::rng::Rng;
use crate::time::Duration;

/// The routine's name.
pub const NAME: &str = "RotateBroadcastPort";
/// How often it runs unless told otherwise.
pub const INTERVAL: Duration = Duration::from_secs(30);

/// A port out of `designated` other than `current`, each as likely as the next; `current` if there is no other.
pub fn next_port(designated: &[u16], current: u16, rng: &mut Rng) -> u16 {
    let others = || designated.iter().copied().filter(|port| *port != current);
    let count = u64::try_from(others().count()).unwrap_or(u64::MAX);
    let drawn = usize::try_from(rng.below(count)).unwrap_or(0);
    others().nth(drawn).unwrap_or(current)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;

    #[test]
    fn always_another_port_if_there_is_one() {
        let mut rng = Rng::new(Seed::from_u64(1), "rotate");
        let ports = [8001, 8002, 8003];
        let (mut port, mut seen) = (8001, [0; 3]);
        for _ in 0..300 {
            let next = next_port(&ports, port, &mut rng);
            assert_ne!(next, port);
            port = next;
            seen[usize::from(port - 8001)] += 1;
        }
        assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
        assert_eq!(next_port(&[8001], 8001, &mut rng), 8001);
        assert_eq!(next_port(&[8001], 0, &mut rng), 8001);
        assert_eq!(next_port(&[], 8001, &mut rng), 8001);
    }
}
