//! Tests of the plan from plain values.

use lifeboat_restore::plan::{Step, What};
use lifeboat_suite::Kind;
use lifeboat_vault::drills::{DrillRecord, DrilledStep};
use lifeboat_vault::list::Listed;

use crate::facts::{ComponentFacts, Facts, Seen};
use crate::{html, markdown};

/// 2026-11-22T12:00:00Z.
const NOON: i64 = 1_795_348_800;
const EVIL: &str = "</pre><script>alert(1)</script>`|*\u{202e}\n# x";

fn component(name: &str, kind: Kind) -> ComponentFacts {
    ComponentFacts {
        name: name.to_owned(),
        kind,
        databases: vec!["postgres://synapse@db:5432/synapse".to_owned()],
        config: vec!["/etc/it's here/homeserver.yaml".to_owned()],
        files: vec!["/srv/media".to_owned()],
        secrets: Vec::new(),
        start: None,
        backup: Seen::Never,
        verify: Seen::NotKnown("nobody looked"),
        drill: Seen::Never,
    }
}

fn backup(id: &str, begun: i64, verified: &str) -> Listed {
    Listed {
        backup: id.to_owned(),
        begun_at: lifeboat_vault::layout::at(begun),
        begun,
        own_bytes: 1,
        borrowed_bytes: 0,
        verified: verified.to_owned(),
        verified_at: (verified != "never").then(|| lifeboat_vault::layout::at(begun + 60)),
        partial: false,
        pinned: false,
        forgotten: false,
    }
}

fn drill(ok: bool, seconds: i64) -> DrillRecord {
    let step = DrilledStep { step: "database/synapse/main".to_owned(), seconds };
    DrillRecord {
        drilled_at: "2026-11-22T06:00:00Z".to_owned(),
        ok,
        seconds,
        steps: vec![step],
        problems: if ok { Vec::new() } else { vec!["check: 2 differences".to_owned()] },
        ..DrillRecord::default()
    }
}

fn facts() -> Facts {
    let what = What::Database { component: EVIL.to_owned(), database: "main".to_owned() };
    Facts {
        server_name: "example.org".to_owned(),
        config: "/etc/lifeboat/lifeboat.yaml".to_owned(),
        vault: "/srv/vault".to_owned(),
        now: NOON,
        generator: "lifeboat 0".to_owned(),
        recipients: vec!["age1xyz".to_owned()],
        schedule: Vec::new(),
        components: vec![component("synapse", Kind::Synapse)],
        vault_problem: None,
        backups: Vec::new(),
        drills: Vec::new(),
        order: vec![Step { number: 1, name: what.name(), what }],
    }
}

#[test]
fn what_was_not_seen_is_not_known() {
    let page = markdown(&facts());
    for words in [
        "(RPO): not known, as no backup was verified",
        "(RTO): not known, as no drill passed",
        "not known: nobody looked",
        "| 1 | one that nobody can change | not known | object lock was not looked at |",
        "| 0 | no errors when read and restored | not known |",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
}

#[test]
fn recovery_point_is_that_of_the_newest_verified_backup_and_not_of_the_newest() {
    let mut facts = facts();
    facts.backups = vec![
        backup("aaaa", NOON - 90_000, "everything"),
        backup("bbbb", NOON - 7_200, "wrong"),
        backup("cccc", NOON - 3_600, "never"),
    ];
    let page = markdown(&facts);
    assert!(page.contains("written in the last 1 d 1 h, since"), "{page}");
    assert!(page.contains("ERRORS: backup bbbb was found wrong, and newer"), "{page}");
}

#[test]
fn last_drill_that_passed_gives_the_time_and_the_last_one_the_errors() {
    let mut facts = facts();
    facts.backups = vec![backup("aaaa", NOON - 60, "everything")];
    facts.drills = vec![drill(true, 3_900), drill(false, 7)];
    let page = markdown(&facts);
    assert!(page.contains("(RTO): 1 h 5 min in the drill of"), "{page}");
    assert!(page.contains("starting servers is not in it"), "{page}");
    assert!(page.contains("ERRORS: the last drill failed"), "{page}");
    assert!(page.contains("FAILED: check: 2 differences"), "{page}");
}

#[test]
fn what_others_wrote_is_no_markup_on_the_page() {
    let mut facts = facts();
    for text in [&mut facts.server_name, &mut facts.vault, &mut facts.config] {
        EVIL.clone_into(text);
    }
    facts.components[0].name = EVIL.to_owned();
    facts.components[0].start = Some(vec![EVIL.to_owned()]);
    facts.recipients = vec![EVIL.to_owned()];
    let page = html(&facts);
    assert!(!page.contains("<script") && !page.contains("</pre><s"), "{page}");
    assert!(page.contains("&lt;script&gt;") && !page.contains('\u{202e}'), "{page}");
    let page = markdown(&facts);
    assert!(page.contains(r"\<script\>") && !page.contains('\u{202e}'), "{page}");
    // Between fences, which a line of its own ends, nothing is markup.
    let outside = page.split("\n```").step_by(2).flat_map(str::lines);
    for line in outside {
        assert!(!line.replace(r"\<", "").contains('<') && line != "# x", "{line}");
    }
}

#[test]
fn words_of_a_command_are_quoted_for_a_shell() {
    let page = markdown(&facts());
    assert!(page.contains(r"--synapse '/etc/it'\''s here/homeserver.yaml'"), "{page}");
    assert!(page.contains("--room '!ROOM:SERVER'"), "{page}");
}

#[test]
fn picture_has_a_box_for_every_step() {
    let page = html(&facts());
    assert_eq!(page.matches("<rect ").count(), facts().order.len());
    assert!(page.contains("<svg ") && page.contains("</svg>"));
}
