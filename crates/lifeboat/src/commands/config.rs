//! `lifeboat config`: what `lifeboat.yaml` means, an example of one, its schema.

use lifeboat_engine::failure::Failure;
use lifeboat_engine::keyring::Recipients;
use lifeboat_suite::{Component, EXAMPLES, Installation, Kind, example, proof, reference};
use serde_json::{Value, json};

use super::installation::InstallationFlags;
use super::{Ended, Exit, Session, story};
use crate::screen;

/// Check the file that describes an installation, or begin one
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat config example > lifeboat.yaml
  lifeboat config check -c lifeboat.yaml
  lifeboat config schema > lifeboat.schema.json

Exit codes of check:
  0  all was found      2  the file cannot be used      3  something was not found")]
pub(crate) struct ConfigFlags {
    #[command(subcommand)]
    verb: ConfigVerb,
}

#[derive(Debug, clap::Subcommand)]
enum ConfigVerb {
    /// Show what was understood and found; nothing is connected to
    Check(InstallationFlags),
    /// Print a file to begin with
    Example {
        /// Which: standalone (a whole suite) or small (one Synapse)
        #[arg(default_value = EXAMPLES[0], value_parser = EXAMPLES)]
        name: String,
    },
    /// Print the JSON schema of the file, for editors
    Schema,
}

pub(crate) fn run(session: &Session, flags: &ConfigFlags) -> Result<Ended, Failure> {
    match &flags.verb {
        ConfigVerb::Check(installation) => Ok(check(&installation.read(session)?)),
        ConfigVerb::Example { name } => {
            let text = example(name).unwrap_or_default();
            Ok(printed("config example", text.trim_end()))
        }
        ConfigVerb::Schema => {
            let text = format!("{:#}\n", reference::schema());
            screen::write(text.as_bytes())?;
            Ok(printed("config schema", ""))
        }
    }
}

fn printed(command: &'static str, text: &str) -> Ended {
    let lines = if text.is_empty() { Vec::new() } else { vec![text.to_owned()] };
    Ended::new(command, &json!({"text": text}), lines, Exit::Done)
}

fn check(installation: &Installation) -> Ended {
    let mut lines = vec![
        story::line("server", &installation.server_name),
        story::line("vault", &installation.vault),
        story::line("state", &installation.state.display().to_string()),
    ];
    lines.extend(installation.recipients.iter().map(|one| story::line("recipient", one)));
    if installation.retention.is_none() {
        lines.push(story::line("retention", "none is set: every backup is kept"));
    }
    for component in &installation.components {
        component_lines(component, &mut lines);
    }
    let own = own_notes(installation);
    for (what, remedy) in &own {
        lines.push(story::line("attention", what));
        lines.push(story::line("", &format!("help: {remedy}")));
    }
    let notes: usize = installation.components.iter().map(|one| one.notes.len()).sum();
    let notes = notes + own.len();
    lines.push(match notes {
        0 => "all was found".to_owned(),
        1 => "1 thing needs attention".to_owned(),
        more => format!("{more} things need attention"),
    });
    let components: Vec<Value> = installation.components.iter().map(outcome).collect();
    let outcome = json!({
        "server_name": installation.server_name,
        "vault": installation.vault,
        "state": installation.state,
        "recipients": installation.recipients,
        "retention": installation.retention,
        "components": components,
        "attention": own.iter().map(|(what, remedy)| json!({"what": what, "remedy": remedy}))
            .collect::<Vec<_>>(),
        "notes": notes,
    });
    let exit = if notes == 0 { Exit::Done } else { Exit::WithGaps };
    Ended::new("config check", &outcome, lines, exit)
}

/// What is not right about the file itself: what is wrong, and what to do.
fn own_notes(installation: &Installation) -> Vec<(String, String)> {
    let mut notes = Vec::new();
    if let Err(error) = Recipients::parse(&installation.recipients) {
        notes.push((error.to_string(), error.remedy().to_owned()));
    }
    let written = &installation.server_name;
    for synapse in installation.of_kind(Kind::Synapse) {
        // That its configuration cannot be read is told with the component.
        if let Ok(own) = proof::server_name(synapse)
            && own != *written
        {
            notes.push((
                format!("{} is the Synapse of {own}, and server_name is {written}", synapse.name),
                "correct server_name, or the path in `config:`".to_owned(),
            ));
        }
    }
    notes
}

fn component_lines(component: &Component, lines: &mut Vec<String>) {
    let kind = component.kind;
    let title = format!("{} ({kind})", component.name);
    let title = if component.name == kind.label() { &component.name } else { &title };
    lines.push(story::line("component", title));
    let mut say = |word: &str, text: String| lines.push(format!("  {word:<9} {text}"));
    for database in &component.databases {
        say("database", format!("{}: {}", database.name, database.at.shown()));
    }
    if let Some(media) = &component.media {
        say("media", media.store_path.display().to_string());
        for provider in &media.providers {
            say("media", format!("also by {}", provider.module));
        }
    }
    for secret in &component.secrets {
        let path = secret.path.display();
        let place = match &secret.setting {
            Some(setting) => format!("{setting} in {path}"),
            None => path.to_string(),
        };
        say("secret", format!("{}: {place}", secret.name));
    }
    for tree in &component.files {
        say(tree.role.word(), tree.path.display().to_string());
    }
    for (word, command) in
        [("stop", &component.commands.stop), ("start", &component.commands.start)]
    {
        if let Some(command) = command {
            say(word, command.join(" "));
        }
    }
    for note in &component.notes {
        say("attention", note.what.clone());
        say("", format!("help: {}", note.remedy));
    }
}

fn outcome(component: &Component) -> Value {
    let databases: Vec<Value> = component
        .databases
        .iter()
        .map(|database| json!({"name": database.name, "at": database.at.shown()}))
        .collect();
    json!({
        "name": component.name,
        "kind": component.kind.label(),
        "config": component.config,
        "databases": databases,
        "media": component.media.as_ref().map(|media| &media.store_path),
        "secrets": component.secrets,
        "files": component.files,
        "commands": component.commands,
        "notes": component.notes,
    })
}
