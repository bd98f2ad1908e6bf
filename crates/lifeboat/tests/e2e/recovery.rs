//! A recovery key as people write it down.

/// The text of a key, which is given in base64.
pub(crate) fn written(key: &str) -> String {
    const ALPHABET: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let digit = |c: u8| -> usize {
        match c {
            b'A'..=b'Z' => usize::from(c - b'A'),
            b'a'..=b'z' => usize::from(c - b'a') + 26,
            b'0'..=b'9' => usize::from(c - b'0') + 52,
            b'+' => 62,
            _ => 63,
        }
    };
    let mut bytes = vec![0x8b_u8, 0x01];
    let (mut bits, mut count) = (0_usize, 0);
    for c in key.trim_end_matches('=').bytes() {
        bits = (bits << 6 | digit(c)) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    assert_eq!(bytes.len(), 34);
    bytes.push(bytes.iter().fold(0, |parity, byte| parity ^ byte));
    let mut text = Vec::new();
    while bytes.iter().any(|byte| *byte > 0) {
        let mut rest = 0;
        for byte in &mut bytes {
            let value = rest * 256 + usize::from(*byte);
            *byte = u8::try_from(value / 58).unwrap();
            rest = value % 58;
        }
        text.push(ALPHABET[rest]);
    }
    text.reverse();
    String::from_utf8(text).unwrap()
}
