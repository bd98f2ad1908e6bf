//! Whom a package is sealed for.

use std::path::Path;
use std::str::FromStr;

use age::secrecy::SecretString;
use age::ssh::ParseRecipientKeyError;
use zeroize::Zeroizing;

use crate::{KeyringError, PASSPHRASE_WORK, read_key_file};

/// Those who will be able to open a package: public keys, or one passphrase.
#[derive(Clone)]
pub struct Recipients(Kind);

#[derive(Clone)]
enum Kind {
    Keys(Vec<PublicKey>),
    Passphrase(SecretString),
}

#[derive(Clone)]
enum PublicKey {
    X25519(age::x25519::Recipient),
    Ssh(age::ssh::Recipient),
}

impl Recipients {
    /// Reads recipients: `age1…`, `ssh-ed25519 …` and `ssh-rsa …`, `@FILE` or the path of a file
    /// that has one a line (`#` starts a comment; an SSH `.pub` file is one). A key that is named
    /// twice counts once.
    ///
    /// # Errors
    /// [`KeyringError`] with the first text or line that is no recipient, or when there is none.
    pub fn parse(list: &[String]) -> Result<Self, KeyringError> {
        let mut keys = Vec::new();
        for text in list {
            add_text(text.trim(), &mut keys)?;
        }
        if keys.is_empty() { Err(KeyringError::NoRecipient) } else { Ok(Self(Kind::Keys(keys))) }
    }

    /// One passphrase.
    ///
    /// # Errors
    /// [`KeyringError::EmptyPassphrase`].
    pub fn from_passphrase(passphrase: &Zeroizing<String>) -> Result<Self, KeyringError> {
        if passphrase.is_empty() {
            return Err(KeyringError::EmptyPassphrase);
        }
        Ok(Self(Kind::Passphrase(SecretString::from(passphrase.as_str()))))
    }

    /// What a command was given: recipients or a passphrase.
    ///
    /// # Errors
    /// [`KeyringError::PassphraseAndRecipients`] for both, and those of the other two.
    pub fn choose(
        list: &[String],
        passphrase: Option<&Zeroizing<String>>,
    ) -> Result<Self, KeyringError> {
        match passphrase {
            Some(_) if !list.is_empty() => Err(KeyringError::PassphraseAndRecipients),
            Some(passphrase) => Self::from_passphrase(passphrase),
            None => Self::parse(list),
        }
    }

    /// The public keys as text, for plans and reports; `passphrase` for a passphrase.
    pub fn names(&self) -> Vec<String> {
        match &self.0 {
            Kind::Keys(keys) => keys.iter().map(PublicKey::text).collect(),
            Kind::Passphrase(_) => vec!["passphrase".to_owned()],
        }
    }

    pub(super) fn encryptor(&self) -> Result<age::Encryptor, age::EncryptError> {
        match &self.0 {
            Kind::Keys(keys) => {
                age::Encryptor::with_recipients(keys.iter().map(PublicKey::as_recipient))
            }
            Kind::Passphrase(passphrase) => {
                let mut recipient = age::scrypt::Recipient::new(passphrase.clone());
                recipient.set_work_factor(PASSPHRASE_WORK);
                age::Encryptor::with_recipients(std::iter::once(&recipient as _))
            }
        }
    }
}

impl PublicKey {
    fn as_recipient(&self) -> &dyn age::Recipient {
        match self {
            Self::X25519(key) => key,
            Self::Ssh(key) => key,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::X25519(key) => key.to_string(),
            Self::Ssh(key) => key.to_string(),
        }
    }
}

fn add_text(text: &str, keys: &mut Vec<PublicKey>) -> Result<(), KeyringError> {
    if let Some(path) = text.strip_prefix('@') {
        return add_file(Path::new(path), keys);
    }
    if looks_like_key(text) {
        return add_key(text, &shorten(text), keys);
    }
    let path = Path::new(text);
    if path.is_file() {
        return add_file(path, keys);
    }
    Err(KeyringError::Recipient { text: shorten(text) })
}

fn add_file(path: &Path, keys: &mut Vec<PublicKey>) -> Result<(), KeyringError> {
    let file = path.display().to_string();
    let bytes = read_key_file(path)?;
    let text =
        std::str::from_utf8(&bytes).map_err(|_| KeyringError::Recipient { text: file.clone() })?;
    let before = keys.len();
    let mut lines = 0;
    for (number, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        lines += 1;
        add_key(line, &format!("line {} of {file}", number + 1), keys)?;
    }
    // A file of keys that are all known already is fine; one without keys is a mistake.
    if lines == 0 && keys.len() == before {
        return Err(KeyringError::Recipient { text: file });
    }
    Ok(())
}

fn add_key(text: &str, place: &str, keys: &mut Vec<PublicKey>) -> Result<(), KeyringError> {
    let key = parse_key(text, place)?;
    if !keys.iter().any(|known| known.text() == key.text()) {
        keys.push(key);
    }
    Ok(())
}

fn parse_key(text: &str, place: &str) -> Result<PublicKey, KeyringError> {
    let refused = || KeyringError::Recipient { text: place.to_owned() };
    let of_kind =
        |kind: &str| KeyringError::RecipientKind { text: place.to_owned(), kind: kind.to_owned() };
    if is_secret(text) {
        return Err(KeyringError::SecretAsRecipient { place: place.to_owned() });
    }
    if text.starts_with("age1") {
        let plugin = text.get(4..).and_then(|rest| rest.rsplit_once('1')).map(|(name, _)| name);
        return match (age::x25519::Recipient::from_str(text), plugin) {
            (Ok(key), _) => Ok(PublicKey::X25519(key)),
            (Err(_), Some(name)) => Err(of_kind(&shorten(name))),
            (Err(_), None) => Err(refused()),
        };
    }
    age::ssh::Recipient::from_str(text).map(PublicKey::Ssh).map_err(|error| match error {
        ParseRecipientKeyError::RsaModulusTooSmall => of_kind("ssh-rsa below 2048 bits"),
        ParseRecipientKeyError::RsaModulusTooLarge => of_kind("ssh-rsa above 4096 bits"),
        ParseRecipientKeyError::Unsupported(kind) => of_kind(&shorten(&kind)),
        _ => refused(),
    })
}

fn looks_like_key(text: &str) -> bool {
    ["age1", "ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"].iter().any(|start| text.starts_with(start))
        || is_secret(text)
}

fn is_secret(text: &str) -> bool {
    let start: String = text.chars().take(16).collect::<String>().to_ascii_uppercase();
    start.starts_with("AGE-SECRET-KEY-") || start.starts_with("-----BEGIN")
}

/// Enough of a text to recognise it by; nothing of a secret.
fn shorten(text: &str) -> String {
    if is_secret(text) {
        return "what was given".to_owned();
    }
    let mut start: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}
