//! What opens a package.

use std::path::{Path, PathBuf};

use age::DecryptError;
use age::secrecy::SecretString;
use age::ssh::UnsupportedKey;
use lifeboat_package::limits::KEY_FILE_BYTES;
use zeroize::Zeroizing;

use crate::{KeyringError, PASSPHRASE_WORK_ACCEPTED, read_key_file};

const SSH_REMEDY: &str =
    "copy the key and take the passphrase off the copy: ssh-keygen -p -N '' -f COPY";
const AGE_REMEDY: &str = "open it first: age --decrypt -o PLAIN FILE";

/// Secret keys and passphrases to try.
#[derive(Default)]
pub struct Identities {
    keys: Vec<Box<dyn age::Identity + Send + Sync>>,
    passphrase: Option<Box<age::scrypt::Identity>>,
}

impl Identities {
    /// Reads identity files, and takes a passphrase to try besides.
    ///
    /// # Errors
    /// [`KeyringError`] with the first file that is no identity, or when there is neither.
    pub fn read(
        files: &[PathBuf],
        passphrase: Option<&Zeroizing<String>>,
    ) -> Result<Self, KeyringError> {
        let mut all = Self::default();
        for path in files {
            let bytes = read_key_file(path)?;
            all.keys.append(&mut Self::from_named(path, &bytes)?.keys);
        }
        if let Some(passphrase) = passphrase {
            all.passphrase = Self::from_passphrase(passphrase)?.passphrase;
        }
        if all.count() == 0 { Err(KeyringError::NoIdentity) } else { Ok(all) }
    }

    /// The identities in the content of one file: age identities one a line (`#` starts a
    /// comment), or one OpenSSH private key.
    ///
    /// # Errors
    /// [`KeyringError`] when it holds none, or one that is protected with a passphrase.
    pub fn from_file(bytes: &[u8]) -> Result<Self, KeyringError> {
        Self::from_named(Path::new("the identity file"), bytes)
    }

    /// A passphrase.
    ///
    /// # Errors
    /// [`KeyringError::EmptyPassphrase`].
    pub fn from_passphrase(passphrase: &Zeroizing<String>) -> Result<Self, KeyringError> {
        if passphrase.is_empty() {
            return Err(KeyringError::EmptyPassphrase);
        }
        let secret = SecretString::from(passphrase.as_str());
        let mut identity = age::scrypt::Identity::new(secret);
        identity.set_max_work_factor(PASSPHRASE_WORK_ACCEPTED);
        Ok(Self { keys: Vec::new(), passphrase: Some(Box::new(identity)) })
    }

    /// How many there are to try.
    pub fn count(&self) -> usize {
        self.keys.len() + usize::from(self.passphrase.is_some())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &dyn age::Identity> {
        let passphrase = self.passphrase.iter().map(|one| one.as_ref() as &dyn age::Identity);
        self.keys.iter().map(|key| key.as_ref() as &dyn age::Identity).chain(passphrase)
    }

    fn from_named(path: &Path, bytes: &[u8]) -> Result<Self, KeyringError> {
        let file = path.display().to_string();
        if bytes.len() > KEY_FILE_BYTES {
            return Err(KeyringError::TooLarge { file });
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Err(refuse_binary(file, bytes));
        };
        let start = text.trim_start();
        if is_age_file(start.as_bytes()) {
            return Err(KeyringError::ProtectedIdentity { file, remedy: AGE_REMEDY });
        }
        let keys = if start.starts_with("-----BEGIN") {
            vec![ssh_key(file, start)?]
        } else {
            age_keys(&file, text)?
        };
        Ok(Self { keys, passphrase: None })
    }

    /// Turns age's answer into ours, which knows what would have opened the package.
    pub(super) fn explain(&self, error: &DecryptError, key_age: &[u8]) -> KeyringError {
        let kinds = stanza_kinds(key_age);
        let by_passphrase = kinds == ["scrypt"];
        match error {
            DecryptError::ExcessiveWork { required, .. } => {
                KeyringError::TooMuchWork { required: *required }
            }
            DecryptError::NoMatchingKeys if by_passphrase => KeyringError::NeedsPassphrase,
            DecryptError::NoMatchingKeys => {
                let sealed_for = describe(&kinds);
                match (self.keys.len(), self.passphrase.is_some()) {
                    (0, _) => KeyringError::NeedsIdentity { sealed_for },
                    (1, false) => KeyringError::WrongOneIdentity { sealed_for },
                    _ => KeyringError::WrongIdentity { tried: self.count(), sealed_for },
                }
            }
            DecryptError::DecryptionFailed if by_passphrase => KeyringError::WrongPassphrase,
            _ => KeyringError::Damaged,
        }
    }
}

fn age_keys(
    file: &str,
    text: &str,
) -> Result<Vec<Box<dyn age::Identity + Send + Sync>>, KeyringError> {
    let mut keys: Vec<Box<dyn age::Identity + Send + Sync>> = Vec::new();
    for (number, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Ok(key) = line.parse::<age::x25519::Identity>() else {
            return Err(KeyringError::Identity { file: file.to_owned(), line: Some(number + 1) });
        };
        keys.push(Box::new(key));
    }
    if keys.is_empty() {
        return Err(KeyringError::Identity { file: file.to_owned(), line: None });
    }
    Ok(keys)
}

fn ssh_key(file: String, text: &str) -> Result<Box<dyn age::Identity + Send + Sync>, KeyringError> {
    match age::ssh::Identity::from_buffer(text.as_bytes(), None) {
        Ok(key @ age::ssh::Identity::Unencrypted(_)) => Ok(Box::new(key)),
        Ok(
            age::ssh::Identity::Encrypted(_)
            | age::ssh::Identity::Unsupported(
                UnsupportedKey::EncryptedPem | UnsupportedKey::EncryptedSsh(_),
            ),
        ) => Err(KeyringError::ProtectedIdentity { file, remedy: SSH_REMEDY }),
        Ok(age::ssh::Identity::Unsupported(_)) => Err(KeyringError::IdentityKind { file }),
        Err(_) => Err(KeyringError::Identity { file, line: None }),
    }
}

fn refuse_binary(file: String, bytes: &[u8]) -> KeyringError {
    if is_age_file(bytes) {
        KeyringError::ProtectedIdentity { file, remedy: AGE_REMEDY }
    } else {
        KeyringError::Identity { file, line: None }
    }
}

fn is_age_file(bytes: &[u8]) -> bool {
    bytes.starts_with(b"age-encryption.org/v1\n")
        || bytes.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----")
}

/// The recipient types in the header of an age file, in order. Only names that we know are given
/// back: the file may come from anybody.
fn stanza_kinds(key_age: &[u8]) -> Vec<&'static str> {
    const KNOWN: [&str; 4] = ["X25519", "ssh-ed25519", "ssh-rsa", "scrypt"];
    let lines = key_age.split(|byte| *byte == b'\n');
    lines
        .take_while(|line| !line.starts_with(b"---"))
        .filter_map(|line| std::str::from_utf8(line.strip_prefix(b"-> ")?).ok())
        .filter_map(|stanza| stanza.split(' ').next())
        // Writers add a stanza for nobody, so that readers learn to skip what they do not know.
        .filter(|kind| !kind.ends_with("-grease"))
        .map(|kind| KNOWN.into_iter().find(|known| *known == kind).unwrap_or("unknown"))
        .collect()
}

fn describe(kinds: &[&'static str]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for kind in kinds {
        match counts.iter_mut().find(|(known, _)| known == kind) {
            Some((_, count)) => *count += 1,
            None => counts.push((kind, 1)),
        }
    }
    match counts.as_slice() {
        [(kind, 1)] => format!("1 recipient of type {kind}"),
        [(kind, count)] => format!("{count} recipients of type {kind}"),
        several => {
            let each: Vec<String> =
                several.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            format!("{} recipients ({})", kinds.len(), each.join(", "))
        }
    }
}
