//! What every kind of place does alike.

use bytes::Bytes;
use lifeboat_storage::{Entry, Place, StorageError, pieces};

use crate::places::{self, bytes, stream, upload};

/// Each fact is a test in each kind of place.
macro_rules! facts {
    ($kind:ident: $($fact:ident)*) => {
        mod $kind {
            $(
                #[tokio::test]
                async fn $fact() {
                    let opened = super::places::$kind().await;
                    super::$fact(&opened.place).await;
                }
            )*
        }
    };
    (every kind: $($fact:ident)*) => {
        facts!(directory: $($fact)* what_never_finished_is_found_and_removed);
        facts!(bucket: $($fact)* what_never_finished_is_found_and_removed);
        facts!(memory: $($fact)*);
    };
}

facts!(every kind:
    what_was_put_is_read_back
    a_later_put_replaces_the_earlier
    a_listing_has_names_and_sizes_in_order
    a_place_that_does_not_exist_yet_lists_nothing
    what_is_not_there_is_not_found
    deleting_twice_is_deleting_once
    an_object_without_bytes_is_an_object
    an_upload_of_many_parts_is_read_back_in_pieces
    an_upload_exists_when_it_is_finished_and_not_before
    an_aborted_upload_leaves_what_was_there
    a_range_beyond_the_end_is_refused
    an_object_above_the_limit_is_not_read_whole
    names_that_lead_elsewhere_are_refused
);

async fn what_was_put_is_read_back(place: &Place) {
    let content = bytes(70_000, 1);
    place.put("volumes/000001.vol", content.clone()).await.unwrap();
    assert_eq!(place.size("volumes/000001.vol").await.unwrap(), 70_000);
    assert_eq!(place.read("volumes/000001.vol", 0..70_000).await.unwrap(), content);
    let middle = place.read("volumes/000001.vol", 33_333..44_444).await.unwrap();
    assert_eq!(middle, content.slice(33_333..44_444));
    assert_eq!(place.read_whole("volumes/000001.vol", 70_000).await.unwrap(), content);
    let mut pieces = place.stream_range("volumes/000001.vol", 69_990..70_000).await.unwrap();
    assert_eq!(pieces.remaining(), 10);
    assert_eq!(pieces.next().await.unwrap().unwrap(), content.slice(69_990..));
    assert!(pieces.next().await.unwrap().is_none());
}

async fn a_later_put_replaces_the_earlier(place: &Place) {
    place.put("key.age", bytes(500, 1)).await.unwrap();
    place.put("key.age", bytes(300, 2)).await.unwrap();
    assert_eq!(place.read_whole("key.age", 1000).await.unwrap(), bytes(300, 2));
}

async fn a_listing_has_names_and_sizes_in_order(place: &Place) {
    for (name, size) in [("b", 2), ("volumes/000002.vol", 20), ("a", 1), ("volumes/000001.vol", 10)]
    {
        place.put(name, bytes(size, 1)).await.unwrap();
    }
    let entry = |name: &str, size| Entry { name: name.to_owned(), size };
    assert_eq!(
        place.list().await.unwrap(),
        [
            entry("a", 1),
            entry("b", 2),
            entry("volumes/000001.vol", 10),
            entry("volumes/000002.vol", 20)
        ]
    );
}

async fn a_place_that_does_not_exist_yet_lists_nothing(place: &Place) {
    assert_eq!(place.list().await.unwrap(), []);
    assert_eq!(place.delete_partials().await.unwrap(), 0);
}

async fn what_is_not_there_is_not_found(place: &Place) {
    let is_not_found = |error| matches!(error, StorageError::NotFound { .. });
    assert!(is_not_found(place.size("nothing").await.unwrap_err()));
    assert!(is_not_found(place.read("nothing", 0..1).await.unwrap_err()));
    assert!(is_not_found(place.stream("nothing").await.err().unwrap()));
    assert!(is_not_found(place.read_whole("nothing", 1).await.unwrap_err()));
}

async fn deleting_twice_is_deleting_once(place: &Place) {
    place.put("a", bytes(1, 1)).await.unwrap();
    place.put("b", bytes(1, 1)).await.unwrap();
    place.delete("a").await.unwrap();
    place.delete("a").await.unwrap();
    assert_eq!(place.list().await.unwrap().len(), 1);
    assert!(place.size("a").await.is_err());
}

async fn an_object_without_bytes_is_an_object(place: &Place) {
    place.put("put", Bytes::new()).await.unwrap();
    place.upload("uploaded").await.unwrap().finish().await.unwrap();
    for name in ["put", "uploaded"] {
        assert_eq!(place.size(name).await.unwrap(), 0);
        assert_eq!(place.read(name, 0..0).await.unwrap(), Bytes::new());
        assert!(place.stream(name).await.unwrap().next().await.unwrap().is_none());
    }
    assert_eq!(place.list().await.unwrap().len(), 2);
}

async fn an_upload_of_many_parts_is_read_back_in_pieces(place: &Place) {
    let content = bytes((33 << 20) + 5, 7);
    upload(place, "volumes/000001.vol", &content).await;
    assert_eq!(place.size("volumes/000001.vol").await.unwrap(), content.len() as u64);
    let mut read = Vec::new();
    let mut pieces = place.stream("volumes/000001.vol").await.unwrap();
    while let Some(piece) = pieces.next().await.unwrap() {
        let last = pieces.remaining() == 0;
        assert!(last || piece.len() as u64 == pieces::PIECE_BYTES, "{}", piece.len());
        read.extend_from_slice(&piece);
    }
    assert!(read == content, "the content differs");
    // Across the border of two parts.
    let border = (8 << 20) - 10..(8 << 20) + 10;
    let found = place.read("volumes/000001.vol", border.clone()).await.unwrap();
    assert_eq!(found, content.slice(usize::try_from(border.start).unwrap()..).slice(..20));
}

async fn an_upload_exists_when_it_is_finished_and_not_before(place: &Place) {
    let (first, second) = (bytes(10 << 20, 1), bytes(9 << 20, 2));
    let mut begun = place.upload("a").await.unwrap();
    begun.write(first.clone()).await.unwrap();
    assert_eq!(place.list().await.unwrap(), []);
    assert!(matches!(place.size("a").await, Err(StorageError::NotFound { .. })));
    begun.finish().await.unwrap();
    assert!(stream(place, "a").await == first);

    let mut begun = place.upload("a").await.unwrap();
    begun.write(second.clone()).await.unwrap();
    assert_eq!(place.size("a").await.unwrap(), first.len() as u64);
    begun.finish().await.unwrap();
    assert!(stream(place, "a").await == second);
}

async fn an_aborted_upload_leaves_what_was_there(place: &Place) {
    place.put("a", bytes(10, 1)).await.unwrap();
    for name in ["a", "b"] {
        let mut begun = place.upload(name).await.unwrap();
        begun.write(bytes(20 << 20, 2)).await.unwrap();
        begun.abort().await.unwrap();
    }
    assert_eq!(place.list().await.unwrap().len(), 1);
    assert_eq!(place.read_whole("a", 10).await.unwrap(), bytes(10, 1));
    assert_eq!(place.delete_partials().await.unwrap(), 0);
}

async fn what_never_finished_is_found_and_removed(place: &Place) {
    place.put("whole", bytes(10, 1)).await.unwrap();
    for name in ["volumes/000001.vol", "volumes/000002.vol"] {
        let mut begun = place.upload(name).await.unwrap();
        begun.write(bytes(9 << 20, 2)).await.unwrap();
        drop(begun);
    }
    assert_eq!(place.list().await.unwrap().len(), 1);
    assert_eq!(place.delete_partials().await.unwrap(), 2);
    assert_eq!(place.delete_partials().await.unwrap(), 0);
    assert_eq!(place.list().await.unwrap().len(), 1);
}

async fn a_range_beyond_the_end_is_refused(place: &Place) {
    place.put("a", bytes(100, 1)).await.unwrap();
    for range in [50..101, 100..101, 1000..2000] {
        let error = place.read("a", range.clone()).await.unwrap_err();
        assert!(matches!(error, StorageError::Damaged { .. }), "{range:?}: {error}");
        let error = place.stream_range("a", range.clone()).await.err().unwrap();
        assert!(matches!(error, StorageError::Damaged { .. }), "{range:?}: {error}");
    }
}

async fn an_object_above_the_limit_is_not_read_whole(place: &Place) {
    place.put("seal.json", bytes(101, 1)).await.unwrap();
    let error = place.read_whole("seal.json", 100).await.unwrap_err();
    assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
}

async fn names_that_lead_elsewhere_are_refused(place: &Place) {
    for name in ["", "/a", "a/", "a//b", "../a", "a/../b", ".", "a\0b", "a b", "ä", "a.partial"] {
        let error = place.put(name, bytes(1, 1)).await.unwrap_err();
        assert!(matches!(error, StorageError::Refused { .. }), "{name:?}: {error}");
    }
    let long = "a".repeat(513);
    assert!(place.put(&long, bytes(1, 1)).await.is_err());
    assert_eq!(place.list().await.unwrap(), []);
}
