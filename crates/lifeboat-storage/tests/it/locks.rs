//! Object lock on a real store: set with what is written, prolonged, never shortened.

use lifeboat_storage::{Access, Location, Lock, LockMode, Place, StorageError};
use lifeboat_testing::seaweed::Seaweed;

use crate::places::{PATIENCE, bytes, new_bucket, shared_store, upload};

/// A bucket with a lock and no rule of its own.
fn locked_bucket(store: &Seaweed, name: &str) {
    let headers = r#"{"x-amz-bucket-object-lock-enabled":"true"}"#;
    let answer = store.ask("PUT", &format!("/{name}"), (headers, "")).unwrap();
    assert!(answer.starts_with("200"), "{answer}");
}

async fn locking(store: &Seaweed, location: &str, mode: LockMode, until: &str) -> Place {
    let lock = Lock { mode, until: until.to_owned() };
    let access = Access::new(store.writer()).with_patience(PATIENCE).with_lock(Some(lock));
    Place::open(&Location::parse(location).unwrap(), &access).await.unwrap()
}

fn retention(store: &Seaweed, name: &str) -> String {
    store.ask("GET", &format!("/{name}?retention"), ("{}", "")).unwrap()
}

/// Nobody can delete the versions there are.
fn cannot_be_deleted(store: &Seaweed, bucket: &str) {
    let versions = store.ask("GET", &format!("/{bucket}?versions"), ("{}", "")).unwrap();
    let mut count = 0;
    for version in versions.split("<Version>").skip(1) {
        let between = |open: &str, close: &str| {
            version.split_once(open).unwrap().1.split_once(close).unwrap().0.to_owned()
        };
        let (key, id) = (between("<Key>", "</Key>"), between("<VersionId>", "</VersionId>"));
        let target = format!("/{bucket}/{key}?versionId={id}");
        let answer = store.ask("DELETE", &target, ("{}", "")).unwrap();
        assert!(answer.starts_with("403"), "{key}: {answer}");
        count += 1;
    }
    assert!(count > 0, "{versions}");
}

#[tokio::test]
async fn what_is_written_is_locked_from_the_first_moment_small_and_large() {
    let store = shared_store();
    locked_bucket(&store, "locked-writes");
    let until = "2099-12-22T03:15:00Z";
    let place = locking(&store, "s3://locked-writes/of", LockMode::Governance, until).await;
    assert!(place.has_lock().await.unwrap());
    place.put("small", bytes(100, 1)).await.unwrap();
    upload(&place, "large", &bytes(20 << 20, 2)).await;
    for name in ["small", "large"] {
        let held = retention(&store, &format!("locked-writes/of/{name}"));
        assert!(held.contains("GOVERNANCE") && held.contains("2099-12-22T03:15:00"), "{held}");
        assert!(!place.hold(name).await.unwrap(), "{name} is held long enough");
    }
    cannot_be_deleted(&store, "locked-writes");
}

#[tokio::test]
async fn a_lock_is_prolonged_and_neither_shortened_nor_weakened() {
    let store = shared_store();
    locked_bucket(&store, "locked-longer");
    let at = "s3://locked-longer/of";
    let first = locking(&store, at, LockMode::Governance, "2098-01-01T00:00:00Z").await;
    first.put("a", bytes(10, 1)).await.unwrap();
    let later = locking(&store, at, LockMode::Governance, "2099-01-01T00:00:00Z").await;
    assert!(later.hold("a").await.unwrap());
    assert!(!first.hold("a").await.unwrap(), "it is held longer than that");
    let held = retention(&store, "locked-longer/of/a");
    assert!(held.contains("GOVERNANCE") && held.contains("2099-01-01T00:00:00"), "{held}");
    // Its mode stays what it was when it was written.
    let strict = locking(&store, at, LockMode::Compliance, "2100-01-01T00:00:00Z").await;
    assert!(strict.hold("a").await.unwrap());
    strict.put("c", bytes(10, 1)).await.unwrap();
    assert!(!later.hold("c").await.unwrap());
    for (name, mode) in [("a", "GOVERNANCE"), ("c", "COMPLIANCE")] {
        let held = retention(&store, &format!("locked-longer/of/{name}"));
        assert!(held.contains(mode) && held.contains("2100-01-01T00:00:00"), "{name}: {held}");
    }
    // What was written without a lock gets one as well.
    let access = Access::new(store.writer()).with_patience(PATIENCE);
    let plain = Place::open(&Location::parse(at).unwrap(), &access).await.unwrap();
    plain.put("b", bytes(10, 1)).await.unwrap();
    assert!(!plain.hold("b").await.unwrap());
    assert!(first.hold("b").await.unwrap());
    cannot_be_deleted(&store, "locked-longer");
}

#[tokio::test]
async fn a_place_without_locks_says_so_and_takes_nothing() {
    let store = shared_store();
    let location = new_bucket(&store).to_string();
    let place = locking(&store, &location, LockMode::Governance, "2099-01-01T00:00:00Z").await;
    assert!(!place.has_lock().await.unwrap());
    let put = place.put("a", bytes(10, 1)).await;
    assert!(put.is_err(), "{put:?}");
    let lock = Lock { mode: LockMode::Governance, until: "2099-01-01T00:00:00Z".to_owned() };
    let access = Access::none().with_lock(Some(lock));
    let opened = Place::open(&Location::Directory("/tmp".into()), &access).await;
    assert!(matches!(opened, Err(StorageError::Refused { .. })));
}
