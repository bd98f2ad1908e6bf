//! What to do when: from the smallest loss to the largest, with the commands for this installation.
//! `identity.txt` stands for the file with a private key.

use lifeboat_suite::Kind;

use crate::block::{Block, command, heading, text};
use crate::facts::{ComponentFacts, Facts};

const IDENTITY: [&str; 2] = ["-i", "identity.txt"];

pub(crate) fn blocks(facts: &Facts) -> Vec<Block> {
    let mut blocks = vec![
        heading(2, "What to do"),
        text(
            "identity.txt is the file with a private key, BACKUP the beginning of a backup's id \
            as lifeboat backup list shows it. Begin with the first case that fits. A restore that \
            breaks off goes on with the same command.",
        ),
    ];
    blocks.extend(process(facts));
    blocks.extend(volume(facts));
    blocks.extend(database(facts));
    blocks.extend(everything(facts));
    blocks.extend(ransomware(facts));
    blocks.extend(deleted(facts));
    blocks.extend(room(facts));
    blocks
}

/// A restore in this installation.
fn restore(facts: &Facts, verb: &str, words: &[&str]) -> String {
    let all: Vec<&str> = ["lifeboat", "restore", verb]
        .into_iter()
        .chain(["-c", &facts.config])
        .chain(IDENTITY)
        .chain(words.iter().copied())
        .collect();
    command(all)
}

fn process(facts: &Facts) -> Vec<Block> {
    let starts = facts.components.iter().filter_map(|found| {
        let words = found.start.as_ref()?;
        Some(command(words.iter().map(String::as_str)))
    });
    let starts: Vec<String> = starts.collect();
    let mut blocks = vec![
        heading(3, "1. A process or a pod is gone, its data is there"),
        text("Start it again. Nothing is restored."),
    ];
    if starts.is_empty() {
        blocks.push(text("lifeboat.yaml names no command that starts a component."));
    } else {
        blocks.push(Block::Commands(starts));
    }
    blocks
}

fn volume(facts: &Facts) -> Vec<Block> {
    let with_files = facts.components.iter().filter(|found| !found.files.is_empty());
    let lines = with_files.map(|found| {
        let (files, start) = (format!("files/{}", found.name), format!("start/{}", found.name));
        let steps = ["--only", "fence", "--only", &files, "--only", &start];
        let words: Vec<&str> = ["--component", &found.name].into_iter().chain(steps).collect();
        restore(facts, "run", &words)
    });
    vec![
        heading(3, "2. A volume is lost, the databases are there"),
        text(
            "Files that are there and equal stay. The component is stopped, its files are put \
            back, and it is started.",
        ),
        Block::Commands(lines.collect()),
    ]
}

fn database(facts: &Facts) -> Vec<Block> {
    let is_core = |found: &&ComponentFacts| matches!(found.kind, Kind::Synapse | Kind::Mas);
    let core: Vec<&str> =
        facts.components.iter().filter(is_core).map(|c| c.name.as_str()).collect();
    let others = facts.components.iter().filter(|c| !is_core(c) && !c.databases.is_empty());
    let mut groups: Vec<Vec<&str>> = others.map(|found| vec![found.name.as_str()]).collect();
    if !core.is_empty() {
        groups.insert(0, core);
    }
    let mut lines = Vec::new();
    for group in groups {
        let words: Vec<&str> = group.iter().flat_map(|name| ["--component", name]).collect();
        lines.push(restore(facts, "plan", &words));
        let words: Vec<&str> = words.into_iter().chain(["--replace"]).collect();
        lines.push(restore(facts, "run", &words));
    }
    vec![
        heading(3, "3. A database is lost or damaged"),
        text(
            "Databases of Synapse and MAS come back together, from one backup: mixed, devices are \
            deleted with their keys. --replace keeps what is there under another name.",
        ),
        Block::Commands(lines),
    ]
}

/// A restore on a machine that has nothing but the vault.
fn from_vault(facts: &Facts, verb: &str, backup: Option<&str>) -> String {
    let words = ["lifeboat", "restore", verb, "-c", &facts.config, "--vault", &facts.vault];
    command(words.into_iter().chain(IDENTITY).chain(backup))
}

fn everything(facts: &Facts) -> Vec<Block> {
    let report = format!("{} --report restored.json", from_vault(facts, "run", None));
    vec![
        heading(3, "4. The machine or the cluster is lost"),
        text(
            "Install PostgreSQL, the servers and Lifeboat on a new machine; start none of them. \
            No client may reach it: an empty server that answers makes clients drop their keys. \
            Then:",
        ),
        Block::Commands(vec![from_vault(facts, "plan", None), report]),
        text(
            "Follow what the restore says under \"next\"; then let clients in, then other servers.",
        ),
    ]
}

fn ransomware(facts: &Facts) -> Vec<Block> {
    let vault = |verb: &str, rest: &[&str]| {
        let words = ["lifeboat", "backup", verb, "--vault", &facts.vault];
        command(words.into_iter().chain(rest.iter().copied()))
    };
    vec![
        heading(3, "5. Somebody was in (ransomware, theft)"),
        text(
            "Take the machine off the network and leave it as it is. Withdraw the rights of the \
            backup host on the vault. Nothing is restored onto this machine. On a clean one, with \
            a private key that was never on the old one, choose the newest backup from before, \
            read it whole, and restore it:",
        ),
        Block::Commands(vec![
            vault("list", &[]),
            vault("verify", &["-i", "identity.txt", "BACKUP"]),
            from_vault(facts, "run", Some("BACKUP")),
        ]),
        text(
            "Before clients are let in, revoke what stands below under \"When somebody else has \
            the data\". Make new keys for new backups with lifeboat keygen.",
        ),
    ]
}

fn deleted(facts: &Facts) -> Vec<Block> {
    let beside = facts
        .components
        .iter()
        .filter(|found| !found.databases.is_empty() || !found.files.is_empty());
    let mut lines = Vec::new();
    lines.push(command(["lifeboat", "backup", "list", "-c", &facts.config]));
    lines.push(command(["lifeboat", "backup", "pin", "-c", &facts.config, "BACKUP"]));
    lines.extend(beside.map(|found| look(facts, &found.name)));
    vec![
        heading(3, "6. Somebody deleted too much"),
        text(
            "Keep the backup from before, so that retention does not let it go. Put the component \
            back beside what runs, and take over by hand what is missing; what runs stays as it \
            is.",
        ),
        Block::Commands(lines),
    ]
}

/// A component beside what runs.
fn look(facts: &Facts, name: &str) -> String {
    let words = ["BACKUP", "--component", name, "--beside", "_look", "--root", "/srv/look"];
    restore(facts, "run", &words)
}

fn room(facts: &Facts) -> Vec<Block> {
    let mut blocks = vec![heading(3, "7. One room is lost, the server lives")];
    let Some(synapse) = facts.components.iter().find(|found| found.kind == Kind::Synapse) else {
        blocks.push(text("There is no Synapse in this installation."));
        return blocks;
    };
    let (room, people) = ("!ROOM:SERVER", format!("@*:{}", facts.server_name));
    let export = ["lifeboat", "backup", "export", "BACKUP", "-c", &facts.config]
        .into_iter()
        .chain(IDENTITY)
        .chain(["--component", &synapse.name, "--room", room, "--user", &people])
        .chain(["-o", "room.lifeboat"]);
    let servers = synapse.config.iter().flat_map(|path| ["--synapse", path.as_str()]);
    let import: Vec<&str> = ["lifeboat", "import", "room.lifeboat"]
        .into_iter()
        .chain(IDENTITY)
        .chain(servers)
        .chain(["--room", room])
        .collect();
    blocks.push(text(
        "Take the room out of a backup, with what its members kept of its keys, and bring it into \
        the server that lives; then restart Synapse. The first command makes a database beside \
        those in use and takes it away again; the second shows what the third will do.",
    ));
    let dry = import.iter().copied().chain(["--dry-run"]);
    blocks.push(Block::Commands(vec![command(export), command(dry), command(import.clone())]));
    blocks
}
