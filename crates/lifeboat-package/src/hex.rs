//! Lower-case hexadecimal, strict: the form every id, hash and key of the format is written in.

/// Writes `bytes` as lower-case hexadecimal behind `out`.
pub(crate) fn append(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0x0f] {
            out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
}

/// `bytes` as lower-case hexadecimal.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    append(bytes, &mut text);
    text
}

/// Reads exactly `2 N` lower-case digits into `out`; `false` when `text` is anything else.
pub(crate) fn decode_into<const N: usize>(text: &str, out: &mut [u8; N]) -> bool {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return false;
    }
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return false };
        *byte = (high << 4) | low;
    }
    true
}

/// Reads exactly `2 N` lower-case digits.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    decode_into(text, &mut bytes).then_some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(byte.wrapping_sub(b'a').wrapping_add(10)),
        _ => None,
    }
}
