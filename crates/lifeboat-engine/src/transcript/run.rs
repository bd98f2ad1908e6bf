//! What all rooms of a transcript share: the package and the new server.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU64;

use lifeboat_components::synapse::read::summary::RoomSummary;
use lifeboat_components::transcript::stage::Stage;

use super::answer_of;
use crate::context::Context;
use crate::failure::Failure;
use crate::reader::Package;
use crate::reader::blobs::BlobPlaces;
use crate::render::known::Lists;

/// One transcript on its way.
pub(super) struct Run<'a> {
    pub(super) cx: &'a Context,
    pub(super) package: &'a Package,
    pub(super) stage: Stage,
    /// Rooms that were picked.
    pub(super) rooms: HashMap<String, RoomSummary>,
    pub(super) erased: HashSet<String>,
    /// Files by address: SHA-256.
    pub(super) media: HashMap<String, String>,
    pub(super) blobs: BlobPlaces,
    /// Bytes of the largest file that the server takes.
    pub(super) upload_limit: Option<u64>,
    /// One file at a time: two rooms may name the same.
    pub(super) uploading: tokio::sync::Mutex<()>,
    /// Who is to be let in, with power.
    pub(super) owner: Option<String>,
    pub(super) files: AtomicU64,
}

impl<'a> Run<'a> {
    pub(super) async fn new(
        cx: &'a Context,
        package: &'a Package,
        stage: Stage,
        lists: Lists,
        owner: Option<String>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            cx,
            package,
            upload_limit: stage.client.upload_limit().await.map_err(answer_of)?,
            stage,
            rooms: lists.rooms,
            erased: lists.known.erased,
            media: lists.media,
            blobs: BlobPlaces::of(package).await?,
            uploading: tokio::sync::Mutex::default(),
            owner,
            files: AtomicU64::new(0),
        })
    }
}
