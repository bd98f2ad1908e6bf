//! Faults on order.

use super::*;
use crate::failing::Fault;

#[tokio::test]
async fn operations_fail_from_the_ordered_one_on() {
    let faults = Arc::new(Faults::new(4, Fault::Full));
    let place = Place::memory().failing(Arc::clone(&faults));
    place.put("a", Bytes::from_static(b"1")).await.unwrap();
    let mut upload = place.upload("b").await.unwrap();
    upload.write(Bytes::from_static(b"2")).await.unwrap();
    let error = upload.finish().await.unwrap_err();
    assert!(matches!(error, StorageError::Full { .. }), "{error}");
    assert!(place.list().await.is_err());
    assert_eq!(faults.seen(), 5);
}
