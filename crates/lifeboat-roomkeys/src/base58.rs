//! Recovery keys as people write them down: Base58 of two marks, the key and a parity byte.

use zeroize::Zeroizing;

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// What a recovery key begins with.
const MARKS: [u8; 2] = [0x8b, 0x01];

/// Bytes of a whole one.
const BYTES: usize = 35;

/// The key of a recovery key; blanks do not count.
pub(super) fn recovery_key(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    // Big-endian, as long as a recovery key is: more digits than fit are refused on the way.
    let mut number = Zeroizing::new([0_u8; BYTES]);
    let digits = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
    for digit in digits {
        let at = ALPHABET.iter().position(|known| *known == digit)?;
        let mut carry = u32::try_from(at).ok()?;
        for byte in number.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = u8::try_from(carry & 0xff).ok()?;
            carry >>= 8;
        }
        if carry > 0 {
            return None;
        }
    }
    let parity = number.iter().fold(0, |parity, byte| parity ^ byte);
    let (key, _) = number.strip_prefix(&MARKS)?.split_first_chunk::<32>()?;
    (parity == 0).then(|| Zeroizing::new(*key))
}
