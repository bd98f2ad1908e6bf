//! The one place that writes: the story and the progress of a verb, and how it ended.
//!
//! For people the result goes to standard output, everything else to standard error, with a bar
//! where that is a terminal. For machines (`--json`) everything is one JSON object a line on
//! standard output, and the last line is the result or the error.

mod bar;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use lifeboat_engine::context::Event;
use lifeboat_engine::failure::{Code, Failure};
use serde_json::json;

use crate::commands::Ended;
use bar::Stage;

/// How to show things.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Look {
    /// Tell everything as JSON Lines on standard output; the last line is the result or the error
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
    /// Tell the result and nothing before it
    #[arg(short, long, global = true, help_heading = "Output")]
    pub(crate) quiet: bool,
}

/// Standard output and standard error.
pub(crate) struct Screen {
    look: Look,
    stage: Mutex<Option<Stage>>,
}

impl Screen {
    pub(crate) fn new(look: Look) -> Self {
        Self { look, stage: Mutex::new(None) }
    }

    /// Whether a machine reads what is told.
    pub(crate) fn is_json(&self) -> bool {
        self.look.json
    }

    /// Shows what a verb tells while it works.
    pub(crate) fn show_event(&self, event: Event) {
        if self.look.quiet {
            return;
        }
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        let told = match event {
            Event::Note(text) if self.look.json => Some(json!({"event": "note", "text": text})),
            Event::Note(text) => {
                let write = || to_stderr(&plain(&text));
                stage.as_ref().map_or_else(write, |stage| stage.suspend(write));
                None
            }
            Event::Stage { name, total, unit } => {
                let last = stage.take().and_then(Stage::finish);
                let begun = Stage::begin(name, total, unit, self.shows_bar());
                let begins = begun.as_json();
                *stage = Some(begun);
                if let Some(last) = last.filter(|_| self.look.json) {
                    to_stdout(&last.to_string()).ok();
                }
                self.look.json.then_some(begins)
            }
            Event::Advance(by) => {
                let due = stage.as_mut().and_then(|stage| stage.advance(by));
                due.filter(|_| self.look.json)
            }
        };
        if let Some(told) = told {
            // Nobody listens any more; the result will tell, in its exit code at least.
            to_stdout(&told.to_string()).ok();
        }
    }

    /// Shows how a verb ended.
    pub(crate) fn show_end(&self, ended: &Ended) -> ExitCode {
        self.end_stage();
        let text = if self.look.json {
            let (command, outcome, exit) = (ended.command, &ended.outcome, ended.exit.code());
            json!({"event": "result", "command": command, "exit": exit, "outcome": outcome})
                .to_string()
        } else {
            ended.lines.iter().map(|line| plain(line)).collect::<Vec<_>>().join("\n")
        };
        let written = if text.is_empty() { Ok(()) } else { to_stdout(&text) };
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let code = ended.exit.code();
                let failure = unwritable(error);
                let what = format!("the command ended with {code}, but {}", failure.what);
                let exit = self.show_failure(&Failure { what, ..failure });
                // A damaged package stays one, whoever hears of it.
                if code == 0 { exit } else { ExitCode::from(code) }
            }
            _ => ExitCode::from(ended.exit.code()),
        }
    }

    /// Shows why a verb failed.
    pub(crate) fn show_failure(&self, failure: &Failure) -> ExitCode {
        self.end_stage();
        let causes = causes(failure);
        let exit = failure.code.exit();
        if self.look.json {
            let line = json!({
                "event": "error",
                "code": failure.code.word(),
                "exit": exit,
                "what": failure.what,
                "causes": causes,
                "remedy": failure.remedy,
            });
            let line = line.to_string();
            // What cannot be told where it is expected is told at all.
            to_stdout(&line).unwrap_or_else(|_| to_stderr(&line));
        } else {
            let mut lines = vec![format!("error: {}", plain(&failure.what))];
            lines.extend(causes.iter().map(|cause| format!("caused by: {}", plain(cause))));
            if !failure.remedy.is_empty() {
                lines.push(format!("help: {}", plain(&failure.remedy)));
            }
            to_stderr(&lines.join("\n"));
        }
        ExitCode::from(exit)
    }

    /// Says something to people besides the result.
    pub(crate) fn say(&self, text: &str) {
        self.show_event(Event::Note(text.to_owned()));
    }

    fn shows_bar(&self) -> bool {
        !self.look.json && io::stderr().is_terminal()
    }

    fn end_stage(&self) {
        let last = self.stage.lock().unwrap_or_else(PoisonError::into_inner).take();
        let last = last.and_then(Stage::finish).filter(|_| self.look.json && !self.look.quiet);
        if let Some(last) = last {
            to_stdout(&last.to_string()).ok();
        }
    }
}

/// Writes text to standard output as it is.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(unwritable)
}

/// Shows help, the version, or why the command line cannot be used.
pub(crate) fn show_usage(
    refusal: &clap::Error,
    words: impl IntoIterator<Item = OsString>,
) -> ExitCode {
    let wants_json = words.into_iter().any(|word| word == "--json");
    if refusal.use_stderr() && wants_json {
        let screen = Screen::new(Look { json: true, quiet: false });
        let text = refusal.to_string();
        let what = text.trim().strip_prefix("error: ").unwrap_or(text.trim());
        return screen.show_failure(&Failure::usage(what, "see --help"));
    }
    match refusal.print() {
        Ok(()) if refusal.use_stderr() => ExitCode::from(Code::Usage.exit()),
        _ => ExitCode::SUCCESS,
    }
}

/// The chain of causes; one that only repeats what was said before is left out.
fn causes(failure: &Failure) -> Vec<String> {
    let mut told = vec![failure.what.clone()];
    let mut cause = std::error::Error::source(failure);
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.contains(&text) {
            told.push(text);
        }
        cause = error.source();
    }
    told.remove(0);
    told
}

/// Text that may come from a package or a server, without what would steer a terminal.
fn plain(text: &str) -> String {
    // Controls, and what turns the direction of writing around.
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}');
    let isolates = |c| matches!(c, '\u{2066}'..='\u{2069}');
    let steers = |c: char| (c.is_control() && c != '\n') || turns(c) || isolates(c);
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

fn unwritable(error: io::Error) -> Failure {
    Failure::failed("standard output cannot be written", "check where it leads").because(error)
}

fn to_stdout(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

fn to_stderr(line: &str) {
    // Where standard error is closed nobody wants to know.
    writeln!(io::stderr().lock(), "{line}").ok();
}
