//! The embedded back end: SQLite, in one file beside its write-ahead log.

use super::{Backend, Dialect, Row, StoreError, Value};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql};
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long to wait while another process writes.
const BUSY: Duration = Duration::from_secs(5);

/// A database in a file.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    path: PathBuf,
}

impl Sqlite {
    /// Opens the database in the file at `path`; the file and its directory are made if they aren't there, for their owner
    /// alone. What was written is on the disk when a statement returns.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |problem: &dyn std::fmt::Display| {
            StoreError::Database(format!("can't open the database {}: {problem}", path.display()))
        };
        if let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
            made.map_err(|error| failed(&error))?;
        }
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        file.map_err(|error| failed(&error))?;
        let connection = Connection::open(path).map_err(|error| failed(&error))?;
        let set = connection.busy_timeout(BUSY).and_then(|()| {
            connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
        });
        set.map_err(|error| failed(&error))?;
        Ok(Self { connection, path: path.to_owned() })
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

fn value(column: ValueRef<'_>) -> Result<Value, StoreError> {
    match column {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(number) => Ok(Value::Int(number)),
        ValueRef::Blob(bytes) => Ok(Value::Bytes(bytes.to_owned())),
        ValueRef::Text(text) => String::from_utf8(text.to_owned())
            .map(Value::Text)
            .map_err(|_| StoreError::Corrupt("text")),
        ValueRef::Real(_) => Err(StoreError::Corrupt("number")),
    }
}

fn database(error: rusqlite::Error) -> StoreError {
    StoreError::Database(format!("SQLite: {error}"))
}

impl Backend for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect {
            bytes: "BLOB",
            serial: "INTEGER PRIMARY KEY AUTOINCREMENT",
            begin: "BEGIN IMMEDIATE",
            lock: "",
        }
    }

    fn run(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(database)?;
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(values)).map_err(database)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(database)? {
            let values = (0..columns).map(|at| value(row.get_ref(at).map_err(database)?));
            found.push(values.collect::<Result<Row, StoreError>>()?);
        }
        Ok(found)
    }

    fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.connection.execute_batch(sql).map_err(database)
    }

    fn place(&self) -> String {
        format!("SQLite in {}", self.path.display())
    }
}
