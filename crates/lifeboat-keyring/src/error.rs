//! Why recipients, identities or a `key.age` are refused, and what to do about it.

use std::io;

use lifeboat_package::key::KeyTextError;
use lifeboat_package::limits::KEY_FILE_BYTES;

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
            Self::WrongIdentity { .. } | Self::WrongOneIdentity { .. } => {
                "name with -i FILE an identity that it was sealed for"
            }
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
}

struct Line(Option<usize>);

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |line| write!(f, " on line {line}"))
    }
}
