//! Running programs and talking to whoever waits for them.

use std::error::Error;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What every verb returns; the error is a sentence for the person at the terminal.
pub(crate) type Done<T = ()> = Result<T, String>;

/// Prints one line.
#[expect(clippy::print_stdout, reason = "the one place where automation talks")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// The root of the checkout that this program was built from.
pub(crate) fn workspace_root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().expect("xtask lies in the root of the workspace").to_owned()
}

/// A cargo command in `root`, without the traces of the `cargo run` that started us: build scripts
/// that look at them would be run anew each time.
pub(crate) fn cargo(root: &Path, words: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(words).current_dir(root);
    let traces = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];
    for (name, _) in std::env::vars_os() {
        if traces.iter().any(|trace| name.to_string_lossy().starts_with(trace)) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command, and all that it starts, in a process group of its own. The background part reads
/// a pipe whose other end only we hold: when we are ended, by Ctrl-C or in any other way, the read
/// ends without the word `done`, and the group is interrupted, then killed.
const LIFELINE: &str = r#"
exec 3<&0
(
    trap '' INT TERM HUP
    read -r word <&3
    [ "$word" = done ] && exit
    kill -s INT -- -$$
    tenths=150
    while [ "$tenths" -gt 0 ] && kill -0 $$; do sleep 0.1; tenths=$((tenths - 1)); done
    kill -s KILL -- -$$
) >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-
"#;

/// Runs a command whose output the person sees. It does not outlive us.
///
/// # Errors
/// It could not be started, or ended with anything but 0.
pub(crate) fn run(command: &Command) -> Done {
    match run_to_code(command)? {
        0 => Ok(()),
        code => Err(format!("`{}` ended with {code}", show(command))),
    }
}

/// Runs a command whose output the person sees and returns its exit code.
///
/// # Errors
/// It could not be started, or was ended by a signal.
pub(crate) fn run_to_code(command: &Command) -> Done<i32> {
    let shown = show(command);
    say(&format!("$ {shown}"));
    let mut guarded = guarded(command);
    let mut child = guarded.spawn().map_err(|e| format!("start `{shown}`: {e}"))?;
    let mut lifeline = child.stdin.take();
    let status = child.wait().map_err(|e| format!("wait for `{shown}`: {e}"))?;
    if let Some(pipe) = &mut lifeline {
        // The reader may be gone together with a killed group; then there is nobody to tell.
        drop(pipe.write_all(b"done\n"));
    }
    status.code().ok_or_else(|| format!("`{shown}` ended with {status}"))
}

fn guarded(command: &Command) -> Command {
    let mut guarded = Command::new("/bin/sh");
    guarded.args(["-c", LIFELINE, "lifeline"]).arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        guarded.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => guarded.env(name, value),
            None => guarded.env_remove(name),
        };
    }
    guarded.stdin(Stdio::piped()).process_group(0);
    guarded
}

/// Runs a command as [`run`] does, and shows what it says when it has ended, in one piece: others
/// talk besides.
///
/// # Errors
/// It could not be started, or ended with anything but 0.
pub(crate) fn run_shown_at_end(command: &Command) -> Done {
    let shown = show(command);
    let (mut reader, writer) = std::io::pipe().map_err(|e| format!("make a pipe: {e}"))?;
    let errors = writer.try_clone().map_err(|e| format!("make a pipe: {e}"))?;
    let mut guarded = guarded(command);
    guarded.stdout(writer).stderr(errors);
    let begin = Instant::now();
    let mut child = guarded.spawn().map_err(|e| format!("start `{shown}`: {e}"))?;
    let mut lifeline = child.stdin.take();
    // With it go our ends of the pipe for what it says.
    drop(guarded);
    let mut said = Vec::new();
    let read = reader.read_to_end(&mut said);
    let status = child.wait().map_err(|e| format!("wait for `{shown}`: {e}"))?;
    if let Some(pipe) = &mut lifeline {
        drop(pipe.write_all(b"done\n"));
    }
    let said = String::from_utf8_lossy(&said);
    say(&format!("$ {shown}\n{}\n{status} in {}\n", said.trim(), show_time(begin.elapsed())));
    read.map_err(|e| format!("read what `{shown}` says: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` ended with {status}")) }
}

/// Runs a command whose errors the person sees, and returns what it printed.
///
/// # Errors
/// It could not be started, ended with anything but 0, or printed what is not UTF-8.
pub(crate) fn printed(command: &Command) -> Done<String> {
    let shown = show(command);
    say(&format!("$ {shown}"));
    let mut guarded = guarded(command);
    guarded.stdout(Stdio::piped());
    let mut child = guarded.spawn().map_err(|e| format!("start `{shown}`: {e}"))?;
    let mut lifeline = child.stdin.take();
    let mut text = String::new();
    let read = child.stdout.take().map(|mut pipe| pipe.read_to_string(&mut text));
    let status = child.wait().map_err(|e| format!("wait for `{shown}`: {e}"))?;
    if let Some(pipe) = &mut lifeline {
        drop(pipe.write_all(b"done\n"));
    }
    read.transpose().map_err(|e| format!("read what `{shown}` prints: {e}"))?;
    if status.success() { Ok(text) } else { Err(format!("`{shown}` ended with {status}")) }
}

/// Runs a command and returns what it printed.
///
/// # Errors
/// It could not be started or failed, with what the command wrote to its standard error.
pub(crate) fn output(mut command: Command) -> Done<String> {
    let shown = show(&command);
    let output = command.output().map_err(|e| format!("start `{shown}`: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{shown}` ended with {}: {}", output.status, said.trim()));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{shown}` printed what is not UTF-8"))
}

/// Whether a program of that name can be started.
pub(crate) fn is_installed(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

/// `83.2 s` or `12 min 03 s`.
pub(crate) fn show_time(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 100 {
        return format!("{:.1} s", time.as_secs_f64());
    }
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}

fn show(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// An error and its causes in one line.
pub(crate) fn show_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
