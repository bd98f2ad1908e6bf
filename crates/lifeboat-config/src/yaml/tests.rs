//! Limits and places; what values mean is compared with `PyYAML`'s answers in `tests/it/config.rs`.

use std::fmt::Write;

use super::{Node, Yaml, YamlError, parse};

fn refusal(text: &str) -> YamlError {
    parse(text, 0).err().expect("must be refused")
}

fn map(node: &Node) -> Vec<(&str, &Node)> {
    match &node.value {
        Yaml::Map(map) => map.iter().map(|(key, node)| (key.as_str(), node)).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn values_know_where_they_stand() {
    let root = parse("a: 1\nb:\n  c: [x, y]\n", 3).expect("good YAML");
    let inner = map(&root)[1].1;
    let list = map(inner)[0].1;
    assert_eq!((list.mark.file, list.mark.line, list.mark.column), (3, 3, 6));
}

#[test]
fn errors_give_the_place_and_not_the_text() {
    let error = refusal("fine: 1\npepper: \"s3cret\n");
    assert_eq!(error.mark.line, 3);
    assert!(!error.detail.is_empty());
    for text in ["a: [s3cret", "a: s3cret: b", "a: *s3cret", "a: !s3cret b", "s3cret"] {
        assert!(!parse(text, 0).err().is_some_and(|error| error.to_string().contains("s3cret")));
    }
}

#[test]
fn anchors_that_explode_are_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let before = level - 1;
        let nine = vec![format!("*a{before}"); 9].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{nine}]").expect("a string takes it");
    }
    assert!(refusal(&bomb).detail.contains("200,000"));
    let big = "x".repeat(1 << 20);
    let copies = vec!["*big"; 100].join(", ");
    assert!(refusal(&format!("big: &big {big}\nlist: [{copies}]\n")).detail.contains("32 MiB"));
}

#[test]
fn deep_nesting_is_refused_also_through_aliases() {
    let deep = format!("a: {}{}\n", "[".repeat(70), "]".repeat(70));
    assert!(refusal(&deep).detail.contains("64"));
    let mut chain = "a0: &a0 [x]\n".to_owned();
    for level in 1..100 {
        writeln!(chain, "a{level}: &a{level} [*a{}]", level - 1).expect("a string takes it");
    }
    assert!(refusal(&chain).detail.contains("64"));
}

#[test]
fn files_that_pyyaml_would_not_take_are_refused() {
    assert!(refusal("a: 1\n---\nb: 2\n").detail.contains("second document"));
    assert!(refusal("a: &a [*a]\n").detail.contains("alias"));
    assert!(refusal("a: !!python/object:os.system x\n").detail.contains("tag"));
    assert!(refusal("? [a, b]\n: c\n").detail.contains("key"));
    assert!(refusal("a: {<<: 3}\n").detail.contains("<<"));
    assert!(refusal(&"#".repeat((4 << 20) + 1)).detail.contains("4 MiB"));
}

#[test]
fn empty_text_is_null() {
    for text in ["", "# remark\n", "---\n", "~\n"] {
        let root = parse(text, 0).expect("good YAML");
        assert!(matches!(root.value, Yaml::Null));
    }
}
