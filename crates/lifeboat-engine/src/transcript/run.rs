//! What all rooms of a transcript share: the server, the map of ids, the package.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lifeboat_components::synapse::read::summary::RoomSummary;
use lifeboat_components::transcript::ClientError;
use lifeboat_components::transcript::client::Client;
use lifeboat_components::transcript::id_file::IdFile;
use lifeboat_transcript::event::PastEvent;
use lifeboat_transcript::ghost;
use lifeboat_transcript::ids::{IdLine, Ids};
use lifeboat_transcript::script::{Call, Cast, creation};

use super::{answer_of, id_file};
use crate::context::Context;
use crate::failure::Failure;
use crate::reader::Package;
use crate::reader::blobs::BlobPlaces;
use crate::render::known::Lists;

/// One transcript on its way.
pub(super) struct Run<'a> {
    pub(super) cx: &'a Context,
    pub(super) package: &'a Package,
    pub(super) client: Client,
    pub(super) cast: Cast,
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
    ids: Mutex<Ids>,
    file: Mutex<Option<IdFile>>,
    pub(super) is_dry: bool,
    /// Who is to be let in, with power.
    pub(super) owner: Option<String>,
    /// Counts ids that stand for those of events and rooms that are not made.
    imagined: AtomicU64,
    pub(super) ghosts: AtomicU64,
    pub(super) files: AtomicU64,
}

impl<'a> Run<'a> {
    pub(super) async fn new(
        cx: &'a Context,
        package: &'a Package,
        client: Client,
        cast: Cast,
        lists: Lists,
    ) -> Result<Self, Failure> {
        Ok(Self {
            cx,
            package,
            upload_limit: client.upload_limit().await.map_err(answer_of)?,
            client,
            cast,
            rooms: lists.rooms,
            erased: lists.known.erased,
            media: lists.media,
            blobs: BlobPlaces::of(package).await?,
            uploading: tokio::sync::Mutex::default(),
            ids: Mutex::default(),
            file: Mutex::new(None),
            is_dry: false,
            owner: None,
            imagined: AtomicU64::new(0),
            ghosts: AtomicU64::new(0),
            files: AtomicU64::new(0),
        })
    }

    /// With what earlier runs did.
    pub(super) fn with_ids(self, file: IdFile, ids: Ids) -> Self {
        Self { ids: Mutex::new(ids), file: Mutex::new(Some(file)), ..self }
    }

    /// The map of ids; not to be held while anything is waited for.
    pub(super) fn ids(&self) -> MutexGuard<'_, Ids> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a line in, and writes it down.
    pub(super) fn learn(&self, line: IdLine) -> Result<(), Failure> {
        if let Some(file) = self.file.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            file.add(&line).map_err(id_file)?;
        }
        self.ids().learn(line);
        Ok(())
    }

    /// Sees that what was written down is on disk.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.as_mut().map_or(Ok(()), |file| file.finish().map_err(id_file))
    }

    /// Makes the account of a person's ghost, unless it is there.
    pub(super) async fn person(&self, person: &str) -> Result<(), Failure> {
        if self.ids().person(person).is_some() {
            return Ok(());
        }
        let server = self.ids().server().to_owned();
        let user = ghost::user_id(person, &server);
        if !self.is_dry {
            let localpart = ghost::localpart(person, &server);
            if self.client.register(&localpart).await.map_err(answer_of)? {
                self.ghosts.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.learn(IdLine::User { old: person.to_owned(), new: user })
    }

    /// Makes a room.
    pub(super) async fn room(&self, old: &str, create: Option<&PastEvent>) -> Result<(), Failure> {
        let body = creation(old, create, &self.ids(), &self.cast);
        let new = if self.is_dry {
            format!("!{}", self.imagine())
        } else {
            self.client.create_room(&body).await.map_err(answer_of)?
        };
        self.learn(IdLine::Room { old: old.to_owned(), new })
    }

    /// Does a call; the id of the event.
    pub(super) async fn act(&self, room: &str, call: &Call) -> Result<String, ClientError> {
        if self.is_dry {
            return Ok(format!("${}", self.imagine()));
        }
        self.client.act(room, call).await
    }

    /// What stands for an id where nothing is made.
    pub(super) fn imagine(&self) -> String {
        format!("would-be-{}", self.imagined.fetch_add(1, Ordering::Relaxed))
    }
}

/// Whether the server refuses this one thing, and not us.
pub(super) fn is_about_this(error: &ClientError) -> bool {
    let is_no = |status: u16| (400..500).contains(&status) && status != 401;
    matches!(error, ClientError::Unaddressable) || error.status().is_some_and(is_no)
}
