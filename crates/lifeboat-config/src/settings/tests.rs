//! What counts as a secret, what as a file, and how files are merged.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::units::{parse_duration, parse_size};
use crate::{ConfigError, Document, Shape, SynapseConfig};

fn parse(texts: &[&str]) -> Result<SynapseConfig, ConfigError> {
    let name = |number| PathBuf::from(format!("/etc/synapse/{number}.yaml"));
    let documents: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(number, text)| Document { path: name(number), text })
        .collect();
    SynapseConfig::parse(&documents, Path::new("/srv/hs"))
}

fn good(text: &str) -> SynapseConfig {
    parse(&["server_name: s.test\n", text]).expect("a good configuration")
}

fn secrets(config: &SynapseConfig) -> Vec<&str> {
    config.kept.secrets.iter().map(|secret| secret.setting.as_str()).collect()
}

#[test]
fn later_files_replace_top_level_keys_whole() {
    let config = parse(&["server_name: a\nemail: {x: 1, y: 2}\n", "email: {x: 3}\n", "- no\n"]);
    let config = config.expect("a good configuration");
    assert_eq!(config.kept.settings["email"], serde_json::json!({"x": 3}));
    assert_eq!(config.gaps.len(), 1);
    assert_eq!(config.gaps[0].object, "/etc/synapse/2.yaml");
}

#[test]
fn missing_or_wrong_settings_say_where() {
    let error = parse(&["report_stats: no\n"]).err().expect("must be refused");
    assert!(error.to_string().contains("server_name"), "{error}");
    let error = parse(&["server_name: a\n", "\n\nmedia_store_path: [s3cret]\n"]).err();
    let words = error.expect("must be refused").to_string();
    assert!(words.contains("/etc/synapse/1.yaml:3:19"), "{words}");
    assert!(words.contains("media_store_path") && !words.contains("s3cret"), "{words}");
    let error = parse(&["server_name: a\n", "a: [\n"]).err().expect("must be refused");
    assert!(error.to_string().starts_with("/etc/synapse/1.yaml:1:4"), "{error}");
}

#[test]
fn names_that_mean_a_secret_are_secret_and_flags_are_not() {
    let config = good(
        "experimental_features: {new_thing: {client_secret: x, api-key: y, bot.token: z}}\n\
         registration_requires_token: true\nenable_registration_token_3pid_bypass: 1\n\
         email: {subjects: {password_reset: t}}\nproxies: ['socks5://u:p@h', 'http://h/@:x']\n\
         password_config: {enabled: true, localdb_enabled: false}\nredis: {password: 12345}\n",
    );
    let expected = [
        "experimental_features.new_thing.api-key",
        "experimental_features.new_thing.\"bot.token\"",
        "experimental_features.new_thing.client_secret",
        "proxies[0]",
        "redis.password",
    ];
    assert_eq!(secrets(&config), expected);
    assert_eq!(config.kept.secret("redis.password").expect("set").expose(), "12345");
}

#[test]
fn everything_in_a_modules_configuration_is_secret() {
    let config = good("modules: [{module: m, config: {a: [x, {b: 3}], c: true, d_path: /p}}]\n");
    let expected =
        ["modules[0].config.a[0]", "modules[0].config.a[1].b", "modules[0].config.d_path"];
    assert_eq!(secrets(&config), expected);
    assert_eq!(config.kept.settings["modules"][0]["module"], "m");
    assert_eq!(config.gaps.len(), 1);
    assert_eq!(config.gaps[0].kind, "config-not-followed");
}

#[test]
fn files_are_found_by_table_and_by_name() {
    let config = good(
        "log_config: ../log.yaml\nmedia_store_path: m\npid_file: p\nnew_thing: {some_path: x}\n\
         templates: {custom_template_directory: /t}\nlisteners: [{path: /run/s}]\n\
         signing_key: ed25519 a b\napp_service_config_files: [a.yaml, b.yaml]\n",
    );
    let found: Vec<_> = config
        .named
        .iter()
        .map(|file| (file.setting.as_str(), file.path.to_str(), file.shape, file.secret))
        .collect();
    let expected = [
        ("app_service_config_files[0]", Some("/srv/hs/a.yaml"), Shape::File, true),
        ("app_service_config_files[1]", Some("/srv/hs/b.yaml"), Shape::File, true),
        ("log_config", Some("/srv/log.yaml"), Shape::File, false),
        ("new_thing.some_path", Some("/srv/hs/x"), Shape::File, true),
        ("templates.custom_template_directory", Some("/t"), Shape::Folder, false),
    ];
    assert_eq!(found, expected);
    assert_eq!(secrets(&config), ["signing_key"]);
}

#[test]
fn signing_key_without_a_setting_lies_beside_the_last_file() {
    let config = good("report_stats: no\n");
    assert_eq!(config.named.len(), 1);
    assert_eq!(config.named[0].path, Path::new("/etc/synapse/s.test.signing.key"));
    assert_eq!(config.media.store_path, Path::new("/srv/hs/media_store"));
}

#[test]
fn sizes_and_durations_are_those_of_synapse() {
    assert_eq!(parse_size("50M"), Some(50 << 20));
    assert_eq!(parse_size("1_0K"), Some(10 << 10));
    assert_eq!(parse_size(" 7 "), Some(7));
    assert_eq!(parse_duration("28d"), Some(Duration::from_hours(28 * 24)));
    assert_eq!(parse_duration("1500"), Some(Duration::from_millis(1_500)));
    for bad in ["", "M", "x", "5X", "1__0", "99999999999999999999", "18446744073709551615T", "ä"] {
        assert_eq!((parse_size(bad), parse_duration(bad)), (None, None), "{bad}");
    }
}
