//! Opening a sealed file from front to back.

use super::{Cipher, HEAD, Place, SealError, TAG, segment_size};
use crate::id::PackageId;
use crate::key::PackageKey;

/// Opens one sealed file, piece by piece. After an error it stays shut.
pub struct Opener {
    name: String,
    size: u64,
    state: State,
}

enum State {
    /// The head is not complete. The key is needed until the salt is known.
    Head { key: PackageKey, package: PackageId, head: Vec<u8> },
    /// `pending` is ciphertext of segment `number`, which may be the last.
    Segments { cipher: Box<Cipher>, number: u32, pending: Vec<u8> },
    /// Something did not fit; nothing more comes out.
    Failed(SealError),
}

impl Opener {
    /// Begins to open the file `name` of `package`.
    pub fn begin(key: &PackageKey, package: &PackageId, name: &str) -> Self {
        let state =
            State::Head { key: key.clone(), package: *package, head: Vec::with_capacity(HEAD) };
        Self { name: name.to_owned(), size: 0, state }
    }

    /// Takes the next bytes of the file; writes the plaintext that is proven behind `out`.
    ///
    /// # Errors
    /// [`SealError`] at the first segment that does not fit; the same again ever after.
    pub fn update(&mut self, ciphertext: &[u8], out: &mut Vec<u8>) -> Result<(), SealError> {
        self.size = self.size.saturating_add(ciphertext.len() as u64);
        let result = self.take(ciphertext, out);
        if let Err(error) = &result {
            self.state = State::Failed(error.clone());
        }
        result
    }

    /// Opens the last segment.
    ///
    /// # Errors
    /// [`SealError`] when the file was cut off or its last segment does not fit.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), SealError> {
        let cut_off = SealError::CutOff { name: self.name.clone(), size: self.size };
        let (cipher, number, pending) = match self.state {
            State::Head { .. } => return Err(cut_off),
            State::Failed(error) => return Err(error),
            State::Segments { cipher, number, pending } => (cipher, number, pending),
        };
        let is_empty = pending.len() <= TAG;
        if pending.len() < TAG || (is_empty && number > 0) {
            return Err(cut_off);
        }
        if cipher.open(number, Place::Last, &pending, out) {
            Ok(())
        } else {
            Err(SealError::Segment { name: self.name, segment: number })
        }
    }

    fn take(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), SealError> {
        if let State::Head { key, package, head } = &mut self.state {
            let missing = HEAD.saturating_sub(head.len()).min(bytes.len());
            let (begin, rest) = bytes.split_at(missing);
            head.extend_from_slice(begin);
            if head.len() < HEAD {
                return Ok(());
            }
            let cipher = Box::new(Cipher::of_head(key, package, &self.name, head)?);
            self.state = State::Segments { cipher, number: 0, pending: Vec::new() };
            bytes = rest;
        }
        match &mut self.state {
            State::Segments { cipher, number, pending } => {
                open_full(cipher, (number, pending), bytes, out)
                    .map_err(|segment| SealError::Segment { name: self.name.clone(), segment })
            }
            State::Failed(error) => Err(error.clone()),
            State::Head { .. } => Ok(()),
        }
    }
}

/// Opens the segments that are full and not the last; the error is the segment's number.
fn open_full(
    cipher: &Cipher,
    (number, pending): (&mut u32, &mut Vec<u8>),
    mut bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), u32> {
    loop {
        let room = segment_size(*number).saturating_sub(pending.len());
        let Some((head, rest)) = bytes.split_at_checked(room) else { break };
        if rest.is_empty() {
            break;
        }
        let fits = if pending.is_empty() {
            cipher.open(*number, Place::Middle, head, out)
        } else {
            pending.extend_from_slice(head);
            cipher.open(*number, Place::Middle, pending, out)
        };
        pending.clear();
        *number = number.checked_add(1).filter(|_| fits).ok_or(*number)?;
        bytes = rest;
    }
    pending.extend_from_slice(bytes);
    Ok(())
}

/// Opens a whole sealed file that is in memory.
///
/// # Errors
/// [`SealError`] when any byte of it is not what was sealed under this name.
pub fn open_bytes(
    key: &PackageKey,
    package: &PackageId,
    name: &str,
    sealed: &[u8],
) -> Result<Vec<u8>, SealError> {
    let mut opener = Opener::begin(key, package, name);
    let mut plaintext = Vec::with_capacity(sealed.len());
    opener.update(sealed, &mut plaintext)?;
    opener.finish(&mut plaintext)?;
    Ok(plaintext)
}
