//! Tables that a restore leaves empty by the word of the catalogue, and the keys that make up for
//! it.

use super::steps::{Steps, counted};
use super::{Done, Rule};
use crate::postgres::PostgresError;
use crate::postgres::columns::quoted;
use crate::synapse::catalogue::{Catalogue, Class, Restore};

/// Makes sure that the tables which must not be restored are empty.
///
/// They are emptied by one statement: foreign keys run between the lock tables in a ring.
pub(super) async fn empty_tables(steps: &mut Steps<'_>) -> Result<(), PostgresError> {
    let mut filled = Vec::new();
    for table in Catalogue::known().tables() {
        let Restore::Empty(reason) = table.restore else { continue };
        let rule = if table.class == Class::Key { Rule::OneTimeKeys } else { Rule::Locks };
        if !steps.has(rule, table.name) {
            continue;
        }
        let count = format!("SELECT count(*) FROM {}", quoted(table.name));
        let [rows] = steps.counts("counted rows that must not be restored", &count, &[]).await?;
        if rows > 0 {
            filled.push(quoted(table.name));
            let taken = counted(rows, "row", "rows");
            steps.say(rule, Done::Applied, rows, format!("{taken} of {} removed", table.name));
        } else {
            let named =
                if rule == Rule::Locks { format!("{} ", table.name) } else { String::new() };
            steps.say(rule, Done::Nothing, 0, format!("{named}left out: {reason}"));
        }
    }
    if !filled.is_empty() {
        let truncate = format!("TRUNCATE {}", with_ring(steps, filled).join(", "));
        steps.change("emptied the tables that must not be restored", &truncate, &[]).await?;
    }
    Ok(())
}

/// Adds the other tables that are left empty, as `TRUNCATE` wants all ends of a foreign key.
fn with_ring(steps: &Steps<'_>, mut filled: Vec<String>) -> Vec<String> {
    for table in Catalogue::known().tables() {
        let name = quoted(table.name);
        let empty = matches!(table.restore, Restore::Empty(_));
        if empty && steps.present.has(table.name) && !filled.contains(&name) {
            filled.push(name);
        }
    }
    filled
}

/// Says how many fallback keys there are.
pub(super) async fn fallback_keys(steps: &mut Steps<'_>) -> Result<(), PostgresError> {
    if !steps.has(Rule::FallbackKeys, "e2e_fallback_keys_json") {
        return Ok(());
    }
    let count = "SELECT count(*) FROM e2e_fallback_keys_json";
    let [rows] = steps.counts("counted the fallback keys", count, &[]).await?;
    let kept = counted(rows, "key", "keys");
    let detail = format!("{kept} kept: devices can be reached before they upload one-time keys");
    steps.say(Rule::FallbackKeys, Done::Nothing, rows, detail);
    Ok(())
}
