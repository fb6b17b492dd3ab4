//! A copy of the leases: for a server that starts again, and for the others of a fleet.

use super::{Columns, Row, Store, StoreError, bytes, int, text};
use p2pnet_protocol::PeerId;
use std::net::SocketAddr;

/// A lease as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLease {
    /// The tag of its network.
    pub network: [u8; 8],
    /// Whose it is.
    pub peer: PeerId,
    /// Which server granted it.
    pub server: String,
    /// Where the peer can be dialled.
    pub address: SocketAddr,
    /// What the peer calls itself.
    pub label: String,
    /// What its last request carried: of two copies the one with more counts.
    pub freshness: u64,
    /// When it ends, in milliseconds since 1970. One that ended early is in the past.
    pub ends_ms: u64,
    /// When it was written, likewise.
    pub changed_ms: u64,
}

fn stored(row: Row) -> Result<StoredLease, StoreError> {
    let mut columns = Columns::of(row);
    Ok(StoredLease {
        network: columns.array()?,
        peer: PeerId(columns.array()?),
        server: columns.text()?,
        address: columns.text()?.parse().map_err(|_| StoreError::Corrupt("address"))?,
        label: columns.text()?,
        freshness: columns.count()?,
        ends_ms: columns.count()?,
        changed_ms: columns.count()?,
    })
}

impl Store {
    /// Writes down leases; one with more freshness than the copy replaces it.
    ///
    /// # Errors
    /// [`StoreError`], and then none is written.
    pub fn put_leases(&mut self, leases: &[StoredLease]) -> Result<(), StoreError> {
        self.transaction(|store| {
            for lease in leases {
                store.run(
                    "INSERT INTO leases
                     (network, peer, server, address, label, freshness, ends_ms, changed_ms)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                     ON CONFLICT (network, peer) DO UPDATE SET server = excluded.server,
                     address = excluded.address, label = excluded.label,
                     freshness = excluded.freshness, ends_ms = excluded.ends_ms,
                     changed_ms = excluded.changed_ms
                     WHERE excluded.freshness >= leases.freshness",
                    &[
                        bytes(lease.network),
                        bytes(lease.peer.0),
                        text(&lease.server),
                        text(lease.address.to_string()),
                        text(&lease.label),
                        int(lease.freshness),
                        int(lease.ends_ms),
                        int(lease.changed_ms),
                    ],
                )?;
            }
            Ok(())
        })
    }

    /// Leases that were written at `from_ms` or later, the earliest first, at most `most`; all writers of the same
    /// millisecond count as one, so that whoever goes on from the last one's time misses none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn leases_since(
        &mut self,
        from_ms: u64,
        most: u32,
    ) -> Result<Vec<StoredLease>, StoreError> {
        let rows = self.run(
            "SELECT network, peer, server, address, label, freshness, ends_ms, changed_ms FROM leases
             WHERE changed_ms >= $1 AND changed_ms <= COALESCE(
                 (SELECT changed_ms FROM leases WHERE changed_ms >= $1
                  ORDER BY changed_ms LIMIT 1 OFFSET $2), 9223372036854775807)
             ORDER BY changed_ms",
            &[int(from_ms), int(most.into())],
        )?;
        rows.into_iter().map(stored).collect()
    }

    /// Forgets leases that ended before `before_ms`; returns how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_leases(&mut self, before_ms: u64) -> Result<usize, StoreError> {
        let sql = "DELETE FROM leases WHERE ends_ms < $1 RETURNING ends_ms";
        Ok(self.run(sql, &[int(before_ms)])?.len())
    }
}
