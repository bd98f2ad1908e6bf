//! Media files and configuration.

use std::path::Path;

use futures_util::{TryStreamExt, stream};
use lifeboat_components::synapse::check::run::Run;
use lifeboat_components::synapse::check::{Findings, files};
use lifeboat_components::synapse::config::compare::{Severity, compare_for_restore};
use lifeboat_components::synapse::config::place::{PlaceAction, plan_config_files};
use lifeboat_components::synapse::read::media::MediaRecord;
use lifeboat_package::id::Section;

use super::Check;
use super::subject::Subject;
use crate::context::{Context, Unit};
use crate::failure::Failure;

/// Hashes every file of the package's media index at the target.
///
/// # Errors
/// [`Failure`] when an entry is damaged.
pub(super) async fn media(cx: &Context, subject: &Subject) -> Result<Check, Failure> {
    let of_media = subject.contents.parts.iter().filter(|(part, _)| part.section == Section::Media);
    let index: Vec<_> = of_media.filter_map(|(_, names)| names.get("index")).flatten().collect();
    if index.is_empty() {
        return Ok(Check::not_checked("media", "the package holds no media"));
    }
    cx.stage("check media", index.iter().map(|entry| entry.record.records).sum(), Unit::Items);
    let mut hashed = Hashed { run: subject.run, findings: Findings::default(), bytes: 0 };
    for entry in index {
        let records = subject.package.records::<MediaRecord>(entry).await?;
        hashed.hash(cx, (&subject.opened.media_store, subject.lanes), records).await?;
    }
    Ok(hashed.check())
}

/// What was found of files that were hashed.
pub(crate) struct Hashed {
    /// When.
    pub(crate) run: Run,
    /// What is wrong.
    pub(crate) findings: Findings,
    /// Their bytes.
    pub(crate) bytes: u64,
}

impl Hashed {
    /// Hashes the files of these records below `root`, some at a time.
    ///
    /// # Errors
    /// [`Failure`] when a thread ends early.
    pub(crate) async fn hash(
        &mut self,
        cx: &Context,
        (root, lanes): (&Path, usize),
        records: Vec<MediaRecord>,
    ) -> Result<(), Failure> {
        let looks = records.into_iter().map(|record| {
            let root = root.to_owned();
            // Reading and hashing block: off the runtime.
            let look = tokio::task::spawn_blocking(move || (files::look(&root, &record), record));
            Ok::<_, Failure>(async move {
                look.await.map_err(|e| {
                    Failure::failed("a checking thread ended early", "report this").because(e)
                })
            })
        });
        let mut looks = stream::iter(looks).try_buffer_unordered(lanes);
        while let Some((state, record)) = looks.try_next().await? {
            self.bytes += record.length;
            files::judge(&record, state, self.run, &mut self.findings);
            cx.advance(1);
        }
        Ok(())
    }

    /// The check.
    pub(crate) fn check(mut self) -> Check {
        self.findings.problems.sort_by(|a, b| a.object.cmp(&b.object));
        let (files, bytes) = (self.findings.checked, self.bytes);
        let summary = format!("{files} files of {bytes} bytes hashed at the target");
        Check::made("media", summary, self.findings)
    }
}

/// Compares settings that matter, and files.
pub(super) fn configuration(subject: &Subject) -> Check {
    if subject.package.manifest.sections.config.is_empty() {
        return Check::not_checked("configuration", "the package holds no configuration");
    }
    let mut findings = Findings { checked: 1, ..Findings::default() };
    for finding in compare_for_restore(&subject.config, &subject.opened.config) {
        match finding.severity {
            Severity::Refuse => findings.problem(finding.setting, finding.found),
            Severity::Warn => findings.note(format!("{}: {}", finding.setting, finding.found)),
        }
    }
    let (mut equal, mut no_place) = (0_u64, 0_u64);
    for placement in plan_config_files(&subject.config, &subject.opened.config) {
        findings.checked += 1;
        let target = placement.target.map_or_else(String::new, |path| path.display().to_string());
        match placement.action {
            PlaceAction::Equal => equal += 1,
            PlaceAction::Write => {
                findings.problem(target, format!("missing; the package has {}", placement.setting));
            }
            PlaceAction::Differs => {
                findings.note(format!("{target} differs from the packaged {}", placement.setting));
            }
            PlaceAction::NoPlace(why) => {
                no_place += 1;
                findings.note(format!("{} has no place: {why}", placement.setting));
            }
        }
    }
    let summary =
        format!("names, keys and secrets; {equal} files equal, {no_place} without a place");
    Check::made("configuration", summary, findings)
}
