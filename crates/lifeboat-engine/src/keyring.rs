//! Who may open a package: `key.age`, the age v1 file that hands its key to recipients
//! (`docs/src/format.md` §1.2).
//!
//! [`Recipients`] are public and only wrap; [`Identities`] are secret and only unwrap. A package
//! is sealed for any number of public keys (X25519, SSH) or with exactly one passphrase: age does
//! not mix them, and neither do we. Nothing here tells an identity, a passphrase or a package key:
//! not `Debug`, not an error.

mod identities;
mod recipients;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};
use std::path::Path;

use age::secrecy::ExposeSecret;
use lifeboat_package::id::PackageId;
use lifeboat_package::key::{KeyTextError, PackageKey};
use lifeboat_package::limits::KEY_FILE_BYTES;
use zeroize::Zeroizing;

use crate::failure::{Code, Failure};

pub use identities::Identities;
pub use recipients::Recipients;

/// Work factor of a passphrase: scrypt with N = 2¹⁷ takes 128 MiB, so that sealing stays as small
/// as everything else we do.
const PASSPHRASE_WORK: u8 = 17;
/// The highest work factor that is tried: 1 GiB. A package could ask for more than the machine has.
const PASSPHRASE_WORK_ACCEPTED: u8 = 20;
/// Bytes that the text inside `key.age` may have; it has 122.
const KEY_TEXT_BYTES: u64 = 256;

/// Why recipients, identities or a `key.age` are refused.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// A file of recipients or identities cannot be read.
    #[error("cannot read {file}")]
    Unreadable {
        /// The file, as it was given.
        file: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A file of recipients, identities or a `key.age` that is larger than any real one.
    #[error("{file} is larger than {KEY_FILE_BYTES} bytes and so is no key file")]
    TooLarge {
        /// The file.
        file: String,
    },
    /// Nobody could open the package.
    #[error("no recipient is given, so nobody could open the package")]
    NoRecipient,
    /// Not a public key.
    #[error("{text} is neither a recipient nor a file of recipients")]
    Recipient {
        /// The text or its place, cut short; never anything that looks like a secret key.
        text: String,
    },
    /// A public key of a kind that cannot be sealed for.
    #[error("{text} is a key of type {kind}, and packages cannot be sealed for that type")]
    RecipientKind {
        /// The text or its place.
        text: String,
        /// The type of the key.
        kind: String,
    },
    /// A secret key where a public one belongs.
    #[error("{place} is a secret key, not a recipient: whoever sees it can open your packages")]
    SecretAsRecipient {
        /// Where it was found.
        place: String,
    },
    /// age knows no file for both.
    #[error("a package is sealed either with one passphrase or for recipients, not both")]
    PassphraseAndRecipients,
    /// No words at all.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// Neither identity nor passphrase.
    #[error("no identity is given")]
    NoIdentity,
    /// A file that holds no identity.
    #[error("{file} holds no identity{}", Line(*line))]
    Identity {
        /// The file.
        file: String,
        /// The first line that is not understood, from 1; `None` when there is nothing at all.
        line: Option<usize>,
    },
    /// An identity that a passphrase protects.
    #[error("the identity in {file} is itself protected with a passphrase")]
    ProtectedIdentity {
        /// The file.
        file: String,
        /// How to make a copy that is not.
        remedy: &'static str,
    },
    /// An SSH key of another kind.
    #[error(
        "{file} is an SSH key of a type that cannot open packages; ssh-ed25519 and ssh-rsa can"
    )]
    IdentityKind {
        /// The file.
        file: String,
    },
    /// The package key could not be sealed.
    #[error("the package key cannot be sealed")]
    Wrap(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Right file, wrong keys.
    #[error("none of the {tried} identities opens this package; it was sealed for {sealed_for}")]
    WrongIdentity {
        /// How many identities were tried.
        tried: usize,
        /// How many recipients of which types.
        sealed_for: String,
    },
    /// Right file, the one identity is wrong.
    #[error("the identity does not open this package; it was sealed for {sealed_for}")]
    WrongOneIdentity {
        /// How many recipients of which types.
        sealed_for: String,
    },
    /// Right file, wrong words.
    #[error("the passphrase does not open this package")]
    WrongPassphrase,
    /// A passphrase is needed and none was given.
    #[error("this package was sealed with a passphrase, and none is given")]
    NeedsPassphrase,
    /// A passphrase was given and does not help.
    #[error("a passphrase does not open this package; it was sealed for {sealed_for}")]
    NeedsIdentity {
        /// How many recipients of which types.
        sealed_for: String,
    },
    /// The work factor is beyond what an honest package needs.
    #[error(
        "the passphrase of this package asks for 2^{required} units of work, which is too much"
    )]
    TooMuchWork {
        /// Binary logarithm of scrypt's N.
        required: u8,
    },
    /// Not an age file, or one that was changed.
    #[error("key.age is damaged")]
    Damaged,
    /// Opened, and not what §1.2 asks for.
    #[error("key.age does not hold the key of this package")]
    Content(#[source] KeyTextError),
}

impl KeyringError {
    /// What to do; empty where the error says all there is.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } | Self::TooLarge { .. } => {
                "check the path; identity and recipient files are small text files"
            }
            Self::NoRecipient => {
                "name one with -r age1… (lifeboat keygen makes a pair), or use --passphrase"
            }
            Self::Recipient { .. } | Self::RecipientKind { .. } => {
                "a recipient is age1…, an ssh-ed25519 or ssh-rsa key, or a file of such lines"
            }
            Self::SecretAsRecipient { .. } => {
                "seal for its public half: the line `# public key:` of the identity file"
            }
            Self::PassphraseAndRecipients => {
                "leave one of them out; further people can be given an identity of their own"
            }
            Self::EmptyPassphrase => "choose one that nobody guesses, such as six random words",
            Self::NoIdentity | Self::NeedsIdentity { .. } => {
                "name the file of the identity with -i FILE"
            }
            Self::Identity { .. } => {
                "an identity is what `lifeboat keygen` writes, or an SSH private key"
            }
            Self::ProtectedIdentity { remedy, .. } => remedy,
            Self::IdentityKind { .. } => "use the identity that the package was sealed for",
            Self::Wrap(_) => "check the recipients",
            Self::WrongIdentity { .. } | Self::WrongOneIdentity { .. } => "",
            Self::WrongPassphrase => "type it again; capitals and spaces count",
            Self::NeedsPassphrase => "use --passphrase or --passphrase-file FILE",
            Self::TooMuchWork { .. } | Self::Damaged | Self::Content(_) => {
                "take another copy of the package"
            }
        }
    }

    /// Whether the package is at fault, and not what was tried on it.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::TooMuchWork { .. } | Self::Damaged | Self::Content(_))
    }

    fn code(&self) -> Code {
        match self {
            damage if damage.is_damage() => Code::NotValid,
            Self::WrongIdentity { .. }
            | Self::WrongOneIdentity { .. }
            | Self::WrongPassphrase
            | Self::Unreadable { .. }
            | Self::Wrap(_) => Code::Failed,
            _ => Code::Usage,
        }
    }
}

impl From<KeyringError> for Failure {
    fn from(error: KeyringError) -> Self {
        let (code, what, remedy) = (error.code(), error.to_string(), error.remedy().to_owned());
        let cause: Option<Box<dyn std::error::Error + Send + Sync>> = match error {
            KeyringError::Unreadable { cause, .. } => Some(cause.into()),
            KeyringError::Content(cause) => Some(cause.into()),
            KeyringError::Wrap(cause) => Some(cause),
            _ => None,
        };
        Self { code, what, remedy, cause }
    }
}

struct Line(Option<usize>);

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |line| write!(f, " on line {line}"))
    }
}

/// Seals the key of a package: the bytes of its `key.age`.
///
/// # Errors
/// [`KeyringError::Wrap`], which only a broken recipient can cause.
pub fn wrap(
    recipients: &Recipients,
    key: &PackageKey,
    package: &PackageId,
) -> Result<Vec<u8>, KeyringError> {
    let sealed = recipients.encryptor().and_then(|encryptor| {
        let mut output = encryptor.wrap_output(Vec::new())?;
        output.write_all(key.to_key_text(package).as_bytes())?;
        Ok(output.finish()?)
    });
    sealed.map_err(|error| KeyringError::Wrap(Box::new(error)))
}

/// Opens the `key.age` of `package`.
///
/// # Errors
/// [`KeyringError`]: which identities were tried and what they would have to be, or that the file
/// is damaged, asks for too much work, or belongs to another package.
pub fn unwrap(
    identities: &Identities,
    key_age: &[u8],
    package: &PackageId,
) -> Result<PackageKey, KeyringError> {
    if key_age.len() > KEY_FILE_BYTES {
        return Err(KeyringError::TooLarge { file: "key.age".to_owned() });
    }
    let decryptor = age::Decryptor::new_buffered(key_age).map_err(|_| KeyringError::Damaged)?;
    let reader = decryptor
        .decrypt(identities.iter())
        .map_err(|error| identities.explain(&error, key_age))?;
    // Sized at once: a buffer that grows leaves copies of the key behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(512));
    reader.take(KEY_TEXT_BYTES + 1).read_to_end(&mut plain).map_err(|_| KeyringError::Damaged)?;
    let text =
        std::str::from_utf8(&plain).map_err(|_| KeyringError::Content(KeyTextError::Malformed))?;
    PackageKey::parse_key_text(text, package).map_err(KeyringError::Content)
}

/// A fresh X25519 identity: the text of an identity file, and the recipient that belongs to it.
pub fn generate() -> (Zeroizing<String>, String) {
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let secret = identity.to_string();
    let mut text = Zeroizing::new(String::with_capacity(256));
    text.push_str("# public key: ");
    text.push_str(&recipient);
    text.push('\n');
    text.push_str(secret.expose_secret());
    text.push('\n');
    (text, recipient)
}

/// Reads a file of keys, which is small or not what it says.
fn read_key_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
    let file = path.display().to_string();
    let unreadable = |cause| KeyringError::Unreadable { file: file.clone(), cause };
    let opened = std::fs::File::open(path).map_err(unreadable)?;
    let size = opened.metadata().map_err(unreadable)?.len();
    if size > KEY_FILE_BYTES as u64 {
        return Err(KeyringError::TooLarge { file });
    }
    let capacity = usize::try_from(size).unwrap_or(0) + 64;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    // A pipe has no size beforehand, so the bound holds while reading too.
    opened.take(KEY_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > KEY_FILE_BYTES {
        return Err(KeyringError::TooLarge { file });
    }
    Ok(bytes)
}
