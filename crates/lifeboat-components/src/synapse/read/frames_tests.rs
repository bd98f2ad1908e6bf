//! Rows on shelves by their room.

use lifeboat_package::flow::Flow;

use super::*;
use crate::postgres::columns::Carrier;
use crate::postgres::copy_out::Row;

#[derive(Default)]
struct Kept(Vec<Records>);

impl Sink for Kept {
    fn accept(&mut self, batch: Batch) -> Flow<'_> {
        if let Batch::Records(records) = batch {
            self.0.push(records);
        }
        Box::pin(async { Ok(()) })
    }
}

/// Frames of so many rows of so many bytes a room, rooms taking turns.
async fn shelved(rooms: &[&str], (rows, bytes): (usize, usize), cuts: &[&str]) -> Vec<Records> {
    let mut shape = Shape::default();
    shape.member("text", Carrier::Text);
    let room = shape.hidden();
    let mut frames = Frames::of_table("t");
    frames.by_room(Shelves { room, cuts: cuts.iter().map(|cut| (*cut).to_owned()).collect() });
    let mut kept = Kept::default();
    for _ in 0..rows {
        for room in rooms {
            let line = [vec![b'x'; bytes], room.as_bytes().to_vec()].concat();
            let fields = [Some(0..bytes), Some(bytes..line.len())];
            frames
                .row(Row::new(&line, &fields), (&shape, None), &mut kept)
                .await
                .expect("a row is taken");
        }
    }
    frames.finish(&mut kept).await.expect("a row is taken");
    kept.0
}

fn spans(frames: &[Records]) -> Vec<Option<(&str, &str)>> {
    frames.iter().map(|f| f.rooms.as_ref().map(|s| (s.first.as_str(), s.last.as_str()))).collect()
}

#[tokio::test]
async fn a_full_shelf_holds_its_rooms_alone() {
    let frames = shelved(&["!a", "!b", "!c"], (3, SHELF_BYTES / 2), &["!b"]).await;
    let spans = spans(&frames);
    assert!(spans.contains(&Some(("!a", "!a"))), "{spans:?}");
    assert!(spans.contains(&Some(("!b", "!c"))), "{spans:?}");
    assert_eq!(frames.iter().map(|frame| frame.count).sum::<u64>(), 9);
}

#[tokio::test]
async fn little_of_neighbouring_shelves_shares_a_frame() {
    let rooms = ["!e", "!c", "!a", "!b", "!d"];
    let frames = shelved(&rooms, (2, 10), &["!b", "!c", "!d", "!e"]).await;
    let expected = [Some(("!a", "!b")), Some(("!c", "!d")), Some(("!e", "!e"))];
    assert_eq!(spans(&frames), expected);
    let places: Vec<_> = frames.iter().filter_map(|frame| frame.shelf).collect();
    let place = |number, is_shared| flow::Shelf { number, is_shared };
    assert_eq!(places, [place(0, true), place(2, true), place(4, false)]);
    assert_eq!(frames.iter().map(|frame| frame.count).sum::<u64>(), 10);
}

#[tokio::test]
async fn what_is_no_room_id_leaves_the_frame_open_to_all() {
    let long = format!("!{}", "x".repeat(ROOM_ID_BYTES));
    for rooms in [vec!["!a", long.as_str()], vec![long.as_str(), "!a"]] {
        let frames = shelved(&rooms, (1, 10), &[]).await;
        assert_eq!(spans(&frames), [None]);
    }
}
