//! The machine that is measured on.

use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::io;
use std::time::{Duration, Instant};

/// The core that the client end runs on.
pub const CLIENT_CORE: usize = 0;
/// The core that the server end runs on.
pub const SERVER_CORE: usize = 1;

/// Keeps the calling thread, and the threads that it starts later, on `core`. A machine with one core is left alone.
///
/// # Errors
/// If the system refuses.
pub fn pin(core: usize) -> io::Result<()> {
    if cores() <= core {
        return Ok(());
    }
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// The machine's cores, whichever of them this process is kept on. One where `/proc` is missing.
fn cores() -> usize {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let core = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    stat.lines().filter(core).count().max(1)
}

/// Processor time that the calling thread has used: for measuring work that doesn't wait, whatever else is going on.
pub fn thread_time() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

/// Processor time that this process has used.
pub fn processor_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

/// Resident memory of this process, in bytes.
///
/// # Errors
/// If `/proc` is not there.
pub fn resident_bytes() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    kib.map(|kib: u64| kib * 1_024).ok_or_else(|| io::Error::other("no VmRSS"))
}

/// How much of the machine others use meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Disturbance {
    since: Instant,
    busy: Duration,
}

impl Disturbance {
    /// Starts to watch.
    pub fn watch() -> Self {
        Self { since: Instant::now(), busy: machine_busy() }
    }

    /// The share of the machine's processor time since then that was used, but not by the measured processes, which
    /// used `ours`. Work that the kernel charges to nobody counts too.
    pub fn share(&self, ours: Duration) -> f64 {
        let all = self.since.elapsed().as_secs_f64() * cores() as f64;
        let others = machine_busy().saturating_sub(self.busy).saturating_sub(ours);
        others.as_secs_f64() / all.max(1e-9)
    }
}

/// Processor time that the whole machine has used, from `/proc/stat`; nothing where that is missing.
fn machine_busy() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<u64> = ticks.filter_map(|tick| tick.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal: a tick is 10 ms on Linux.
    let busy: u64 = ticks.iter().take(8).sum::<u64>() - ticks.iter().skip(3).take(2).sum::<u64>();
    Duration::from_millis(busy * 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_still_sees_the_whole_machine() {
        let cores_before = cores();
        std::thread::spawn(|| pin(0)).join().unwrap().unwrap();
        let seen = std::thread::spawn(|| pin(0).map(|()| cores())).join().unwrap().unwrap();
        assert_eq!(seen, cores_before);
    }

    #[test]
    fn the_disturbance_is_a_share() {
        let watch = Disturbance::watch();
        std::thread::sleep(Duration::from_millis(100));
        assert!((0.0..=1.2).contains(&watch.share(Duration::ZERO)));
    }

    #[test]
    fn processor_time_and_memory_are_seen() {
        let (before, bytes) = (processor_time(), resident_bytes().unwrap());
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(resident_bytes().unwrap() >= bytes + (48 << 20));
        assert!(processor_time() > before);
        drop(block);
    }
}
