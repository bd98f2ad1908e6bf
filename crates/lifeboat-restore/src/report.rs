//! The report of a restore: what was done, checked and left open, as a value to keep.

use std::fmt::Write;

use lifeboat_vault::layout::{at, seconds_at};
use serde::Serialize;

use crate::journal::StepDone;
use crate::plan::{Step, What};
use crate::run::RestoreOutcome;

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
    /// What to do next.
    pub next: Vec<String>,
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
    /// The report of a restore that ended at `now`, in seconds since 1970.
    pub fn of(outcome: &RestoreOutcome, now: i64) -> Self {
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
            gaps: steps.iter().flat_map(gaps).collect(),
            steps,
            next: outcome.next.clone(),
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!("Restore of {}\n\n", self.server_name);
        let window = self.lost_window_seconds.map_or("not known".into(), |s| format!("{s} s"));
        // Writing into a text cannot fail.
        writeln!(text, "backup          {}", self.backup).ok();
        writeln!(text, "recovery point  {}", self.recovery_point).ok();
        writeln!(text, "finished        {}", self.finished_at).ok();
        writeln!(text, "lost window     {window}").ok();
        writeln!(text, "time            {} s", self.seconds).ok();
        for (title, lines) in [("Checks", &self.checks), ("Gaps", &self.gaps), ("Next", &self.next)]
        {
            writeln!(text, "\n{title}").ok();
            if lines.is_empty() {
                writeln!(text, "  none").ok();
            }
            for line in lines {
                writeln!(text, "  {line}").ok();
            }
        }
        writeln!(text, "\nSteps").ok();
        for ReportedStep { step, words, done, done_before } in &self.steps {
            let before = if *done_before { ", by an earlier run" } else { "" };
            writeln!(text, "  {:>3}  {words} ({} s{before})", step.number, done.seconds).ok();
            for line in &done.lines {
                writeln!(text, "       {line}").ok();
            }
        }
        text
    }
}
