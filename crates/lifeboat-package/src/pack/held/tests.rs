//! What is held comes out as it went in.

use super::*;
use crate::frame::Count;

fn frame(number: usize) -> Vec<u8> {
    let length = [3, BLOCK, 2 * BLOCK + 17, BLOCK - 3, 0, 1][number % 6];
    (0..length).map(|at| u8::try_from((at * 7 + number) % 251).unwrap_or_default()).collect()
}

fn add(held: &mut Held, shelf: Shelf, number: usize) {
    let path = EntryPath::parse(&format!("rooms/000001-1/t.{:04}.jsonl.zst", number + 1));
    let about = About { count: Count { records: 1, raw: 1 }, rooms: None };
    held.add(shelf, (path.expect("a path"), about), &frame(number));
}

#[test]
fn frames_of_any_length_come_out_as_they_went_in_also_where_others_were_before() {
    let mut held = Held::new(usize::MAX);
    let place = |number| Shelf { number, is_shared: number % 2 == 0 };
    for round in 0..3 {
        let numbers: Vec<usize> = (round * 60..round * 60 + 60).collect();
        for number in &numbers {
            add(&mut held, place(u32::try_from(number % 5).expect("small")), *number);
        }
        let before = held.memory.len();
        let mut seen = Vec::new();
        for shelf in held.shelves() {
            for (path, _, bytes) in held.take(shelf) {
                let number = path.record().expect("a record").2 as usize - 1;
                assert_eq!(shelf.number as usize, number % 5);
                assert!(bytes == frame(number), "{path}");
                seen.push(number);
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, numbers);
        assert_eq!((held.bytes, held.free.len() * BLOCK), (0, before), "round {round}");
    }
}

#[test]
fn what_shelves_share_is_held_back_longest() {
    let mut held = Held::new(5 * BLOCK);
    let place = |number, is_shared| Shelf { number, is_shared };
    let full = 1;
    for _ in 0..4 {
        add(&mut held, place(0, true), full);
    }
    add(&mut held, place(1, false), full);
    assert_eq!(held.overflow(), None);
    add(&mut held, place(0, false), full);
    add(&mut held, place(0, false), full);
    assert_eq!(held.overflow(), Some(place(0, false)));
    assert_eq!(held.take(place(0, false)).count(), 2);
    assert_eq!(held.overflow(), None);
    assert_eq!(held.shelves(), [place(0, true), place(1, false)]);
}
