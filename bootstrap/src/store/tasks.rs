//! Tasks that wait for their peers, and identifiers that were assigned.

use super::{Columns, Row, Store, StoreError, Value, bytes, int, text};
use p2pnet_protocol::{PeerId, TaskId};

/// A signed task that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedTask {
    /// Its place in the queue; 0 before it has one.
    pub number: u64,
    /// Its name.
    pub id: TaskId,
    /// Whom it is for; everybody without.
    pub peer: Option<PeerId>,
    /// The signed envelope.
    pub task: Vec<u8>,
    /// When it ceases to be valid, in milliseconds since 1970.
    pub until_ms: u64,
}

/// An identifier that the authority assigned to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// Whose it is.
    pub peer: PeerId,
    /// What it was made from, beside the observed address.
    pub serial: [u8; 16],
    /// The identifier.
    pub identifier: String,
    /// The network in which it holds.
    pub network: String,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

fn queued(row: Row) -> Result<QueuedTask, StoreError> {
    let mut columns = Columns::of(row);
    let number = columns.count()?;
    let id = TaskId(columns.array()?);
    let peer = columns
        .maybe_bytes()?
        .map(|peer| peer.try_into().map(PeerId).map_err(|_| StoreError::Corrupt("peer")));
    let peer = peer.transpose()?;
    Ok(QueuedTask { number, id, peer, task: columns.bytes()?, until_ms: columns.count()? })
}

fn assigned(row: Row) -> Result<Assigned, StoreError> {
    let mut columns = Columns::of(row);
    Ok(Assigned {
        peer: PeerId(columns.array()?),
        serial: columns.array()?,
        identifier: columns.text()?,
        network: columns.text()?,
        at_ms: columns.count()?,
    })
}

impl Store {
    /// Queues a task; returns its number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn queue(&mut self, task: &QueuedTask) -> Result<u64, StoreError> {
        let values = [
            bytes(task.id.0),
            task.peer.map_or(Value::Null, |peer| bytes(peer.0)),
            bytes(task.task.clone()),
            int(task.until_ms),
        ];
        self.change(|store| {
            let number = store.number(
                "INSERT INTO tasks (task_id, peer, task, until_ms) VALUES ($1, $2, $3, $4) RETURNING id",
                &values,
            )?;
            u64::try_from(number).map_err(|_| StoreError::Corrupt("number"))
        })
    }

    /// Every task that is valid at `now_ms`, oldest first, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn tasks(&mut self, now_ms: u64, most: u32) -> Result<Vec<QueuedTask>, StoreError> {
        let rows = self.run(
            "SELECT id, task_id, peer, task, until_ms FROM tasks WHERE until_ms > $1
             ORDER BY id LIMIT $2",
            &[int(now_ms), int(most.into())],
        )?;
        rows.into_iter().map(queued).collect()
    }

    /// Takes a task that its peer has got off the queue; whether it was there. One for everybody stays.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delivered(&mut self, peer: &PeerId, id: &TaskId) -> Result<bool, StoreError> {
        self.change(|store| {
            let sql = "DELETE FROM tasks WHERE task_id = $1 AND peer = $2 RETURNING id";
            Ok(!store.run(sql, &[bytes(id.0), bytes(peer.0)])?.is_empty())
        })
    }

    /// Forgets tasks that are not valid any more; returns how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_tasks(&mut self, now_ms: u64) -> Result<usize, StoreError> {
        let sql = "DELETE FROM tasks WHERE until_ms <= $1 RETURNING id";
        Ok(self.run(sql, &[int(now_ms)])?.len())
    }

    /// Writes down which identifier a peer has got.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn assign(&mut self, assigned: &Assigned) -> Result<(), StoreError> {
        let Assigned { peer, serial, identifier, network, at_ms } = assigned;
        let values = [bytes(peer.0), bytes(*serial), text(identifier), text(network), int(*at_ms)];
        self.change(|store| {
            store.run(
                "INSERT INTO identifiers (peer, serial, identifier, network, at_ms)
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (peer) DO UPDATE SET
                 serial = excluded.serial, identifier = excluded.identifier,
                 network = excluded.network, at_ms = excluded.at_ms",
                &values,
            )?;
            Ok(())
        })
    }

    /// The identifier of a peer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn identifier_of(&mut self, peer: &PeerId) -> Result<Option<Assigned>, StoreError> {
        let sql =
            "SELECT peer, serial, identifier, network, at_ms FROM identifiers WHERE peer = $1";
        self.run(sql, &[bytes(peer.0)])?.into_iter().next().map(assigned).transpose()
    }

    /// Identifiers that begin with `start`, in order, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn identifiers(&mut self, start: &str, most: u32) -> Result<Vec<Assigned>, StoreError> {
        let rows = self.run(
            "SELECT peer, serial, identifier, network, at_ms FROM identifiers
             WHERE substr(identifier, 1, length($1)) = $1 ORDER BY identifier, peer LIMIT $2",
            &[text(start), int(most.into())],
        )?;
        rows.into_iter().map(assigned).collect()
    }
}
