//! The public keys that signatures are checked with: our own, and those of others that Synapse
//! keeps.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tokio_postgres::Client;

use crate::matrix::PublicKeys;
use crate::postgres::PostgresError;
use crate::postgres::columns::literal;
use crate::postgres::copy_out::RowStream;
use crate::synapse::config::SynapseConfig;

/// Keys of other servers that are held at most: about 30 MB.
pub const KEYS: u64 = 100_000;

/// The keys of the server itself, those of the past included.
pub fn own_keys(config: &SynapseConfig) -> PublicKeys {
    let mut keys = PublicKeys::new();
    for key in config.signing_keys().unwrap_or_default() {
        keys.insert_own(&config.server_name, &key);
    }
    for old in config.old_signing_keys().unwrap_or_default() {
        // A key that cannot be read is one we do not have; its signatures are counted as such.
        keys.insert(&config.server_name, &old.key_id, &old.key).ok();
    }
    keys
}

/// Adds the keys of other servers than `own`, at most [`KEYS`]; returns how many. What the database
/// says of our own keys proves nothing: the configuration knows them.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn add_kept_keys(
    client: &Client,
    own: &str,
    keys: &mut PublicKeys,
) -> Result<u64, PostgresError> {
    let query = format!(
        "SELECT server_name, key_id, verify_key FROM server_signature_keys
         WHERE verify_key IS NOT NULL AND server_name <> {} LIMIT {KEYS}",
        literal(own)
    );
    let mut rows = RowStream::start(client, "the keys of other servers", &query).await?;
    let mut added = 0;
    while let Some(row) = rows.next().await? {
        let text = |at| row.field(at).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let (Some(server), Some(key_id), Some(key)) = (text(0), text(1), row.field(2)) else {
            continue;
        };
        // One key can have been heard from several servers.
        if !keys.has(server, key_id) {
            let public = STANDARD_NO_PAD.encode(key);
            added += u64::from(keys.insert(server, key_id, &public).is_ok());
        }
    }
    Ok(added)
}
