//! The page on restoring by hand works: its blocks, run by bash, put a server back without a line
//! of ours.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_testing::World;
use lifeboat_testing::install::{Part, Tools};
use lifeboat_testing::world::say_on_stderr;

use crate::harbour::{Suite, suite, world};

const PAGE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/operations/restore-by-hand.md");
/// How a block begins that is run; other blocks are examples.
const RUN: &str = "```bash\n";

/// What the page's reader sets, but for what is the same for all.
struct Reader<'a> {
    component: &'a str,
    database: &'a str,
    new: &'a str,
    media: &'a str,
}

/// The blocks of the page, as one script.
fn script() -> String {
    let page = fs::read_to_string(PAGE).unwrap();
    let blocks = page.split(RUN).skip(1).map(|rest| rest.split_once("```").unwrap().0);
    let blocks: Vec<&str> = blocks.collect();
    assert!(blocks.len() > 10, "the page has blocks to run: {}", blocks.len());
    format!("set -euxo pipefail\n{}", blocks.join("\n"))
}

/// Does what the page says; gives the folder that it worked in.
fn follow(world: &World, suite: &Suite, reader: &Reader<'_>) -> PathBuf {
    Tools::ready(&[Part::Age, Part::Pipes], &say_on_stderr).unwrap();
    let python = world.tools().python("by-hand", &["cryptography"], &say_on_stderr).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", python.parent().unwrap().display());
    let work = suite.folder.join(format!("work-{}", reader.new));
    fs::create_dir(&work).unwrap();
    let (role, cluster) = (world.server.role(), &world.cluster);
    let socket = cluster.socket_directory().display();
    let admin =
        format!("postgresql:///postgres?host={socket}&port={}&user=postgres", cluster.port());
    let output = Command::new("bash")
        .arg("-c")
        .arg(script())
        .env_clear()
        .env("PATH", path)
        .env("VAULT", &suite.vault)
        .env("IDENTITY", &suite.identity)
        .env("WORK", &work)
        .env("COMPONENT", reader.component)
        .env("DATABASE", reader.database)
        .env("ADMIN", admin)
        .env("OWNER", &role.name)
        .env("NEW", reader.new)
        .env("TARGET", cluster.url(reader.new, role))
        .env("MEDIA", reader.media)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    work
}

/// Every regular file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Where a file of the server is that was put back below `work`.
fn below(work: &Path, path: &Path) -> PathBuf {
    work.join("files").join(path.strip_prefix("/").unwrap())
}

#[test]
fn page_followed_by_hand_gives_back_a_server_that_clients_know() {
    let mut world = World::small().unwrap();
    let suite = Suite::around(&world, "hand");
    world.capture(&world.server, "before-first").unwrap();
    let before = world.capture(&world.server, "before").unwrap();
    suite.back_up();
    // A second one, which borrows nearly everything.
    suite.back_up();
    let media = files(&world.server.media_store().join("local_content")).remove(0);
    let mut parts: Vec<&str> =
        media.iter().rev().take(3).map(|part| part.to_str().unwrap()).collect();
    parts.reverse();
    world.server.kill();
    let mut server = world.empty_server("by_hand").unwrap();
    world.cluster.drop_database("by_hand").unwrap();
    let id = parts.concat();
    let reader = Reader { component: "synapse", database: "main", new: "by_hand", media: &id };
    let work = follow(&world, &suite, &reader);
    assert_eq!(fs::read(below(&work, &media)).unwrap(), fs::read(&media).unwrap());
    let key = below(&work, &world.server.signing_key());
    assert_eq!(fs::read(&key).unwrap(), fs::read(world.server.signing_key()).unwrap());
    fs::copy(&key, server.signing_key()).unwrap();
    fs::rename(below(&work, &world.server.media_store()), server.media_store()).unwrap();
    server.start().unwrap();
    world.capture(&server, "after-first").unwrap();
    let after = world.capture(&server, "after").unwrap();
    world.compare(&before, &after, &[]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(server.errors_in_log().unwrap(), Vec::<String>::new());
}

#[test]
fn page_followed_by_hand_gives_back_every_row_of_another_database() {
    let (world, suite) = (world(), suite("rows"));
    let strange = "CREATE TYPE mood AS ENUM ('calm', 'wild');
        CREATE TYPE pair AS (\"left\" text, \"right\" int);
        CREATE TABLE \"odd \"\"name\"\"\" (id int GENERATED ALWAYS AS IDENTITY, moods mood[],
            p pair, big text, twice int GENERATED ALWAYS AS (length(big) * 2) STORED);
        INSERT INTO \"odd \"\"name\"\"\" (moods, p, big) VALUES
            ('{calm,wild}', ROW('a ''quoted'' text', 7), repeat('x', 20000000)), (NULL, NULL, NULL);
        CREATE TABLE bare ();
        INSERT INTO bare SELECT FROM generate_series(1, 3)";
    let role = &world.server.role().name;
    let strange = format!("SET ROLE {role}; {strange}");
    let owner = format!("ALTER DATABASE {} OWNER TO {role}", suite.accounts);
    world.cluster.psql(&suite.accounts, &owner).unwrap();
    world
        .cluster
        .psql(&suite.accounts, &format!("GRANT CREATE ON SCHEMA public TO {role}"))
        .unwrap();
    world.cluster.psql(&suite.accounts, &strange).unwrap();
    suite.back_up();
    let reader = Reader { component: "accounts", database: "main", new: "rows_again", media: "" };
    follow(world, &suite, &reader);
    let digest = "SELECT md5(string_agg(t::text, '|' ORDER BY id)), count(*)
                  FROM (SELECT * FROM sessions) t
                  UNION ALL SELECT md5(string_agg(o::text, '|' ORDER BY id)), count(*)
                  FROM \"odd \"\"name\"\"\" o
                  UNION ALL SELECT 'bare', count(*) FROM bare";
    let ask = |database: &str| world.cluster.psql(database, digest).unwrap();
    assert_eq!(ask("rows_again"), ask(&suite.accounts));
    let next = "INSERT INTO \"odd \"\"name\"\"\" (big) VALUES ('') RETURNING id";
    assert_eq!(world.cluster.psql("rows_again", next).unwrap(), "3", "sequences go on");
}
