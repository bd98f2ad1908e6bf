//! The report for people.

use lifeboat_components::synapse::check::Problem;

use super::{Check, CheckResult, ImportReport};

impl ImportReport {
    /// The report in lines, the verdict last.
    pub fn lines(&self) -> Vec<String> {
        let seen = self.run_seen_by.as_ref().map_or_else(String::new, |by| format!(" ({by})"));
        let mut lines = vec![
            line("server", &self.server_name),
            line("package", &format!("{} of {}, {}", self.package, self.exported_at, self.trust)),
            line("target", &format!("database {}, media in {}", self.database, self.media_store)),
            line("run", &format!("{}{seen}", self.run.words())),
            line(
                "made",
                &format!("{} in {} s by {}", self.checked_at, self.seconds, self.generator),
            ),
            line("seed", &format!("{}, for the samples", self.seed)),
        ];
        lines.extend(self.findings());
        lines
    }

    /// Its checks, whether it is signed, and the verdict.
    pub fn findings(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.checks.iter().flat_map(of_check).collect();
        lines.push(match &self.signed_by {
            Some(key) => line("signed", &format!("by {} with {key}", self.server_name)),
            None => line("unsigned", "no signing key of the target could be read"),
        });
        lines.push(line("verdict", &verdict(self)));
        lines
    }

    /// Every named problem in one line.
    pub fn problems(&self) -> Vec<String> {
        let of = |check: &Check| -> Vec<String> {
            let (name, found) = (check.name, &check.findings.problems);
            if check.result == CheckResult::Failed {
                return vec![format!("{name}: not checked: {}", check.summary)];
            }
            let line = |p: &Problem| format!("{name}: {}: {}", p.object, p.detail);
            found.iter().map(line).collect()
        };
        self.checks.iter().flat_map(of).collect()
    }
}

fn of_check(check: &Check) -> Vec<String> {
    let word = match check.result {
        CheckResult::Ok => "ok",
        CheckResult::Noted => "noted",
        CheckResult::NotChecked => "unchecked",
        CheckResult::Failed => "FAILED",
        CheckResult::Wrong => "WRONG",
    };
    let findings = &check.findings;
    let count = match check.result {
        CheckResult::Wrong => format!("; {} wrong", findings.wrong),
        CheckResult::Failed => "; not checked".to_owned(),
        CheckResult::Ok | CheckResult::Noted | CheckResult::NotChecked => String::new(),
    };
    let mut lines = vec![line(word, &format!("{}: {}{count}", check.name, check.summary))];
    let problems = findings.problems.iter();
    lines.extend(problems.map(|problem| format!("  {}: {}", problem.object, problem.detail)));
    let more = findings.wrong.saturating_sub(findings.problems.len() as u64);
    if more > 0 {
        lines.push(format!("  and {more} more"));
    }
    lines.extend(findings.notes.iter().map(|note| format!("  note: {note}")));
    lines
}

fn verdict(report: &ImportReport) -> String {
    let count = |wanted: &[CheckResult]| {
        report.checks.iter().filter(|check| wanted.contains(&check.result)).count()
    };
    let right = count(&[CheckResult::Ok, CheckResult::Noted]);
    let wrong = count(&[CheckResult::Wrong]);
    let not_checked = count(&[CheckResult::NotChecked, CheckResult::Failed]);
    let word = if report.valid { "valid" } else { "NOT valid" };
    format!("{word}: {right} checks right, {wrong} wrong, {not_checked} not made")
}

fn line(word: &str, text: &str) -> String {
    format!("{word:<9} {text}")
}
