//! The last transaction: sequences, the rules that keep people's messages, and the table that makes
//! it a server.

use lifeboat_components::synapse::fixups::{
    self, DelayedEvents, FixupFacts, RemoteFile, RemoteMedia,
};
use lifeboat_components::synapse::read::media::MEDIA_MISSING;
use lifeboat_components::synapse::schema::{SequenceState, Stage};
use lifeboat_components::synapse::sequences;
use lifeboat_components::synapse::write::rows::TableSink;
use lifeboat_components::synapse::write::target::{self, LAST_TABLE};
use lifeboat_package::flow::{Gap, Source};
use lifeboat_package::selection::MediaScope;

use super::check::{Checked, Contents, database_fault};
use super::load::{Half, Prepared};
use super::{ImportOutcome, ImportRequest};
use crate::context::{Context, Unit};
use crate::failure::Failure;
use crate::reader::part::RecordSource;

/// Applies the rules and makes the database one that Synapse starts on. All or nothing.
///
/// # Errors
/// [`Failure`] when the database refuses; nothing is activated then.
pub async fn activate(
    cx: &Context,
    request: &ImportRequest,
    (checked, contents): (&Checked, &Contents),
    prepared: &Prepared,
    outcome: &mut ImportOutcome,
) -> Result<(), Failure> {
    cx.stage("rules and activation", 0, Unit::Items);
    let saved = saved_sequences(checked, contents).await?;
    for Half { holds, session, .. } in &prepared.halves {
        target::begin(session).await.map_err(database_fault)?;
        let held = saved.iter().filter(|sequence| holds.sequence(&sequence.name));
        let held: Vec<SequenceState> = held.cloned().collect();
        let raised = sequences::restore(session, &held, request.margin).await;
        outcome.fixups.extend(raised.map_err(database_fault)?.iter().map(Into::into));
    }
    let facts = FixupFacts {
        now_ms: (cx.now)() * 1000,
        delayed_events: DelayedEvents::Keep,
        remote_media: remote_media(checked, contents).await?,
    };
    // The rules are about the tables of the main database, which is the first.
    if let Some(main) = prepared.halves.first() {
        let lines = fixups::apply(&main.session, &facts).await.map_err(database_fault)?;
        outcome.fixups.extend(lines);
    }
    for half in &prepared.halves {
        target::share_updates(&half.session, half.holds).await.map_err(database_fault)?;
        last_table(checked, contents, half).await?;
        target::note_finished(&half.session).await.map_err(database_fault)?;
    }
    // The main database last: as long as it lacks its last table, nothing starts on the other.
    for half in prepared.halves.iter().rev() {
        target::commit(&half.session).await.map_err(database_fault)?;
    }
    Ok(())
}

/// Which rows of other servers' media have no file: those of the package's gaps, or all.
async fn remote_media(checked: &Checked, contents: &Contents) -> Result<RemoteMedia, Failure> {
    if checked.package.manifest.selection.media != MediaScope::All {
        return Ok(RemoteMedia::NoneRestored);
    }
    let mut missing = Vec::new();
    for entry in contents.named("gaps") {
        let gaps = checked.package.records::<Gap>(entry).await?;
        missing.extend(gaps.iter().filter_map(missing_remote));
    }
    Ok(if missing.is_empty() { RemoteMedia::All } else { RemoteMedia::Missing(missing) })
}

fn missing_remote(gap: &Gap) -> Option<RemoteFile> {
    if gap.kind != MEDIA_MISSING || !gap.object.starts_with("remote_content/") {
        return None;
    }
    let address = gap.detail.split_whitespace().next()?.strip_prefix("mxc://")?;
    let (origin, media_id) = address.split_once('/')?;
    Some(RemoteFile { origin: origin.to_owned(), media_id: media_id.to_owned() })
}

async fn saved_sequences(
    checked: &Checked,
    contents: &Contents,
) -> Result<Vec<SequenceState>, Failure> {
    let mut saved = Vec::new();
    for entry in contents.named("sequences") {
        saved.extend(checked.package.records::<SequenceState>(entry).await?);
    }
    Ok(saved)
}

async fn last_table(checked: &Checked, contents: &Contents, half: &Half) -> Result<(), Failure> {
    let session = &half.session;
    let run = |stage| {
        let statements = half.last.iter().filter(move |statement| statement.stage == stage);
        async move {
            for statement in statements {
                target::run(session, statement).await.map_err(database_fault)?;
            }
            Ok::<_, Failure>(())
        }
    };
    run(Stage::BeforeRows).await?;
    let entries: Vec<_> = contents.named(LAST_TABLE).cloned().collect();
    let fault = |e: &dyn std::error::Error| {
        Failure::failed("cannot activate the server", "run the command again")
            .because(e.to_string())
    };
    let mut sink =
        TableSink::start(session, LAST_TABLE, &contents.columns).await.map_err(|e| fault(&e))?;
    let mut source =
        RecordSource { package: &checked.package, name: LAST_TABLE, entries: &entries };
    source.pour(&mut sink).await.map_err(|e| fault(&e))?;
    sink.finish().await.map_err(|e| fault(&e))?;
    run(Stage::AfterRows).await
}
