//! The back end that a fleet of servers shares: PostgreSQL.

use super::{Backend, Dialect, Row, StoreError, Value};
use bytes::BytesMut;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Config, NoTls};
use std::collections::HashMap;
use std::time::Duration;

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// A connection to a database, made anew when it was lost.
pub struct Postgres {
    config: Config,
    client: Option<Client>,
    /// A transaction is open: a connection made anew would not be in it.
    inside: bool,
    /// By their text.
    statements: HashMap<String, postgres::Statement>,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Postgres").field(&self.place()).finish()
    }
}

impl Postgres {
    /// Connects to the database that `url` names (`postgres://user@host/database`).
    ///
    /// # Errors
    /// [`StoreError::Database`]; the text doesn't hold the password.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let mut config: Config = url.parse().map_err(|_| {
            StoreError::Database("expected postgres://USER@HOST/DATABASE for the database".into())
        })?;
        config.connect_timeout(CONNECT).application_name("p2pnet-bootstrap");
        let mut backend = Self { config, client: None, inside: false, statements: HashMap::new() };
        backend.client()?;
        Ok(backend)
    }

    fn client(&mut self) -> Result<&mut Client, StoreError> {
        if self.client.as_ref().is_some_and(Client::is_closed) {
            self.client = None;
        }
        if self.client.is_none() && self.inside {
            return Err(StoreError::Database(format!("{}: the connection was lost", self.place())));
        }
        if self.client.is_none() {
            self.statements.clear();
            let client = self.config.connect(NoTls).map_err(|error| self.failed(&error))?;
            self.client = Some(client);
        }
        // Was set just now.
        self.client.as_mut().ok_or(StoreError::Corrupt("connection"))
    }

    fn failed(&self, error: &postgres::Error) -> StoreError {
        use std::error::Error as _;
        // The error itself says only where in the protocol it happened.
        let cause = match (error.as_db_error(), error.source()) {
            (Some(said), _) => said.to_string(),
            (None, Some(source)) => source.to_string(),
            (None, None) => error.to_string(),
        };
        StoreError::Database(format!("{}: {cause}", self.place()))
    }

    fn try_run(
        &mut self,
        sql: &str,
        values: &[Value],
    ) -> Result<Vec<postgres::Row>, postgres::Error> {
        let Some(client) = &mut self.client else { return Ok(Vec::new()) };
        let statement = match self.statements.get(sql) {
            Some(statement) => statement.clone(),
            None => {
                let statement = client.prepare(sql)?;
                self.statements.insert(sql.to_owned(), statement.clone());
                statement
            }
        };
        let values: Vec<&(dyn ToSql + Sync)> =
            values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        client.query(&statement, &values)
    }
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) => number.to_sql(kind, out),
            Self::Bytes(bytes) => bytes.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8, Type::BYTEA, Type::TEXT].contains(kind)
    }

    to_sql_checked!();
}

fn value(row: &postgres::Row, at: usize, kind: &Type) -> Result<Value, StoreError> {
    const BAD: StoreError = StoreError::Corrupt("column");
    Ok(match *kind {
        Type::INT8 => row.try_get::<_, Option<i64>>(at).map_err(|_| BAD)?.map(Value::Int),
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(at).map_err(|_| BAD)?.map(Value::Bytes),
        Type::TEXT => row.try_get::<_, Option<String>>(at).map_err(|_| BAD)?.map(Value::Text),
        _ => return Err(BAD),
    }
    .unwrap_or(Value::Null))
}

impl Backend for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect {
            bytes: "BYTEA",
            serial: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
            begin: "BEGIN",
            // Any number will do, as long as nobody else uses it.
            lock: "SELECT pg_advisory_xact_lock(7009310264512)",
        }
    }

    fn run(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.client()?;
        let rows = self.try_run(sql, values).map_err(|error| self.failed(&error))?;
        let read = |row: postgres::Row| {
            let columns = row.columns().iter().enumerate();
            columns.map(|(at, column)| value(&row, at, column.type_())).collect()
        };
        rows.into_iter().map(read).collect()
    }

    fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        let (begins, ends) = (sql == self.dialect().begin, ["COMMIT", "ROLLBACK"].contains(&sql));
        let lost = ends && self.client.as_ref().is_none_or(Client::is_closed);
        if lost {
            // What was in it is undone with the connection.
            self.inside = false;
            let problem = format!("{}: the connection was lost", self.place());
            return Err(StoreError::Database(problem));
        }
        let done = self.client()?.batch_execute(sql);
        self.inside = if ends { false } else { self.inside || (begins && done.is_ok()) };
        done.map_err(|error| self.failed(&error))
    }

    fn place(&self) -> String {
        let host = self.config.get_hosts().first().map_or("localhost".into(), |host| match host {
            postgres::config::Host::Tcp(name) => name.clone(),
            postgres::config::Host::Unix(path) => path.display().to_string(),
        });
        let name = self.config.get_dbname().or(self.config.get_user()).unwrap_or("postgres");
        format!("PostgreSQL database {name} at {host}")
    }
}
