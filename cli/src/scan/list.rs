//! Addresses to standard output.

use super::keep_cursor;
use crate::failure::Failure;
use crate::out::out;
use crate::signals::interruption;
use p2pnet_protocol::widescan::{Plan, RangeSet, Walk};
use std::io::Write as _;
use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

/// How many addresses are made at once: their text stays in the cache.
const BATCH: usize = 4096;

/// Prints what is left of a walk, or `count` addresses of it, and keeps how far it came.
pub(super) fn run(
    plan: &Plan,
    mut walk: Walk,
    count: Option<u64>,
    binary: bool,
    resume: Option<&Path>,
) -> Result<(), Failure> {
    let interrupted = interruption()?;
    let (mut batch, mut text) = ([Ipv6Addr::UNSPECIFIED; BATCH], Vec::new());
    let (mut left, nothing) = (count.unwrap_or(u64::MAX), RangeSet::new());
    let mut out = out();
    let mut printed = Ok(());
    while left > 0 && !walk.is_finished() && !interrupted.load(Relaxed) {
        let mut ahead = walk;
        // As many as fit, so that no index is looked at whose address isn't printed.
        let room = usize::try_from(left).unwrap_or(BATCH).min(BATCH);
        let filled = ahead.fill(plan, &nothing, &mut batch[..room]);
        text.clear();
        for address in &batch[..filled] {
            if binary {
                text.extend_from_slice(&address.octets());
            } else {
                // Writing into memory can't fail.
                let _ = writeln!(text, "{address}");
            }
        }
        match out.some(&text) {
            // What nobody read comes again with the next run.
            Ok(false) => break,
            Ok(true) => walk = ahead,
            Err(failure) => {
                printed = Err(failure);
                break;
            }
        }
        left -= filled as u64;
    }
    // How far it came is kept whatever stopped it.
    let kept = resume.map_or(Ok(()), |path| keep_cursor(path, &walk.cursor(plan)));
    printed.and(kept)
}
