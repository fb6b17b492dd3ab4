//! The tables, and how they came to be: one migration after the other, each in a transaction.

use super::{Dialect, Store, StoreError, Value};

/// What brings the data from one version to the next. `{bytes}` and `{serial}` are spelled as the database wants them.
/// What is here never changes; what must change comes after.
const MIGRATIONS: &[&str] = &["
CREATE TABLE bans (
    kind TEXT NOT NULL, subject TEXT NOT NULL, reason TEXT NOT NULL, actor TEXT NOT NULL,
    at_ms BIGINT NOT NULL, until_ms BIGINT, PRIMARY KEY (kind, subject));
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE audit (
    id {serial}, at_ms BIGINT NOT NULL, server TEXT NOT NULL, actor TEXT NOT NULL,
    action TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE keys (
    fingerprint TEXT PRIMARY KEY, holder TEXT NOT NULL, state TEXT NOT NULL, public TEXT NOT NULL,
    secret TEXT NOT NULL, created_ms BIGINT NOT NULL, changed_ms BIGINT NOT NULL);
CREATE TABLE signings (
    hash {bytes} PRIMARY KEY, at_ms BIGINT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
    signer TEXT NOT NULL);
CREATE TABLE tasks (
    id {serial}, task_id {bytes} NOT NULL UNIQUE, peer {bytes}, task {bytes} NOT NULL,
    until_ms BIGINT NOT NULL);
CREATE INDEX tasks_until ON tasks (until_ms);
CREATE TABLE identifiers (
    peer {bytes} PRIMARY KEY, serial {bytes} NOT NULL, identifier TEXT NOT NULL, network TEXT NOT NULL,
    at_ms BIGINT NOT NULL);
CREATE INDEX identifiers_by_text ON identifiers (identifier);
CREATE TABLE servers (
    wire {bytes} PRIMARY KEY, name TEXT NOT NULL, seen_ms BIGINT NOT NULL, leases BIGINT NOT NULL,
    delegation TEXT NOT NULL);
CREATE TABLE leases (
    network {bytes} NOT NULL, peer {bytes} NOT NULL, server TEXT NOT NULL, address TEXT NOT NULL,
    label TEXT NOT NULL, freshness BIGINT NOT NULL, ends_ms BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL, PRIMARY KEY (network, peer));
CREATE INDEX leases_ends ON leases (ends_ms);
CREATE INDEX leases_changed ON leases (changed_ms);
"];

/// Brings the data to the latest version, whatever they are at.
pub(super) fn migrate(store: &mut Store) -> Result<(), StoreError> {
    let known = MIGRATIONS.len() as i64;
    store.transaction(|store| {
        let Dialect { bytes, serial, lock, .. } = store.backend.dialect();
        store.backend.batch(lock)?;
        store.backend.batch(
            "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
             INSERT INTO meta VALUES ('schema', 0), ('changes', 0) ON CONFLICT DO NOTHING;",
        )?;
        let found = store.number("SELECT value FROM meta WHERE name = 'schema'", &[])?;
        let done = usize::try_from(found).map_err(|_| StoreError::Corrupt("version"))?;
        let Some(left) = MIGRATIONS.get(done..) else {
            return Err(StoreError::FromTheFuture { found, known });
        };
        for migration in left {
            let migration = migration.replace("{bytes}", bytes).replace("{serial}", serial);
            store.backend.batch(&migration)?;
        }
        store.run("UPDATE meta SET value = $1 WHERE name = 'schema'", &[Value::Int(known)])?;
        Ok(())
    })
}
