//! Nothing outlives the process that started it, and processes do not take each other's ports.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use lifeboat_testing::port::Port;
use lifeboat_testing::{Cluster, Scratch, wait};

const HOLD: &str = "LIFEBOAT_TEST_HOLD";

/// Not a test of its own: the process that the next test starts and kills.
#[test]
fn a_process_that_holds_servers() {
    if std::env::var_os(HOLD).is_none() {
        return;
    }
    let scratch = Scratch::new("held").unwrap();
    let cluster = Cluster::start(scratch.path()).unwrap();
    println!("\nheld {} {}", cluster.pid(), scratch.path().display());
    std::io::stdout().flush().unwrap();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

#[test]
fn a_killed_process_leaves_no_server_and_no_folder() {
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "leftovers::a_process_that_holds_servers", "--nocapture"])
        .env(HOLD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(holder.stdout.take().unwrap());
    let line = output.lines().map(Result::unwrap).find(|line| line.starts_with("held ")).unwrap();
    let mut words = line.split(' ').skip(1);
    let process = Path::new("/proc").join(words.next().unwrap());
    let folder = words.next().unwrap().to_owned();
    assert!(process.exists());
    assert!(Path::new(&folder).exists());

    holder.kill().unwrap();
    holder.wait().unwrap();

    let limit = Duration::from_secs(15);
    // A dead process nobody waited for has no command line any more.
    let ended = || Ok(std::fs::read(process.join("cmdline")).unwrap_or_default().is_empty());
    assert!(wait::until(limit, ended).unwrap(), "the server still runs");
    let gone = || Ok(!Path::new(&folder).exists());
    assert!(wait::until(limit, gone).unwrap(), "{folder} is still there");
}

#[test]
fn ports_claimed_at_the_same_time_are_different_and_below_the_ephemeral_ones() {
    let ports: Vec<Port> = (0..50).map(|_| Port::claim().unwrap()).collect();
    let numbers: BTreeSet<u16> = ports.iter().map(Port::number).collect();
    assert_eq!(numbers.len(), ports.len());
    assert!(numbers.iter().all(|number| (20_000..30_000).contains(number)));
}

#[test]
fn a_scratch_folder_is_gone_after_its_value() {
    let scratch = Scratch::new("short").unwrap();
    let path = scratch.path().to_owned();
    std::fs::write(path.join("file"), "x").unwrap();
    drop(scratch);
    assert!(!path.exists());
}
