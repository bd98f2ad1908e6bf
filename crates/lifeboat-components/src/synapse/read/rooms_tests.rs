//! Counting what the ranges of rooms held.

use lifeboat_package::flow::Records;

use super::*;

struct Nowhere;

impl Sink for Nowhere {
    fn accept(&mut self, _: Batch) -> Flow<'_> {
        Box::pin(async { Ok(()) })
    }
}

async fn pass(rows: &RoomRows, table: &str, count: u64) {
    let mut sink = Counted { sink: &mut Nowhere, rows };
    let (name, of_tables) = (table.to_owned(), vec![(table.to_owned(), count)]);
    let records =
        Records { name, lines: Vec::new(), count, rows: of_tables, rooms: None, shelf: None };
    sink.accept(Batch::Records(records)).await.expect("nowhere takes everything");
}

#[tokio::test]
async fn a_table_has_strays_when_the_ranges_held_fewer_rows() {
    let rows = RoomRows::default();
    pass(&rows, "event_auth", 3).await;
    pass(&rows, "event_auth", 4).await;
    assert!(rows.held_all("event_auth", 7));
    assert!(!rows.held_all("event_auth", 8));
    assert!(rows.held_all("rejections", 0));
    assert!(!rows.held_all("rejections", 1));
}

#[tokio::test]
async fn what_was_counted_under_one_cut_says_nothing_when_there_are_two() {
    let rows = RoomRows::default();
    pass(&rows, "event_auth", 3).await;
    rows.distrust();
    assert!(!rows.held_all("event_auth", 3));
    assert!(!rows.held_all("rejections", 0));
}
