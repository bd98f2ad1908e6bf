//! What becomes of the barrier when the program that holds it is killed, stopped or kept waiting.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lifeboat_postgres::Client;
use lifeboat_postgres::connect::{CertificateCheck, Connector};
use lifeboat_postgres::group::{Group, Member, WATCHDOG, WINDOW_LIMIT, cut_together};
use rustix::process::{Pid, Signal, kill_process};

use crate::standing::{one, other};

/// Tells the program that these tests start which databases to cut.
const CHILD: &str = "LIFEBOAT_TEST_BARRIER";
const PATIENCE: Duration = Duration::from_secs(30);

/// Not a test of its own: what the others start, stop and kill.
#[tokio::test]
async fn program_that_cuts_two_databases() {
    let Ok(urls) = std::env::var(CHILD) else { return };
    let member = |url: &str, guarded| Member {
        name: if guarded { "accounts" } else { "devices" }.to_owned(),
        connector: Connector::new(url.parse().unwrap(), &CertificateCheck::Nothing, None).unwrap(),
        guarded,
    };
    let (devices, accounts) = urls.split_once(' ').unwrap();
    let members = [member(devices, false), member(accounts, true)];
    let number = || 7;
    let mut group = Group::of(&members, &number);
    group.lock_timeout = PATIENCE;
    group.budget = PATIENCE;
    let proof = cut_together(&group).await.unwrap().proof;
    println!("{:?} in {} tries", proof.method, proof.tries);
}

/// A program that has the barrier and waits for a snapshot that does not come.
struct Holding {
    program: Child,
    /// Stopped, so that it does not answer.
    server_process: Pid,
    /// Looks at the locks of the guarded member's server.
    watch: Client,
    /// Looks at the sessions of the other.
    elsewhere: Client,
    accounts: Connector,
}

impl Drop for Holding {
    fn drop(&mut self) {
        kill_process(self.server_process, Signal::CONT).ok();
        self.program.kill().ok();
        self.program.wait().ok();
    }
}

async fn holding() -> Holding {
    let devices = one().fresh("devices");
    let accounts = other().fresh("accounts");
    let writer = accounts.connect().await.unwrap();
    writer.batch_execute("CREATE TABLE began (n int)").await.unwrap();
    writer.batch_execute("BEGIN; INSERT INTO began VALUES (1)").await.unwrap();
    let url = |standing: &crate::standing::Standing, connector: &Connector| {
        standing.cluster.url(&connector.database(), &standing.owner)
    };
    let program = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "barrier::program_that_cuts_two_databases", "--nocapture"])
        .env(CHILD, format!("{} {}", url(one(), &devices), url(other(), &accounts)))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let watch = other().beside(&accounts.database()).connect().await.unwrap();
    // The program waits for our transaction; then its session elsewhere stops answering.
    until(&watch, &barriers(1, false)).await;
    let elsewhere = one().beside(&devices.database()).connect().await.unwrap();
    let found = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()
        AND state = 'idle in transaction'";
    let pid: i32 = elsewhere.query_one(found, &[]).await.unwrap().get(0);
    let server_process = Pid::from_raw(pid).unwrap();
    kill_process(server_process, Signal::STOP).unwrap();
    let holding = Holding { program, server_process, watch, elsewhere, accounts };
    writer.batch_execute("COMMIT").await.unwrap();
    until(&holding.watch, &barriers(1, true)).await;
    holding
}

/// Asks whether so many `SHARE` locks are held, or waited for, in the watched database.
fn barriers(count: u32, held: bool) -> String {
    format!(
        "SELECT count(*) = {count} FROM pg_locks WHERE mode = 'ShareLock' AND granted = {held}
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
}

/// Whether something was sent to a process by TCP that it has not read.
fn is_asked(process: Pid) -> bool {
    let folder = format!("/proc/{}", process.as_raw_nonzero());
    let open = fs::read_dir(format!("{folder}/fd")).unwrap();
    let links = open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    let links: Vec<String> = links.map(|link| link.display().to_string()).collect();
    let sockets = fs::read_to_string(format!("{folder}/net/tcp")).unwrap();
    sockets.lines().skip(1).any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_own = links.contains(&format!("socket:[{}]", words[9]));
        is_own && !words[4].ends_with(":00000000")
    })
}

async fn until(client: &Client, question: &str) {
    let begun = Instant::now();
    while !client.query_one(question, &[]).await.unwrap().get::<_, bool>(0) {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for: {question}");
    }
}

impl Holding {
    /// Waits until the barrier is gone and writers write; says how long that took.
    async fn gone(&self) -> Duration {
        let begun = Instant::now();
        until(&self.watch, &barriers(0, true)).await;
        let took = begun.elapsed();
        let writer = self.accounts.connect().await.unwrap();
        writer
            .batch_execute("SET lock_timeout = '1s'; INSERT INTO began VALUES (2)")
            .await
            .unwrap();
        took
    }

    /// What the program says at its end, when nothing is in its way any more.
    fn ends(mut self) -> String {
        use std::io::Read;
        kill_process(self.server_process, Signal::CONT).unwrap();
        let mut said = String::new();
        self.program.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }
}

#[tokio::test]
async fn barrier_of_a_killed_program_is_gone_at_once() {
    let mut holding = holding().await;
    holding.program.kill().unwrap();
    let took = holding.gone().await;
    assert!(took < WINDOW_LIMIT, "{took:?}");
}

#[tokio::test]
async fn barrier_of_a_stopped_program_is_ended_by_the_server_and_proves_nothing() {
    let holding = holding().await;
    let program = Pid::from_child(&holding.program);
    // The barrier is there before the program has heard of it, and then it asks for the snapshot.
    let begun = Instant::now();
    while !is_asked(holding.server_process) {
        assert!(begun.elapsed() < PATIENCE, "the snapshot was never asked for");
    }
    kill_process(program, Signal::STOP).unwrap();
    let took = holding.gone().await;
    assert!(took < WATCHDOG * 2, "{took:?}");
    // The snapshot's answer is there when the program goes on, and comes too late.
    kill_process(holding.server_process, Signal::CONT).unwrap();
    let answered = "SELECT bool_or(query LIKE '%snapshot%' AND state = 'idle in transaction')
        FROM pg_stat_activity WHERE datname = current_database()";
    until(&holding.elsewhere, answered).await;
    kill_process(program, Signal::CONT).unwrap();
    let said = holding.ends();
    assert!(said.contains("Barrier in 2 tries"), "{said}");
}

#[tokio::test]
async fn barrier_is_given_up_when_a_snapshot_does_not_come() {
    let holding = holding().await;
    let took = holding.gone().await;
    assert!(took < WATCHDOG, "{took:?}");
    let said = holding.ends();
    assert!(said.contains("Barrier in 2 tries"), "{said}");
}
