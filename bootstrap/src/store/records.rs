//! Bans, settings, keys, the audit log and the history of signatures.

use super::{Columns, Row, Store, StoreError, Value, bytes, int, text};
use p2pnet_protocol::{IpPrefix, PeerId};
use std::fmt;
use std::str::FromStr;

/// Whom a ban is against.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BanSubject {
    /// The holder of a key.
    Peer(PeerId),
    /// Whoever comes from an address or a prefix.
    Prefix(IpPrefix),
    /// Whoever calls himself so.
    Label(String),
}

/// The text names nobody to ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotABan;

impl fmt::Display for NotABan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "expected a peer id of 64 hex digits, an address or a prefix such as 192.0.2.0/24, or label:TEXT",
        )
    }
}

impl std::error::Error for NotABan {}

impl BanSubject {
    /// The most bytes of a label.
    pub const TEXT_BYTES_MAX: usize = 128;

    fn kind(&self) -> &'static str {
        match self {
            Self::Peer(_) => "peer",
            Self::Prefix(_) => "prefix",
            Self::Label(_) => "label",
        }
    }

    fn subject(&self) -> String {
        match self {
            Self::Peer(peer) => peer.to_string(),
            Self::Prefix(prefix) => prefix.to_string(),
            Self::Label(text) => text.clone(),
        }
    }

    fn read(kind: &str, subject: String) -> Result<Self, StoreError> {
        let bad = StoreError::Corrupt("ban");
        match kind {
            "peer" => subject.parse().map(Self::Peer).map_err(|_| bad),
            "prefix" => subject.parse().map(Self::Prefix).map_err(|_| bad),
            "label" => Ok(Self::Label(subject)),
            _ => Err(bad),
        }
    }
}

impl fmt::Display for BanSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(peer) => peer.fmt(f),
            Self::Prefix(prefix) => prefix.fmt(f),
            Self::Label(text) => write!(f, "label:{text}"),
        }
    }
}

impl FromStr for BanSubject {
    type Err = NotABan;

    fn from_str(subject: &str) -> Result<Self, NotABan> {
        let bounded = |text: &str| {
            let fits = (1..=Self::TEXT_BYTES_MAX).contains(&text.len());
            (fits && !text.chars().any(char::is_control)).then(|| text.to_owned()).ok_or(NotABan)
        };
        if let Some(label) = subject.strip_prefix("label:") {
            return bounded(label).map(Self::Label);
        }
        let peer = subject.parse().map(Self::Peer);
        peer.or_else(|_| subject.parse().map(Self::Prefix)).map_err(|_| NotABan)
    }
}

/// Somebody who isn't served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Whom it is against.
    pub subject: BanSubject,
    /// Why, for people.
    pub reason: String,
    /// Who said so.
    pub actor: String,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Until when, likewise; for ever without.
    pub until_ms: Option<u64>,
}

/// What somebody did with the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// On which server.
    pub server: String,
    /// Who.
    pub actor: String,
    /// What was done: a word or two.
    pub action: String,
    /// To whom or what.
    pub subject: String,
    /// More of it, without secrets.
    pub detail: String,
}

/// An authority's key as it is kept: the secret half only under a passphrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Its OpenPGP fingerprint, in hex.
    pub fingerprint: String,
    /// Whose it is, for people.
    pub holder: String,
    /// `active`, `retired` or `revoked`.
    pub state: String,
    /// The public half, armored.
    pub public: String,
    /// The secret half under the operator's passphrase, armored; empty if it isn't here.
    pub secret: String,
    /// When it came here, in milliseconds since 1970.
    pub created_ms: u64,
}

/// Something that the server signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signing {
    /// SHA-256 of what was signed.
    pub hash: [u8; 32],
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What it was: `task`, `delegation`, …
    pub kind: String,
    /// About whom or what.
    pub subject: String,
    /// The key that signed it, in hex.
    pub signer: String,
}

fn ban(row: Row) -> Result<Ban, StoreError> {
    let mut columns = Columns::of(row);
    let kind = columns.text()?;
    Ok(Ban {
        subject: BanSubject::read(&kind, columns.text()?)?,
        reason: columns.text()?,
        actor: columns.text()?,
        at_ms: columns.count()?,
        until_ms: columns.maybe_count()?,
    })
}

fn stored_key(row: Row) -> Result<StoredKey, StoreError> {
    let mut columns = Columns::of(row);
    Ok(StoredKey {
        fingerprint: columns.text()?,
        holder: columns.text()?,
        state: columns.text()?,
        public: columns.text()?,
        secret: columns.text()?,
        created_ms: columns.count()?,
    })
}

impl Store {
    /// Every ban that holds at `now_ms`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn bans(&mut self, now_ms: u64) -> Result<Vec<Ban>, StoreError> {
        let rows = self.run(
            "SELECT kind, subject, reason, actor, at_ms, until_ms FROM bans
             WHERE until_ms IS NULL OR until_ms > $1 ORDER BY at_ms, kind, subject",
            &[int(now_ms)],
        )?;
        rows.into_iter().map(ban).collect()
    }

    /// Adds a ban, or changes the one that there is against the same.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn add_ban(&mut self, ban: &Ban) -> Result<(), StoreError> {
        let values = [
            text(ban.subject.kind()),
            text(ban.subject.subject()),
            text(&ban.reason),
            text(&ban.actor),
            int(ban.at_ms),
            ban.until_ms.map_or(Value::Null, int),
        ];
        self.change(|store| {
            store.run(
                "INSERT INTO bans (kind, subject, reason, actor, at_ms, until_ms)
                 VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (kind, subject) DO UPDATE SET reason = excluded.reason,
                 actor = excluded.actor, at_ms = excluded.at_ms, until_ms = excluded.until_ms",
                &values,
            )?;
            Ok(())
        })
    }

    /// Lifts a ban; whether there was one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn lift_ban(&mut self, subject: &BanSubject) -> Result<bool, StoreError> {
        let values = [text(subject.kind()), text(subject.subject())];
        self.change(|store| {
            let sql = "DELETE FROM bans WHERE kind = $1 AND subject = $2 RETURNING kind";
            Ok(!store.run(sql, &values)?.is_empty())
        })
    }

    /// Every setting that was changed, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn settings(&mut self) -> Result<Vec<(String, String)>, StoreError> {
        let rows = self.run("SELECT name, value FROM settings ORDER BY name", &[])?;
        let read = |row| {
            let mut columns = Columns::of(row);
            Ok((columns.text()?, columns.text()?))
        };
        rows.into_iter().map(read).collect()
    }

    /// Changes a setting; `None` brings back what it was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), StoreError> {
        self.change(|store| {
            match value {
                Some(value) => store.run(
                    "INSERT INTO settings (name, value) VALUES ($1, $2)
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    &[text(name), text(value)],
                )?,
                None => store.run("DELETE FROM settings WHERE name = $1", &[text(name)])?,
            };
            Ok(())
        })
    }

    /// Writes down what somebody did.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn note(&mut self, entry: &AuditEntry) -> Result<(), StoreError> {
        let AuditEntry { at_ms, server, actor, action, subject, detail } = entry;
        self.run(
            "INSERT INTO audit (at_ms, server, actor, action, subject, detail)
             VALUES ($1, $2, $3, $4, $5, $6)",
            &[int(*at_ms), text(server), text(actor), text(action), text(subject), text(detail)],
        )?;
        Ok(())
    }

    /// What was done, the latest first, from before the number `before` on, at most `most`: with their numbers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn audit(
        &mut self,
        before: Option<u64>,
        most: u32,
    ) -> Result<Vec<(u64, AuditEntry)>, StoreError> {
        let rows = self.run(
            "SELECT id, at_ms, server, actor, action, subject, detail FROM audit
             WHERE id < $1 ORDER BY id DESC LIMIT $2",
            &[int(before.unwrap_or(u64::MAX)), int(most.into())],
        )?;
        let read = |row| {
            let mut columns = Columns::of(row);
            let id = columns.count()?;
            let entry = AuditEntry {
                at_ms: columns.count()?,
                server: columns.text()?,
                actor: columns.text()?,
                action: columns.text()?,
                subject: columns.text()?,
                detail: columns.text()?,
            };
            Ok((id, entry))
        };
        rows.into_iter().map(read).collect()
    }

    /// Every key, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keys(&mut self) -> Result<Vec<StoredKey>, StoreError> {
        let rows = self.run(
            "SELECT fingerprint, holder, state, public, secret, created_ms FROM keys
             ORDER BY created_ms, fingerprint",
            &[],
        )?;
        rows.into_iter().map(stored_key).collect()
    }

    /// Adds a key, or changes the one with its fingerprint.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_key(&mut self, key: &StoredKey, now_ms: u64) -> Result<(), StoreError> {
        let StoredKey { fingerprint, holder, state, public, secret, created_ms } = key;
        let values = [
            text(fingerprint),
            text(holder),
            text(state),
            text(public),
            text(secret),
            int(*created_ms),
            int(now_ms),
        ];
        self.change(|store| {
            store.run(
                "INSERT INTO keys (fingerprint, holder, state, public, secret, created_ms, changed_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)
                 ON CONFLICT (fingerprint) DO UPDATE SET holder = excluded.holder,
                 state = excluded.state, public = excluded.public, secret = excluded.secret,
                 changed_ms = excluded.changed_ms",
                &values,
            )?;
            Ok(())
        })
    }

    /// Writes down that something was signed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn note_signing(&mut self, signing: &Signing) -> Result<(), StoreError> {
        let Signing { hash, at_ms, kind, subject, signer } = signing;
        self.run(
            "INSERT INTO signings (hash, at_ms, kind, subject, signer) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (hash) DO NOTHING",
            &[bytes(*hash), int(*at_ms), text(kind), text(subject), text(signer)],
        )?;
        Ok(())
    }

    /// What was signed under this hash, if anything was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn signing(&mut self, hash: &[u8; 32]) -> Result<Option<Signing>, StoreError> {
        let rows = self.run(
            "SELECT hash, at_ms, kind, subject, signer FROM signings WHERE hash = $1",
            &[bytes(*hash)],
        )?;
        let read = |row| {
            let mut columns = Columns::of(row);
            Ok(Signing {
                hash: columns.array()?,
                at_ms: columns.count()?,
                kind: columns.text()?,
                subject: columns.text()?,
                signer: columns.text()?,
            })
        };
        rows.into_iter().next().map(read).transpose()
    }
}
