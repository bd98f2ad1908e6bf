//! Ctrl-C and SIGTERM while a verb works.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Child;
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::conversation::{lifeboat, program};

const RECIPIENT: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE7bD3vLLlbSx8djJKK/kO1y4zQTzjV//Fpo0dOhoKdt";
/// Time after which a program that does not connect will never.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server whose database takes connections and says nothing, so that an export waits.
fn waiting_export(folder: &Path) -> (Child, std::os::unix::net::UnixStream) {
    let listener = UnixListener::bind(folder.join(".s.PGSQL.5432")).unwrap();
    let config = format!(
        "server_name: example.org\n\
         signing_key_path: {folder}/signing.key\n\
         media_store_path: {folder}/media\n\
         database:\n  name: psycopg2\n  args: {{user: synapse, dbname: synapse, host: {folder}}}\n",
        folder = folder.display()
    );
    fs::write(folder.join("homeserver.yaml"), config).unwrap();
    let child = program()
        .args(["export", "--json", "-r", RECIPIENT, "--synapse"])
        .arg(folder.join("homeserver.yaml"))
        .arg("-o")
        .arg(folder.join("x.lifeboat"))
        .spawn()
        .unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(listener.accept().map(|(stream, _)| stream)));
    if let Ok(stream) = receiver.recv_timeout(PATIENCE) {
        return (child, stream.unwrap());
    }
    panic!("it does not connect: {:?}", child.wait_with_output())
}

fn ends_with(signal: Signal) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let (child, connection) = waiting_export(folder.path());
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(connection);
    assert_eq!(output.status.code(), Some(130));
    assert!(!folder.path().join("x.lifeboat").exists());
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn an_interrupt_cancels() {
    let error = ends_with(Signal::INT);
    assert_eq!((&error["event"], &error["code"]), (&"error".into(), &"stopped".into()));
    assert!(error["what"].as_str().unwrap().starts_with("cancelled"), "{error}");
}

#[test]
fn a_termination_pauses() {
    let error = ends_with(Signal::TERM);
    assert_eq!((&error["event"], &error["code"]), (&"error".into(), &"stopped".into()));
    assert!(error["remedy"].as_str().unwrap().contains("go on"), "{error}");
}

#[test]
fn the_recipient_of_these_tests_is_one() {
    let said = lifeboat(["export", "-r", RECIPIENT, "--synapse", "/nowhere.yaml", "-o", "/x"]);
    assert_eq!(said.exit, 1, "{}", said.stderr);
    assert!(said.stderr.contains("configuration"), "{}", said.stderr);
}
