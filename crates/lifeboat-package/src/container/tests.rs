//! One header for each name and size; the walk through a single file.

use super::*;
use crate::limits::PATH_BYTES;

#[test]
fn a_header_has_exactly_the_fields_of_the_format() {
    let block = header("volumes/000001.vol", 1234).unwrap();
    let field = |at: usize, length: usize| &block[at..at + length];
    assert_eq!(field(0, 19), b"volumes/000001.vol\0");
    assert_eq!(field(100, 8), b"0000644\0");
    assert_eq!(field(108, 8), b"0000000\0");
    assert_eq!(field(116, 8), b"0000000\0");
    assert_eq!(field(124, 12), b"00000002322\0");
    assert_eq!(field(136, 12), b"00000000000\0");
    assert_eq!(field(156, 1), b"0");
    assert_eq!(field(157, 100), [0; 100]);
    assert_eq!(field(257, 8), b"ustar\x0000");
    assert_eq!(field(265, 64), [0; 64]);
    assert_eq!(field(329, 16), b"0000000\x000000000\x00");
    assert_eq!(field(345, 167), [0; 167]);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    let without_sum: u32 = field(148, 8).iter().map(|byte| u32::from(*byte)).sum();
    assert_eq!(field(148, 8), format!("{:06o}\0 ", sum - without_sum + 8 * 32).as_bytes());
}

#[test]
fn headers_read_back_and_any_other_byte_is_refused() {
    let long = "a".repeat(PATH_BYTES);
    for (name, size) in [("a", 0), (long.as_str(), 1), ("b", (1 << 33) - 1)] {
        let block = header(name, size).unwrap();
        assert_eq!(parse_header(&block), Some((name, size)));
        for at in 0..BLOCK {
            let mut damaged = block;
            damaged[at] ^= 0x01;
            assert_eq!(parse_header(&damaged), None, "byte {at} of {name}");
        }
    }
    assert_eq!(header("a", 1 << 33), None);
    assert_eq!(header("", 1), None);
    assert_eq!(header(&"a".repeat(101), 1), None);
}

fn archive(names: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for name in names {
        bytes.extend_from_slice(&header(name, 700).unwrap());
        bytes.extend_from_slice(&[b'x'; 700]);
        bytes.extend_from_slice(&[0; 324]);
    }
    bytes.extend_from_slice(&END);
    bytes
}

fn walk(bytes: &[u8]) -> Result<Vec<Member>, ContainerError> {
    let mut walk = Walk::begin(bytes.len() as u64);
    let mut members: Vec<Member> = Vec::new();
    loop {
        let at = usize::try_from(walk.next_offset()).unwrap();
        let Some(block) = bytes.get(at..at + BLOCK) else {
            return Err(ContainerError::Size { expected: at as u64, size: bytes.len() as u64 });
        };
        match walk.take(block.try_into().unwrap())? {
            Some(member) => members.push(member),
            None => return Ok(members),
        }
    }
}

const WHOLE: [&str; 6] = [
    "header.json",
    "key.age",
    "volumes/000001.vol",
    "volumes/000002.vol",
    "manifest.sealed",
    "seal.json",
];

#[test]
fn a_whole_package_is_walked_through() {
    let bytes = archive(&WHOLE);
    let members = walk(&bytes).unwrap();
    let names: Vec<_> = members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names, WHOLE);
    assert_eq!(members[1].offset, 512 * 4);
    assert_eq!(members[1].padding(), 2748..3072);
    assert!(walk(&archive(&["header.json", "key.age", "manifest.sealed", "seal.json"])).is_ok());
}

#[test]
fn members_missing_doubled_or_out_of_order_are_refused() {
    for (at, name) in WHOLE.iter().enumerate() {
        let mut names = WHOLE.to_vec();
        if at != 3 {
            names.remove(at);
            assert!(walk(&archive(&names)).is_err(), "without {name}");
        }
        let mut names = WHOLE.to_vec();
        names.insert(at, *name);
        assert!(walk(&archive(&names)).is_err(), "twice {name}");
        let mut names = WHOLE.to_vec();
        names.swap(at, (at + 1) % WHOLE.len());
        assert!(walk(&archive(&names)).is_err(), "swapped {name}");
        let mut names = WHOLE.to_vec();
        names.insert(at, "other");
        assert!(walk(&archive(&names)).is_err(), "other before {name}");
    }
}

#[test]
fn an_end_that_is_early_or_late_is_refused() {
    let bytes = archive(&WHOLE);
    for cut in [1, 512, 1023, 1024, 2000] {
        assert!(walk(&bytes[..bytes.len() - cut]).is_err(), "{cut} less");
    }
    assert!(walk(&[bytes.as_slice(), &[0; 512]].concat()).is_err());
    assert!(walk(&END).is_err());
    assert_eq!(check_zeros(&[0, 0, 1], 10), Err(ContainerError::Padding { offset: 12 }));
    assert_eq!(check_zeros(&[], 10), Ok(()));
}
