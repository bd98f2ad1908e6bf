//! A bucket behind a broken line, or behind a closed door.

use std::error::Error as _;
use std::time::Duration;

use lifeboat_storage::{Access, Location, Patience, Place, StorageError};
use lifeboat_testing::port::Port;

use crate::fault_proxy::{Fault, FaultProxy, Rule};
use crate::places::{
    self, PATIENCE, bytes, new_bucket, open, shared_store, stream, through, upload,
};

const ALWAYS: usize = usize::MAX;

fn rule(
    method: &'static str,
    contains: &'static str,
    (first, times): (usize, usize),
    fault: Fault,
) -> Rule {
    Rule { method, contains, first, times, fault }
}

#[tokio::test]
async fn an_upload_survives_server_errors_cut_lines_and_lost_answers() {
    let store = shared_store();
    let location = new_bucket(&store);
    let proxy = FaultProxy::start(
        store.port(),
        &[
            rule("POST", "uploads", (1, 1), Fault::Silence),
            rule("POST", "uploads", (2, 1), Fault::Answer(503)),
            rule("PUT", "partNumber=1", (1, 2), Fault::Answer(500)),
            rule("PUT", "partNumber=2", (1, 2), Fault::CutRequest(3 << 20)),
            rule("PUT", "partNumber=4", (1, 1), Fault::CutAnswer(0)),
            // The store has done it, the client does not know; asked again, some stores say it is
            // gone.
            rule("POST", "uploadId", (1, 1), Fault::CutAnswer(0)),
            rule("POST", "uploadId", (2, 1), Fault::Answer(404)),
        ],
    )
    .await;
    let place = open(&location, through(proxy.port(), store.writer())).await;
    let content = bytes((33 << 20) + 1, 3);
    upload(&place, "volumes/000001.vol", &content).await;

    let directly = open(&location, store.writer()).await;
    assert!(stream(&directly, "volumes/000001.vol").await == content, "the content differs");
    assert_eq!(directly.list().await.unwrap().len(), 1);
    assert_eq!(directly.delete_partials().await.unwrap(), 0);
}

#[tokio::test]
async fn an_upload_that_is_gone_is_not_taken_for_the_object_that_was_there() {
    let store = shared_store();
    let location = new_bucket(&store);
    let directly = open(&location, store.writer()).await;
    directly.put("a.vol", bytes(9 << 20, 1)).await.unwrap();
    let faults = [rule("POST", "uploadId", (1, ALWAYS), Fault::Answer(404))];
    let proxy = FaultProxy::start(store.port(), &faults).await;
    let place = open(&location, through(proxy.port(), store.writer())).await;
    let mut begun = place.upload("a.vol").await.unwrap();
    begun.write(bytes(9 << 20, 2)).await.unwrap();
    let error = begun.finish().await.unwrap_err();
    assert!(matches!(error, StorageError::NotFound { .. }), "{error}");
    assert!(stream(&directly, "a.vol").await == bytes(9 << 20, 1));
}

#[tokio::test]
async fn a_small_put_survives_server_errors_and_cut_lines() {
    let store = shared_store();
    let location = new_bucket(&store);
    let faults = [
        rule("PUT", "seal.json", (1, 1), Fault::CutAnswer(0)),
        rule("PUT", "seal.json", (2, 1), Fault::CutRequest(100)),
        rule("PUT", "seal.json", (3, 1), Fault::Answer(500)),
        rule("PUT", "seal.json", (4, 1), Fault::Silence),
        rule("GET", "list-type", (1, 1), Fault::Answer(500)),
        rule("GET", "list-type", (2, 1), Fault::CutAnswer(300)),
        rule("HEAD", "seal.json", (1, 2), Fault::Answer(502)),
        rule("DELETE", "seal.json", (1, 2), Fault::CutAnswer(0)),
    ];
    let proxy = FaultProxy::start(store.port(), &faults).await;
    let place = open(&location, through(proxy.port(), store.writer())).await;
    // The first answer teaches the client that the server is there.
    place.put("key.age", bytes(10, 1)).await.unwrap();
    place.put("seal.json", bytes(5000, 1)).await.unwrap();
    assert_eq!(place.list().await.unwrap().len(), 2);
    assert_eq!(place.size("seal.json").await.unwrap(), 5000);
    assert_eq!(place.read_whole("seal.json", 5000).await.unwrap(), bytes(5000, 1));
    place.delete("seal.json").await.unwrap();
    assert_eq!(place.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_read_goes_on_where_the_line_broke() {
    let store = shared_store();
    let location = new_bucket(&store);
    let content = bytes(6 << 20, 5);
    open(&location, store.writer()).await.put("a.vol", content.clone()).await.unwrap();
    let faults = [
        rule("GET", "a.vol", (1, 1), Fault::CutAnswer(2_500_000)),
        rule("GET", "a.vol", (2, 1), Fault::Answer(500)),
        rule("GET", "a.vol", (3, 1), Fault::CutAnswer(700_000)),
        rule("GET", "a.vol", (4, 1), Fault::Silence),
    ];
    let proxy = FaultProxy::start(store.port(), &faults).await;
    let place = open(&location, through(proxy.port(), store.writer())).await;
    assert!(stream(&place, "a.vol").await == content, "the content differs");
    let starts: Vec<u64> = proxy.heads().iter().filter_map(|head| range_start(head)).collect();
    assert_eq!(starts.len(), 4, "{starts:?}");
    assert!(starts[0] > 2_000_000 && starts[2] > starts[1] + 600_000, "{starts:?}");
}

fn range_start(head: &str) -> Option<u64> {
    let range = head.lines().find_map(|line| line.strip_prefix("range: bytes="))?;
    range.split_once('-')?.0.parse().ok()
}

#[tokio::test]
async fn a_replaced_object_is_not_mixed_with_its_successor() {
    let store = shared_store();
    let location = new_bucket(&store);
    let directly = open(&location, store.writer()).await;
    directly.put("a.vol", bytes(6 << 20, 1)).await.unwrap();
    let faults = [rule("GET", "a.vol", (1, 1), Fault::CutAnswer(2_500_000))];
    let proxy = FaultProxy::start(store.port(), &faults).await;
    let place = open(&location, through(proxy.port(), store.writer())).await;
    let mut pieces = place.stream("a.vol").await.unwrap();
    assert!(pieces.next().await.unwrap().is_some());
    directly.put("a.vol", bytes(6 << 20, 2)).await.unwrap();
    let error = loop {
        match pieces.next().await {
            Ok(piece) => assert!(piece.is_some(), "it ended as if whole"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("replaced"), "{error}");
}

#[tokio::test]
async fn a_server_that_stays_broken_is_given_up_with_its_words() {
    let store = shared_store();
    let location = new_bucket(&store);
    let faults = [rule("PUT", "broken", (1, ALWAYS), Fault::Answer(500))];
    let proxy = FaultProxy::start(store.port(), &faults).await;
    let place = open(&location, through(proxy.port(), store.writer())).await;
    let tries = || proxy.heads().iter().filter(|head| head.contains("broken")).count();

    let error = place.put("broken", bytes(10, 1)).await.unwrap_err();
    assert_eq!(tries(), PATIENCE.first_contact_attempts as usize, "never answered before");
    assert!(error.is_transient(), "{error}");
    assert!(error.to_string().contains("write broken in s3://bucket-"), "{error}");
    let cause = error.source().unwrap().to_string();
    assert_eq!(cause, "the server answered 500 InternalError: a planned fault");

    place.put("works", bytes(10, 1)).await.unwrap();
    let before = tries();
    place.put("broken", bytes(10, 1)).await.unwrap_err();
    assert_eq!(tries() - before, PATIENCE.attempts as usize, "it has answered before");
}

#[tokio::test]
async fn an_upload_that_cannot_go_on_fails_and_leaves_nothing() {
    let store = shared_store();
    let location = new_bucket(&store);
    let faults = [rule("PUT", "partNumber=3", (1, ALWAYS), Fault::Answer(500))];
    let proxy = FaultProxy::start(store.port(), &faults).await;
    let place = open(&location, through(proxy.port(), store.writer())).await;
    let mut begun = place.upload("a.vol").await.unwrap();
    begun.write(bytes(24 << 20, 1)).await.unwrap();
    let error = begun.finish().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let directly = open(&location, store.writer()).await;
    assert_eq!(directly.list().await.unwrap(), []);
    assert_eq!(directly.delete_partials().await.unwrap(), 0);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let port = Port::claim().unwrap();
    let location = Location::parse("s3://bucket/x").unwrap();
    let variables = through(port.number(), shared_store().writer());
    let place = open(&location, variables).await;
    let error = place.list().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("Connection refused"), "{cause}");
}

#[tokio::test]
async fn wrong_credentials_are_denied_at_once() {
    let store = shared_store();
    let location = new_bucket(&store);
    let proxy = FaultProxy::start(store.port(), &[]).await;
    let mut wrong = through(proxy.port(), store.writer());
    wrong[1].1 = "a-wrong-secret".to_owned();
    let place = open(&location, wrong).await;
    let error = place.put("a", bytes(10, 1)).await.unwrap_err();
    assert!(matches!(error, StorageError::Denied { .. }), "{error}");
    assert!(!error.is_transient());
    assert_eq!(proxy.heads().len(), 1);
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("SignatureDoesNotMatch"), "{cause}");
    assert!(!format!("{error:?} {error} {cause}").contains("a-wrong-secret"));
}

#[tokio::test]
async fn an_account_that_may_only_read_reads_and_is_denied_the_rest() {
    let store = shared_store();
    let location = new_bucket(&store);
    open(&location, store.writer()).await.put("a", bytes(10, 1)).await.unwrap();
    let place = open(&location, store.reader()).await;
    assert_eq!(place.read_whole("a", 10).await.unwrap(), bytes(10, 1));
    assert_eq!(place.list().await.unwrap().len(), 1);
    let denied = |error| matches!(error, StorageError::Denied { .. });
    assert!(denied(place.put("a", bytes(10, 2)).await.unwrap_err()));
    assert!(denied(place.delete("a").await.unwrap_err()));
    let mut begun = place.upload("b").await.unwrap();
    assert!(denied(begun.write(bytes(9 << 20, 2)).await.unwrap_err()));
    assert_eq!(place.read_whole("a", 10).await.unwrap(), bytes(10, 1));
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_said_so() {
    let store = shared_store();
    let location = Location::parse("s3://no-such-bucket/x").unwrap();
    let place = open(&location, store.reader()).await;
    let error = place.list().await.unwrap_err();
    assert!(matches!(error, StorageError::NotFound { .. }), "{error}");
    assert_eq!(error.source().unwrap().to_string(), "the bucket does not exist");
}

#[tokio::test]
async fn without_credentials_it_says_which_variable_is_missing() {
    let location = Location::parse("s3://bucket/x").unwrap();
    // A metadata server that is not there, so that the test asks nobody.
    let endpoint = format!("http://127.0.0.1:{}", Port::claim().unwrap().number());
    let access = Access::new([("AWS_METADATA_ENDPOINT".to_owned(), endpoint)]);
    let error = Place::open(&location, &access).await.err().unwrap();
    assert!(matches!(error, StorageError::Denied { .. }), "{error}");
    assert!(error.source().unwrap().to_string().contains("AWS_ACCESS_KEY_ID"));
}

#[tokio::test]
async fn an_upload_goes_on_after_the_store_crashed() {
    let mut store = places::start_store();
    let location = new_bucket(&store);
    let patience =
        Patience { attempts: 100, longest_pause: Duration::from_millis(300), ..PATIENCE };
    let access = Access::new(store.writer()).with_patience(patience);
    let place = Place::open(&location, &access).await.unwrap();
    let content = bytes(40 << 20, 9);
    let mut begun = place.upload("a.vol").await.unwrap();
    begun.write(content.slice(..(20 << 20))).await.unwrap();
    let restart = tokio::task::spawn_blocking(move || store.crash_and_restart().map(|()| store));
    begun.write(content.slice((20 << 20)..)).await.unwrap();
    begun.finish().await.unwrap();
    let _store = restart.await.unwrap().unwrap();
    assert!(stream(&place, "a.vol").await == content, "the content differs");
}
