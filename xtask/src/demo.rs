//! The whole voyage on one machine: a real, filled Synapse is exported while it runs, the package
//! is verified and put into a second, empty one, and both are compared as their clients see them.

mod summary;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lifeboat_testing::http::Request;
use lifeboat_testing::{Homeserver, Size, World};

use crate::shell::{Done, cargo, run, run_to_code, say, show_chain};
use summary::Summary;

/// What becomes of the two servers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Afterwards {
    /// They end with the demo.
    Stop,
    /// They run until Ctrl-C.
    Keep,
}

/// The database of the second server, and its folder.
const TARGET: &str = "restored";

/// The exit code of a command that did its work and found gaps.
const WITH_GAPS: i32 = 3;

/// The files that the demo leaves behind.
struct Files {
    identity: PathBuf,
    package: PathBuf,
}

/// Runs the demo and prints its summary.
///
/// # Errors
/// A step fails, or the second server shows anything else than the first.
pub(crate) fn demo(root: &Path, afterwards: Afterwards) -> Done {
    let files = Files::fresh(&root.join("target/demo"))?;
    let lifeboat = build(root)?;
    say("\n=== a real Synapse with a small community");
    let world = World::open(Size::Small, &say).map_err(|e| show_chain(&e))?;
    let before = world.capture(&world.server, "before").map_err(|e| show_chain(&e))?;
    let signer = signer_of(&world.server)?;

    let mut summary = Summary::default();
    summary.measure_source(&world)?;
    let recipient = keygen(&lifeboat, &files)?;
    summary.export = timed(|| export(&lifeboat, &files, &world.server, &recipient))?;
    summary.measure_package(&files.package)?;
    summary.verify = timed(|| verify(&lifeboat, &files))?;
    let mut target = world.empty_server(TARGET).map_err(|e| show_chain(&e))?;
    summary.import = timed(|| import(&lifeboat, &files, &target, &signer))?;

    say("\n=== the second Synapse, as its clients see it");
    target.start().map_err(|e| show_chain(&e))?;
    let after = world.capture(&target, "after").map_err(|e| show_chain(&e))?;
    summary.comparison = world.compare(&before, &after, &[]).map_err(|e| show_chain(&e))?;
    summary.say(&files.package, &files.identity);
    if afterwards == Afterwards::Keep {
        keep(&world, &target);
    }
    Ok(())
}

impl Files {
    /// An empty folder for what this run makes; an earlier run's files go.
    fn fresh(folder: &Path) -> Done<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(|e| format!("clear {}: {e}", folder.display()))?;
        }
        fs::create_dir_all(folder).map_err(|e| format!("make {}: {e}", folder.display()))?;
        let package = folder.join("server.lifeboat");
        Ok(Self { identity: folder.join("identity.txt"), package })
    }
}

fn build(root: &Path) -> Done<PathBuf> {
    say("\n=== the program");
    run(&cargo(root, &["build", "--release", "--locked", "--package", "lifeboat"]))?;
    let elsewhere = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    Ok(elsewhere.unwrap_or_else(|| root.join("target")).join("release/lifeboat"))
}

/// Makes an identity and returns the recipient that belongs to it.
fn keygen(lifeboat: &Path, files: &Files) -> Done<String> {
    say("\n=== a key pair");
    let mut command = Command::new(lifeboat);
    command.arg("keygen").arg("-o").arg(&files.identity);
    run(&command)?;
    let text = fs::read_to_string(&files.identity).map_err(|e| format!("read identity: {e}"))?;
    let recipient = text.lines().find_map(|line| line.strip_prefix("# public key: "));
    recipient.map(str::to_owned).ok_or_else(|| "the identity file names no recipient".to_owned())
}

fn export(lifeboat: &Path, files: &Files, source: &Homeserver, recipient: &str) -> Done {
    say("\n=== export, while the server runs");
    let mut command = Command::new(lifeboat);
    command.arg("export").args(settings_of(source)).args(["-r", recipient, "-o"]);
    command.arg(&files.package);
    done_or_with_gaps(&command, "export")
}

/// The community has lost a file, so both ways there is a gap that is told, and nothing more.
fn done_or_with_gaps(command: &Command, verb: &str) -> Done {
    match run_to_code(command)? {
        0 => Ok(()),
        WITH_GAPS => {
            say(&format!("the {verb} has gaps: they are listed above and in the package"));
            Ok(())
        }
        code => Err(format!("the {verb} ended with {code}")),
    }
}

fn verify(lifeboat: &Path, files: &Files) -> Done {
    say("\n=== verify");
    let mut command = Command::new(lifeboat);
    command.arg("verify").arg(&files.package).arg("-i").arg(&files.identity);
    run(&command)
}

fn import(lifeboat: &Path, files: &Files, target: &Homeserver, signer: &str) -> Done {
    say("\n=== import into an empty server");
    let mut command = Command::new(lifeboat);
    command.arg("import").arg(&files.package).arg("-i").arg(&files.identity);
    command.args(settings_of(target));
    // The empty server has no key of its own yet, so we say whose signature we know.
    command.arg("--accept-signer").arg(signer);
    done_or_with_gaps(&command, "import")
}

/// The public key that a server signs with, as it tells everyone.
fn signer_of(server: &Homeserver) -> Done<String> {
    let answer = Request::get(server.port(), "/_matrix/key/v2/server").send();
    let answer = answer.map_err(|e| show_chain(&e))?;
    let text = String::from_utf8_lossy(&answer.body);
    let keys = text.split_once("\"verify_keys\":").map(|(_, keys)| keys);
    let key = keys.and_then(|keys| keys.split_once("\"key\":\"")?.1.split('"').next());
    key.map(str::to_owned).ok_or_else(|| format!("no signing key in {text}"))
}

/// The configuration as the command line takes it: each file and folder in Synapse's order.
fn settings_of(server: &Homeserver) -> Vec<PathBuf> {
    let paths = server.config_paths().into_iter();
    paths.flat_map(|path| [PathBuf::from("--synapse"), path]).collect()
}

fn timed(step: impl FnOnce() -> Done) -> Done<Duration> {
    let begin = Instant::now();
    step()?;
    Ok(begin.elapsed())
}

/// Says how to look at both servers and waits; Ctrl-C ends us, and with us everything we started.
fn keep(world: &World, target: &Homeserver) {
    say("Both servers keep running. Ctrl-C ends them and removes their files.");
    for (name, server) in [("source", &world.server), ("restored", target)] {
        say(&format!("  {name}: {}  files: {}", server.base_url(), server.directory().display()));
        say(&format!("    {}", world.cluster.url(server.database(), server.role())));
    }
    say(&format!("  users, passwords and access tokens: {}", world.state().display()));
    loop {
        std::thread::park();
    }
}
