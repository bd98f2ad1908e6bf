//! A database: that we get in, what it is, and whether all of it can be read.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::time::Duration;

use lifeboat_config::target::DatabaseTarget;
use lifeboat_postgres::Client;
use lifeboat_postgres::archive::{Unreadable, unreadable};
use lifeboat_postgres::connect::Connector;
use lifeboat_postgres::group;
use lifeboat_postgres::schema_text::{PgDump, SearchPlaces};
use lifeboat_suite::proof::{self, ProofError};
use lifeboat_suite::{At, Component, Database, Kind, nedb};

use crate::Examination;
use crate::finding::{Of, told};

/// No question takes longer, unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);
/// Versions that are tested.
const VERSIONS: (i32, i32) = (14, 18);
/// Seconds that two clocks may differ.
const CLOCKS: i64 = 5;
const ROLE: &str = "see the guide, a role that may only read";

pub(crate) async fn examine(
    component: &Component,
    database: &Database,
    with: &Examination,
    of: &mut Of<'_>,
) {
    let shown = database.at.shown();
    match &database.at {
        At::Sqlite(path) => sqlite(path, &shown, of),
        At::Postgres(target) => {
            let looked = tokio::time::timeout(PATIENCE, postgres(component, target, with, of));
            if looked.await.is_err() {
                let what = format!("{shown} did not answer within {} s", PATIENCE.as_secs());
                of.fail(&what, "check its load, locks and the way to it");
            }
        }
    }
}

fn sqlite(path: &Path, shown: &str, of: &mut Of<'_>) {
    let mut head = [0; 16];
    match File::open(path).and_then(|mut file| file.read_exact(&mut head)) {
        Ok(()) if head == *b"SQLite format 3\0" => of.fine(&format!("{shown} can be read")),
        Ok(()) => of.fail(&format!("{shown} is no SQLite database"), "correct the path"),
        Err(error) => of.fail(
            &format!("{shown} cannot be read: {error}"),
            "correct the path, or run as root or as the component's user",
        ),
    }
}

async fn postgres(
    component: &Component,
    target: &DatabaseTarget,
    with: &Examination,
    of: &mut Of<'_>,
) {
    let shown = target.shown();
    let remedy = "check the address, that it runs, and the password in ~/.pgpass";
    let connector = match target.connector() {
        Ok(connector) => connector,
        Err(error) => return of.fail(&format!("{shown}: {}", told(&error)), remedy),
    };
    let client = match connector.connect().await {
        Ok(client) => client,
        Err(error) => return of.fail(&told(&error), remedy),
    };
    let facts = match Facts::ask(&client).await {
        Ok(facts) => facts,
        Err(error) => {
            return of.fail(&format!("{shown}: {}", told(error.as_ref())), "check its log");
        }
    };
    facts.judge(component.kind, with, of);
    program(&facts, with, of).await;
    pooled(&connector, &client, &shown, of).await;
    rights(&client, &shown, of).await;
    fit(component, &client, of).await;
}

/// What a server says of itself and this database.
struct Facts {
    shown: String,
    version: i32,
    version_text: String,
    encoding: String,
    collation: String,
    character_type: String,
    is_standby: bool,
    size_bytes: i64,
    now_seconds: i64,
    session_idle_ms: i64,
}

impl Facts {
    async fn ask(client: &Client) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let row = client
            .query_one(
                "SELECT current_setting('server_version_num')::int4,
                        current_setting('server_version'),
                        pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text,
                        pg_is_in_recovery(), pg_database_size(d.oid),
                        extract(epoch FROM clock_timestamp())::int8,
                        coalesce((SELECT setting::int8 FROM pg_settings
                                  WHERE name = 'idle_session_timeout'), 0),
                        d.datname::text
                 FROM pg_database d WHERE d.datname = current_database()",
                &[],
            )
            .await?;
        Ok(Self {
            version: row.try_get(0)?,
            version_text: row.try_get(1)?,
            encoding: row.try_get(2)?,
            collation: row.try_get(3)?,
            character_type: row.try_get(4)?,
            is_standby: row.try_get(5)?,
            size_bytes: row.try_get(6)?,
            now_seconds: row.try_get(7)?,
            session_idle_ms: row.try_get(8)?,
            shown: row.try_get(9)?,
        })
    }

    fn judge(&self, kind: Kind, with: &Examination, of: &mut Of<'_>) {
        let Self { shown, version_text, encoding, collation, .. } = self;
        let size = self.size_bytes >> 20;
        of.fine(&format!(
            "database {shown}: PostgreSQL {version_text}, {encoding}, {collation}, {size} MiB"
        ));
        let major = self.version / 10_000;
        if major < VERSIONS.0 || major > VERSIONS.1 {
            let what = format!("PostgreSQL {major} of database {shown} is not tested");
            of.warn(&what, &format!("use {} to {}", VERSIONS.0, VERSIONS.1));
        }
        if encoding != "UTF8" && matches!(kind, Kind::Synapse | Kind::Mas) {
            let what = format!("database {shown} is in {encoding}, not UTF8");
            of.warn(&what, "move it into a database of UTF8: a restore makes one as it is");
        }
        let is_c = |text: &str| text == "C" || text == "POSIX";
        if kind == Kind::Synapse && !(is_c(collation) && is_c(&self.character_type)) {
            let what = format!(
                "Synapse's database {shown} has collation {collation} and character type {}, not C",
                self.character_type
            );
            of.warn(
                &what,
                "rows that count as unique here may be doubles in C, and a restore would stop at \
                 them: move it while the server is well (Synapse's manual, Using Postgres)",
            );
        }
        if self.is_standby {
            let what = format!("database {shown} is on a standby, where no cut can be proved");
            of.warn(&what, "name the primary server");
        }
        if self.session_idle_ms > 0 {
            let what = format!("database {shown} ends sessions that are idle");
            of.warn(&what, "set idle_session_timeout to 0 for this role: ALTER ROLE … SET");
        }
        let ahead = self.now_seconds - (with.now)();
        if ahead.abs() > CLOCKS {
            let what =
                format!("the clock of database {shown} is {ahead} s ahead of this machine's");
            of.warn(&what, "set both by NTP: dates of backups are compared with those in rows");
        }
    }
}

async fn program(facts: &Facts, with: &Examination, of: &mut Of<'_>) {
    let places = SearchPlaces { folder: None, path: with.path.clone() };
    let version = u32::try_from(facts.version).unwrap_or(0);
    match PgDump::find(version, &places).await {
        Ok(found) => of.fine(&format!("{} fits it", found.version_text())),
        Err(error) => of.fail(&told(&error), "install it; the server need not be touched"),
    }
}

async fn pooled(connector: &Connector, client: &Client, shown: &str, of: &mut Of<'_>) {
    match group::is_pooled(client, connector).await {
        Ok(false) => {}
        Ok(true) => of.fail(
            &format!("{shown} is behind a pooler in transaction mode, where no snapshot holds"),
            "name the server itself, or a pool in session mode",
        ),
        Err(error) => of.warn(
            &format!("{shown} does not let a second session in: {}", told(&error)),
            "raise max_connections, or that of its role: lanes work side by side",
        ),
    }
}

/// Rows that we may not see would be missing without a word, so they are looked for.
async fn rights(client: &Client, shown: &str, of: &mut Of<'_>) {
    match unreadable(client, &["r", "p", "m", "S"]).await {
        Err(error) => of.warn(&format!("{shown}: {}", told(&error)), ROLE),
        Ok(None) => of.fine("all its tables and sequences can be read"),
        Ok(Some(found)) => {
            let Unreadable { count, first, .. } = &found;
            let what =
                format!("{count} tables or sequences of {shown} cannot be read, {first} first");
            of.fail(&what, &format!("{}; {ROLE}", found.remedy()));
        }
    }
}

/// The secret opens one real row.
async fn fit(component: &Component, client: &Client, of: &mut Of<'_>) {
    let Some(proof) = proof::proof(component.kind) else { return };
    let rows = match client.query(proof.sql, &[]).await {
        Ok(rows) => rows,
        Err(error) => {
            let what = format!("cannot try whether its {} fits: {}", proof.secret, told(&error));
            return of.warn(&what, "check that this is the database of this component");
        }
    };
    let stored = rows.first().and_then(|row| row.try_get::<_, String>(0).ok());
    opens((component, proof.secret), stored, of);
}

/// As [`fit`], for a bridge whose database is a folder of `NeDB` files.
pub(crate) async fn nedb(component: &Component, folder: &Path, of: &mut Of<'_>) {
    let Some(proof) = proof::proof(component.kind) else { return };
    let path = folder.join(nedb::USERS);
    let shown = path.display().to_string();
    let reading = move || nedb::stored_password(BufReader::new(File::open(path)?));
    match tokio::task::spawn_blocking(reading).await {
        Ok(Ok(stored)) => opens((component, proof.secret), stored, of),
        Ok(Err(error)) => of.fail(
            &format!("{shown} cannot be read: {error}"),
            "correct the path, or run as root or as the component's user",
        ),
        Err(error) => of.warn(&format!("{shown}: {}", told(&error)), "report this"),
    }
}

/// Whether the secret opens what is stored.
fn opens((component, secret): (&Component, &str), stored: Option<String>, of: &mut Of<'_>) {
    let Some(stored) = stored else {
        return of.fine(&format!("nothing is stored yet that its {secret} would open"));
    };
    match proof::check(component, &stored) {
        Ok(()) => of.fine(&format!("its {secret} opens what is stored")),
        Err(error @ ProofError::Misfit(_)) => of.fail(
            &format!("its {secret} does not fit its database: {}", told(&error)),
            "find the one that does, before it is needed: a backup with this one is useless",
        ),
        Err(error) => of.fail(&told(&error), "put it back, or correct the path"),
    }
}
