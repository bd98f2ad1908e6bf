//! Keys and secrets that a command is given: identities, recipients, passphrases, and the address
//! of a database, which may hold a password. Secrets come from files and terminals, never from
//! arguments.

#[cfg(test)]
mod tests;
mod watch;

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::keyring::{self, Identities, Recipients};
use lifeboat_engine::roomkeys::FILE_BYTES;
use lifeboat_rendering::render::KeyFile;
use zeroize::Zeroizing;

use watch::warn_of_readers;

/// Bytes of the first line of a file with a secret; more is no secret that somebody chose.
const LINE_BYTES: usize = 64 << 10;

/// Bytes of a file with the registration of an application service.
const REGISTRATION_BYTES: u64 = 1 << 20;

/// The text of a file of room keys, and its passphrase if it needs one.
pub(crate) type KeyText = (Zeroizing<String>, Option<Zeroizing<String>>);

/// A passphrase, where one is to be used.
#[derive(Debug, clap::Args)]
pub(crate) struct PassphraseFlags {
    /// Ask for a passphrase on the terminal
    #[arg(long, conflicts_with = "passphrase_file", help_heading = "Keys")]
    passphrase: bool,
    /// Take the passphrase from the first line of FILE
    #[arg(long, value_name = "FILE", help_heading = "Keys")]
    passphrase_file: Option<PathBuf>,
}

/// What opens a package.
#[derive(Debug, clap::Args)]
pub(crate) struct IdentityFlags {
    /// File with an age identity or an SSH private key that opens the package; may be repeated
    #[arg(short, long, value_name = "FILE", help_heading = "Keys")]
    identity: Vec<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseFlags,
}

/// Whom a package is sealed for.
#[derive(Debug, clap::Args)]
pub(crate) struct RecipientFlags {
    /// Public key that will open the package: age1…, ssh-ed25519 …, ssh-rsa …; may be repeated
    #[arg(short, long, value_name = "RECIPIENT", help_heading = "Keys")]
    recipient: Vec<String>,
    /// File with recipients, one a line; may be repeated
    #[arg(short = 'R', long, value_name = "FILE", help_heading = "Keys")]
    recipients_file: Vec<String>,
    #[command(flatten)]
    passphrase: PassphraseFlags,
}

/// What opens encrypted messages.
#[derive(Debug, clap::Args)]
pub(crate) struct RoomKeyFlags {
    /// Decrypt with the room keys that Element exported to FILE, or with the key backup in the
    /// package and the recovery key in the first line of FILE
    #[arg(long, value_name = "FILE", help_heading = "Keys")]
    keys: Option<PathBuf>,
    /// Take the passphrase of the exported room keys from the first line of FILE; else it is asked
    /// for
    #[arg(long, value_name = "FILE", requires = "keys", help_heading = "Keys")]
    keys_passphrase_file: Option<PathBuf>,
}

/// How often a passphrase is to be typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Typed {
    /// To open.
    Once,
    /// To seal: a slip of the finger would lock everybody out.
    Twice,
}

impl IdentityFlags {
    /// The identities, if any were named.
    pub(crate) fn read(&self, cx: &Context) -> Result<Option<Identities>, Failure> {
        let passphrase = self.passphrase.read(cx, Typed::Once)?;
        if self.identity.is_empty() && passphrase.is_none() {
            return Ok(None);
        }
        let identities = Identities::read(&self.identity, passphrase.as_ref())?;
        self.identity.iter().for_each(|path| warn_of_readers(cx, path));
        Ok(Some(identities))
    }

    /// The identities, where nothing can be done without.
    pub(crate) fn demand(&self, cx: &Context) -> Result<Identities, Failure> {
        self.read(cx)?.ok_or_else(|| keyring::KeyringError::NoIdentity.into())
    }
}

impl RecipientFlags {
    /// Whether anybody was named.
    pub(crate) fn is_empty(&self) -> bool {
        self.recipient.is_empty() && self.recipients_file.is_empty() && !self.passphrase.is_used()
    }

    /// The recipients.
    pub(crate) fn read(&self, cx: &Context) -> Result<Recipients, Failure> {
        let files = self.recipients_file.iter().map(|file| format!("@{file}"));
        let list: Vec<String> = self.recipient.iter().cloned().chain(files).collect();
        // Before anybody types a passphrase in vain.
        if !list.is_empty() && self.passphrase.is_used() {
            return Err(keyring::KeyringError::PassphraseAndRecipients.into());
        }
        let passphrase = self.passphrase.read(cx, Typed::Twice)?;
        Ok(Recipients::choose(&list, passphrase.as_ref())?)
    }
}

impl RoomKeyFlags {
    /// The text of the file, and the passphrase if it needs one.
    pub(crate) fn read(&self, cx: &Context) -> Result<Option<KeyText>, Failure> {
        let Some(path) = &self.keys else { return Ok(None) };
        let text = whole_text(cx, path, FILE_BYTES)?;
        let passphrase = match &self.keys_passphrase_file {
            _ if !KeyFile::needs_passphrase(&text) => None,
            Some(file) => Some(first_line(cx, file)?),
            None => Some(ask(Typed::Once)?),
        };
        Ok(Some((text, passphrase)))
    }
}

impl PassphraseFlags {
    fn is_used(&self) -> bool {
        self.passphrase || self.passphrase_file.is_some()
    }

    fn read(&self, cx: &Context, typed: Typed) -> Result<Option<Zeroizing<String>>, Failure> {
        match &self.passphrase_file {
            Some(file) => first_line(cx, file).map(Some),
            None if self.passphrase => ask(typed).map(Some),
            None => Ok(None),
        }
    }
}

/// The text of a registration file, which holds tokens.
pub(crate) fn registration_text(cx: &Context, path: &Path) -> Result<Zeroizing<String>, Failure> {
    whole_text(cx, path, REGISTRATION_BYTES)
}

/// A text file of at most so many bytes.
fn whole_text(cx: &Context, path: &Path, limit: u64) -> Result<Zeroizing<String>, Failure> {
    let refused = |cause: Box<dyn Error + Send + Sync>| {
        let what = format!("cannot read {}", path.display());
        Failure::failed(what, format!("a text file of at most {limit} bytes is needed"))
            .because(cause)
    };
    let file = File::open(path).map_err(|e| refused(e.into()))?;
    let length = file.metadata().map_err(|e| refused(e.into()))?.len();
    if length > limit {
        return Err(refused("it is too large".into()));
    }
    // Sized at once: a buffer that grows leaves copies of the secret behind.
    let room = usize::try_from(length).unwrap_or_default() + 64;
    let mut text = Zeroizing::new(String::with_capacity(room));
    file.take(length).read_to_string(&mut text).map_err(|e| refused(e.into()))?;
    warn_of_readers(cx, path);
    Ok(text)
}

/// The first line of a file, without its end.
pub(crate) fn first_line(cx: &Context, path: &Path) -> Result<Zeroizing<String>, Failure> {
    let refused = |cause: Box<dyn Error + Send + Sync>| {
        let what = format!("cannot read {}", path.display());
        Failure::failed(what, "a text file is needed; its first line counts").because(cause)
    };
    let file = File::open(path).map_err(|e| refused(e.into()))?;
    // Sized at once: a buffer that grows leaves copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LINE_BYTES + 64));
    file.take(LINE_BYTES as u64).read_to_end(&mut bytes).map_err(|e| refused(e.into()))?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|e| refused(e.into()))?;
    warn_of_readers(cx, path);
    Ok(Zeroizing::new(text.to_owned()))
}

fn ask(typed: Typed) -> Result<Zeroizing<String>, Failure> {
    let prompt = |text: &str| {
        rpassword::prompt_password(text).map(Zeroizing::new).map_err(|error| {
            Failure::failed("cannot ask for a passphrase", "use --passphrase-file FILE")
                .because(error)
        })
    };
    let passphrase = prompt("Passphrase: ")?;
    if typed == Typed::Twice && prompt("The same again: ")? != passphrase {
        return Err(Failure::usage("the two passphrases differ", "run the command again"));
    }
    Ok(passphrase)
}

/// The address of a database from an argument, which must not hold a password, or from a file,
/// which may.
pub(crate) fn database_url(
    cx: &Context,
    argument: Option<&String>,
    file: Option<&PathBuf>,
) -> Result<Option<String>, Failure> {
    if argument.is_some_and(|text| holds_password(text)) {
        return Err(Failure::usage(
            "--database-url holds a password, which everybody on this machine can read",
            "write the address to a file of mode 0600 and name that with --database-url-file FILE",
        ));
    }
    let from_file = file.map(|path| first_line(cx, path)).transpose()?;
    Ok(argument.cloned().or_else(|| from_file.map(|line| line.trim().to_owned())))
}

/// Whether a `postgres://` address or a `key=value` list has a password in it.
fn holds_password(text: &str) -> bool {
    let after_scheme = ["postgres://", "postgresql://"].iter().find_map(|s| text.strip_prefix(s));
    let Some(rest) = after_scheme else {
        return has_password_key(text);
    };
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    // A password may hold an unescaped slash, so a colon before any @ counts as well.
    let path = rest.split('?').next().unwrap_or_default();
    let user = path.rsplit_once('@').map_or("", |(user, _)| user);
    user.contains(':') || has_password_key(&decode_percent(query))
}

fn has_password_key(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.match_indices("password").any(|(at, word)| {
        lower.get(at + word.len()..).is_some_and(|rest| rest.trim_start().starts_with('='))
    })
}

fn decode_percent(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) if *first == b'%' => {
                decoded.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                decoded.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
