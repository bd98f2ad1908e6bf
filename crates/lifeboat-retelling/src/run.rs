//! What all rooms of a transcript share: the package and the new server.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU64;

use crate::server::stage::Stage;
use lifeboat_components::synapse::read::summary::RoomSummary;

use crate::answer_of;
use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::reader::Package;
use lifeboat_engine::reader::places::ContentPlaces;
use lifeboat_rendering::render::known::Lists;

/// One transcript on its way.
pub(crate) struct Run<'a> {
    pub(crate) cx: &'a Context,
    pub(crate) package: &'a Package,
    pub(crate) stage: Stage,
    /// Rooms that were picked.
    pub(crate) rooms: HashMap<String, RoomSummary>,
    pub(crate) erased: HashSet<String>,
    /// Files by address: SHA-256.
    pub(crate) media: HashMap<String, String>,
    pub(crate) blobs: ContentPlaces,
    /// Bytes of the largest file that the server takes.
    pub(crate) upload_limit: Option<u64>,
    /// One file at a time: two rooms may name the same.
    pub(crate) uploading: tokio::sync::Mutex<()>,
    /// Who is to be let in, with power.
    pub(crate) owner: Option<String>,
    pub(crate) files: AtomicU64,
}

impl<'a> Run<'a> {
    pub(crate) async fn new(
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
            blobs: ContentPlaces::of(package).await?,
            uploading: tokio::sync::Mutex::default(),
            owner,
            files: AtomicU64::new(0),
        })
    }
}
