//! `lifeboat import`: a whole server back.

use std::path::PathBuf;

use lifeboat_engine::failure::Failure;
use lifeboat_engine::import::{self, ImportRequest};

use super::server::{LaneFlags, ServerFlags};
use super::{Ended, Exit, Session, story};
use crate::secrets::IdentityFlags;
use crate::size;

/// Put a package into an empty server
#[derive(Debug, clap::Args)]
pub(crate) struct ImportFlags {
    /// A file NAME.lifeboat, a folder, or s3://, gs://, az://
    package: String,
    #[command(flatten)]
    identities: IdentityFlags,
}

pub(crate) async fn run(session: &Session, flags: ImportFlags) -> Result<Ended, Failure> {
    todo!()
}
