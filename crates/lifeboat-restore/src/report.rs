//! The report of a restore: what was done, checked and left open, as a value to keep.

use std::fmt::Write;

use lifeboat_engine::failure::Failure;
use lifeboat_pages::document::{self, Block};
use lifeboat_vault::layout::{at, seconds_at};
use serde::Serialize;

use crate::journal::StepDone;
use crate::plan::{Step, What};
use crate::run::{Attempt, Failed, RestoreOutcome};

/// The report of a restore.
#[derive(Debug, Clone, Serialize)]
pub struct RestoreReport {
    /// Package id.
    pub backup: String,
    /// Server.
    pub server_name: String,
    /// The moment that was got back: RFC 3339, UTC.
    pub recovery_point: String,
    /// When the restore ended: RFC 3339, UTC.
    pub finished_at: String,
    /// Seconds from the recovery point to the end: what was written in them is lost, as far as
    /// anybody could write.
    pub lost_window_seconds: Option<i64>,
    /// Seconds that the last run took.
    pub seconds: i64,
    /// All steps, those of earlier runs too, in their order.
    pub steps: Vec<ReportedStep>,
    /// What the checks found right, in lines.
    pub checks: Vec<String>,
    /// What is missing or to be decided, with the step that found it.
    pub gaps: Vec<String>,
    /// Where it ended early, if it did.
    pub failed: Option<ReportedFailure>,
    /// What to do next.
    pub next: Vec<String>,
}

/// Where a restore ended early.
#[derive(Debug, Clone, Serialize)]
pub struct ReportedFailure {
    /// The name of the step, if it was one.
    pub step: Option<String>,
    /// Why: what failed, and its causes.
    pub why: Vec<String>,
    /// The steps after it, which were not done, by name.
    pub not_done: Vec<String>,
}

/// A step with what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct ReportedStep {
    /// The step.
    #[serde(flatten)]
    pub step: Step,
    /// What it does, in words.
    pub words: String,
    /// Whether an earlier run had done it.
    pub done_before: bool,
    /// What came of it.
    #[serde(flatten)]
    pub done: StepDone,
}

impl RestoreReport {
    /// The report of a restore that ended at `now`, in seconds since 1970, also early.
    pub fn of(attempt: &Attempt, now: i64) -> Self {
        let report = Self::of_outcome(&attempt.outcome, now);
        let Some(Failed { step, failure, not_done }) = &attempt.failed else { return report };
        let mut next = Vec::new();
        if !failure.remedy.is_empty() {
            next.push(failure.remedy.clone());
        }
        next.push(match step {
            Some(step) => format!(
                "then the same command again: it goes on with step {} ({})",
                step.number, step.name
            ),
            None => "then the same command again".to_owned(),
        });
        let failed = ReportedFailure {
            step: step.as_ref().map(|step| step.name.clone()),
            why: why(failure),
            not_done: not_done.iter().map(|step| step.name.clone()).collect(),
        };
        Self { failed: Some(failed), next, ..report }
    }

    fn of_outcome(outcome: &RestoreOutcome, now: i64) -> Self {
        let step = |done_before: bool| {
            move |(step, done): &(Step, StepDone)| ReportedStep {
                words: step.what.words(),
                step: step.clone(),
                done_before,
                done: done.clone(),
            }
        };
        let mut steps: Vec<ReportedStep> = outcome.before.iter().map(step(true)).collect();
        steps.extend(outcome.steps.iter().map(step(false)));
        steps.sort_by_key(|reported| reported.step.number);
        let is_check = |what: &What| matches!(what, What::Check | What::Compare | What::Gate);
        let checking = steps.iter().filter(|reported| is_check(&reported.step.what));
        let gaps = |reported: &ReportedStep| {
            let name = reported.step.name.clone();
            let gaps = reported.done.gaps.clone().into_iter();
            gaps.map(move |gap| format!("{name}: {gap}")).collect::<Vec<_>>()
        };
        let point = seconds_at(&outcome.recovery_point);
        Self {
            backup: outcome.backup.clone(),
            server_name: outcome.server_name.clone(),
            recovery_point: outcome.recovery_point.clone(),
            finished_at: at(now),
            lost_window_seconds: point.map(|point| now - point),
            seconds: outcome.seconds,
            checks: checking.flat_map(|reported| reported.done.lines.clone()).collect(),
            gaps: outcome.missing.iter().cloned().chain(steps.iter().flat_map(gaps)).collect(),
            steps,
            failed: None,
            next: outcome.next.clone(),
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!("Restore of {}\n\n", self.server_name);
        // Writing into a text cannot fail.
        for (name, value) in self.facts() {
            writeln!(text, "{name:<15} {value}").ok();
        }
        for (title, lines) in self.lists() {
            writeln!(text, "\n{title}").ok();
            if lines.is_empty() {
                writeln!(text, "  none").ok();
            }
            for line in lines {
                writeln!(text, "  {line}").ok();
            }
        }
        writeln!(text, "\nSteps").ok();
        for reported in &self.steps {
            let (step, time) = (&reported.step, reported.time());
            writeln!(text, "  {:>3}  {} ({time})", step.number, reported.words).ok();
            for line in &reported.done.lines {
                writeln!(text, "       {line}").ok();
            }
        }
        text
    }

    /// For people, as one HTML file without scripts, to be printed.
    pub fn html(&self) -> String {
        let title = format!("Restore of {}", self.server_name);
        let facts = self.facts().into_iter().map(|(name, value)| vec![name.to_owned(), value]);
        let mut blocks = vec![
            Block::Heading(1, title.clone()),
            Block::Table { head: vec!["what", "is"], rows: facts.collect() },
        ];
        for (heading, lines) in self.lists() {
            blocks.push(Block::Heading(2, heading.to_owned()));
            blocks.push(if lines.is_empty() {
                Block::Text("none".to_owned())
            } else {
                Block::List(lines)
            });
        }
        blocks.push(Block::Heading(2, "Steps".to_owned()));
        for reported in &self.steps {
            let step = &reported.step;
            blocks.push(Block::Heading(3, format!("{} {}", step.number, reported.words)));
            blocks.push(Block::Text(reported.time()));
            if !reported.done.lines.is_empty() {
                blocks.push(Block::List(reported.done.lines.clone()));
            }
        }
        document::html(&title, &blocks)
    }

    /// What it is about, by name.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let window = self.lost_window_seconds.map_or("not known".into(), |s| format!("{s} s"));
        let result = match &self.failed {
            None if self.gaps.is_empty() => "done".to_owned(),
            None => "done, with gaps".to_owned(),
            Some(ReportedFailure { step: Some(step), .. }) => format!("FAILED at step {step}"),
            Some(_) => "FAILED before its first step".to_owned(),
        };
        vec![
            ("result", result),
            ("backup", self.backup.clone()),
            ("recovery point", self.recovery_point.clone()),
            ("finished", self.finished_at.clone()),
            ("lost window", window),
            ("time", format!("{} s", self.seconds)),
        ]
    }

    /// What was found, by title.
    fn lists(&self) -> Vec<(&'static str, Vec<String>)> {
        let mut lists = Vec::new();
        if let Some(failed) = &self.failed {
            lists.push(("Why it failed", failed.why.clone()));
            lists.push(("Not done", failed.not_done.clone()));
        }
        lists.push(("Checks", self.checks.clone()));
        lists.push(("Gaps", self.gaps.clone()));
        lists.push(("Next", self.next.clone()));
        lists
    }
}

impl ReportedStep {
    fn time(&self) -> String {
        let before = if self.done_before { ", by an earlier run" } else { "" };
        format!("{} s{before}", self.done.seconds)
    }
}

/// What failed, and its causes.
pub(crate) fn why(failure: &Failure) -> Vec<String> {
    let mut why = vec![failure.what.clone()];
    let mut cause = std::error::Error::source(failure);
    while let Some(error) = cause {
        why.push(error.to_string());
        cause = error.source();
    }
    why
}
