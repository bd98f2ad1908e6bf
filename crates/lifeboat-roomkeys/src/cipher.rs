//! AES-256 in counter mode, as Matrix uses it: for files of keys, secrets and attachments.

use aws_lc_rs::cipher::{
    AES_256, DecryptingKey, DecryptionContext, StreamingDecryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lifeboat_package::digest::Digest;
use serde_json::Value;
use zeroize::Zeroizing;

use super::session_file::BASE64;

/// Opens what fits into memory.
pub(super) fn decrypt(key: &[u8], counter: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let key = DecryptingKey::ctr(UnboundCipherKey::new(&AES_256, key).ok()?).ok()?;
    let mut bytes = Zeroizing::new(sealed.to_vec());
    key.decrypt(&mut bytes, context(counter)?).ok()?;
    Some(bytes)
}

fn context(counter: &[u8]) -> Option<DecryptionContext> {
    let counter: [u8; 16] = counter.try_into().ok()?;
    Some(DecryptionContext::Iv128(FixedLength::from(counter)))
}

/// Opens an attachment piece by piece. No `Debug`: it holds a key.
pub struct FileCipher(StreamingDecryptingKey);

impl FileCipher {
    /// Reads the `file` of a message; nothing when it is damaged or was made for other bytes than
    /// those of `sha256`.
    pub fn new(file: &Value, sha256: &Digest) -> Option<Self> {
        let text = |pointer: &str| file.pointer(pointer).and_then(Value::as_str);
        let hash = BASE64.decode(text("/hashes/sha256")?).ok()?;
        if hash != *sha256.as_bytes() || text("/key/alg") != Some("A256CTR") {
            return None;
        }
        let key = text("/key/k")?.trim_end_matches('=');
        let key = Zeroizing::new(URL_SAFE_NO_PAD.decode(key).ok()?);
        let counter = BASE64.decode(text("/iv")?).ok()?;
        let key = UnboundCipherKey::new(&AES_256, &key).ok()?;
        StreamingDecryptingKey::ctr(key, context(&counter)?).ok().map(Self)
    }

    /// Opens the next piece.
    pub fn open(&mut self, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = vec![0; sealed.len() + AES_256.block_len()];
        let written = self.0.update(sealed, &mut bytes).ok()?.written().len();
        bytes.truncate(written);
        Some(bytes)
    }
}
