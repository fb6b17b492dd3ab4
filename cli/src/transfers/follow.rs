//! Waiting for a transfer: what became of it is asked of the node again and again, shown, and ended by Ctrl-C.

use super::progress::Bar;
use super::told::Told;
use crate::control::Client;
use crate::control::protocol::{FileTicket, Request, Response};
use crate::failure::Failure;
use crate::signals;
use p2pnet_driver::FileRecord;
use p2pnet_protocol::PeerId;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The wait between two questions grows from this...
const ASK_EVERY_MIN: Duration = Duration::from_millis(10);
/// ...to this.
const ASK_EVERY_MAX: Duration = Duration::from_millis(200);

/// How long a transfer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// The file is known: it was read for its hashes, or found.
    Opened,
    /// Nothing more will come of it.
    Over,
}

/// Waits for a transfer, shows how it goes, and tells each peer's result. Ctrl-C cancels the transfer.
///
/// # Errors
/// The node is gone, or the transfer was cancelled here.
pub(super) fn follow(
    client: &mut Client,
    asked: &FileTicket,
    name: &str,
    json: bool,
    until: Until,
) -> Result<FileRecord, Failure> {
    let interrupted = signals::interruption()?;
    let mut bar = Bar::new(name, json);
    let mut told = Told::default();
    let mut cancelled = false;
    let mut wait = ASK_EVERY_MIN;
    loop {
        let interrupted = interrupted.load(Ordering::Relaxed);
        if interrupted && !cancelled {
            cancelled = true;
            cancel(client, asked);
        }
        let (record, absent) = look(client, asked)?;
        if let Some(record) = record {
            let over = record.is_over() || (until == Until::Opened && !cancelled);
            if told.has_new(&record) {
                bar.suspend(|| told.tell_new(&record, json))?;
            }
            bar.show(&record, &absent, interrupted);
            if over {
                bar.finish();
                return match cancelled && !record.is_done() {
                    true => Err(Failure::interrupted("cancelled")),
                    false => Ok(record),
                };
            }
        } else {
            bar.show_opening(interrupted);
        }
        std::thread::sleep(wait);
        wait = (wait * 2).min(ASK_EVERY_MAX);
    }
}

fn look(
    client: &mut Client,
    asked: &FileTicket,
) -> Result<(Option<FileRecord>, Vec<PeerId>), Failure> {
    match client.ask(&Request::FileRecord { ticket: asked.ticket })? {
        Response::FileRecord { record, absent } => Ok((record.map(|record| *record), absent)),
        _ => Err(client.unexpected()),
    }
}

/// If it is over by now, the next look tells; if the node is gone, that does too.
fn cancel(client: &mut Client, asked: &FileTicket) {
    let _told_by_the_next_look = client.ask(&Request::CancelTicket { ticket: asked.ticket });
}
