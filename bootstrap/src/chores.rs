//! What the server does by itself: ends leases, looks for changes, copies leases.

use crate::clock::Now;
use crate::desk::book::TaskBook;
use crate::desk::policy::Bans;
use crate::http::App;
use crate::http::serve::stopped;
use crate::lease::{Lease, LeaseRefusal, Offer, Sign};
use crate::store::{StoreError, StoredLease, StoredServer};
use p2pnet_protocol::discovery::bootstrap::FRESH_MS;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// How often leases end and the load is measured.
const TICK: Duration = Duration::from_millis(250);
/// How many leases end, or are looked at, while the table is locked.
const AT_ONCE: u32 = 1000;
/// Servers' clocks differ, and what is written first may be seen last: so much is read again.
const OVERLAP_MS: u64 = 10_000;
/// Leases that ended are forgotten when no request of theirs could be replayed any more.
const FORGET_AFTER_MS: u64 = 4 * FRESH_MS;

/// Ends leases and measures the load, until the server stops.
pub(crate) async fn tick(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let mut every = interval(TICK);
    every.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut before, mut since) = (app.desk.counts.http_requests.get(), app.clock.now());
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = stopped(&mut stop) => return,
        }
        let now = app.clock.now();
        loop {
            let running = app.desk.leases().len();
            let ended = app.desk.leases().expire(now.tick(), AT_ONCE as usize);
            let gone = running.saturating_sub(app.desk.leases().len());
            (0..gone).for_each(|_| app.desk.counts.leases_expired.up());
            if ended < AT_ONCE as usize {
                break;
            }
            tokio::task::yield_now().await;
        }
        let (requests, micros) = (app.desk.counts.http_requests.get(), now.micros - since.micros);
        if micros >= 2_000_000 {
            let a_second = (requests - before) * 1_000_000 / micros;
            app.desk.set_load(u32::try_from(a_second).unwrap_or(u32::MAX));
            (before, since) = (requests, now);
        }
    }
}

/// Looks whether another server or a command changed something, until the server stops.
pub(crate) async fn watch_changes(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let mut every = interval(Duration::from_millis(app.desk.config().database.poll_ms.into()));
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut known, mut failing) = (None, false);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = stopped(&mut stop) => return,
        }
        let looked = match app.keeper.ask(|store| store.changes()).await {
            Ok(changes) if known == Some(changes) => Ok(changes),
            Ok(changes) => load(&app).await.map(|()| changes),
            Err(error) => Err(error),
        };
        match looked {
            Ok(changes) => {
                known = Some(changes);
                if std::mem::take(&mut failing) {
                    tracing::info!(target: "p2pnet::bootstrap", "the database works again");
                }
            }
            Err(error) => {
                app.desk.counts.store_errors.up();
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(target: "p2pnet::bootstrap", %error, "the database fails; peers are served without it");
                }
            }
        }
    }
}

/// Reads what the server goes by.
async fn load(app: &App) -> Result<(), StoreError> {
    let now = app.clock.now();
    let wall_ms = now.wall_ms;
    let (bans, tasks) = app
        .keeper
        .ask(move |store| Ok((store.bans(wall_ms)?, store.tasks(wall_ms, TaskBook::TASKS_MAX)?)))
        .await?;
    app.desk.set_tasks(TaskBook::new(tasks));
    let banned = bans.len();
    let ended = app.desk.set_bans(now, Bans::new(bans));
    tracing::debug!(target: "p2pnet::bootstrap", banned, leases_ended = ended, "read what changed");
    Ok(())
}

/// Copies leases to the database and reads those of other servers, until the server stops.
pub(crate) async fn copy_leases(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let secs = app.desk.config().database.copy_leases_secs;
    let mut every = interval(Duration::from_secs(secs.into()));
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut read_to = app.clock.now().wall_ms;
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = stopped(&mut stop) => return,
        }
        let copied = async {
            copy_all(&app).await?;
            read_to = adopt(&app, read_to.saturating_sub(OVERLAP_MS)).await?.max(read_to);
            Ok::<_, StoreError>(())
        };
        if let Err(error) = copied.await {
            app.desk.counts.store_errors.up();
            tracing::warn!(target: "p2pnet::bootstrap", %error, "leases are not copied");
        }
    }
}

/// Reads bans, tasks and leases before anybody is served.
pub(crate) async fn restore(app: &App) -> Result<(), StoreError> {
    load(app).await?;
    adopt(app, 0).await?;
    let leases = app.desk.leases().len();
    tracing::info!(target: "p2pnet::bootstrap", leases, "read what was there");
    Ok(())
}

/// Copies what changed, and says that the server is alive.
pub(crate) async fn copy_all(app: &App) -> Result<(), StoreError> {
    let server = app.desk.keys().wire.to_string();
    let mut from = Some(0);
    while let Some(at) = from {
        let now = app.clock.now();
        let (page, next) = app.desk.leases().changed(at, AT_ONCE);
        from = next;
        if !page.is_empty() {
            let stored: Vec<_> =
                page.into_iter().map(|lease| stored(now, &server, lease)).collect();
            app.keeper.ask(move |store| store.put_leases(&stored)).await?;
        }
    }
    let alive = StoredServer {
        wire: app.desk.keys().wire,
        name: app.desk.config().server.name.clone(),
        seen_ms: app.clock.now().wall_ms,
        leases: app.desk.leases().len() as u64,
        delegation: String::new(),
    };
    app.keeper
        .ask(move |store| {
            store.server_is_alive(&alive)?;
            store.forget_leases(alive.seen_ms.saturating_sub(FORGET_AFTER_MS))?;
            store.forget_tasks(alive.seen_ms)
        })
        .await?;
    Ok(())
}

/// Takes over leases that were written at `from_ms` or later; returns when the last of them was.
async fn adopt(app: &App, mut from_ms: u64) -> Result<u64, StoreError> {
    loop {
        let page = app.keeper.ask(move |store| store.leases_since(from_ms, AT_ONCE)).await?;
        let Some(last) = page.last().map(|lease| lease.changed_ms) else { return Ok(from_ms) };
        let now = app.clock.now();
        let mut refused = 0;
        for lease in &page {
            let adopted = app.desk.leases().adopt(now.tick(), &offer(now, lease));
            refused +=
                u32::from(matches!(adopted, Err(refusal) if refusal != LeaseRefusal::Replayed));
        }
        if refused > 0 {
            tracing::warn!(target: "p2pnet::bootstrap", refused, "leases of other servers don't fit");
        }
        if (page.len() as u32) < AT_ONCE {
            return Ok(last);
        }
        from_ms = last + 1;
    }
}

fn stored(now: Now, server: &str, lease: Lease) -> StoredLease {
    StoredLease {
        network: lease.network,
        peer: lease.peer,
        server: server.to_owned(),
        address: lease.address,
        label: lease.label,
        freshness: lease.freshness,
        ends_ms: now.wall_at(lease.ends),
        changed_ms: now.wall_ms,
    }
}

fn offer(now: Now, lease: &StoredLease) -> Offer {
    let lifetime_secs = lease.ends_ms.saturating_sub(now.wall_ms) / 1000;
    Offer {
        sign: Sign {
            peer: lease.peer,
            network: lease.network,
            ip: lease.address.ip(),
            freshness: lease.freshness,
            replay_until: now.tick_at(lease.freshness.saturating_add(FRESH_MS)).saturating_add(1),
            lifetime_secs: u32::try_from(lifetime_secs).unwrap_or(u32::MAX),
        },
        port: lease.address.port(),
        label: lease.label.clone(),
    }
}
