//! Databases cut as one while thousands of transactions a second are written because of each
//! other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lifeboat_postgres::Client;
use lifeboat_postgres::connect::Connector;
use lifeboat_postgres::cut::Cut;
use lifeboat_postgres::group::{Group, GroupCut, Member, Method, cut_together};

use crate::standing::{Standing, one, other};

/// Sessions that write to each database, and chains that each of them has under way: with few, a
/// slow machine spends its time on waking sessions up.
const WRITERS: u16 = 1;
const CHAINS: u16 = 64;
const LANES: u16 = WRITERS * CHAINS;
const CUTS: usize = 300;
/// A few times what a large server has.
const LEAST_COMMITS_A_SECOND: u64 = 4000;

/// A commit with an account's session, then one elsewhere with its device, then one that says it
/// is done: each because of the one before.
struct Load {
    stop: Arc<AtomicBool>,
    commits: Arc<AtomicU64>,
    writers: Vec<tokio::task::JoinHandle<()>>,
    begun: Instant,
}

impl Load {
    async fn start(accounts: &Connector, devices: &Connector) -> Self {
        let make = "CREATE TABLE began (lane int, n bigint, PRIMARY KEY (lane, n));
            CREATE TABLE ended (lane int, n bigint, PRIMARY KEY (lane, n))";
        accounts.connect().await.unwrap().batch_execute(make).await.unwrap();
        let make = "CREATE TABLE device (lane int, n bigint, PRIMARY KEY (lane, n))";
        devices.connect().await.unwrap().batch_execute(make).await.unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let commits = Arc::new(AtomicU64::new(0));
        let mut writers = Vec::new();
        for writer in 0..WRITERS {
            let accounts = accounts.connect().await.unwrap();
            let devices = devices.connect().await.unwrap();
            let (stop, commits) = (stop.clone(), commits.clone());
            writers.push(tokio::spawn(async move {
                let lanes = (0..CHAINS).map(|chain| i32::from(writer * CHAINS + chain));
                let chains = lanes.map(|lane| write(&accounts, &devices, lane, &stop, &commits));
                join_all(chains).await;
            }));
        }
        Self { stop, commits, writers, begun: Instant::now() }
    }

    /// Waits until so many more transactions are committed.
    async fn more(&self, count: u64) {
        let target = self.commits.load(Ordering::Relaxed) + count;
        while self.commits.load(Ordering::Relaxed) < target {
            tokio::task::yield_now().await;
        }
    }

    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let seconds = self.begun.elapsed().as_millis().max(1);
        for writer in self.writers {
            writer.await.unwrap();
        }
        let rate = u128::from(self.commits.load(Ordering::Relaxed)) * 1000 / seconds;
        u64::try_from(rate).unwrap()
    }
}

async fn write(
    accounts: &Client,
    devices: &Client,
    lane: i32,
    stop: &AtomicBool,
    commits: &AtomicU64,
) {
    let began = accounts.prepare("INSERT INTO began VALUES ($1, $2)").await.unwrap();
    let device = devices.prepare("INSERT INTO device VALUES ($1, $2)").await.unwrap();
    let ended = accounts.prepare("INSERT INTO ended VALUES ($1, $2)").await.unwrap();
    let mut n = 0_i64;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        accounts.execute(&began, &[&lane, &n]).await.unwrap();
        devices.execute(&device, &[&lane, &n]).await.unwrap();
        accounts.execute(&ended, &[&lane, &n]).await.unwrap();
        commits.fetch_add(3, Ordering::Relaxed);
    }
}

/// How far each lane is in a table of a cut.
async fn reached(cut: &Cut, table: &str) -> Vec<i64> {
    let question = format!(
        "SELECT coalesce((SELECT max(n) FROM {table} t WHERE t.lane = l), 0)
         FROM generate_series(0, {}) l ORDER BY l",
        LANES - 1
    );
    let rows = cut.anchor().query(question.as_str(), &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// How many lanes have an effect without its cause.
async fn wrong(accounts: &Cut, devices: &Cut) -> usize {
    let began = reached(accounts, "began").await;
    let device = reached(devices, "device").await;
    let ended = reached(accounts, "ended").await;
    assert_eq!(began.len(), usize::from(LANES));
    let broken = |lane: &usize| device[*lane] > began[*lane] || ended[*lane] > device[*lane];
    (0..usize::from(LANES)).filter(broken).count()
}

/// Not random: the tests need pauses, not secrets.
fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0x1234_5678_9abc_def0);
    NEXT.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
}

fn members(devices: &Connector, accounts: &Connector) -> [Member; 2] {
    let member = |name: &str, connector: &Connector, guarded| Member {
        name: name.to_owned(),
        connector: connector.clone(),
        guarded,
    };
    [member("devices", devices, false), member("accounts", accounts, true)]
}

/// 300 cuts under load, none wrong; and what would be wrong without the method.
async fn no_cut_is_wrong(of_devices: &Standing, of_accounts: &Standing, method: Method) {
    let devices = of_devices.beside(&of_devices.fresh("devices").database());
    let accounts = of_accounts.beside(&of_accounts.fresh("accounts").database());
    let load = Load::start(&accounts, &devices).await;
    load.more(100).await;
    let members = members(&devices, &accounts);
    let (mut windows, mut tries, mut broken) = (Vec::new(), 0, 0);
    for _ in 0..CUTS {
        let GroupCut { cuts, proof } = cut_together(&Group::of(&members, &number)).await.unwrap();
        assert_eq!(proof.method, method, "{proof:?}");
        windows.push(proof.window_micros);
        tries += proof.tries;
        broken += usize::from(wrong(&cuts[1], &cuts[0]).await > 0);
    }
    for accounts_first in [true, false] {
        let (first, second) =
            if accounts_first { (&accounts, &devices) } else { (&devices, &accounts) };
        let first = Cut::open(first).await.unwrap();
        load.more(1000).await;
        let second = Cut::open(second).await.unwrap();
        let (accounts, devices) =
            if accounts_first { (&first, &second) } else { (&second, &first) };
        assert!(wrong(accounts, devices).await > 0, "one after the other is wrong");
    }
    let rate = load.end().await;
    windows.sort_unstable();
    println!(
        "{method:?}: {rate} commits/s, {broken} of {CUTS} cuts wrong, {tries} tries, window in \
         microseconds: median {}, 99 % {}, longest {}",
        windows[CUTS / 2],
        windows[CUTS * 99 / 100],
        windows[CUTS - 1]
    );
    assert_eq!(broken, 0);
    assert!(rate >= LEAST_COMMITS_A_SECOND, "{rate} commits/s are no load");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_databases_of_one_cluster_are_cut_as_one_and_one_after_the_other_are_not() {
    no_cut_is_wrong(one(), one(), Method::SnapshotEquality).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_of_two_clusters_are_cut_as_one_and_one_after_the_other_are_not() {
    no_cut_is_wrong(one(), other(), Method::Barrier).await;
}

/// Locks on tables that exclude writers.
async fn barriers(client: &Client) -> i64 {
    let question = "SELECT count(*) FROM pg_locks WHERE mode = 'ShareLock' AND granted
        AND locktype = 'relation'";
    client.query_one(question, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn writer_that_does_not_end_costs_the_budget_and_skew_is_only_where_allowed() {
    let devices = one().fresh("devices");
    let accounts = other().fresh("accounts");
    let make = "CREATE TABLE began (n int)";
    let writer = accounts.connect().await.unwrap();
    writer.batch_execute(make).await.unwrap();
    writer.batch_execute("BEGIN; INSERT INTO began VALUES (1)").await.unwrap();
    let members = members(&devices, &accounts);
    let mut group = Group::of(&members, &number);
    group.budget = Duration::from_millis(600);
    group.lock_timeout = Duration::from_millis(20);
    let refused = cut_together(&group).await.err().unwrap();
    let cause = std::error::Error::source(&refused).unwrap();
    assert!(refused.to_string().contains("could not be cut together"), "{refused}");
    assert!(cause.to_string().contains("accounts"), "{cause}");
    assert_eq!(barriers(&other().beside("postgres").connect().await.unwrap()).await, 0);
    group.allow_skew = true;
    let skewed = cut_together(&group).await.unwrap();
    assert_eq!(skewed.proof.method, Method::Skew);
    assert!(skewed.proof.reason.unwrap().contains("could not be cut together"));
    assert_eq!(skewed.cuts.len(), 2);
    writer.batch_execute("COMMIT").await.unwrap();
    group.allow_skew = false;
    group.budget = Duration::from_secs(10);
    assert_eq!(cut_together(&group).await.unwrap().proof.method, Method::Barrier);
}

#[tokio::test]
async fn reader_who_may_not_lock_is_told_and_one_database_alone_needs_no_lock() {
    let devices = one().fresh("devices");
    let accounts = other().fresh("accounts");
    accounts.connect().await.unwrap().batch_execute("CREATE TABLE began (n int)").await.unwrap();
    let reader = lifeboat_testing::Role::named("watchman");
    other().cluster.create_role(&reader, false).unwrap();
    let config = other().cluster.url(&accounts.database(), &reader).parse().unwrap();
    let check = lifeboat_postgres::connect::CertificateCheck::Nothing;
    let watchman = Connector::new(config, &check, None).unwrap();
    let members = members(&devices, &watchman);
    let refused = cut_together(&Group::of(&members, &number)).await.err().unwrap();
    assert!(refused.to_string().contains("may not lock the tables of accounts"), "{refused}");
    let alone = cut_together(&Group::of(&members[1..], &number)).await.unwrap();
    assert_eq!(alone.proof.method, Method::Alone);
    let proof = &alone.proof.members[0];
    assert_eq!((proof.name.as_str(), proof.database.clone()), ("accounts", accounts.database()));
    assert!(proof.snapshot_text.contains(':') && proof.lsn.is_some(), "{proof:?}");
    assert!(alone.proof.opened_at.ends_with('Z'));
}

#[tokio::test]
async fn three_databases_are_cut_as_one_and_the_proof_has_them_in_their_order() {
    let [first, second] = [one().fresh("devices"), one().fresh("devices")];
    for (accounts, method) in [(one(), Method::SnapshotEquality), (other(), Method::Barrier)] {
        let guarded = accounts.fresh("accounts");
        let [mut before, last] = members(&first, &guarded);
        let middle = Member { connector: second.clone(), ..before.clone() };
        before.name = "first".to_owned();
        let GroupCut { cuts, proof } =
            cut_together(&Group::of(&[before, middle, last], &number)).await.unwrap();
        assert_eq!(proof.method, method);
        let told: Vec<(&str, &str)> =
            proof.members.iter().map(|m| (m.name.as_str(), m.database.as_str())).collect();
        let databases = [first.database(), second.database(), guarded.database()];
        assert_eq!(
            told,
            [("first", &*databases[0]), ("devices", &*databases[1]), ("accounts", &*databases[2])]
        );
        for (cut, database) in cuts.iter().zip(&databases) {
            let row = cut.anchor().query_one("SELECT current_database()::text", &[]).await;
            assert_eq!(row.unwrap().get::<_, &str>(0), database);
        }
        let texts = [&proof.members[0].snapshot_text, &proof.members[2].snapshot_text];
        assert!(texts[0] == texts[1] || method == Method::Barrier, "{texts:?}");
    }
    let [unguarded, _] = members(&first, &second);
    let refused = cut_together(&Group::of(&[unguarded.clone(), unguarded], &number)).await;
    assert!(refused.err().unwrap().to_string().contains("needs one that is guarded"));
}

#[tokio::test]
async fn standby_is_no_member_of_a_group_and_can_be_cut_alone() {
    let accounts = other().fresh("accounts");
    let devices = one().fresh("devices");
    devices.connect().await.unwrap().batch_execute("CREATE TABLE device (n int)").await.unwrap();
    let files = lifeboat_testing::Scratch::new("standby").unwrap();
    let standby = one().cluster.start_standby(files.path()).unwrap();
    let config = standby.url(&devices.database(), &one().owner).parse().unwrap();
    let check = lifeboat_postgres::connect::CertificateCheck::Nothing;
    let copy = Connector::new(config, &check, None).unwrap();
    let members = members(&copy, &accounts);
    let refused = cut_together(&Group::of(&members, &number)).await.err().unwrap();
    assert!(refused.to_string().contains("devices is reached on a standby"), "{refused}");
    let alone = cut_together(&Group::of(&members[..1], &number)).await.unwrap();
    assert_eq!(alone.proof.method, Method::Alone);
    let shapes = lifeboat_postgres::archive::tables(&alone.cuts[0]).await.unwrap();
    assert_eq!(shapes.len(), 1);
    alone.cuts[0].lane().await.unwrap();
}

#[tokio::test]
async fn pooler_that_shares_sessions_out_by_transaction_is_refused_and_one_by_session_is_not() {
    let owner = &one().owner;
    let database = one().fresh("pooled").database();
    for (mode, is_refused) in [("transaction", true), ("session", false)] {
        let pooler = lifeboat_testing::Pooler::start(&one().cluster, owner, mode).unwrap();
        let config = pooler.url(&database, owner).parse().unwrap();
        let check = lifeboat_postgres::connect::CertificateCheck::Nothing;
        let connector = Connector::new(config, &check, None).unwrap();
        let member = Member { name: "pooled".to_owned(), connector, guarded: false };
        let outcome = cut_together(&Group::of(&[member], &number)).await;
        match outcome {
            Err(refused) => {
                assert!(is_refused && refused.to_string().contains("pooler"), "{refused}");
            }
            Ok(cut) => assert!(!is_refused && cut.proof.method == Method::Alone, "{mode}"),
        }
    }
}
