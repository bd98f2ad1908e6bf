//! The command that restarts Synapse: words as a shell would split them, run without a shell.
//!
//! Nothing is expanded, so no name in a package can become a part of it. It gets none of our
//! environment but what service managers need; that can hold secrets.

use std::fmt;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How long the command may take.
const PATIENCE: Duration = Duration::from_mins(10);
/// How often it is asked whether it has ended.
const PACE: Duration = Duration::from_millis(50);
/// How long we listen when it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Bytes of what it says that are shown.
const SAID_BYTES: usize = 64 << 10;
/// Variables that it gets of ours.
const PASSED: [&str; 9] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "DOCKER_HOST",
    "KUBECONFIG",
];

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RestartCommand(Vec<String>);

impl FromStr for RestartCommand {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = words(text)?;
        if words.is_empty() { Err("name a program") } else { Ok(Self(words)) }
    }
}

impl fmt::Display for RestartCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// Splits as a POSIX shell does, expanding nothing.
fn words(text: &str) -> Result<Vec<String>, &'static str> {
    const OPEN: &str = "a quote is not closed";
    let (mut words, mut word, mut begun) = (Vec::new(), String::new(), false);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' | '\n' => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
                continue;
            }
            '\\' => word.push(rest.next().ok_or("nothing stands after the last backslash")?),
            '\'' => loop {
                match rest.next().ok_or(OPEN)? {
                    '\'' => break,
                    c => word.push(c),
                }
            },
            '"' => loop {
                match rest.next().ok_or(OPEN)? {
                    '"' => break,
                    '\\' => match rest.next().ok_or(OPEN)? {
                        c @ ('"' | '\\' | '$' | '`') => word.push(c),
                        c => word.extend(['\\', c]),
                    },
                    c => word.push(c),
                }
            },
            c => word.push(c),
        }
        begun = true;
    }
    if begun {
        words.push(word);
    }
    Ok(words)
}

/// Of our environment what a command of the operator gets.
pub(super) fn passed(environment: &[(String, String)]) -> Vec<(String, String)> {
    let passed = environment.iter().filter(|(name, _)| PASSED.contains(&name.as_str()));
    passed.cloned().collect()
}

impl RestartCommand {
    /// Runs it to its end; what it said.
    ///
    /// # Errors
    /// What is wrong, in words, with what it said.
    pub(super) fn run(&self, environment: &[(String, String)]) -> Result<Vec<String>, String> {
        let Some((program, arguments)) = self.0.split_first() else { return Ok(Vec::new()) };
        let (mut said, both) = std::io::pipe().map_err(|e| e.to_string())?;
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(passed(environment)).stdin(Stdio::null());
        command.stdout(both.try_clone().map_err(|e| e.to_string())?).stderr(both);
        let child = command.spawn();
        // The pipe ends when nobody can write to it any more, and we could.
        drop(command);
        let mut child = child.map_err(|e| format!("{program} cannot be run: {e}"))?;
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = said.read(&mut piece) {
                if tell.send(piece.get(..read).unwrap_or_default().to_vec()).is_err() {
                    break;
                }
            }
        });
        let ended = wait(&mut child);
        let mut text = Vec::new();
        // What it started may go on and hold the pipe, so nobody waits for its end.
        while let Ok(piece) = told.recv_timeout(LAST_WORDS) {
            text.extend_from_slice(&piece);
            if text.len() > SAID_BYTES {
                break;
            }
        }
        let text = String::from_utf8_lossy(&text).trim_end().to_owned();
        match ended {
            Ok(()) => Ok(text.lines().map(str::to_owned).collect()),
            Err(why) if text.is_empty() => Err(why),
            Err(why) => Err(format!("{why}: {text}")),
        }
    }
}

fn wait(child: &mut Child) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("it ended with {status}")),
            Ok(None) if begun.elapsed() > PATIENCE => {
                child.kill().ok();
                child.wait().ok();
                return Err(format!("it took more than {} s", PATIENCE.as_secs()));
            }
            Ok(None) => std::thread::sleep(PACE),
            Err(e) => return Err(e.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
