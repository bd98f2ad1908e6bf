//! A scanner that accepts canonical JSON and nothing else.

use std::borrow::Cow;
use std::ops::Range;

use super::{CanonicalError, MAX_INTEGER};
use crate::limits::JSON_DEPTH;

/// Called with the key of a member and where the whole member stands.
pub(super) type OnMember<'a> = &'a mut dyn FnMut(&str, Range<usize>);

/// A place in the bytes.
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) const fn begin(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Nothing may follow.
    pub(super) fn end(&self) -> Result<(), CanonicalError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.refused()) }
    }

    /// An object; its keys must ascend.
    pub(super) fn object(
        &mut self,
        depth: usize,
        on_member: OnMember<'_>,
    ) -> Result<(), CanonicalError> {
        self.demand(b'{')?;
        if self.takes(b'}') {
            return Ok(());
        }
        let mut previous: Option<Cow<'a, str>> = None;
        loop {
            let begin = self.at;
            let key = self.string()?;
            if previous.is_some_and(|previous| previous >= key) {
                self.at = begin;
                return Err(self.refused());
            }
            self.demand(b':')?;
            self.value(depth.saturating_add(1))?;
            on_member(&key, begin..self.at);
            previous = Some(key);
            if self.takes(b'}') {
                return Ok(());
            }
            self.demand(b',')?;
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), CanonicalError> {
        if depth > JSON_DEPTH {
            return Err(CanonicalError::Depth { offset: self.at });
        }
        match self.peek() {
            Some(b'{') => self.object(depth, &mut |_, _| {}),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(drop),
            Some(b'n') => self.word(b"null"),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            _ => self.integer(),
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), CanonicalError> {
        self.demand(b'[')?;
        if self.takes(b']') {
            return Ok(());
        }
        loop {
            self.value(depth.saturating_add(1))?;
            if self.takes(b']') {
                return Ok(());
            }
            self.demand(b',')?;
        }
    }

    /// A string in its shortest form; borrowed unless something in it is escaped.
    fn string(&mut self) -> Result<Cow<'a, str>, CanonicalError> {
        self.demand(b'"')?;
        let mut text = Cow::Borrowed("");
        loop {
            let plain = self.plain()?;
            if text.is_empty() {
                text = Cow::Borrowed(plain);
            } else {
                text.to_mut().push_str(plain);
            }
            if self.takes(b'"') {
                return Ok(text);
            }
            self.demand(b'\\')?;
            let escaped = self.escaped().ok_or_else(|| self.refused())?;
            text.to_mut().push(escaped);
        }
    }

    /// The characters up to the next quote or escape.
    fn plain(&mut self) -> Result<&'a str, CanonicalError> {
        let rest = self.rest();
        let stops = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        let length = rest.iter().position(stops).unwrap_or(rest.len());
        let (plain, _) = rest.split_at(length);
        let text = std::str::from_utf8(plain).map_err(|error| CanonicalError::Form {
            offset: self.at.saturating_add(error.valid_up_to()),
        })?;
        self.at = self.at.saturating_add(length);
        Ok(text)
    }

    /// What stands behind a backslash: the short form where there is one, else `u00` and two
    /// digits for a control character.
    fn escaped(&mut self) -> Option<char> {
        let rest = self.rest();
        let (character, length) = match rest.first()? {
            b'"' => ('"', 1),
            b'\\' => ('\\', 1),
            b'b' => ('\u{8}', 1),
            b't' => ('\t', 1),
            b'n' => ('\n', 1),
            b'f' => ('\u{c}', 1),
            b'r' => ('\r', 1),
            b'u' => {
                let [byte] = crate::hex::decode(std::str::from_utf8(rest.get(3..5)?).ok()?)?;
                let has_short = matches!(byte, 8 | 9 | 10 | 12 | 13);
                let is_control = rest.get(1..3)? == b"00" && byte < 0x20;
                (char::from(byte), if is_control && !has_short { 5 } else { return None })
            }
            _ => return None,
        };
        self.at = self.at.saturating_add(length);
        Some(character)
    }

    fn integer(&mut self) -> Result<(), CanonicalError> {
        let refused = self.refused();
        let is_negative = self.takes(b'-');
        let rest = self.rest();
        let length = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, _) = rest.split_at(length);
        let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u64>().ok());
        let is_shortest = digits == b"0" || digits.first().is_some_and(|digit| *digit != b'0');
        let fits = number.is_some_and(|number| number <= MAX_INTEGER);
        if !is_shortest || !fits || (is_negative && digits == b"0") {
            return Err(refused);
        }
        self.at = self.at.saturating_add(length);
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), CanonicalError> {
        word.iter().try_for_each(|byte| self.demand(*byte))
    }

    fn demand(&mut self, byte: u8) -> Result<(), CanonicalError> {
        if self.takes(byte) { Ok(()) } else { Err(self.refused()) }
    }

    fn takes(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at = self.at.saturating_add(usize::from(is_there));
        is_there
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    const fn refused(&self) -> CanonicalError {
        CanonicalError::Form { offset: self.at }
    }
}
