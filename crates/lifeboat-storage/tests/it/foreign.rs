//! A bucket that other programs filled.

use std::time::Duration;

use lifeboat_storage::{Access, Foreign, Location, Patience, StorageError};

use crate::fault_proxy::{Fault, FaultProxy, Rule};
use crate::places::{PATIENCE, new_bucket, open, shared_store, through};

fn bucket_of(location: &Location) -> &str {
    match location {
        Location::Bucket { bucket, .. } => bucket,
        Location::Directory(_) => panic!("a bucket"),
    }
}

fn foreign_access(variables: Vec<(String, String)>, patience: Patience) -> Access {
    Access::new(variables).with_patience(patience)
}

#[tokio::test]
async fn a_listing_that_breaks_goes_on_where_it_was_and_tells_each_object_once() {
    let store = shared_store();
    let location = new_bucket(&store);
    let bucket = bucket_of(&location).to_owned();
    let directly = open(&Location::parse(&format!("s3://{bucket}")).unwrap(), store.writer()).await;
    for number in 0..1100 {
        let name = format!("of/this-one/a{number:04}");
        directly.put(&name, vec![7; number % 9].into()).await.unwrap();
    }
    directly.put("of/this-two/b", vec![1].into()).await.unwrap();
    // The first page holds a thousand; the second fails, and then is cut short.
    let faults = [
        Rule {
            method: "GET",
            contains: "list-type",
            first: 2,
            times: 1,
            fault: Fault::Answer(503),
        },
        Rule {
            method: "GET",
            contains: "list-type",
            first: 3,
            times: 1,
            fault: Fault::CutAnswer(900),
        },
    ];
    let proxy = FaultProxy::start(store.port(), &faults).await;
    let access = foreign_access(through(proxy.port(), store.writer()), PATIENCE);
    let foreign = Foreign::open(&bucket, "of/this-", &access).await.unwrap();
    let mut listing = foreign.list("one").unwrap();
    let mut names = Vec::new();
    while let Some(found) = listing.next().await.unwrap() {
        assert!(found.e_tag.is_some() && found.modified > 1_600_000_000_000_000_000, "{found:?}");
        names.push(found.name);
    }
    let all: Vec<String> = (0..1100).map(|number| format!("one/a{number:04}")).collect();
    assert_eq!(names, all);
    assert!(proxy.heads().len() > 3, "{:?}", proxy.heads());
    let mut read = foreign.read("one/a0008").await.unwrap();
    assert_eq!(read.next().await.unwrap().unwrap(), vec![7; 8]);
}

#[tokio::test]
async fn a_prefix_that_no_name_can_have_is_refused_and_not_found_empty() {
    let store = shared_store();
    let location = new_bucket(&store);
    let patience = Patience { stall: Duration::from_secs(5), ..PATIENCE };
    let access = foreign_access(store.writer(), patience);
    for prefix in ["/of/", "of//this/", "../"] {
        let foreign = Foreign::open(bucket_of(&location), prefix, &access).await.unwrap();
        let refused = foreign.list("one").map(drop);
        assert!(matches!(refused, Err(StorageError::Refused { .. })), "{prefix}");
    }
}
