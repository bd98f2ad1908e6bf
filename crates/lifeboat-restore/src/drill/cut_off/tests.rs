//! Tests of what is cut off.

use std::net::TcpListener;

use super::*;

fn environment() -> Vec<(String, String)> {
    vec![("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned())]
}

/// Runs a shell script cut off to its end; what it said.
fn run(script: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let words = ["sh", "-c", script].map(str::to_owned);
    let log = folder.path().join("log");
    let mut started = CutOff::start(&words, (folder.path(), &log), &environment()).unwrap();
    started.child.wait().unwrap();
    started.said()
}

#[test]
fn program_that_is_cut_off_reaches_nobody_and_who_may_not_cut_off_is_told_so() {
    if !rustix::process::geteuid().is_root() {
        let why = probe(&environment()).unwrap_err();
        assert!(why.contains("not as root?"), "{why}");
        return;
    }
    probe(&environment()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!(
        "exec 2>&1; cat /proc/net/route | wc -l; grep -vc -e lo: -e '|' /proc/net/dev; \
         bash -c 'echo > /dev/tcp/127.0.0.1/{port}' && echo reached"
    );
    let said = run(&script);
    assert_eq!(said[..2], ["1", "0"], "no route and no device but loopback: {said:?}");
    assert!(!said.iter().any(|line| line == "reached"), "{said:?}");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody came");
}

#[test]
fn what_is_cut_off_ends_with_all_it_started() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (log, pipe) = (folder.path().join("log"), folder.path().join("pipe"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // One that leaves its group and its session holds the pipe.
    let script = format!("setsid sh -c 'exec > {}; echo here; sleep 600' & wait", pipe.display());
    let words = ["sh", "-c", &script].map(str::to_owned);
    let started = CutOff::start(&words, (folder.path(), &log), &environment()).unwrap();
    let mut reader = File::open(&pipe).unwrap();
    let mut here = [0; 5];
    reader.read_exact(&mut here).unwrap();
    drop(started);
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!((&here, rest.len()), (b"here\n", 0));
}
