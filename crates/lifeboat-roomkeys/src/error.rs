//! What is wrong with keys that somebody hands over.

/// Why a file of keys is refused.
#[derive(Debug, thiserror::Error)]
pub enum RoomKeyError {
    /// Damaged, or not what it says.
    #[error("it is not a whole file of Megolm sessions")]
    Shape,
    /// A passphrase that would take forever to check.
    #[error("it asks for {0} rounds of key derivation, which is 0 or too many")]
    Rounds(u32),
    /// The passphrase does not fit.
    #[error("the passphrase is wrong, or the file is damaged")]
    Passphrase,
    /// Not a recovery key.
    #[error("it is neither a file of Megolm sessions nor a recovery key")]
    Recovery,
    /// The recovery key of nobody.
    #[error("the recovery key opens no backup of the package")]
    Nobody,
}
