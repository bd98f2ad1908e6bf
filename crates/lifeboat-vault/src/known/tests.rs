//! Content that a run stored, on both sides of being sorted in.

use std::collections::HashMap;

use lifeboat_package::digest::Digest;

use super::{SORTED_IN, Stored};
use crate::cache::VolumeNumber;

fn sum(of: usize) -> [u8; 32] {
    *Digest::of(&of.to_le_bytes()).as_bytes()
}

#[test]
fn what_a_run_stored_is_found_before_and_after_it_is_sorted_in() {
    let (since, also) = (HashMap::new(), HashMap::new());
    let mut stored = Stored { sorted: vec![(sum(0), 7)], since, also };
    let count = SORTED_IN * 5 / 2;
    for at in 1..=count {
        assert!(!stored.has(&sum(at)), "{at}");
        stored.add(sum(at), VolumeNumber::try_from(at).unwrap());
    }
    assert_eq!((stored.sorted.len(), stored.since.len()), (1 + 2 * SORTED_IN, SORTED_IN / 2));
    stored.also.insert(sum(1), vec![8, 9]);
    let volumes = |at: usize| stored.volumes(&sum(at)).collect::<Vec<_>>();
    assert_eq!((volumes(0), volumes(1)), (vec![7], vec![1, 8, 9]));
    for at in 2..=count {
        assert_eq!(volumes(at), [VolumeNumber::try_from(at).unwrap()], "{at}");
    }
    assert!(volumes(count + 1).is_empty());
}
