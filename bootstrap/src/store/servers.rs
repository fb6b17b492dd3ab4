//! The servers of a fleet: who they are, and whether they are alive.

use super::{Columns, Row, Store, StoreError, bytes, int, text};
use p2pnet_protocol::PublicKey;

/// A server as the others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredServer {
    /// The key that it signs with.
    pub wire: PublicKey,
    /// Its name, for people.
    pub name: String,
    /// When it last showed that it is alive, in milliseconds since 1970.
    pub seen_ms: u64,
    /// How many leases it has.
    pub leases: u64,
    /// The authority's word for its key, as JSON; empty if there is none.
    pub delegation: String,
}

fn stored(row: Row) -> Result<StoredServer, StoreError> {
    let mut columns = Columns::of(row);
    Ok(StoredServer {
        wire: PublicKey(columns.array()?),
        name: columns.text()?,
        seen_ms: columns.count()?,
        leases: columns.count()?,
        delegation: columns.text()?,
    })
}

impl Store {
    /// A server shows that it is alive. What it says of a delegation isn't looked at.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn server_is_alive(&mut self, server: &StoredServer) -> Result<(), StoreError> {
        let StoredServer { wire, name, seen_ms, leases, .. } = server;
        self.run(
            "INSERT INTO servers (wire, name, seen_ms, leases, delegation) VALUES ($1, $2, $3, $4, '')
             ON CONFLICT (wire) DO UPDATE SET name = excluded.name, seen_ms = excluded.seen_ms,
             leases = excluded.leases",
            &[bytes(wire.0), text(name), int(*seen_ms), int(*leases)],
        )?;
        Ok(())
    }

    /// Every server that was ever seen.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn servers(&mut self) -> Result<Vec<StoredServer>, StoreError> {
        let sql = "SELECT wire, name, seen_ms, leases, delegation FROM servers ORDER BY name, wire";
        self.run(sql, &[])?.into_iter().map(stored).collect()
    }

    /// Writes down the authority's word for a server's key; whether there is such a server.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delegate(&mut self, wire: &PublicKey, delegation: &str) -> Result<bool, StoreError> {
        let values = [text(delegation), bytes(wire.0)];
        self.change(|store| {
            let sql = "UPDATE servers SET delegation = $1 WHERE wire = $2 RETURNING name";
            Ok(!store.run(sql, &values)?.is_empty())
        })
    }
}
