//! The certificate we show a database, and its key (PostgreSQL manual §34.19.2).

use std::io;
use std::path::PathBuf;

use super::database::DatabaseError;
use super::disk::{self, ReadFile};
use super::target::Surroundings;
use lifeboat_postgres::connect::ClientIdentity;

/// Where certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFiles {
    /// `sslcert`, or where libpq looks for it.
    pub certificate: PathBuf,
    /// `sslkey`, or where libpq looks for it.
    pub key: PathBuf,
}

impl IdentityFiles {
    /// What libpq would show; `None` when it shows nothing.
    pub(super) fn find(
        certificate: Option<String>,
        key: Option<String>,
        around: &Surroundings,
    ) -> Option<Self> {
        let own = |name: &str| Some(around.home.as_ref()?.join(".postgresql").join(name));
        let path = |given: Option<String>, name| given.map(PathBuf::from).or_else(|| own(name));
        let certificate = path(certificate, "postgresql.crt")?;
        let key = path(key, "postgresql.key")?;
        Some(Self { certificate, key })
    }

    /// Reads both; `None` when there is no certificate, as libpq then goes on without.
    ///
    /// # Errors
    /// [`DatabaseError`] when one cannot be read, or others can read the key.
    pub(super) fn read(&self) -> Result<Option<ClientIdentity>, DatabaseError> {
        let certificates = match disk::read_file(&self.certificate) {
            Ok(file) => file.bytes.to_vec(),
            Err(error) if error.is_absence() => return Ok(None),
            Err(error) => {
                let path = self.certificate.display().to_string();
                return Err(DatabaseError::ClientCertificate { path, source: error.into_io() });
            }
        };
        let path = || self.key.display().to_string();
        let unread = |source: io::Error| DatabaseError::ClientKey { path: path(), source };
        let key = disk::read_file(&self.key).map_err(|error| unread(error.into_io()))?;
        if is_open(&key) {
            return Err(DatabaseError::ClientKeyOpen { path: path() });
        }
        Ok(Some(ClientIdentity { certificates, key: key.bytes }))
    }
}

/// Whether others than its owner can use a key. One of root's may be readable to its group: so
/// systems hand keys to services.
fn is_open(key: &ReadFile) -> bool {
    let forbidden = if key.uid == 0 { 0o037 } else { 0o077 };
    key.mode & forbidden != 0
}
