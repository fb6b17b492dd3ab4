//! What must outlast the server: bans, keys, settings, tasks, the audit log, the history of signatures, and a copy of the
//! leases.
//!
//! [`Store`] says everything once, in SQL that both back ends understand; a [`Backend`] only carries it: [`sqlite`] in a
//! file, for one server, and [`postgres`] for a fleet that shares it. Whatever changes how servers behave counts up one
//! number in the same transaction, so that each server of a fleet learns with one cheap question whether to look again.
//!
//! No request waits for a database to be served with peers: see [`keeper`].

pub mod keeper;
mod leases;
pub mod postgres;
mod records;
mod schema;
mod servers;
pub mod sqlite;
mod tasks;

pub use leases::StoredLease;
pub use records::{AuditEntry, Ban, BanSubject, NotABan, Signing, StoredKey};
pub use servers::StoredServer;
pub use tasks::{Assigned, QueuedTask};

use std::fmt;
use std::path::Path;

/// A value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// No value.
    Null,
    /// A number.
    Int(i64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Text.
    Text(String),
}

/// A row of an answer.
pub type Row = Vec<Value>;

/// What carries SQL to a database and rows back.
pub trait Backend: Send {
    /// How this database spells what others spell differently.
    fn dialect(&self) -> Dialect;

    /// Runs one statement with its parameters `$1`, `$2`, … and returns its rows.
    ///
    /// # Errors
    /// [`StoreError`]. Within a transaction nothing of it will have happened.
    fn run(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError>;

    /// Runs several statements without parameters.
    ///
    /// # Errors
    /// [`StoreError`].
    fn batch(&mut self, sql: &str) -> Result<(), StoreError>;

    /// Says where the data are, without secrets.
    fn place(&self) -> String;
}

/// The few words that differ.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// The type of bytes.
    pub bytes: &'static str,
    /// The column that numbers rows by itself.
    pub serial: &'static str,
    /// Begins a transaction that will write.
    pub begin: &'static str,
    /// Keeps others from migrating at the same time, within a transaction.
    pub lock: &'static str,
}

/// Why the database didn't do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// It can't be reached or is broken; the text has no secrets.
    Database(String),
    /// It was written by a later version of this program.
    FromTheFuture {
        /// The version of its schema.
        found: i64,
        /// The latest version that this program knows.
        known: i64,
    },
    /// It holds something that this program never writes.
    Corrupt(&'static str),
    /// More waits to be written than may wait.
    Busy,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(problem) => f.write_str(problem),
            Self::FromTheFuture { found, known } => write!(
                f,
                "the database has version {found} and this program knows versions up to {known}: use a newer program"
            ),
            Self::Corrupt(what) => write!(f, "the database holds a broken {what}"),
            Self::Busy => f.write_str("too much waits to be written to the database"),
        }
    }
}

impl std::error::Error for StoreError {}

/// The data, wherever they are.
pub struct Store {
    backend: Box<dyn Backend>,
    /// Inside a transaction.
    inside: bool,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.backend.place()).finish()
    }
}

impl Store {
    /// Opens the data that `backend` leads to, and brings them to this program's version. What isn't there is made.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(backend: Box<dyn Backend>) -> Result<Self, StoreError> {
        let mut store = Self { backend, inside: false };
        schema::migrate(&mut store)?;
        Ok(store)
    }

    /// Says where the data are, without secrets.
    pub fn place(&self) -> String {
        self.backend.place()
    }

    /// How often what servers go by was changed: when this is as before, so is all of that.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn changes(&mut self) -> Result<i64, StoreError> {
        self.number("SELECT value FROM meta WHERE name = 'changes'", &[])
    }

    fn run(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.backend.run(sql, values)
    }

    /// The number that a question with one answer has.
    fn number(&mut self, sql: &str, values: &[Value]) -> Result<i64, StoreError> {
        let rows = self.run(sql, values)?;
        match rows.first().and_then(|row| row.first()) {
            Some(Value::Int(number)) => Ok(*number),
            _ => Err(StoreError::Corrupt("number")),
        }
    }

    /// All of `work` or nothing of it.
    fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.inside {
            return work(self);
        }
        let begin = self.backend.dialect().begin;
        self.backend.batch(begin)?;
        self.inside = true;
        let done = work(self).and_then(|done| self.backend.batch("COMMIT").map(|()| done));
        self.inside = false;
        // What failed has rolled back already, or does so now; a lost connection has nothing to roll back.
        done.inspect_err(|_| drop(self.backend.batch("ROLLBACK")))
    }

    /// Like [`transaction`](Self::transaction), and tells all servers that something changed.
    fn change<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.transaction(|store| {
            let done = work(store)?;
            store.run("UPDATE meta SET value = value + 1 WHERE name = 'changes'", &[])?;
            Ok(done)
        })
    }
}

/// Opens the database that `url` names; files are beside `state` unless it says where.
///
/// # Errors
/// A sentence for the operator.
pub fn open(url: &str, state: &Path) -> Result<Store, StoreError> {
    let backend: Box<dyn Backend> = match url {
        "sqlite" => Box::new(sqlite::Sqlite::open(&state.join("bootstrap.db"))?),
        _ if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
            Box::new(postgres::Postgres::open(url)?)
        }
        _ => match url.strip_prefix("sqlite:") {
            Some(path) => Box::new(sqlite::Sqlite::open(Path::new(path))?),
            None => {
                let problem =
                    "database.url is sqlite, sqlite:FILE or postgres://USER@HOST/DATABASE";
                return Err(StoreError::Database(problem.into()));
            }
        },
    };
    Store::open(backend)
}

/// Takes rows apart in the order of their columns.
struct Columns(std::vec::IntoIter<Value>);

impl Columns {
    fn of(row: Row) -> Self {
        Self(row.into_iter())
    }

    fn int(&mut self) -> Result<i64, StoreError> {
        match self.0.next() {
            Some(Value::Int(number)) => Ok(number),
            _ => Err(StoreError::Corrupt("number")),
        }
    }

    /// A number that can't be negative.
    fn count(&mut self) -> Result<u64, StoreError> {
        u64::try_from(self.int()?).map_err(|_| StoreError::Corrupt("count"))
    }

    fn maybe_count(&mut self) -> Result<Option<u64>, StoreError> {
        match self.0.next() {
            Some(Value::Null) => Ok(None),
            Some(Value::Int(number)) => {
                u64::try_from(number).map(Some).map_err(|_| StoreError::Corrupt("count"))
            }
            _ => Err(StoreError::Corrupt("count")),
        }
    }

    fn text(&mut self) -> Result<String, StoreError> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(StoreError::Corrupt("text")),
        }
    }

    fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        match self.0.next() {
            Some(Value::Bytes(bytes)) => Ok(bytes),
            _ => Err(StoreError::Corrupt("bytes")),
        }
    }

    fn maybe_bytes(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.0.next() {
            Some(Value::Null) => Ok(None),
            Some(Value::Bytes(bytes)) => Ok(Some(bytes)),
            _ => Err(StoreError::Corrupt("bytes")),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        self.bytes()?.try_into().map_err(|_| StoreError::Corrupt("bytes"))
    }
}

fn int(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

fn bytes(bytes: impl Into<Vec<u8>>) -> Value {
    Value::Bytes(bytes.into())
}
