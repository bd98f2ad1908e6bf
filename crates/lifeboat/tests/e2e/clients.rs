//! The programs that are clients of a homeserver, and what they report.

use std::path::Path;
use std::process::{Command, Output};

use lifeboat_testing::{Homeserver, World, script};
use serde_json::Value;

/// Runs a verb of the client that goes on from a sync token; `kept` is its file.
pub(crate) fn lost_window(verb: &str, world: &World, server: &Homeserver, kept: &Path) -> Value {
    python("lost_window.py", verb, (world, server), kept)
}

/// Runs a verb of the device that lives through the loss; `kept` is its store.
pub(crate) fn survivor(verb: &str, world: &World, server: &Homeserver, kept: &Path) -> Value {
    python("survivor.py", verb, (world, server), kept)
}

/// Runs a verb of the JavaScript client on a homeserver.
pub(crate) fn history(verb: &str, world: &World, server: &Homeserver, files: &[&Path]) -> Value {
    let program = script::folder().with_file_name("js").join("history.mjs");
    let output = Command::new("node")
        .arg(program)
        .arg(world.tools().node_folder())
        .args([verb, &server.base_url()])
        .args(files)
        .output()
        .unwrap();
    assert!(output.status.success(), "history.mjs {verb}: {output:?}");
    last_line(&output)
}

fn python(program: &str, verb: &str, of: (&World, &Homeserver), kept: &Path) -> Value {
    let (world, server) = of;
    let (url, state) = (server.base_url(), world.state());
    let words = [verb.as_ref(), url.as_ref(), state.as_os_str(), kept.as_os_str()];
    last_line(&script::run(world.tools(), program, words).unwrap())
}

fn last_line(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}
