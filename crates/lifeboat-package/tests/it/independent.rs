//! A second decoder of sealed files, from `docs/src/format.md` §2 and with other crates.

use aes_gcm::aead::{Aead, KeyInit, generic_array::GenericArray};
use hkdf::Hkdf;
use sha2::Sha256;

/// Opens `sealed`, or says nothing.
pub(crate) fn open(key: &[u8], package: &str, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    if *sealed.first()? != 0x28 || sealed.len() < 56 {
        return None;
    }
    let (salt, prefix) = (&sealed[1..33], &sealed[33..40]);
    let mut segment_key = [0; 32];
    Hkdf::<Sha256>::new(Some(salt), key)
        .expand(format!("lifeboat/1.0\n{package}\n{name}").as_bytes(), &mut segment_key)
        .ok()?;
    let cipher = aes_gcm::Aes256Gcm::new(GenericArray::from_slice(&segment_key));
    let (mut plaintext, mut begin) = (Vec::new(), 40);
    for number in 0_u32.. {
        let end = ((number as usize + 1) << 20).min(sealed.len());
        let is_last = end == sealed.len();
        let nonce = [prefix, &number.to_be_bytes(), &[u8::from(is_last)]].concat();
        let nonce = GenericArray::from_slice(&nonce);
        plaintext.extend(cipher.decrypt(nonce, &sealed[begin..end]).ok()?);
        if is_last {
            break;
        }
        begin = end;
    }
    Some(plaintext)
}
