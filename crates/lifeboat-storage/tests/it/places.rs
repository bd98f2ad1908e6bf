//! The places that the tests use.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use lifeboat_storage::{Access, Location, Patience, Place};
use lifeboat_testing::seaweed::Seaweed;
use lifeboat_testing::{Scratch, Tools};

/// Short enough for tests, with more tries than any of them makes fail.
pub(crate) const PATIENCE: Patience = Patience {
    attempts: 6,
    first_contact_attempts: 3,
    first_pause: Duration::from_millis(10),
    longest_pause: Duration::from_millis(100),
    stall: Duration::from_secs(2),
};

static SHARED: Mutex<Weak<Seaweed>> = Mutex::new(Weak::new());
static NEXT_BUCKET: AtomicU32 = AtomicU32::new(0);

/// A place, and what must live as long as it does.
pub(crate) struct Opened {
    pub(crate) place: Place,
    pub(crate) folder: Option<PathBuf>,
    _scratch: Option<Scratch>,
    _store: Option<Arc<Seaweed>>,
}

pub(crate) async fn directory() -> Opened {
    let scratch = Scratch::new("storage").unwrap();
    let folder = scratch.path().join("deep/folder");
    let location = Location::parse(folder.to_str().unwrap()).unwrap();
    let place = Place::open(&location, &Access::none()).await.unwrap();
    Opened { place, folder: Some(folder), _scratch: Some(scratch), _store: None }
}

pub(crate) async fn memory() -> Opened {
    Opened { place: Place::memory(), folder: None, _scratch: None, _store: None }
}

pub(crate) async fn bucket() -> Opened {
    let store = shared_store();
    let location = new_bucket(&store);
    let place = open(&location, store.writer()).await;
    Opened { place, folder: None, _scratch: None, _store: Some(store) }
}

/// One store for all tests that run at the same time; it ends with the last of them.
pub(crate) fn shared_store() -> Arc<Seaweed> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(store) = shared.upgrade() {
        return store;
    }
    let store = Arc::new(start_store());
    *shared = Arc::downgrade(&store);
    store
}

pub(crate) fn start_store() -> Seaweed {
    let silent = |_: &str| ();
    let tools = Tools::ready(&[], &silent).unwrap();
    Seaweed::start(&tools, &silent).unwrap()
}

pub(crate) fn new_bucket(store: &Seaweed) -> Location {
    let name = format!("bucket-{}", NEXT_BUCKET.fetch_add(1, Ordering::Relaxed));
    store.make_bucket(&name).unwrap();
    Location::parse(&format!("s3://{name}/backups/here")).unwrap()
}

pub(crate) async fn open(location: &Location, variables: Vec<(String, String)>) -> Place {
    Place::open(location, &Access::new(variables).with_patience(PATIENCE)).await.unwrap()
}

/// The same variables with another port: that of a proxy before the store.
pub(crate) fn through(port: u16, mut variables: Vec<(String, String)>) -> Vec<(String, String)> {
    for (name, value) in &mut variables {
        if name == "AWS_ENDPOINT_URL_S3" {
            *value = format!("http://127.0.0.1:{port}");
        }
    }
    variables
}

/// Bytes that do not repeat in any piece of the size of a part.
pub(crate) fn bytes(count: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(count);
    bytes.into()
}

/// Uploads in writes of an odd size.
pub(crate) async fn upload(place: &Place, name: &str, content: &Bytes) {
    let mut upload = place.upload(name).await.unwrap();
    for piece in content.chunks(1_000_003) {
        upload.write(content.slice_ref(piece)).await.unwrap();
    }
    upload.finish().await.unwrap();
}

pub(crate) async fn stream(place: &Place, name: &str) -> Vec<u8> {
    let mut pieces = place.stream(name).await.unwrap();
    let mut read = Vec::new();
    while let Some(piece) = pieces.next().await.unwrap() {
        read.extend_from_slice(&piece);
    }
    read
}
