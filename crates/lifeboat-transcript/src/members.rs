//! Who stands how to the new room, and what it takes to let a ghost speak or come in.

use std::collections::HashMap;

use crate::event::Loss;

/// How somebody stands to a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Join,
    Invite,
    Knock,
    Ban,
    /// Was there, or never.
    Out,
}

impl Standing {
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "join" => Self::Join,
            "invite" => Self::Invite,
            "knock" => Self::Knock,
            "ban" => Self::Ban,
            "leave" => Self::Out,
            _ => return None,
        })
    }
}

/// What must come before somebody can speak or come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// An invitation.
    Invite,
    /// The ghost's own joining.
    Join,
}

/// The members of the new room.
#[derive(Debug, Default)]
pub(crate) struct Members {
    standing: HashMap<String, Standing>,
    /// Whether ghosts join without an invitation.
    pub(crate) is_open: bool,
    /// Whether ghosts may ask to be let in.
    pub(crate) knocks: bool,
}

impl Members {
    pub(crate) fn of(&self, ghost: &str) -> Standing {
        self.standing.get(ghost).copied().unwrap_or(Standing::Out)
    }

    pub(crate) fn set(&mut self, ghost: &str, standing: Standing) {
        self.standing.insert(ghost.to_owned(), standing);
    }

    /// What lets a ghost speak.
    ///
    /// # Errors
    /// [`Loss::Refused`] for one that is banned.
    pub(crate) fn to_speak(&self, ghost: &str) -> Result<Vec<Entrance>, Loss> {
        match self.of(ghost) {
            Standing::Join => Ok(Vec::new()),
            Standing::Ban => Err(Loss::Refused),
            _ => {
                let mut steps = self.to_join(ghost);
                steps.push(Entrance::Join);
                Ok(steps)
            }
        }
    }

    /// What lets a ghost come in by itself.
    pub(crate) fn to_join(&self, ghost: &str) -> Vec<Entrance> {
        let may = self.is_open || matches!(self.of(ghost), Standing::Join | Standing::Invite);
        if may { Vec::new() } else { vec![Entrance::Invite] }
    }

    /// Whether a membership would change something; who is not the ghost itself must be able to
    /// speak before.
    ///
    /// # Errors
    /// [`Loss::Idle`] where it would not, [`Loss::Refused`] where it cannot be.
    pub(crate) fn check(&self, ghost: &str, by_itself: bool, new: Standing) -> Result<(), Loss> {
        match (self.of(ghost), new) {
            (_, Standing::Join) if !by_itself => Err(Loss::Refused),
            (Standing::Ban, Standing::Join | Standing::Invite) => Err(Loss::Refused),
            (Standing::Out, Standing::Out)
            | (Standing::Ban, Standing::Ban | Standing::Knock)
            | (Standing::Join, Standing::Invite | Standing::Knock)
            | (Standing::Invite, Standing::Knock) => Err(Loss::Idle),
            (Standing::Ban, Standing::Out) if by_itself => Err(Loss::Refused),
            (_, Standing::Knock) if !self.knocks => Err(Loss::Idle),
            _ => Ok(()),
        }
    }
}
