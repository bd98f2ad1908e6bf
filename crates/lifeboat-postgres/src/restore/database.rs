//! Databases as a whole: made, looked into, put aside.

use std::time::Duration;

use tokio_postgres::Client;

use super::Skipped;
use crate::PostgresError;
use crate::archive::{DatabaseFacts, FOREIGN_SCHEMAS, LocaleProvider, server_version};
use crate::columns::{literal, quoted};
use crate::connect::Connector;
use crate::cut::LOCK_NOT_AVAILABLE;

/// PostgreSQL's limit for names.
const NAME_BYTES: usize = 63;
/// How often a rename is tried while others come in.
const RENAME_TRIES: u32 = 20;
/// SQLSTATE of a database that is being used.
const OBJECT_IN_USE: &str = "55006";
/// SQLSTATE of what the role may not do.
const DENIED: &str = "42501";
/// SQLSTATE of what a server cannot do, as ICU without its library.
const UNSUPPORTED: &str = "0A000";

/// Makes an empty database with the encoding and order of text that `facts` tell.
///
/// `administration` opens any other database of the server, such as `postgres`, as a role that may
/// make databases.
///
/// # Errors
/// [`PostgresError::Refused`] when it exists, when the server does not know the locale, or when
/// the server is too old for its provider; else as the server says.
pub async fn create_database(
    administration: &Connector,
    name: &str,
    facts: &DatabaseFacts,
    owner: Option<&str>,
) -> Result<(), PostgresError> {
    let client = administration.connect().await?;
    let version = server_version(&client).await?;
    let statement = creation(name, (facts, owner), version)?;
    let doing = |e| PostgresError::sorted(format!("made the database {name}"), e);
    let refused = client.batch_execute(&statement).await.map_err(doing);
    let is_other = facts.locale_provider != LocaleProvider::Libc;
    refused.map_err(|e| match e {
        PostgresError::Refused { doing, message, code, .. } if is_other && code == UNSUPPORTED => {
            let hint = "; restore into a PostgreSQL that was built with it".to_owned();
            PostgresError::Refused { doing, message, code, hint }
        }
        other => other,
    })
}

/// The statement that makes such a database on a server of a version (150018 is 15.18).
///
/// # Errors
/// [`PostgresError::Refused`] when that server is too old for it.
pub fn creation(
    name: &str,
    (facts, owner): (&DatabaseFacts, Option<&str>),
    version: u32,
) -> Result<String, PostgresError> {
    let mut statement = format!(
        "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}",
        quoted(name),
        literal(&facts.encoding),
        literal(&facts.collate),
        literal(&facts.ctype),
    );
    statement.push_str(&provider_clause(facts, version)?);
    if let Some(owner) = owner {
        statement.push_str(" OWNER ");
        statement.push_str(&quoted(owner));
    }
    Ok(statement)
}

fn provider_clause(facts: &DatabaseFacts, version: u32) -> Result<String, PostgresError> {
    let needs = |least: u32| {
        if version >= least {
            return Ok(());
        }
        let provider = facts.locale_provider;
        Err(PostgresError::Refused {
            doing: "made the database".to_owned(),
            message: format!("its text is ordered by {provider:?}"),
            code: "0A000".to_owned(),
            hint: format!("; restore into PostgreSQL {} or newer", least / 10_000),
        })
    };
    let locale = facts.locale.as_deref().unwrap_or("C");
    Ok(match facts.locale_provider {
        LocaleProvider::Libc if version < 150_000 => String::new(),
        LocaleProvider::Libc => " LOCALE_PROVIDER libc".to_owned(),
        LocaleProvider::Icu => {
            needs(if facts.icu_rules.is_some() { 160_000 } else { 150_000 })?;
            let rules = facts
                .icu_rules
                .as_deref()
                .map_or_else(String::new, |rules| format!(" ICU_RULES {}", literal(rules)));
            format!(" LOCALE_PROVIDER icu ICU_LOCALE {}{rules}", literal(locale))
        }
        LocaleProvider::Builtin => {
            needs(170_000)?;
            format!(" LOCALE_PROVIDER builtin BUILTIN_LOCALE {}", literal(locale))
        }
    })
}

/// Gives the database that `client` is in the settings it had. Returns those that the role may not
/// set, or that this server does not know.
///
/// # Errors
/// [`PostgresError`] when the server is lost.
pub async fn apply_settings(
    client: &Client,
    facts: &DatabaseFacts,
) -> Result<Vec<Skipped>, PostgresError> {
    let mut skipped = Vec::new();
    for setting in &facts.settings {
        let Some((name, value)) = setting.split_once('=') else { continue };
        match apply(client, name, value).await {
            Ok(()) => {}
            Err(PostgresError::Refused { message, .. }) => {
                skipped.push(Skipped { statement: format!("SET {name}"), reason: message });
            }
            Err(lost) => return Err(lost),
        }
    }
    Ok(skipped)
}

/// The session takes the value first, because lists are written otherwise in a statement; for as
/// long as that takes only, because the next statement is not to wait for it, or be read-only.
async fn apply(client: &Client, name: &str, value: &str) -> Result<(), PostgresError> {
    let doing = |e| PostgresError::sorted("set what the database is told", e);
    client.batch_execute("BEGIN").await.map_err(doing)?;
    let kept = async {
        let set = "SELECT pg_catalog.set_config($1, $2, true), current_database()::text";
        let row = client.query_one(set, &[&name, &value]).await.map_err(doing)?;
        let database = quoted(row.get(1));
        let parts: Vec<String> = name.split('.').map(quoted).collect();
        let keep = format!("ALTER DATABASE {database} SET {} FROM CURRENT", parts.join("."));
        client.batch_execute(&keep).await.map_err(doing)
    };
    let kept = kept.await;
    let end = if kept.is_ok() { "COMMIT" } else { "ROLLBACK" };
    client.batch_execute(end).await.map_err(doing)?;
    kept
}

/// True when a database has nothing of anybody's in it.
///
/// # Errors
/// As [`things_in`].
pub async fn is_empty(client: &Client) -> Result<bool, PostgresError> {
    Ok(things_in(client, 1).await?.is_empty())
}

/// Names of some things in a database: relations, functions, types, schemas, large objects. What
/// belongs to an extension is not counted, so one that needs a superuser can be made beforehand.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn things_in(client: &Client, most: u32) -> Result<Vec<String>, PostgresError> {
    let own = |class: &str, object: &str| {
        format!(
            "NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '{class}'::regclass
                         AND d.objid = {object} AND d.deptype IN ('e', 'i'))
             AND {FOREIGN_SCHEMAS}"
        )
    };
    let statement = format!(
        "SELECT n.nspname || '.' || c.relname FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {}
         UNION ALL
         SELECT n.nspname || '.' || p.proname || '()' FROM pg_proc p
         JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {}
         UNION ALL
         SELECT n.nspname || '.' || t.typname FROM pg_type t
         JOIN pg_namespace n ON n.oid = t.typnamespace
         WHERE t.typtype IN ('d', 'e', 'r') AND {}
         UNION ALL
         SELECT 'schema ' || n.nspname FROM pg_namespace n
         WHERE n.nspname <> 'public' AND {}
         UNION ALL
         SELECT 'large object ' || oid FROM pg_largeobject_metadata
         LIMIT {most}",
        own("pg_class", "c.oid"),
        own("pg_proc", "p.oid"),
        own("pg_type", "t.oid"),
        own("pg_namespace", "n.oid"),
    );
    let doing = |e| PostgresError::sorted("looked into the database", e);
    let rows = client.query(statement.as_str(), &[]).await.map_err(doing)?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// How a database is marked in which a restore has begun and not ended.
const MARK: &str = "lifeboat restore, not finished: ";

/// Marks the database that `client` is in as ours to clear, until [`unmark`]. Only an empty one may
/// be marked.
///
/// # Errors
/// [`PostgresError`] when we do not own it.
pub async fn mark(client: &Client, what: &str) -> Result<(), PostgresError> {
    comment(client, &literal(&format!("{MARK}{what}"))).await
}

/// The advisory lock of a session that fills a database: "lifeboat".
const CLAIM: i64 = i64::from_be_bytes(*b"lifeboat");
/// How long a claim waits for a session that was killed to be noticed.
pub const CLAIM_PATIENCE: Duration = Duration::from_secs(10);

/// Claims the database that `client` is in, for as long as the session lasts: two that fill one
/// would clear away each other's rows. False where another session holds it for longer than
/// `patience`.
///
/// # Errors
/// [`PostgresError`] when the server is lost.
pub async fn claim(client: &Client, patience: Duration) -> Result<bool, PostgresError> {
    let doing = |e| PostgresError::sorted("claimed the database", e);
    // The lock is the session's and outlives the transaction, the limit does not.
    let claim = format!(
        "BEGIN; SET LOCAL lock_timeout = {}; SELECT pg_advisory_lock({CLAIM}); COMMIT",
        patience.as_millis()
    );
    match client.batch_execute(&claim).await.map_err(doing) {
        Ok(()) => Ok(true),
        Err(error) if error.code() == Some(LOCK_NOT_AVAILABLE) => {
            client.batch_execute("ROLLBACK").await.map_err(doing)?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Takes the mark away: what is in the database now is to stay.
///
/// # Errors
/// [`PostgresError`] when we do not own it.
pub async fn unmark(client: &Client) -> Result<(), PostgresError> {
    comment(client, "NULL").await
}

async fn comment(client: &Client, text: &str) -> Result<(), PostgresError> {
    let doing = |e| PostgresError::sorted("marked the database", e);
    let name: String =
        client.query_one("SELECT current_database()::text", &[]).await.map_err(doing)?.get(0);
    let statement = format!("COMMENT ON DATABASE {} IS {text}", quoted(&name));
    client.batch_execute(&statement).await.map_err(doing)
}

/// Whether the database that `client` is in carries the mark.
///
/// # Errors
/// [`PostgresError`] when the server is lost.
pub async fn is_marked(client: &Client) -> Result<bool, PostgresError> {
    let doing = |e| PostgresError::sorted("looked for our mark", e);
    let query = "SELECT coalesce(starts_with(shobj_description(oid, 'pg_database'), $1), false)
         FROM pg_database WHERE datname = current_database()";
    Ok(client.query_one(query, &[&MARK]).await.map_err(doing)?.get(0))
}

/// Empties a database that carries the mark.
///
/// # Errors
/// [`PostgresError`] when something in it is not ours.
pub async fn clear(client: &Client) -> Result<(), PostgresError> {
    let doing = |e| PostgresError::sorted("cleared what an earlier restore had begun", e);
    let query =
        format!("SELECT quote_ident(n.nspname) FROM pg_namespace n WHERE {FOREIGN_SCHEMAS}");
    let version = server_version(client).await?;
    let schemas = client.query(&query, &[]).await.map_err(doing)?;
    for schema in schemas.iter().map(|row| row.get::<_, String>(0)) {
        let mut statement = format!("DROP SCHEMA {schema} CASCADE");
        if schema == "public" {
            statement.push_str("; ");
            statement.push_str(public_schema(version));
        }
        client.batch_execute(&statement).await.map_err(doing)?;
    }
    let objects = "SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata";
    client.batch_execute(objects).await.map_err(doing)
}

/// Makes `public` as a new database has it (PostgreSQL documentation, "The Public Schema"): what a
/// backup says of its rights is what differs from that.
fn public_schema(version: u32) -> &'static str {
    if version >= 150_000 {
        "CREATE SCHEMA public; ALTER SCHEMA public OWNER TO pg_database_owner;
         GRANT USAGE ON SCHEMA public TO PUBLIC"
    } else {
        "CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO PUBLIC"
    }
}

/// The name a database gets when another takes its place: `name_before_STAMP`, shortened to what
/// PostgreSQL allows.
pub fn name_before(name: &str, stamp: &str) -> String {
    let end = format!("_before_{stamp}");
    let mut room = NAME_BYTES.saturating_sub(end.len()).min(name.len());
    while !name.is_char_boundary(room) {
        room -= 1;
    }
    format!("{}{end}", &name[..room])
}

/// Gives a database another name, after its sessions are ended. As long as it takes, nobody new is
/// let in.
///
/// # Errors
/// [`PostgresError`] when we do not own it, when sessions stay that are not ours to end, or when
/// the other name is taken. The database then has its name and takes sessions as before.
pub async fn rename_database(
    administration: &Connector,
    name: &str,
    to: &str,
) -> Result<(), PostgresError> {
    let client = administration.connect().await?;
    let doing = |e| PostgresError::sorted(format!("renamed the database {name}"), e);
    let (was, is) = (quoted(name), quoted(to));
    let close = format!("ALTER DATABASE {was} ALLOW_CONNECTIONS false");
    client.batch_execute(&close).await.map_err(doing)?;
    let renamed = rename(&client, name, to).await;
    let now = if renamed.is_ok() { is } else { was };
    let open = format!("ALTER DATABASE {now} ALLOW_CONNECTIONS true");
    client.batch_execute(&open).await.map_err(doing)?;
    renamed
}

/// Lets sessions into a database again, as [`rename_database`] leaves it shut that was killed.
///
/// # Errors
/// [`PostgresError`] when we do not own it.
pub async fn reopen_database(administration: &Connector, name: &str) -> Result<(), PostgresError> {
    let client = administration.connect().await?;
    let open = format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", quoted(name));
    let doing = |e| PostgresError::sorted(format!("opened the database {name}"), e);
    client.batch_execute(&open).await.map_err(doing)
}

/// Drops a database, after its sessions are ended; one that is not there is no error.
///
/// # Errors
/// [`PostgresError`] when we do not own it, or sessions stay that are not ours to end.
pub async fn drop_database(administration: &Connector, name: &str) -> Result<(), PostgresError> {
    let client = administration.connect().await?;
    let doing = |e| PostgresError::sorted(format!("dropped the database {name}"), e);
    let plain = format!("DROP DATABASE IF EXISTS {}", quoted(name));
    let forced = format!("{plain} WITH (FORCE)");
    match client.batch_execute(&forced).await.map_err(doing) {
        // The server's own vacuum is at work there: a plain role may not end it, the plain
        // statement does.
        Err(refused) if refused.code() == Some(DENIED) => {
            match client.batch_execute(&plain).await.map_err(doing) {
                Err(used) if used.code() == Some(OBJECT_IN_USE) => {
                    client.batch_execute(&forced).await.map_err(doing)
                }
                outcome => outcome,
            }
        }
        outcome => outcome,
    }
}

/// What a server says of one of its databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What the server knows it by, whatever its name.
    pub oid: u32,
    /// Sessions in it.
    pub sessions: i64,
}

/// How it stands with a database; none when there is none of the name.
///
/// # Errors
/// [`PostgresError`] when the server cannot be reached or refuses.
pub async fn standing(
    administration: &Connector,
    name: &str,
) -> Result<Option<Standing>, PostgresError> {
    let client = administration.connect().await?;
    let doing = |e| PostgresError::sorted(format!("looked at the database {name}"), e);
    let query = "SELECT oid, (SELECT count(*) FROM pg_stat_activity a WHERE a.datid = d.oid)
        FROM pg_database d WHERE datname = $1";
    let found = client.query_opt(query, &[&name]).await.map_err(doing)?;
    Ok(found.map(|row| Standing { oid: row.get(0), sessions: row.get(1) }))
}

/// Drops a database that nobody uses; one that is not there is no error.
///
/// # Errors
/// [`PostgresError`] when we do not own it, or somebody uses it.
pub async fn drop_unused_database(
    administration: &Connector,
    name: &str,
) -> Result<(), PostgresError> {
    let client = administration.connect().await?;
    let doing = |e| PostgresError::sorted(format!("dropped the database {name}"), e);
    let statement = format!("DROP DATABASE IF EXISTS {}", quoted(name));
    client.batch_execute(&statement).await.map_err(doing)
}

async fn rename(client: &Client, name: &str, to: &str) -> Result<(), PostgresError> {
    let doing = |e| PostgresError::sorted(format!("renamed the database {name}"), e);
    let statement = format!("ALTER DATABASE {} RENAME TO {}", quoted(name), quoted(to));
    let mut tries = 1;
    loop {
        client
            .execute(
                // The server's own vacuum gives way by itself, and is not ours to end.
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = $1 AND backend_type <> 'autovacuum worker'",
                &[&name],
            )
            .await
            .map_err(doing)?;
        // The server itself waits some seconds for sessions to end before it refuses.
        match client.batch_execute(&statement).await.map_err(doing) {
            Err(refused) if refused.code() == Some(OBJECT_IN_USE) && tries < RENAME_TRIES => {
                tries += 1;
            }
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests;
