//! Sealing is Tink's `AES256_GCM_HKDF_1MB`, byte for byte.

use lifeboat_package::digest::Digest;
use lifeboat_package::id::PackageId;
use lifeboat_package::key::PackageKey;
use lifeboat_package::seal::{FreshSeal, Opener, SealError, Sealer, open_bytes, seal_bytes};
use proptest::prelude::*;
use serde::Deserialize;

use crate::independent;

#[derive(Deserialize)]
struct TinkVector {
    name: String,
    key: String,
    package: String,
    plaintext: usize,
    salt: String,
    prefix: String,
    sealed: usize,
    sha256: Digest,
}

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    let pair = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
    std::array::from_fn(pair)
}

fn plaintext(size: usize) -> Vec<u8> {
    (0..size).map(|i| u8::try_from((i * 7 + i / 251) & 255).unwrap()).collect()
}

/// `tests/write_tink_vectors.py` kept what Tink drew and the sum of what it wrote.
#[test]
fn the_same_salt_and_prefix_give_the_bytes_that_tink_wrote() {
    let lines = include_str!("../vectors/tink.jsonl");
    let mut count = 0;
    for line in lines.lines() {
        let vector: TinkVector = serde_json::from_str(line).unwrap();
        let key = PackageKey::from_bytes(bytes(&vector.key));
        let package = PackageId::parse(&vector.package).unwrap();
        let fresh = FreshSeal { salt: bytes(&vector.salt), prefix: bytes(&vector.prefix) };
        let plaintext = plaintext(vector.plaintext);
        let sealed = seal_bytes(&key, &package, &vector.name, &fresh, &plaintext);
        assert_eq!(sealed.len(), vector.sealed, "{}", vector.name);
        assert_eq!(Digest::of(&sealed), vector.sha256, "{}", vector.name);
        let opened = open_bytes(&key, &package, &vector.name, &sealed).unwrap();
        assert!(opened == plaintext, "{}", vector.name);
        count += 1;
    }
    assert_eq!(count, 10);
}

const KEY: [u8; 32] = [0x42; 32];
const PACKAGE: [u8; 16] = [0x24; 16];

fn seal(name: &str, plaintext: &[u8]) -> Vec<u8> {
    let fresh = FreshSeal { salt: [9; 32], prefix: [8; 7] };
    let (key, package) = (PackageKey::from_bytes(KEY), PackageId::from_bytes(PACKAGE));
    seal_bytes(&key, &package, name, &fresh, plaintext)
}

fn open(name: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    open_bytes(&PackageKey::from_bytes(KEY), &PackageId::from_bytes(PACKAGE), name, sealed)
}

#[test]
fn every_flipped_bit_is_refused() {
    let sealed = seal("f", &plaintext(100));
    for bit in 0..sealed.len() * 8 {
        let mut damaged = sealed.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(open("f", &damaged).is_err(), "bit {bit}");
    }
}

#[test]
fn every_length_but_the_right_one_is_refused() {
    let sealed = seal("f", &plaintext(100));
    for length in 0..sealed.len() {
        assert!(open("f", &sealed[..length]).is_err(), "length {length}");
    }
    assert!(open("f", &[sealed.as_slice(), &[0]].concat()).is_err());
    assert!(open("f", &[sealed.as_slice(), &sealed[40..]].concat()).is_err());
}

#[test]
fn a_file_cut_between_segments_is_refused() {
    let sealed = seal("f", &plaintext(3 << 20));
    for segments in 1..=3 {
        assert!(open("f", &sealed[..segments << 20]).is_err(), "{segments} segments");
    }
    // Two segments that are each authentic, in the wrong order.
    let second = (1 << 20)..(2 << 20);
    let third = (2 << 20)..(3 << 20);
    let swapped = [&sealed[..1 << 20], &sealed[third], &sealed[second], &sealed[3 << 20..]];
    assert!(open("f", &swapped.concat()).is_err());
}

#[test]
fn another_name_package_or_key_does_not_open() {
    let sealed = seal("volumes/000001.vol", b"x");
    assert!(open("volumes/000001.vol", &sealed).is_ok());
    assert!(open("volumes/000002.vol", &sealed).is_err());
    let (key, package) = (PackageKey::from_bytes(KEY), PackageId::from_bytes([0x25; 16]));
    assert!(open_bytes(&key, &package, "volumes/000001.vol", &sealed).is_err());
    let (key, package) = (PackageKey::from_bytes([0x43; 32]), PackageId::from_bytes(PACKAGE));
    assert!(open_bytes(&key, &package, "volumes/000001.vol", &sealed).is_err());
}

/// A last segment that is empty behind a full one would be a second form of the same plaintext.
#[test]
fn an_empty_last_segment_behind_a_full_one_is_refused() {
    use aes_gcm::aead::{Aead, KeyInit, generic_array::GenericArray};
    let full = (1 << 20) - 56;
    let sealed = seal("f", &plaintext(full + 1));
    let mut segment_key = [0; 32];
    let associated = format!("lifeboat/1.0\n{}\nf", PackageId::from_bytes(PACKAGE));
    hkdf::Hkdf::<sha2::Sha256>::new(Some(&[9; 32]), &KEY)
        .expand(associated.as_bytes(), &mut segment_key)
        .unwrap();
    let cipher = aes_gcm::Aes256Gcm::new(GenericArray::from_slice(&segment_key));
    let nonce = [8, 8, 8, 8, 8, 8, 8, 0, 0, 0, 1, 1];
    let tag = cipher.encrypt(GenericArray::from_slice(&nonce), b"".as_slice()).unwrap();
    let forged = [&sealed[..1 << 20], tag.as_slice()].concat();
    assert_eq!(independent::open(&KEY, &"24".repeat(16), "f", &forged).unwrap().len(), full);
    assert!(matches!(open("f", &forged), Err(SealError::CutOff { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_pieces_seal_and_open_to_the_same(
        size in prop_oneof![0_usize..3_000, 1_048_400_usize..1_048_700, 2_096_900_usize..2_097_300],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let (key, package) = (PackageKey::from_bytes(KEY), PackageId::from_bytes(PACKAGE));
        let fresh = FreshSeal { salt: [9; 32], prefix: [8; 7] };
        let plaintext = plaintext(size);
        let mut sealed = Vec::new();
        let mut sealer = Sealer::begin(&key, &package, "f", &fresh, &mut sealed);
        for piece in pieces(&plaintext, &cuts) {
            sealer.update(piece, &mut sealed);
        }
        sealer.finish(&mut sealed);
        prop_assert!(sealed == seal("f", &plaintext));
        let other = independent::open(&KEY, &"24".repeat(16), "f", &sealed);
        prop_assert!(other.as_ref() == Some(&plaintext));

        let mut opener = Opener::begin(&key, &package, "f");
        let mut opened = Vec::new();
        for piece in pieces(&sealed, &cuts) {
            opener.update(piece, &mut opened).unwrap();
        }
        opener.finish(&mut opened).unwrap();
        prop_assert!(opened == plaintext);
    }
}

/// `bytes` cut at the places that `cuts` names.
pub(crate) fn pieces<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}
