//! `lifeboat completions` and `lifeboat man`: made from the command line's own description.

use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;
use lifeboat_engine::failure::Failure;
use serde_json::json;

use super::{CommandLine, Ended, Exit};
use crate::screen::{self, Screen};

/// Print what makes a shell complete our commands
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat completions bash > /etc/bash_completion.d/lifeboat
  lifeboat completions zsh > /usr/local/share/zsh/site-functions/_lifeboat")]
pub(crate) struct CompletionsFlags {
    /// For which shell
    shell: Shell,
}

/// Write the manual pages
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat man /usr/local/share/man/man1")]
pub(crate) struct ManFlags {
    /// Folder to write them to; it must exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(crate) fn complete(flags: &CompletionsFlags, screen: &Screen) -> Result<Ended, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(flags.shell, &mut CommandLine::command(), "lifeboat", &mut script);
    if screen.is_json() {
        let outcome = json!({"script": String::from_utf8_lossy(&script)});
        return Ok(Ended::new("completions", &outcome, Vec::new(), Exit::Done));
    }
    screen::write(&script)?;
    Ok(Ended::new("completions", &json!({}), Vec::new(), Exit::Done))
}

pub(crate) fn pages(flags: &ManFlags) -> Result<Ended, Failure> {
    clap_mangen::generate_to(CommandLine::command(), &flags.folder).map_err(|error| {
        let what = format!("cannot write manual pages to {}", flags.folder.display());
        Failure::failed(what, "name a folder that exists and can be written to").because(error)
    })?;
    let outcome = json!({"folder": flags.folder});
    Ok(Ended::new("man", &outcome, Vec::new(), Exit::Done))
}
