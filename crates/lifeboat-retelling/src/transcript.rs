//! Transcript: rooms told again on a server of another name, through an application service.
//!
//! The package is read twice: for how the rooms began, so that all can be made before anything in
//! them leads to another, and for what was said. The events of a few rooms are in memory at a time.
//! What was done is in the file of ids as soon as it is done, and in the new rooms themselves: each
//! event says what it was. So the same command again goes on, and doubles nothing.

use std::path::PathBuf;

use crate::server::ClientError;
use crate::server::client::Client;
use crate::server::id_file::{IdFile, IdFileError};
use crate::server::registration::{self, Registration};
use crate::server::stage::{Stage, StageError};
use lifeboat_components::matrix::PublicKeys;
use lifeboat_package::selection::Selection;
use lifeboat_storage::Access;
use lifeboat_transcript::script::Cast;
use zeroize::Zeroizing;

use crate::rooms;
use crate::run::Run;
use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::import::trust::{self, Claims};
use lifeboat_engine::keyring::Identities;
use lifeboat_engine::reader::picked::{self, Picked};
use lifeboat_engine::reader::{Package, PartEntries};
use lifeboat_rendering::render::KeyFile;
use lifeboat_rendering::render::known::{self, Lists};
use lifeboat_transcript::outcome::TranscriptOutcome;

/// What to tell, where, and how.
pub struct TranscriptRequest<'a> {
    /// File, folder or bucket.
    pub package: &'a str,
    /// Which rooms and events.
    pub selection: Selection,
    /// What opens encrypted messages.
    pub keys: Option<KeyFile>,
    /// Whom to trust.
    pub claims: Claims<'a>,
    /// The address of the server.
    pub homeserver: &'a str,
    /// The text of the application service's registration.
    pub registration: Zeroizing<String>,
    /// The file of ids; without, one named after the package in `folder`.
    pub id_map: Option<PathBuf>,
    /// Where we were called.
    pub folder: PathBuf,
    /// Who is invited to the rooms and has power in them.
    pub owner: Option<String>,
    /// Whether rooms that were open are open again.
    pub is_public: bool,
    /// Rooms that are told side by side.
    pub lanes: usize,
    /// Whether nothing is to be sent.
    pub dry_run: bool,
}

/// A registration for a new application service, with tokens of its own.
pub fn fresh_registration(cx: &Context) -> Zeroizing<String> {
    let tokens = [Zeroizing::new(cx.random::<32>()), Zeroizing::new(cx.random::<32>())];
    registration::write(&tokens[0], &tokens[1])
}

/// Tells the rooms of a package again.
///
/// # Errors
/// [`Failure`] when the package is damaged or not to be trusted, when rooms are encrypted and no
/// keys were given, or when the server does not let us.
pub async fn transcript(
    cx: &Context,
    request: TranscriptRequest<'_>,
    identities: &Identities,
    access: &Access,
) -> Result<TranscriptOutcome, Failure> {
    let begun = (cx.now)();
    let service = read_registration(&request.registration)?;
    let (package, entries, mut picked, trust) = open(&request, identities, access).await?;
    let lists = Lists::read(&package, &mut picked).await?;
    if request.keys.is_none() {
        refuse_sealed(&lists)?;
    }
    let keys = known::open(cx, &package, &entries, request.keys).await?;
    let from = package.manifest.metadata.server_id.clone();
    let rate_limited = service.rate_limited;
    let client = Client::new(request.homeserver, service.token).map_err(|e| unusable(&e))?;
    let bot = client.whoami().await.map_err(answer_of)?;
    let to = server_of(&bot, &from)?;
    if bot != format!("@{}:{to}", service.sender_localpart) {
        return Err(Failure::usage(
            format!("the token belongs to {bot}, which the registration does not name"),
            "give the registration file that the server reads",
        ));
    }
    let cast = Cast {
        bot,
        is_public: request.is_public,
        room_version: client.room_version().await.map_err(answer_of)?,
    };
    let path = request.id_map.unwrap_or_else(|| {
        request.folder.join(format!("{}.id-map.jsonl", package.manifest.package))
    });
    let kept = IdFile::open(&path, (&from, &to), request.dry_run).map_err(id_file)?;
    let mut outcome = TranscriptOutcome {
        package: package.manifest.package.to_string(),
        from,
        to,
        trust,
        id_map: path.display().to_string(),
        dry_run: request.dry_run,
        ..TranscriptOutcome::default()
    };
    if rate_limited {
        outcome.warnings.push(
            "the registration does not say `rate_limited: false`: the server holds us back"
                .to_owned(),
        );
    }
    let stage = Stage::new(client, cast, kept, request.dry_run);
    let run = Run::new(cx, &package, stage, lists, request.owner).await?;
    rooms::tell(run, picked, (keys, &request.selection), request.lanes, &mut outcome).await?;
    outcome.seconds = (cx.now)() - begun;
    Ok(outcome.summed())
}

async fn open(
    request: &TranscriptRequest<'_>,
    identities: &Identities,
    access: &Access,
) -> Result<(Package, PartEntries, Picked, String), Failure> {
    let package = Package::open(request.package, identities, access).await?;
    let trust = trust::demand_of(&package, &PublicKeys::new(), &request.claims)?;
    let entries = picked::entries(&package, &request.selection).await?;
    let picked = picked::pick(&package, &entries, &request.selection).await?;
    Ok((package, entries, picked, trust))
}

fn read_registration(text: &str) -> Result<Registration, Failure> {
    registration::parse(text).map_err(|error| {
        let remedy = "give the registration file of an application service of the server; \
                      --write-registration FILE makes one";
        Failure::usage("the registration cannot be read", remedy).because(error)
    })
}

/// A transcript is not encrypted: what was encrypted comes only with keys.
fn refuse_sealed(lists: &Lists) -> Result<(), Failure> {
    /// Rooms that are named.
    const NAMED: usize = 20;
    let sealed = lists.rooms.values().filter(|room| room.encrypted);
    let mut sealed: Vec<String> = sealed
        .map(|room| match &room.name {
            Some(name) => format!("{} {name:?}", room.room_id),
            None => room.room_id.clone(),
        })
        .collect();
    if sealed.is_empty() {
        return Ok(());
    }
    sealed.sort();
    let count = sealed.len();
    sealed.truncate(NAMED);
    let more = if count > NAMED { ", …" } else { "" };
    Err(Failure::usage(
        format!("{count} of the rooms are encrypted: {}{more}", sealed.join(", ")),
        "give --keys FILE with room keys that a member exported or a recovery key, or name the \
         rooms to bring with --room",
    ))
}

/// The name of the server that the application service belongs to, if it is another than before.
fn server_of(bot: &str, from: &str) -> Result<String, Failure> {
    let (_, server) = bot.split_once(':').unwrap_or_default();
    if server == from {
        return Err(Failure::usage(
            format!("the server is {from}, as the package's was: nothing has to be told again"),
            "lifeboat import PACKAGE --synapse homeserver.yaml brings the rooms as they are",
        ));
    }
    Ok(server.to_owned())
}

fn unusable(error: &ClientError) -> Failure {
    Failure::usage(error.to_string(), "name it as --homeserver https://matrix.example.org")
}

fn id_file(error: IdFileError) -> Failure {
    match &error {
        IdFileError::InUse(_) => Failure::failed(error.to_string(), "wait for the other run"),
        IdFileError::Unusable { .. } => {
            let remedy = "see that there is space, or name another with --id-map FILE";
            Failure::failed("the file of ids cannot be used", remedy).because(error)
        }
        _ => Failure::usage(error.to_string(), "name another with --id-map FILE"),
    }
}

pub(crate) fn stuck(error: StageError) -> Failure {
    match error {
        StageError::Client(error) => answer_of(error),
        StageError::File(error) => id_file(error),
    }
}

/// A server that does not do what everything depends on.
pub(crate) fn answer_of(error: ClientError) -> Failure {
    let remedy = match (error.status(), error.errcode()) {
        (Some(401), _) | (_, Some("M_UNKNOWN_TOKEN")) => {
            "name the registration file in app_service_config_files of the server, restart it, \
             and give the same file here"
        }
        (_, Some("M_EXCLUSIVE")) => {
            "the namespace of users in the registration must cover '@_lb_.*'; \
             --write-registration FILE makes one that does"
        }
        _ => "see that the server runs, then run the command again: it goes on where it stopped",
    };
    Failure::failed("the server does not do what it is asked for", remedy).because(error)
}
