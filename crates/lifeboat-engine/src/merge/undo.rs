//! Taking an import back.

use std::io::ErrorKind;

use lifeboat_components::synapse::merge::journal::{self, Kind};
use lifeboat_components::synapse::merge::undo as back;
use lifeboat_components::synapse::write::media::MediaStore;
use lifeboat_components::synapse::write::target;

use super::apply::refused;
use super::{UndoOutcome, files};
use crate::context::Context;
use crate::failure::Failure;
use crate::import::check::database_fault;
use crate::server::ServerRequest;

/// Takes back exactly what an import added, as long as nothing new builds on it.
///
/// # Errors
/// [`Failure`] when there is no such import, something stands in the way, or the database refuses;
/// nothing is changed then.
pub async fn undo(cx: &Context, server: &ServerRequest, id: &str) -> Result<UndoOutcome, Failure> {
    let opened = server.open()?;
    let session = target::session(&opened.main).await.map_err(database_fault)?;
    if !target::claim(&session).await.map_err(database_fault)? {
        let what = format!("another import works on database {}", opened.main.database());
        return Err(Failure::failed(what, "wait for it to end, then run this command again"));
    }
    match journal::find(&session, id).await.map_err(database_fault)? {
        None => {
            let known = journal::ids(&session).await.map_err(database_fault)?;
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let what = format!("this server knows no import {id}");
            return Err(Failure::usage(what, format!("imports that can be taken back: {known}")));
        }
        Some(known) if known.undone => {
            let what = format!("import {id} was taken back before");
            return Err(Failure::usage(what, "nothing is left to do"));
        }
        Some(known) => cx.note(format!("import {id} of package {}", known.package)),
    }
    target::begin(&session).await.map_err(database_fault)?;
    let obstacles = back::obstacles(&session, id).await.map_err(refused)?;
    if !obstacles.is_empty() {
        let first: Vec<&str> = obstacles.iter().take(20).map(String::as_str).collect();
        let what = format!("import {id} cannot be taken back, something new builds on it");
        let remedy = "nothing was changed; what came since would be lost with it";
        return Err(Failure::failed(what, remedy).because(first.join("; ")));
    }
    let files = journal::names(&session, id, Kind::File).await.map_err(refused)?;
    let aside = journal::names(&session, id, Kind::Aside).await.map_err(refused)?;
    let undone = back::undo(&session, id).await.map_err(refused)?;
    target::commit(&session).await.map_err(database_fault)?;
    let mut outcome = UndoOutcome {
        id: id.to_owned(),
        rooms: undone.rooms,
        histories: undone.histories,
        users: undone.users,
        media: undone.media,
        rows: undone.rows,
        next: vec!["restart Synapse (all of its workers): it still shows what is gone".to_owned()],
        ..UndoOutcome::default()
    };
    if !files.is_empty() || !aside.is_empty() {
        let store = MediaStore::open(&opened.media_store).map_err(|e| {
            let what = format!("cannot open {}", opened.media_store.display());
            Failure::failed(what, "the rows are gone; files without a row do no harm").because(e)
        })?;
        remove(&store, &files, &mut outcome);
        bring_back(&store, (id, &aside), &mut outcome);
    }
    Ok(outcome)
}

/// Files go last: one that stays does no harm.
fn remove(store: &MediaStore, files: &[String], outcome: &mut UndoOutcome) {
    for path in files {
        let Some(place) = store.place(path) else { continue };
        match std::fs::remove_file(&place) {
            Ok(()) => outcome.files += 1,
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => outcome.warnings.push(format!("media {path} stays: {e}")),
        }
    }
}

/// Files that were set aside for others.
fn bring_back(store: &MediaStore, (id, paths): (&str, &[String]), outcome: &mut UndoOutcome) {
    for path in paths {
        let (Some(from), Some(to)) = (store.place(&files::aside(id, path)), store.place(path))
        else {
            continue;
        };
        if !from.exists() {
            continue;
        }
        // What lies in its place then came with the import, also if that was cut short.
        let back = match std::fs::remove_file(&to) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => store.set_aside(&from, &to),
        };
        if let Err(e) = back {
            let kept = from.display();
            outcome.warnings.push(format!("media {path} is not back, it is in {kept}: {e}"));
        }
    }
}
