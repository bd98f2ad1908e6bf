//! Who owns what and who may do what in a database that was put back. Roles are not in a backup:
//! what is of one that is not there is told, with the statements to run.

use lifeboat_engine::failure::Failure;
use lifeboat_engine::import::check::database_fault;
use lifeboat_postgres::columns::quoted;
use lifeboat_postgres::connect::Connector;
use lifeboat_postgres::rights::{give, merged};

use crate::database::Kept;
use crate::journal::StepDone;

/// Characters of statements that one gap shows; the step itself runs all of them.
const SHOWN: usize = 4000;

/// Gives the rights in a database again.
///
/// # Errors
/// [`Failure`] when the backup is damaged or the server is lost.
pub async fn give_again(kept: &Kept<'_>, connector: &Connector) -> Result<StepDone, Failure> {
    let facts = kept.facts()?;
    let mut done = StepDone::default();
    let database = connector.database();
    if kept.record.rights.is_none() {
        let others: Vec<String> =
            facts.roles.into_iter().filter(|role| *role != facts.owner).collect();
        if !others.is_empty() {
            done.gaps.push(format!(
                "{database}: the backup was made before rights were kept; give what they need to \
                 the roles that had something there: {}",
                others.join(", ")
            ));
        }
        return Ok(done);
    }
    let text = kept.text(kept.record.rights.as_ref()).await?;
    let came = give(connector, &text, &facts.owner).await.map_err(database_fault)?;
    done.lines.push(format!("{database}: {} rights", came.given));
    if came.taken_over > 0 {
        done.lines.push(format!(
            "{database}: {} things of {}, who is not there, belong to {}",
            came.taken_over, facts.owner, came.role
        ));
    }
    let again = format!("lifeboat restore run … --only rights/{}", kept.component.name);
    for (role, statements) in &came.missing {
        let name = quoted(role);
        done.gaps.push(format!(
            "{database}: there is no role {role}, and roles are not in a backup. Make it as an \
             administrator: CREATE ROLE {name} LOGIN; \\password {name}. Then give it what it \
             had: {again}; or: {}",
            shown(statements)
        ));
    }
    if !came.of_owner.is_empty() {
        done.gaps.push(format!(
            "{database}: {count} things of {owner} belong to {role} now, who restored them. There \
             is nothing to do where {role} is whom its program connects as; for {owner} to have \
             them as before, as a superuser: {}",
            shown(&came.of_owner),
            count = came.of_owner.len(),
            owner = facts.owner,
            role = came.role,
        ));
    }
    for (reason, statements) in &came.refused {
        done.gaps.push(format!(
            "{database}: {} may not do this ({reason}). As a superuser: {}",
            came.role,
            shown(statements)
        ));
    }
    Ok(done)
}

/// Statements as one line, as many as one can read.
fn shown(statements: &[String]) -> String {
    let mut text = String::new();
    let all = merged(statements);
    for (at, statement) in all.iter().enumerate() {
        if at > 0 && text.len() + statement.len() > SHOWN {
            return format!("{text} … and {} more", all.len() - at);
        }
        if at > 0 {
            text.push(' ');
        }
        text.push_str(statement);
    }
    text
}

#[cfg(test)]
mod tests;
