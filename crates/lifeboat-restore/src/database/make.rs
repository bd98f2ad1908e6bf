//! A database that is made, and why it cannot be.

use lifeboat_engine::failure::Failure;
use lifeboat_postgres::PostgresError;
use lifeboat_postgres::archive::{DatabaseFacts, server_version};
use lifeboat_postgres::columns::quoted;
use lifeboat_postgres::connect::Connector;
use lifeboat_postgres::restore::{create_database, creation};

/// SQLSTATE of a database that is there already.
const DUPLICATE: &str = "42P04";
/// Where one asks to make databases: there on every server.
const MAINTENANCE: [&str; 2] = ["postgres", "template1"];

/// Makes the database that `connector` names. One that is there already is an error.
pub(crate) async fn make(connector: &Connector, facts: &DatabaseFacts) -> Result<(), Failure> {
    let name = connector.database();
    let administration = administration(connector).await?;
    let Err(refused) = create_database(&administration, &name, facts, None).await else {
        return Ok(());
    };
    if connector.connect().await.is_ok() {
        // The server went on with what an earlier run had asked for.
        return Err(Failure::failed(
            format!("database {name} was made by somebody else just now"),
            "run the same command again",
        )
        .because(refused));
    }
    if refused.code() == Some(DUPLICATE) {
        return Err(shut(connector).await);
    }
    let how = how_to_make(connector, facts).await;
    Err(Failure::failed(
        format!("there is no database {name}, and it cannot be made"),
        format!("{how}; then run the same command again"),
    )
    .because(refused))
}

/// What to do where a database is there, and does not let us in.
async fn shut(connector: &Connector) -> Failure {
    let (name, role) = (connector.database(), connector.role().unwrap_or("…"));
    let what = format!("database {name} is there, and lets nobody in, or not {role}");
    let Err(why) = connector.connect().await else {
        return Failure::failed(what, "run the same command again");
    };
    let database = quoted(&name);
    let how = match why.code() {
        // As a restore leaves it that was killed just before it renamed it.
        Some("55000") => format!("ALTER DATABASE {database} ALLOW_CONNECTIONS true"),
        Some("53300") => format!("ALTER DATABASE {database} CONNECTION LIMIT -1"),
        Some("42501") => format!("GRANT CONNECT ON DATABASE {database} TO {}", quoted(role)),
        _ => {
            return Failure::failed(what, "mend what it says, and run the same command again")
                .because(why);
        }
    };
    let remedy = format!("as an administrator: {how}; then run the same command again");
    Failure::failed(what, remedy).because(why)
}

pub(crate) async fn administration(connector: &Connector) -> Result<Connector, Failure> {
    let mut refused = None;
    for name in MAINTENANCE {
        let other = connector.to_database(name);
        match other.connect().await {
            Ok(_) => return Ok(other),
            Err(error) => refused = Some(error),
        }
    }
    let what =
        format!("there is no way to database {} at {}", connector.database(), connector.place());
    let role = connector.role().map(quoted).unwrap_or_default();
    let remedy = match refused.as_ref().and_then(PostgresError::code) {
        Some("28000") => format!(
            "see that the role is there (CREATE ROLE {role} LOGIN PASSWORD '…'; what \
             `pg_dumpall --roles-only` wrote has it), and that pg_hba.conf lets it in"
        ),
        Some("28P01") => format!(
            "the role {role} has another password than the configuration: ALTER ROLE {role} \
             PASSWORD '…'"
        ),
        _ => "see that PostgreSQL is up there, and lets us in; or make the database (ENCODING \
              UTF8, LC_COLLATE C, LC_CTYPE C, TEMPLATE template0), owned by the role of the \
              configuration"
            .to_owned(),
    };
    let failure = Failure::failed(what, remedy);
    Err(match refused {
        Some(error) => failure.because(error),
        None => failure,
    })
}

/// How an administrator makes the database, on the server where it is to be.
pub(super) async fn how_to_make(connector: &Connector, facts: &DatabaseFacts) -> String {
    let version = async {
        let session = administration(connector).await.ok()?.connect().await.ok()?;
        server_version(&session).await.ok()
    };
    let version = version.await.unwrap_or(facts.server_version);
    let owner = connector.role();
    match creation(&connector.database(), (facts, owner), version) {
        Ok(statement) => format!("as an administrator: {statement}"),
        Err(refused) => format!("look for another server: {refused}"),
    }
}
