//! What a database is besides its schema and rows: what it takes to make one like it.

use serde::{Deserialize, Serialize};

use crate::PostgresError;
use crate::cut::Cut;

/// What a database is, as its server says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseFacts {
    /// The database's name.
    pub name: String,
    /// The server's version as a number: 150018 is 15.18.
    pub server_version: u32,
    /// The server's version in its own words.
    pub server_text: String,
    /// Encoding, `UTF8` where Matrix is served.
    pub encoding: String,
    /// Who orders text.
    pub locale_provider: LocaleProvider,
    /// `LC_COLLATE`.
    pub collate: String,
    /// `LC_CTYPE`.
    pub ctype: String,
    /// The locale of a provider other than libc.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Additional rules of an ICU collation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icu_rules: Option<String>,
    /// The version of the rules of order that its indexes were made by, where they have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation_version: Option<String>,
    /// Bytes on the server's disk, indexes included.
    pub size_bytes: u64,
    /// Who owns the database.
    pub owner: String,
    /// Roles that own something in it or were granted something, by name.
    pub roles: Vec<String>,
    /// Extensions, by name.
    pub extensions: Vec<Extension>,
    /// Settings of the database for all roles: `name=value`.
    pub settings: Vec<String>,
    /// Large objects, which are not kept: neither Matrix servers nor bridges use them.
    pub large_objects: u64,
    /// Publications and subscriptions of logical replication, which are not kept: they belong to
    /// the installation.
    pub replication: Vec<String>,
}

/// An extension of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The schema of its objects.
    pub schema: String,
}

/// Who orders text in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LocaleProvider {
    /// The operating system's C library; the only one for databases before PostgreSQL 15.
    Libc,
    /// ICU, from PostgreSQL 15.
    Icu,
    /// PostgreSQL itself, from version 17.
    Builtin,
}

/// How a database writes and orders text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextOrder {
    /// [`DatabaseFacts::encoding`].
    pub encoding: String,
    /// [`DatabaseFacts::locale_provider`].
    pub provider: LocaleProvider,
    /// [`DatabaseFacts::collate`].
    pub collate: String,
    /// [`DatabaseFacts::ctype`].
    pub ctype: String,
    /// [`DatabaseFacts::locale`].
    pub locale: Option<String>,
    /// [`DatabaseFacts::icu_rules`].
    pub icu_rules: Option<String>,
    /// [`DatabaseFacts::collation_version`].
    pub version: Option<String>,
}

impl TextOrder {
    /// Whether another is the same, by whatever version of its rules.
    pub fn is_as(&self, other: &Self) -> bool {
        // Newer servers write names of ICU's locales in another way.
        let plain = |order: &Self| Self {
            locale: order.locale.as_deref().map(|name| name.to_lowercase().replace('_', "-")),
            version: None,
            ..order.clone()
        };
        plain(self) == plain(other)
    }

    /// In words, for people.
    pub fn words(&self) -> String {
        let Self { encoding, provider, collate, ctype, .. } = self;
        let by = match provider {
            LocaleProvider::Libc => String::new(),
            other => format!(", by {other:?} {}", self.locale.as_deref().unwrap_or_default()),
        };
        let rules = self.icu_rules.as_deref().unwrap_or_default();
        let rules = if rules.is_empty() { String::new() } else { format!(", rules {rules}") };
        format!("{encoding}, LC_COLLATE {collate}, LC_CTYPE {ctype}{by}{rules}")
    }
}

impl DatabaseFacts {
    /// Where the database looked for names without a schema, for all roles.
    pub fn search_path(&self) -> &str {
        let set = self.settings.iter().find_map(|setting| setting.strip_prefix("search_path="));
        set.unwrap_or("\"$user\", public")
    }

    /// How the database wrote and ordered text.
    pub fn text_order(&self) -> TextOrder {
        TextOrder {
            encoding: self.encoding.clone(),
            provider: self.locale_provider,
            collate: self.collate.clone(),
            ctype: self.ctype.clone(),
            locale: self.locale.clone(),
            icu_rules: self.icu_rules.clone(),
            version: self.collation_version.clone(),
        }
    }
}

/// How the database that `client` is in writes and orders text.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn text_order(client: &tokio_postgres::Client) -> Result<TextOrder, PostgresError> {
    let (provider, locale, rules, number) = match server_version(client).await? {
        170_000.. => ("datlocprovider", "datlocale", "daticurules", "datcollversion"),
        160_000.. => ("datlocprovider", "daticulocale", "daticurules", "datcollversion"),
        150_000.. => ("datlocprovider", "daticulocale", "NULL", "datcollversion"),
        _ => ("'c'", "NULL", "NULL", "NULL"),
    };
    let statement = format!(
        "SELECT pg_encoding_to_char(encoding)::text, {provider}::text, datcollate::text,
                datctype::text, ({locale})::text, ({rules})::text, ({number})::text
         FROM pg_database WHERE datname = current_database()"
    );
    let doing = |e| PostgresError::sorted("asked how text is ordered", e);
    let row = client.query_one(statement.as_str(), &[]).await.map_err(doing)?;
    Ok(TextOrder {
        encoding: row.get(0),
        provider: match row.get(1) {
            "i" => LocaleProvider::Icu,
            "b" => LocaleProvider::Builtin,
            _ => LocaleProvider::Libc,
        },
        collate: row.get(2),
        ctype: row.get(3),
        locale: row.get(4),
        icu_rules: row.get(5),
        version: row.get(6),
    })
}

/// What the cut's database is.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn facts(cut: &Cut) -> Result<DatabaseFacts, PostgresError> {
    let doing = |e| PostgresError::sorted("read what the database is", e);
    let client = cut.anchor();
    let version = server_version(client).await?;
    let order = text_order(client).await?;
    let row = client
        .query_one(
            "SELECT d.datname::text, version(),
                pg_database_size(d.oid), pg_get_userbyid(d.datdba)::text,
                ARRAY(SELECT DISTINCT r.rolname::text FROM pg_shdepend s
                      JOIN pg_roles r ON r.oid = s.refobjid
                      WHERE s.refclassid = 'pg_authid'::regclass
                        AND (s.dbid = d.oid OR (s.dbid = 0 AND s.objid = d.oid))
                      ORDER BY 1),
                ARRAY(SELECT unnest(s.setconfig) FROM pg_db_role_setting s
                      WHERE s.setdatabase = d.oid AND s.setrole = 0),
                (SELECT count(*) FROM pg_largeobject_metadata),
                ARRAY(SELECT 'publication ' || pubname FROM pg_publication
                      UNION ALL
                      SELECT 'subscription ' || subname FROM pg_subscription
                      WHERE subdbid = d.oid)
             FROM pg_database d WHERE d.datname = current_database()",
            &[],
        )
        .await
        .map_err(doing)?;
    let extensions = client
        .query(
            "SELECT e.extname::text, e.extversion, n.nspname::text
             FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
             ORDER BY e.extname COLLATE \"C\"",
            &[],
        )
        .await
        .map_err(doing)?;
    let extension = |row: &tokio_postgres::Row| Extension {
        name: row.get(0),
        version: row.get(1),
        schema: row.get(2),
    };
    Ok(DatabaseFacts {
        name: row.get(0),
        server_version: version,
        server_text: row.get(1),
        encoding: order.encoding,
        locale_provider: order.provider,
        collate: order.collate,
        ctype: order.ctype,
        locale: order.locale,
        icu_rules: order.icu_rules,
        collation_version: order.version,
        size_bytes: row.get::<_, i64>(2).unsigned_abs(),
        owner: row.get(3),
        roles: row.get(4),
        extensions: extensions.iter().map(extension).collect(),
        settings: row.get(5),
        large_objects: row.get::<_, i64>(6).unsigned_abs(),
        replication: row.get(7),
    })
}

/// The server's version as a number: 150018 is 15.18.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn server_version(client: &tokio_postgres::Client) -> Result<u32, PostgresError> {
    let row = client
        .query_one("SELECT current_setting('server_version_num')::int4", &[])
        .await
        .map_err(|e| PostgresError::sorted("asked for the server's version", e))?;
    Ok(row.get::<_, i32>(0).unsigned_abs())
}
