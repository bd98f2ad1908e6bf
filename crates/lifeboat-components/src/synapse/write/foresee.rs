//! What a target would refuse of the objects that are not Synapse's, as far as it can be asked
//! without changing anything: its extensions, languages, types and the role's rights. What only
//! making a thing shows, such as a default that calls a function of an extension, is not foreseen.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_package::manifest::Table;
use tokio_postgres::Client;

use super::target::may_be_left_out;
use crate::postgres::PostgresError;
use crate::synapse::schema::{Kind, SchemaStatement};

/// Objects that would be left out, each with the reason.
pub type Refusals = BTreeMap<String, String>;

/// What the role may do besides what owns the database.
struct Rights {
    is_superuser: bool,
    may_create: bool,
}

/// Asks the target that `client` is connected to. `tables` are those of the package.
///
/// # Errors
/// [`PostgresError`] when the server refuses to answer or is lost.
pub async fn refusals(
    client: &Client,
    statements: &[&SchemaStatement],
    tables: &[Table],
) -> Result<Refusals, PostgresError> {
    let guests = statements.iter().copied().filter(|statement| may_be_left_out(statement));
    let of = |kind: Kind| guests.clone().filter(move |statement| statement.kind == kind);
    let rights = rights(client).await?;
    let mut refusals = schemas(client, of(Kind::Schema), &rights).await?;
    let extensions: Vec<&str> = of(Kind::Extension).map(|s| s.name.as_str()).collect();
    let missing = missing_extensions(client, &extensions, &rights).await?;
    // What an extension brings nobody knows before it is made.
    let brings_unknown = extensions.len() > missing.len();
    refusals.extend(missing);
    refusals.extend(functions(client, of(Kind::Function), &rights, brings_unknown).await?);
    if !brings_unknown {
        let made: BTreeSet<&str> =
            statements.iter().filter(|s| s.kind == Kind::Table).map(|s| s.name.as_str()).collect();
        let foreign: BTreeSet<&str> = of(Kind::Table).map(|s| s.name.as_str()).collect();
        let tables = tables.iter().filter(|table| foreign.contains(table.name.as_str()));
        refusals.extend(untyped(client, tables, &made).await?);
    }
    Ok(refusals)
}

async fn rights(client: &Client) -> Result<Rights, PostgresError> {
    let query = "SELECT rolsuper, has_database_privilege(current_database(), 'CREATE')
                 FROM pg_roles WHERE rolname = current_user";
    let row = client.query_one(query, &[]).await.map_err(doing)?;
    let is = |at: usize| row.try_get(at).map_err(doing);
    Ok(Rights { is_superuser: is(0)?, may_create: is(1)? })
}

async fn schemas(
    client: &Client,
    wanted: impl Iterator<Item = &SchemaStatement>,
    rights: &Rights,
) -> Result<Refusals, PostgresError> {
    if rights.may_create {
        return Ok(Refusals::new());
    }
    let names: Vec<&str> = wanted.map(|statement| statement.name.as_str()).collect();
    let query = "SELECT s FROM unnest($1::text[]) s
                 WHERE NOT EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = s)";
    let rows = client.query(query, &[&names]).await.map_err(doing)?;
    let why = "the role may not make schemas in the database";
    rows.iter().map(|row| Ok((row.try_get(0).map_err(doing)?, why.to_owned()))).collect()
}

async fn missing_extensions(
    client: &Client,
    names: &[&str],
    rights: &Rights,
) -> Result<Refusals, PostgresError> {
    let query = "SELECT x, v.name IS NOT NULL, a.installed_version IS NOT NULL,
                        coalesce(v.superuser, false), coalesce(v.trusted, false)
                 FROM unnest($1::text[]) x
                 LEFT JOIN pg_available_extensions a ON a.name = x
                 LEFT JOIN pg_available_extension_versions v
                        ON v.name = a.name AND v.version = a.default_version";
    let mut missing = Refusals::new();
    for row in client.query(query, &[&names]).await.map_err(doing)? {
        let is = |at: usize| row.try_get::<_, bool>(at).map_err(doing);
        let (is_there, is_made, is_guarded, is_trusted) = (is(1)?, is(2)?, is(3)?, is(4)?);
        let may_make = match (is_guarded, is_trusted) {
            _ if rights.is_superuser => true,
            (false, _) => true,
            (true, trusted) => trusted && rights.may_create,
        };
        let why = match (is_there || is_made, is_made || may_make) {
            (true, true) => continue,
            (true, false) => "the role may not make this extension; a superuser may, before",
            (false, _) => "the target's PostgreSQL does not have this extension",
        };
        missing.insert(row.try_get(0).map_err(doing)?, why.to_owned());
    }
    Ok(missing)
}

async fn functions(
    client: &Client,
    wanted: impl Iterator<Item = &SchemaStatement>,
    rights: &Rights,
    brings_unknown: bool,
) -> Result<Refusals, PostgresError> {
    let query = "SELECT lanname::text, lanpltrusted AND has_language_privilege(oid, 'USAGE')
                 FROM pg_language";
    let mut languages = BTreeMap::new();
    for row in client.query(query, &[]).await.map_err(doing)? {
        let name: String = row.try_get(0).map_err(doing)?;
        languages.insert(name, row.try_get::<_, bool>(1).map_err(doing)?);
    }
    let why = |language: &str| match languages.get(language) {
        None if brings_unknown => None,
        None => Some(format!("the target does not have its language {language}")),
        Some(is_for_all) if *is_for_all || rights.is_superuser => None,
        Some(_) => Some(format!("the role may not use its language {language}")),
    };
    let refused = |statement: &SchemaStatement| {
        Some((statement.name.clone(), why(language(&statement.sql)?)?))
    };
    Ok(wanted.filter_map(refused).collect())
}

/// The language in a definition as PostgreSQL writes it: on a line of its own, before the body.
fn language(sql: &str) -> Option<&str> {
    let rest = sql.lines().find_map(|line| line.strip_prefix(" LANGUAGE "))?;
    rest.split_whitespace().next().map(|word| word.trim_matches('"'))
}

/// Tables with a column of a type that is neither there nor made with the package's tables.
async fn untyped(
    client: &Client,
    tables: impl Iterator<Item = &Table>,
    made: &BTreeSet<&str>,
) -> Result<Refusals, PostgresError> {
    let query = "SELECT t FROM unnest($1::text[]) t WHERE to_regtype(t) IS NULL LIMIT 1";
    let mut refusals = Refusals::new();
    for table in tables {
        let of_table = |name: &str| {
            let name = name.trim_end_matches("[]");
            made.contains(name.strip_prefix("public.").unwrap_or(name).trim_matches('"'))
        };
        let types: Vec<&str> = table.columns.iter().map(|(_, kind)| kind.as_str()).collect();
        let types: Vec<&str> = types.into_iter().filter(|name| !of_table(name)).collect();
        if let Some(row) = client.query_opt(query, &[&types]).await.map_err(doing)? {
            let kind: String = row.try_get(0).map_err(doing)?;
            refusals
                .insert(table.name.clone(), format!("the target does not have its type {kind}"));
        }
    }
    Ok(refusals)
}

fn doing(error: tokio_postgres::Error) -> PostgresError {
    PostgresError::sorted("looked what the target would refuse", error)
}
