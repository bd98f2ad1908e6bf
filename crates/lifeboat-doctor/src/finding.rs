//! What an examination finds.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// As it should be.
    Fine,
    /// A backup would go on, and something would be missing, or a restore be harder.
    Warning,
    /// A backup or its restore would fail.
    Failure,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Whose it is: a component's name, or `installation`.
    pub component: String,
    /// What was found.
    pub what: String,
    /// What to do; empty when it is fine.
    pub remedy: String,
}

/// All that was found, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Findings(Vec<Finding>);

/// Those of one component, while it is examined.
pub(crate) struct Of<'a> {
    all: &'a mut Findings,
    component: &'a str,
}

impl Findings {
    /// All of them.
    pub fn all(&self) -> &[Finding] {
        &self.0
    }

    /// How many there are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|finding| finding.severity == severity).count()
    }

    /// The worst there is.
    pub fn worst(&self) -> Severity {
        self.0.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Fine)
    }

    pub(crate) fn of<'a>(&'a mut self, component: &'a str) -> Of<'a> {
        Of { all: self, component }
    }
}

impl Of<'_> {
    /// How many findings there are so far.
    pub(crate) fn count(&self) -> usize {
        self.all.0.len()
    }

    pub(crate) fn fine(&mut self, what: &str) {
        self.push(Severity::Fine, what, "");
    }

    pub(crate) fn warn(&mut self, what: &str, remedy: &str) {
        self.push(Severity::Warning, what, remedy);
    }

    pub(crate) fn fail(&mut self, what: &str, remedy: &str) {
        self.push(Severity::Failure, what, remedy);
    }

    fn push(&mut self, severity: Severity, what: &str, remedy: &str) {
        let (component, what) = (self.component.to_owned(), what.to_owned());
        self.all.0.push(Finding { severity, component, what, remedy: remedy.to_owned() });
    }
}

impl Severity {
    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// An error with its causes, in one line.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
