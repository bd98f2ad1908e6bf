//! The new server while rooms are told on it: who and what is there already, in the map of ids and
//! in its file, and what is added to it. A dry run adds nothing and makes ids up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lifeboat_transcript::event::{Loss, PastEvent};
use lifeboat_transcript::ghost;
use lifeboat_transcript::ids::{IdLine, Ids};
use lifeboat_transcript::script::{Call, Cast, POWER, creation};
use thiserror::Error;

use super::ClientError;
use super::client::Client;
use super::id_file::{IdFile, IdFileError};

/// What begins the id of a room that a dry run made up.
const IMAGINED: &str = "!would-be-";

/// The transcript cannot go on.
#[derive(Debug, Error)]
pub enum StageError {
    /// The server.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The file of ids.
    #[error(transparent)]
    File(#[from] IdFileError),
}

/// The server refuses one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it is counted as.
    pub loss: Loss,
    /// What the server said.
    pub why: String,
}

/// The new server.
pub struct Stage {
    /// What is asked of it.
    pub client: Client,
    /// What its rooms have in common.
    pub cast: Cast,
    /// Accounts that were made.
    pub ghosts: AtomicU64,
    ids: Mutex<Ids>,
    file: Mutex<IdFile>,
    is_dry: bool,
    /// Counts ids that are made up.
    imagined: AtomicU64,
}

impl Stage {
    /// A server with what earlier runs did.
    pub fn new(client: Client, cast: Cast, (file, ids): (IdFile, Ids), is_dry: bool) -> Self {
        let (ids, file) = (Mutex::new(ids), Mutex::new(file));
        let (ghosts, imagined) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { client, cast, ghosts, ids, file, is_dry, imagined }
    }

    /// Whether nothing is to be sent.
    pub fn is_dry(&self) -> bool {
        self.is_dry
    }

    /// The map of ids; not to be held while anything is waited for.
    pub fn ids(&self) -> MutexGuard<'_, Ids> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a line in, and writes it down.
    ///
    /// # Errors
    /// [`StageError::File`].
    pub fn learn(&self, line: IdLine) -> Result<(), StageError> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).add(&line)?;
        self.ids().learn(line);
        Ok(())
    }

    /// Sees that what was written down is on disk.
    ///
    /// # Errors
    /// [`StageError::File`].
    pub fn finish(&self) -> Result<(), StageError> {
        Ok(self.file.lock().unwrap_or_else(PoisonError::into_inner).finish()?)
    }

    /// Makes the account of a person's ghost, unless it is there.
    ///
    /// # Errors
    /// [`StageError`].
    pub async fn person(&self, person: &str) -> Result<(), StageError> {
        if self.ids().person(person).is_some() {
            return Ok(());
        }
        let server = self.ids().server().to_owned();
        if !self.is_dry && self.client.register(&ghost::localpart(person, &server)).await? {
            self.ghosts.fetch_add(1, Ordering::Relaxed);
        }
        let new = ghost::user_id(person, &server);
        self.learn(IdLine::User { old: person.to_owned(), new })
    }

    /// Makes a room.
    ///
    /// # Errors
    /// [`StageError`].
    pub async fn room(&self, old: &str, create: Option<&PastEvent>) -> Result<(), StageError> {
        let body = creation(old, create, &self.ids(), &self.cast);
        let new = if self.is_dry {
            format!("{IMAGINED}{}", self.imagine())
        } else {
            self.client.create_room(&body).await?
        };
        self.learn(IdLine::Room { old: old.to_owned(), new })
    }

    /// Does a call, in the name of the service where its sender is not allowed to, and without
    /// what it was where it is too large; the id of the event.
    ///
    /// # Errors
    /// [`StageError`]; inside, why the server refuses it.
    pub async fn act(
        &self,
        room: &str,
        call: &mut Call,
    ) -> Result<Result<String, Refusal>, StageError> {
        if self.is_dry {
            return Ok(Ok(format!("$would-be-{}", self.imagine())));
        }
        loop {
            let error = match self.client.act(room, call).await {
                Ok(new) => return Ok(Ok(new)),
                Err(error) => error,
            };
            let is_too_large = error.errcode() == Some("M_TOO_LARGE");
            let goes_on = (error.status() == Some(403) && call.stand_in(&self.cast))
                || (is_too_large && call.forget_original());
            if !goes_on && error.is_about_this() {
                let loss = if is_too_large { Loss::TooLarge } else { Loss::Refused };
                return Ok(Err(Refusal { loss, why: error.to_string() }));
            }
            if !goes_on {
                return Err(error.into());
            }
        }
    }

    /// What stands for an id where nothing is made.
    pub fn imagine(&self) -> u64 {
        self.imagined.fetch_add(1, Ordering::Relaxed)
    }

    /// Learns what was told in a room and not written down, from the room itself; how people stand
    /// to it.
    ///
    /// # Errors
    /// [`StageError`].
    pub async fn catch_up(
        &self,
        room: &str,
        events: &[PastEvent],
    ) -> Result<Vec<(String, String)>, StageError> {
        if room.starts_with(IMAGINED) {
            return Ok(Vec::new());
        }
        let (mut found, mut bare, mut from) = (Vec::new(), Vec::new(), None);
        loop {
            let page = self.client.page(room, from.as_deref()).await?;
            let mut is_known = false;
            for told in page.told {
                if self.ids().event(&told.old).is_none() {
                    found.push(told);
                } else {
                    // Everything before it was written down before it.
                    is_known |= told.is_itself;
                }
            }
            bare.extend(page.bare);
            from = page.next;
            if is_known || from.is_none() {
                break;
            }
        }
        for told in found.into_iter().rev() {
            self.learn(IdLine::Event { old: told.old, new: told.new })?;
        }
        let mut unknown = HashMap::new();
        for event in events.iter().filter(|_| !bare.is_empty()) {
            let ids = self.ids();
            if let (None, Some(ghost)) = (ids.event(&event.id), ids.person(&event.sender)) {
                unknown.insert((ghost, event.kind.clone(), event.sent), event.id.clone());
            }
        }
        for event in bare {
            if let Some(old) = unknown.remove(&(event.sender, event.kind, event.sent)) {
                self.learn(IdLine::Event { old, new: event.new })?;
            }
        }
        Ok(self.client.members(room).await?)
    }

    /// Gives somebody power in a room, and invites them unless they are there.
    ///
    /// # Errors
    /// [`StageError`]; inside, why the server refuses it.
    pub async fn let_in(
        &self,
        room: &str,
        (user, is_outside): (&str, bool),
        now: i64,
    ) -> Result<Result<(), Refusal>, StageError> {
        if self.is_dry {
            return Ok(Ok(()));
        }
        let levels = self.client.state(room, POWER).await?;
        if let Some(mut call) = Call::promotion(&self.cast, &levels, user, now)
            && let Err(refusal) = self.act(room, &mut call).await?
        {
            return Ok(Err(refusal));
        }
        if !is_outside {
            return Ok(Ok(()));
        }
        match self.client.invite(room, user).await {
            Err(error) if error.is_about_this() => {
                Ok(Err(Refusal { loss: Loss::Refused, why: error.to_string() }))
            }
            Err(error) => Err(error.into()),
            Ok(()) => Ok(Ok(())),
        }
    }
}
