//! What a person has set up: profile, account data, push rules, ignored people, tags of rooms. It
//! goes to an account that is there: to another one of the same person, or in place of what is
//! there.
//!
//! What an identity signed is not of this kind: devices, keys and key backups bear the old name in
//! what was signed and stay with it; so do events. Tokens and logins stay as well.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_package::digest::Digest;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Client;

use super::change::Owned;
use super::insert::{self, Added, insert_where};
use super::stage::{Stage, member, staged};
use super::{MergeError, ask, run, users};
use crate::postgres::PostgresError;
use crate::postgres::columns::quoted;
use crate::postgres::members::{Member, Members};
use crate::synapse::catalogue::{Catalogue, Import};

/// Tables of what belongs to a person, with the column that names the account.
pub const TABLES: [(&str, &str); 8] = [
    ("profiles", "full_user_id"),
    ("account_data", "user_id"),
    ("ignored_users", "ignorer_user_id"),
    ("push_rules", "user_name"),
    ("push_rules_enable", "user_name"),
    ("room_account_data", "user_id"),
    ("room_tags", "user_id"),
    ("room_tags_revisions", "user_id"),
];

/// Those of them that belong to the account and not to its rooms.
const OF_ACCOUNT: usize = 5;

/// Accounts that the database is asked about at a time.
const BATCH: usize = 500;

/// What the directory of users says of an account.
const DIRECTORY: [(&str, &str); 2] =
    [("user_directory", "user_id"), ("user_directory_search", "user_id")];

/// Account data that goes with the keys of an identity.
const OF_KEYS: &str = "account_data_type ~ '^m\\.(cross_signing|secret_storage|megolm_backup)\\.'";

/// The tables of receipts, which go with a room; what tells one of a user's from another.
const RECEIPTS: [&str; 2] = ["receipts_linearized", "receipts_graph"];

/// What went from one account to another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Mapped {
    /// The account in the package.
    pub from: String,
    /// The account on the target.
    pub to: String,
    /// Rows that went to it, by table.
    pub rows: Added,
    /// Rows that gave way to what it had, by table.
    pub gave_way: Added,
    /// Rows of the package that stay with the old name, by table: keys, devices, logins.
    pub stays: Added,
    /// Events that keep the old name: it is signed.
    pub events: u64,
    /// Receipts in rooms that came along.
    pub receipts: u64,
}

impl Mapped {
    /// What went from `from` to `to`, among what is known; nothing yet where it is not.
    pub fn among<'a>(all: &'a mut Vec<Self>, (from, to): (&str, &str)) -> &'a mut Self {
        let at = all.iter().position(|mapped| mapped.from == from).unwrap_or_else(|| {
            all.push(Self { from: from.to_owned(), to: to.to_owned(), ..Self::default() });
            all.len() - 1
        });
        &mut all[at]
    }

    /// Whether the package has nothing of the account, as far as was looked.
    pub fn is_nothing(&self) -> bool {
        let Self { rows, gave_way, stays, events, receipts, .. } = self;
        rows.is_empty() && gave_way.is_empty() && stays.is_empty() && *events + *receipts == 0
    }
}

/// Whether rows of this table belong to a person.
pub fn is_one(table: &str) -> bool {
    TABLES.iter().any(|(name, _)| *name == table)
}

/// The account that a row of one of these tables belongs to.
pub fn owner(table: &str, row: &Members<'_>) -> Option<String> {
    let (_, column) = TABLES.iter().find(|(name, _)| *name == table)?;
    member(row, column)
}

/// Gives what is staged of `mapped.from` to `mapped.to`, which is there, inside the caller's
/// transaction. What that account has wins; a profile that nobody filled in is nothing.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub async fn map(
    client: &Client,
    stage: &Stage,
    id: &str,
    mapped: &mut Mapped,
) -> Result<(), MergeError> {
    let (from, to) = (mapped.from.clone(), mapped.to.clone());
    fresh_ids(client, stage).await?;
    if stage.takes("account_data") {
        let sql = format!("DELETE FROM {} WHERE {OF_KEYS}", staged("account_data"));
        let left = run(client, "left account data of keys", &sql, &[]).await?;
        if left > 0 {
            *mapped.stays.entry("account_data".to_owned()).or_default() += left;
        }
    }
    for (table, column) in TABLES.into_iter().filter(|(table, _)| stage.takes(table)) {
        stage.rename(client, (table, column), (&from, &to)).await?;
        let of = Owned::new(table, column, &to);
        let before = of.rows(client).await?;
        if table == "profiles" {
            stage.rename(client, (table, "user_id"), (localpart(&from), localpart(&to))).await?;
            let sql = format!(
                "DELETE FROM profiles WHERE full_user_id = $1 AND avatar_url IS NULL
                   AND coalesce(displayname, user_id) = user_id
                   AND EXISTS (SELECT FROM {} s)",
                staged(table)
            );
            run(client, "removed an empty profile", &sql, &[&to]).await?;
        }
        let staged = count(client, table).await?;
        let rows = insert_where(client, stage, table, ("true", true)).await?;
        of.note(client, id, &before).await?;
        for (into, rows) in [(&mut mapped.rows, rows), (&mut mapped.gave_way, staged - rows)] {
            if rows > 0 {
                into.insert(table.to_owned(), rows);
            }
        }
    }
    if mapped.rows.contains_key("profiles") {
        directory(client, id, &to).await?;
    }
    Ok(())
}

/// Puts what is staged of `user` in place of what the account has, inside the caller's transaction.
/// Account data of a kind that the package does not have stays.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub async fn replace(
    client: &Client,
    stage: &Stage,
    (id, user): (&str, &str),
) -> Result<Added, MergeError> {
    let mut added = Added::new();
    fresh_ids(client, stage).await?;
    let of_account = TABLES.into_iter().take(OF_ACCOUNT);
    for (table, column) in of_account.filter(|(table, _)| stage.takes(table)) {
        let sql = format!("DELETE FROM {} WHERE {} <> $1", staged(table), quoted(column));
        run(client, "chose an account", &sql, &[&user]).await?;
        let of = Owned::new(table, column, user);
        let before = of.rows(client).await?;
        if table == "account_data" {
            let sql = format!(
                "DELETE FROM account_data a USING {} s WHERE a.user_id = $1
                   AND s.account_data_type = a.account_data_type",
                staged(table)
            );
            run(client, "removed account data that is replaced", &sql, &[&user]).await?;
        } else {
            of.remove(client).await?;
        }
        insert_where(client, stage, table, ("true", false)).await?;
        let rows = of.note(client, id, &before).await?;
        if rows > 0 {
            added.insert(table.to_owned(), rows);
        }
    }
    directory(client, id, user).await?;
    Ok(added)
}

/// Gives staged receipts of `from` to `to`, but where that account has its own among them; how many
/// it then has.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub async fn rename_receipts(
    client: &Client,
    stage: &Stage,
    names: (&str, &str),
) -> Result<u64, MergeError> {
    let mut given = 0;
    for table in RECEIPTS.into_iter().filter(|table| stage.takes(table)) {
        let name = staged(table);
        let sql = format!(
            "DELETE FROM {name} s USING {name} o WHERE s.user_id = $1 AND o.user_id = $2
               AND o.room_id = s.room_id AND o.receipt_type = s.receipt_type
               AND o.thread_id IS NOT DISTINCT FROM s.thread_id"
        );
        run(client, "chose receipts", &sql, &[&names.0, &names.1]).await?;
        stage.rename(client, (table, "user_id"), names).await?;
        let sql = format!("SELECT count(*) FROM {name} WHERE user_id = $1");
        let rows = ask(client, "counted receipts", &sql, &[&names.1]).await?;
        given += rows.first().map_or(0, |row| row.get::<_, i64>(0).unsigned_abs());
    }
    Ok(given)
}

/// Events among the staged ones that this user sent.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub async fn sent(client: &Client, user: &str) -> Result<u64, MergeError> {
    let sql = format!("SELECT count(*) FROM {} WHERE sender = $1", staged("events"));
    let rows = ask(client, "counted what a user sent", &sql, &[&user]).await?;
    Ok(rows.first().map_or(0, |row| row.get::<_, i64>(0).unsigned_abs()))
}

async fn fresh_ids(client: &Client, stage: &Stage) -> Result<(), MergeError> {
    insert::clear(client).await?;
    for table in ["push_rules", "push_rules_enable"] {
        if stage.takes(table) {
            insert::map_ids(client, table).await?;
        }
    }
    Ok(())
}

async fn count(client: &Client, table: &str) -> Result<u64, MergeError> {
    let sql = format!("SELECT count(*) FROM {}", staged(table));
    let rows = ask(client, "counted the package's rows", &sql, &[]).await?;
    Ok(rows.first().map_or(0, |row| row.get::<_, i64>(0).unsigned_abs()))
}

/// Lists an account anew under the name it has now.
async fn directory(client: &Client, id: &str, user: &str) -> Result<(), MergeError> {
    let mut before = Vec::new();
    for (table, column) in DIRECTORY {
        let of = Owned::new(table, column, user);
        before.push((of.rows(client).await?, of));
    }
    for (_, of) in &before {
        of.remove(client).await?;
    }
    users::list(client, &[user.to_owned()], &mut Added::new()).await?;
    for (before, of) in before {
        of.note(client, id, &before).await?;
    }
    Ok(())
}

fn localpart(user: &str) -> &str {
    user.trim_start_matches('@').split(':').next().unwrap_or(user)
}

/// What a package has of accounts, to be held against the target: rows without what is given anew,
/// by their hash.
#[derive(Debug, Default)]
pub struct Packaged(BTreeMap<(usize, String), BTreeSet<Digest>>);

impl Packaged {
    /// Takes the rows of a table, those of accounts among `users`.
    pub fn take(&mut self, table: &str, rows: &[Members<'_>], users: &BTreeSet<String>) {
        let Some(at) = TABLES.iter().take(OF_ACCOUNT).position(|(name, _)| *name == table) else {
            return;
        };
        for row in rows {
            if let Some(owner) = owner(table, row).filter(|owner| users.contains(owner)) {
                self.0.entry((at, owner)).or_default().insert(canonical(table, row));
            }
        }
    }

    /// The accounts of which the target does not have all of this as the package does.
    ///
    /// # Errors
    /// [`PostgresError`] when the database refuses.
    pub async fn differing(mut self, client: &Client) -> Result<BTreeSet<String>, PostgresError> {
        for (at, (table, column)) in TABLES.into_iter().take(OF_ACCOUNT).enumerate() {
            let of_table = self.0.keys().filter(|(found, _)| *found == at);
            let users: Vec<String> = of_table.map(|(_, user)| user.clone()).collect();
            let (name, column) = (quoted(table), quoted(column));
            let sql = format!(
                "SELECT {column}, to_jsonb(t)::text FROM {name} t WHERE {column} = ANY($1)"
            );
            for users in users.chunks(BATCH) {
                for row in ask(client, "compared accounts", &sql, &[&users]).await? {
                    if let Some(lacking) = self.0.get_mut(&(at, row.get(0))) {
                        lacking.remove(&canonical_text(table, row.get(1)));
                    }
                }
            }
        }
        let lacking = self.0.into_iter().filter(|(_, rows)| !rows.is_empty());
        Ok(lacking.map(|((_, user), _)| user).collect())
    }
}

/// Columns that get fresh values say nothing of whether two rows are the same.
fn is_told(table: &str, column: &str) -> bool {
    match Catalogue::known().get(table).map(|known| &known.import) {
        Some(Import::Remap(remapped)) => !remapped.contains(&column),
        _ => true,
    }
}

fn canonical(table: &str, row: &Members<'_>) -> Digest {
    let members = row.iter().filter_map(|(name, value)| {
        let value = match value {
            Member::Json(json) => serde_json::from_str(json).unwrap_or(Value::Null),
            Member::Text(text) => Value::String(text.to_owned()),
        };
        (is_told(table, name) && !value.is_null()).then(|| (name.to_owned(), value))
    });
    hash(members.collect())
}

fn canonical_text(table: &str, row: &str) -> Digest {
    let mut row: BTreeMap<String, Value> = serde_json::from_str(row).unwrap_or_default();
    row.retain(|name, value| is_told(table, name) && !value.is_null());
    hash(row)
}

/// JSON is written as text by packages, and as itself by PostgreSQL.
fn hash(mut row: BTreeMap<String, Value>) -> Digest {
    for value in row.values_mut() {
        let json = value.as_str().filter(|text| text.starts_with(['{', '[']));
        if let Some(json) = json.and_then(|text| serde_json::from_str(text).ok()) {
            *value = json;
        }
    }
    let row = &row;
    Digest::of(serde_json::to_string(row).unwrap_or_default().as_bytes())
}
