//! Who owns what in a database, and who may do what there: grants, default privileges, policies
//! for single roles, settings of roles, the comment of the database, how many may be in it.
//!
//! A backup keeps the statements as `pg_dump` writes them. They name roles, which belong to the
//! server and not to the database, so they run at the end of a restore, one by one: what names a
//! role that is not there, and what the restoring role may not do, is told and left out.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Client;

use super::PostgresError;
use super::columns::quoted;
use super::connect::{Connector, Warnings};
use super::restore::statements::{split, tokens};

/// SQLSTATEs of warnings: nothing was granted or revoked, because one may not.
const NOT_DONE: [&str; 2] = ["01007", "01006"];
/// SQLSTATE of a thing that is there already.
const DUPLICATE: &str = "42710";
/// Kinds of things of which one statement can name several.
const LISTED: [&str; 6] = ["TABLE", "SEQUENCE", "FUNCTION", "PROCEDURE", "SCHEMA", "TYPE"];

/// Takes the statements about rights from what `pg_dump --create` wrote.
pub(crate) fn among(text: &str) -> String {
    let mut found = String::new();
    for statement in split(text) {
        // Lines for psql stand before the first statement after them.
        let lines = statement.split_inclusive('\n');
        let skipped: usize = lines.take_while(|line| line.starts_with('\\')).map(str::len).sum();
        let statement = statement.get(skipped..).unwrap_or_default().trim_start();
        if Right::parse(statement).is_some() {
            found.push_str(statement);
            found.push('\n');
        }
    }
    found
}

/// A statement about rights.
struct Right<'a> {
    statement: &'a str,
    /// The roles it names.
    roles: BTreeSet<String>,
    /// Whom it gives something to own.
    owner: Option<String>,
    /// Whether it says who speaks from now on.
    speaker: Speaker,
    /// The name of the database, in the statement.
    database: Option<(usize, &'a str)>,
}

/// Who says what comes next.
enum Speaker {
    /// Who did before.
    Same,
    /// We.
    Us,
    /// Another role.
    Other(String),
}

impl<'a> Right<'a> {
    /// None when it is about something else.
    fn parse(statement: &'a str) -> Option<Self> {
        let tokens = tokens(statement);
        let words: Vec<&str> = tokens.iter().map(|(_, token)| *token).collect();
        let mut right = Self {
            statement,
            roles: BTreeSet::new(),
            owner: None,
            speaker: Speaker::Same,
            database: None,
        };
        let after = |at: Option<usize>| words.get(at? + 1).copied();
        let last = |word: &str| words.iter().rposition(|other| *other == word);
        let mut named = Vec::new();
        match words.as_slice() {
            ["GRANT", ..] => named.extend(after(last("TO"))),
            ["REVOKE", ..] => named.extend(after(last("FROM"))),
            ["ALTER", "DEFAULT", "PRIVILEGES", "FOR", "ROLE", role, ..] => {
                named.push(*role);
                named.extend(after(last("TO")).or_else(|| after(last("FROM"))));
            }
            ["SET", "SESSION", "AUTHORIZATION", role, ";"] => {
                named.push(*role);
                right.speaker = Speaker::Other(unquoted(role));
            }
            ["RESET", "SESSION", "AUTHORIZATION", ";"] => right.speaker = Speaker::Us,
            ["ALTER", "ROLE", role, "IN", "DATABASE", ..] => named.push(*role),
            ["ALTER", .., "OWNER", "TO", role, ";"] => {
                named.push(*role);
                right.owner = Some(unquoted(role));
            }
            ["CREATE", "POLICY", ..] => {
                named.extend(of_policy(&words));
                if named.is_empty() {
                    return None;
                }
            }
            ["COMMENT", "ON", "POLICY" | "DATABASE", ..]
            | ["ALTER", "DATABASE", _, "CONNECTION", "LIMIT", ..]
            | ["SECURITY", "LABEL", "FOR", _, "ON", "DATABASE", ..] => {}
            _ => return None,
        }
        right.roles = named.into_iter().filter(|name| *name != "PUBLIC").map(unquoted).collect();
        let is_about = |pair: &[&str]| matches!(pair, ["ON" | "IN" | "ALTER", "DATABASE"]);
        let at = words.windows(2).position(is_about);
        right.database = at.and_then(|at| tokens.get(at + 2)).copied();
        Some(right)
    }

    /// The statement, about a database of another name.
    fn about(&self, database: &str) -> String {
        let Some((at, name)) = self.database else { return self.statement.to_owned() };
        let (before, after) = (&self.statement[..at], &self.statement[at + name.len()..]);
        format!("{before}{}{after}", quoted(database))
    }
}

/// The roles a policy is for: those after `TO`, outside of all parentheses.
fn of_policy<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut depth = 0_usize;
    let outer = words.iter().position(|word| {
        match *word {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && *word == "TO"
    });
    let Some(at) = outer else { return Vec::new() };
    let mut roles = Vec::new();
    for pair in words[at + 1..].chunks(2) {
        roles.push(pair[0]);
        if pair.get(1) != Some(&",") {
            break;
        }
    }
    roles
}

/// A name as it is, from how SQL writes it.
fn unquoted(token: &str) -> String {
    for mark in ["\"", "'"] {
        if let Some(inner) = token.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark)) {
            return inner.replace(&mark.repeat(2), mark);
        }
    }
    token.to_owned()
}

/// What came of rights that were given again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RightsGiven {
    /// Statements that were run.
    pub given: u64,
    /// The role that restored, to which belongs what was nobody else's.
    pub role: String,
    /// Things that belong to the restoring role, because their owner is not there: it owned the
    /// database, and the restoring role does in its place.
    pub taken_over: u64,
    /// What names a role that is not there: statements by role.
    pub missing: BTreeMap<String, Vec<String>>,
    /// What would belong to the owner of the database of before, who is there, and belongs to the
    /// restoring role, which is another and may not give it away.
    pub of_owner: Vec<String>,
    /// What else the restoring role may not do: statements by the server's words.
    pub refused: BTreeMap<String, Vec<String>>,
}

/// A statement to run.
struct Due {
    statement: String,
    /// Whom it gives something to own.
    owner: Option<String>,
}

/// Gives the rights again that `text` tells, in the database of `connector`; `owner` owned the
/// database they are of. Again is no error.
///
/// # Errors
/// [`PostgresError`] when the server is lost.
pub async fn give(
    connector: &Connector,
    text: &str,
    owner: &str,
) -> Result<RightsGiven, PostgresError> {
    let (client, warnings) = connector.connect_warned().await?;
    let doing = |e| PostgresError::sorted("gave rights again", e);
    client.batch_execute(super::restore::SESSION).await.map_err(doing)?;
    // What uses the database by now must not be held up behind us.
    client.batch_execute("SET lock_timeout = '5s'").await.map_err(doing)?;
    let rows = client.query("SELECT rolname::text FROM pg_roles", &[]).await.map_err(doing)?;
    let roles: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let us = "SELECT current_user::text, current_database()::text";
    let us = client.query_one(us, &[]).await.map_err(doing)?;
    let database: String = us.get(1);
    let mut came = RightsGiven { role: us.get(0), ..RightsGiven::default() };
    let (mut speaker, mut due) = (None, Vec::new());
    for right in split(text).into_iter().filter_map(Right::parse) {
        match &right.speaker {
            Speaker::Same => {}
            Speaker::Us => {
                speaker = None;
                continue;
            }
            Speaker::Other(role) => {
                speaker = Some(role.clone());
                continue;
            }
        }
        let named = right.roles.iter().chain(&speaker);
        let missing: Vec<&String> = named.filter(|role| !roles.contains(*role)).collect();
        let statement = spoken(right.about(&database), speaker.as_deref());
        if let Some(role) = missing.first() {
            if right.owner.as_deref() == Some(owner) {
                came.taken_over += 1;
            } else {
                came.missing.entry((*role).clone()).or_default().push(statement);
            }
            continue;
        }
        due.push(Due { statement, owner: right.owner });
    }
    run_all((&client, &warnings), (due, owner), &mut came).await?;
    Ok(came)
}

/// Runs statements in their order, and those once more that give something to own and were refused:
/// who is to own a table may need a right on its schema first, which comes later.
async fn run_all(
    to: (&Client, &Warnings),
    (due, owner): (Vec<Due>, &str),
    came: &mut RightsGiven,
) -> Result<(), PostgresError> {
    let mut again = Vec::new();
    for due in due {
        match run(to, &due.statement).await? {
            None => came.given += 1,
            Some(_) if due.owner.is_some() => again.push(due),
            Some(words) => came.refused.entry(words).or_default().push(due.statement),
        }
    }
    for due in again {
        match run(to, &due.statement).await? {
            None => came.given += 1,
            Some(_) if due.owner.as_deref() == Some(owner) => came.of_owner.push(due.statement),
            Some(words) => came.refused.entry(words).or_default().push(due.statement),
        }
    }
    Ok(())
}

/// Runs one statement; the server's words where it was refused, or nothing came of it.
async fn run(
    (client, warnings): (&Client, &Warnings),
    statement: &str,
) -> Result<Option<String>, PostgresError> {
    let doing = |e| PostgresError::sorted("gave rights again", e);
    let outcome = client.batch_execute(statement).await.map_err(doing);
    let warned = warnings.take().into_iter().find(|(code, _)| NOT_DONE.contains(&&**code));
    match (outcome, warned) {
        (Ok(()), warned) => Ok(warned.map(|(_, words)| words)),
        // What failed within a change of the speaker leaves the session as it was.
        (Err(PostgresError::Refused { code, message, .. }), _) => {
            let is_there = code == DUPLICATE && statement.starts_with("CREATE POLICY ");
            Ok((!is_there).then_some(message))
        }
        (Err(lost), _) => Err(lost),
    }
}

/// The statement as another role says it. One message is one transaction, so that the role is
/// ours again when it fails.
fn spoken(statement: String, speaker: Option<&str>) -> String {
    match speaker {
        None => statement,
        Some(role) => format!(
            "SET SESSION AUTHORIZATION {}; {statement} RESET SESSION AUTHORIZATION;",
            quoted(role)
        ),
    }
}

/// Words before and after the thing that a statement is about.
type Around<'a> = (&'a str, &'a str);

/// Statements that say the same of several things, as one.
pub fn merged(statements: &[String]) -> Vec<String> {
    let mut groups: Vec<(Around<'_>, Vec<&str>)> = Vec::new();
    for statement in statements {
        let Some((around, thing)) = thing_of(statement) else {
            groups.push((("", ""), vec![statement]));
            continue;
        };
        match groups.iter_mut().find(|(other, _)| *other == around) {
            Some((_, things)) => things.push(thing),
            None => groups.push((around, vec![thing])),
        }
    }
    let whole = |((before, after), things): (Around<'_>, Vec<&str>)| {
        format!("{before}{}{after}", things.join(", "))
    };
    groups.into_iter().map(whole).collect()
}

/// What a grant is about, and the words around it.
fn thing_of(statement: &str) -> Option<(Around<'_>, &str)> {
    let tokens = tokens(statement);
    let end = match tokens.first()?.1 {
        "GRANT" => "TO",
        "REVOKE" => "FROM",
        _ => return None,
    };
    let on = tokens.iter().position(|(_, token)| *token == "ON")?;
    let end = tokens.iter().rposition(|(_, token)| *token == end)?;
    if !LISTED.contains(&tokens.get(on + 1)?.1) || end <= on + 2 {
        return None;
    }
    let (from, to) = (tokens.get(on + 2)?.0, tokens.get(end)?.0);
    let thing = statement.get(from..to)?;
    let kept = thing.trim_end().len();
    Some(((statement.get(..from)?, statement.get(from + kept..)?), &thing[..kept]))
}

#[cfg(test)]
mod tests;
