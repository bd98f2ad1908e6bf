//! Bytes that look random and are the same every time.

/// A generator of numbers (xorshift), from a seed that is not zero.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        (self.number() >> 11) % end
    }

    /// Printable text, which the loopback client can send as a body.
    pub(crate) fn text(&mut self, bytes: usize) -> String {
        let letter = |six: u64| char::from(b'0' + u8::try_from(six & 63).unwrap_or_default());
        let mut text = String::with_capacity(bytes + 10);
        while text.len() < bytes {
            let number = self.number();
            text.extend((0..10).map(|at| letter(number >> (6 * at))));
        }
        text.truncate(bytes);
        // The sixty-four characters from '0' on end before the control characters begin.
        text.replace('\\', "/")
    }
}
