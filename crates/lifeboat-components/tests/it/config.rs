//! Configurations of several shapes on a real disk: read, packed, unpacked, compared, placed.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use lifeboat_components::synapse::config::compare::{Severity, compare_for_restore};
use lifeboat_components::synapse::config::database::{DataStore, DatabaseError, DatabaseSettings};
use lifeboat_components::synapse::config::kept::KeptConfig;
use lifeboat_components::synapse::config::place::{
    PlaceAction, PlaceError, place_config_files, plan_config_files,
};
use lifeboat_components::synapse::config::records::{ConfigRecordError, from_records, to_records};
use lifeboat_components::synapse::config::target::{HostPlace, Surroundings, TlsMode};
use lifeboat_components::synapse::config::yaml::{Node, Yaml, parse};
use lifeboat_components::synapse::config::{ReadOptions, Secret, SynapseConfig, read};
use serde_json::Value;
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/synapse/config").join(name)
}

fn options(folder: &Path) -> ReadOptions {
    ReadOptions::of(folder)
}

/// Reads `homeserver.yaml` of a folder that is also the working directory.
fn read_in(folder: &Path) -> SynapseConfig {
    read(&[PathBuf::from("homeserver.yaml")], &options(folder)).expect("can be read")
}

fn databases(name: &str) -> Result<DatabaseSettings, DatabaseError> {
    let folder = fixture(name);
    read_in(&folder).databases(&Surroundings::default())
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a new folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            fs::copy(&from, &to).expect("a copy");
        }
    }
}

fn full_copy() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    copy_folder(&fixture("full"), folder.path());
    folder
}

fn json(node: &Node) -> Value {
    match &node.value {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => Value::from(*flag),
        Yaml::Int(number) => match i64::try_from(*number) {
            Ok(number) => Value::from(number),
            Err(_) => Value::from(number.to_string()),
        },
        Yaml::Float(number) => Value::from(*number),
        Yaml::Text(text) => Value::from(text.as_str()),
        Yaml::List(list) => list.iter().map(json).collect(),
        Yaml::Map(map) => {
            Value::Object(map.iter().map(|(key, node)| (key.clone(), json(node))).collect())
        }
    }
}

#[test]
fn values_mean_what_pyyaml_makes_of_them() {
    let text = fs::read_to_string(fixture("yaml11.yaml")).expect("the fixture");
    let expected = fs::read_to_string(fixture("yaml11.json")).expect("the fixture");
    let expected: Value = serde_json::from_str(&expected).expect("JSON");
    let found = json(&parse(&text, 0).expect("good YAML"));
    for (key, value) in expected.as_object().expect("an object") {
        assert_eq!(&found[key], value, "{key}");
    }
    assert_eq!(found, expected);
}

#[test]
fn plain_database_is_read() {
    let settings = databases("minimal").expect("a database");
    assert!(!settings.is_split());
    let target = &settings.holding(DataStore::State).target;
    assert_eq!((target.user.as_str(), target.dbname.as_str()), ("synapse", "synapse"));
    assert_eq!(target.password.as_ref().map(Secret::expose), Some("pw-minimal"));
    assert_eq!(target.tls.mode, TlsMode::Prefer);
    let place = HostPlace::Tcp { name: "db.minimal.test".to_owned(), address: None };
    assert_eq!((&target.hosts[0].place, target.hosts[0].port), (&place, 5432));
}

#[test]
fn split_databases_are_told_apart() {
    let settings = databases("split").expect("two databases");
    assert!(settings.is_split());
    let main = &settings.holding(DataStore::Main).target;
    let state = &settings.holding(DataStore::State).target;
    assert_eq!((main.dbname.as_str(), state.dbname.as_str()), ("synapse_main", "synapse_state"));
    assert_eq!(main.hosts.iter().map(|host| host.port).collect::<Vec<_>>(), [5432, 5434]);
    assert_eq!(main.ignored, Vec::<String>::new());
    assert_eq!(state.tls.mode, TlsMode::VerifyFull);
    assert_eq!(state.tls.root, Some(fixture("split").join("root.crt")));
}

#[test]
fn socket_and_dsn_forms_are_read() {
    let socket = databases("socket").expect("a database");
    let socket = &socket.holding(DataStore::Main).target;
    assert_eq!(socket.hosts[0].place, HostPlace::Socket(PathBuf::from("/run/postgresql")));
    assert!(socket.password.is_none() && socket.ignored.is_empty());
    let dsn = databases("dsn").expect("a database");
    let dsn = &dsn.holding(DataStore::Main).target;
    assert_eq!((dsn.user.as_str(), dsn.dbname.as_str()), ("synapse", "synapse"));
    assert_eq!(dsn.password.as_ref().map(Secret::expose), Some("with space and ' quote"));
    assert_eq!((dsn.hosts[0].port, dsn.tls.mode), (5435, TlsMode::Disable));
}

#[test]
fn sqlite_is_refused_with_the_way_out() {
    let error = databases("sqlite").err().expect("must be refused");
    assert!(matches!(error, DatabaseError::Sqlite));
    assert!(error.to_string().contains("synapse_port_db"));
}

#[test]
fn folder_of_files_is_merged_in_order_of_names() {
    let folder = fixture("conf.d");
    let config = read(std::slice::from_ref(&folder), &options(&folder)).expect("readable");
    assert_eq!(config.server_name, "folder.test");
    assert_eq!(config.sources.len(), 3);
    assert_eq!(config.config_dir, folder);
    assert_eq!(config.media.store_path, Path::new("/srv/media"));
    let kinds: Vec<_> = config.gaps.iter().map(|gap| gap.kind.as_str()).collect();
    assert_eq!(kinds, ["config-ignored", "config-unreadable"]);
    let settings = config.databases(&Surroundings::default()).expect("a database");
    assert_eq!(settings.databases[0].target.dbname, "folder_db");
    assert!(settings.databases[0].target.password.is_none());
}

#[test]
fn anchors_and_merge_keys_reach_the_settings() {
    let settings = databases("anchors").expect("a database");
    let target = &settings.holding(DataStore::Main).target;
    assert_eq!(target.password.as_ref().map(Secret::expose), Some("pw-anchors"));
    assert_eq!(target.hosts[0].port, 5436);
    let kept = read_in(&fixture("anchors")).kept;
    let limits = &kept.settings["rc_login"];
    assert_eq!(limits["account"]["burst_count"], 3);
    assert_eq!(limits["failed_attempts"]["burst_count"], 1);
    assert_eq!(limits["address"]["per_second"], 1_000);
    let shared = kept.secret("registration_shared_secret").expect("set");
    assert_eq!(shared.expose(), "pw-anchors");
}

#[test]
fn every_secret_of_a_full_configuration_leaves_the_settings() {
    let config = read_in(&fixture("full"));
    let open = serde_json::to_string(&config.kept.settings).expect("JSON");
    let words = ["s-", "s3-id", "s3-secret", "open-proxy", "83"];
    assert!(words.iter().all(|word| !open.contains(word)), "{open}");
    assert_eq!(config.kept.secrets.len(), 22, "{open}");
    let secret = |name: &str| config.kept.secret(name).map(|secret| secret.expose().to_owned());
    assert_eq!(secret("password_config.pepper").as_deref(), Some("s-pepper"));
    assert_eq!(secret("macaroon_secret_key").as_deref(), Some("s-macaroon"));
    assert_eq!(secret("database.args.password").as_deref(), Some("83"));
    assert_eq!(config.kept.settings["recaptcha_public_key"], "public-recaptcha");
    assert_eq!(
        config.kept.settings["email"]["subjects"]["password_reset"],
        "[full] password reset"
    );
}

#[test]
fn files_of_a_full_configuration_are_followed() {
    let config = read_in(&fixture("full"));
    let found: Vec<_> =
        config.kept.files.iter().map(|file| (file.setting.as_str(), file.secret)).collect();
    let expected = [
        ("config[0]", true),
        ("app_service_config_files[0]", true),
        ("database.args.sslrootcert", false),
        ("email.template_dir/en/1.0.html", false),
        ("email.template_dir/notif.html", false),
        ("log_config", false),
        ("macaroon_secret_key_path", true),
        ("signing_key_path", true),
    ];
    assert_eq!(found, expected);
    let gaps: Vec<_> = config.gaps.iter().map(|gap| (gap.kind.as_str(), &gap.object)).collect();
    let missing = fixture("full").join("keys/missing").display().to_string();
    let expected = [
        ("config-not-followed", &"modules[0].config.key_path".to_owned()),
        ("config-unreadable", &"/does/not/exist.yaml".to_owned()),
        ("config-unreadable", &missing),
    ];
    assert_eq!(gaps, expected);
}

#[test]
fn media_and_keys_of_a_full_configuration_are_read() {
    let config = read_in(&fixture("full"));
    let media = &config.media;
    assert_eq!(media.store_path, fixture("full").join("media"));
    assert!(!media.repo_enabled && media.url_preview && media.dynamic_thumbnails);
    assert_eq!(media.providers[0].module, "s3_storage_provider.S3StorageProviderBackend");
    let bucket = media.providers[0].bucket.as_ref().expect("a bucket");
    assert_eq!((bucket.bucket.as_str(), bucket.prefix.as_str()), ("my-bucket", ""));
    assert_eq!((&bucket.endpoint_url, bucket.has_own_key), (&None, false));
    let keys = config.bucket_keys(0).expect("a list").expect("keys");
    assert_eq!((keys.id.expose(), keys.secret.expose()), ("s3-id", "s3-secret"));
    assert!(keys.session.is_none() && config.bucket_keys(1).expect("a list").is_none());
    assert_eq!(media.providers[1].directory, Some(fixture("full").join("second-store")));
    assert_eq!(media.providers[1].bucket, None);
    let keys = config.signing_keys().expect("a key");
    assert_eq!(keys[0].key_id(), "ed25519:a_full");
    let old = config.old_signing_keys().expect("an old key");
    assert_eq!((old[0].key_id.as_str(), old[0].expired_ts), ("ed25519:old", 1_576_767_829_750));
}

#[test]
fn odd_files_become_gaps_and_links_are_followed() {
    let folder = full_copy();
    let at = |name: &str| folder.path().join(name);
    fs::remove_file(at("log.yaml")).expect("removed");
    fs::create_dir(at("log.yaml")).expect("a folder in its place");
    fs::write(at("appservice.yaml"), vec![b'x'; (4 << 20) + 1]).expect("a large file");
    fs::rename(at("keys/full.signing.key"), at("keys/real")).expect("renamed");
    symlink("real", at("keys/full.signing.key")).expect("a link");
    let config = read_in(folder.path());
    assert!(config.signing_keys().is_ok());
    let details: Vec<_> = config.gaps.iter().map(|gap| gap.detail.as_str()).collect();
    assert!(details.iter().any(|detail| detail.contains("not a regular file")), "{details:?}");
    assert!(details.iter().any(|detail| detail.contains("larger than 4 MiB")), "{details:?}");
}

#[test]
fn records_bring_the_whole_configuration_back() {
    let kept = read_in(&fixture("full")).kept;
    let records = to_records(&kept);
    let names: Vec<_> = records.iter().map(|batch| batch.name.as_str()).collect();
    assert_eq!(names, ["secret_files", "files", "settings", "secrets"]);
    let open: Vec<_> = records.iter().filter(|batch| !batch.name.starts_with("secret")).collect();
    for batch in open {
        let text = String::from_utf8_lossy(&batch.lines);
        assert!(!text.contains("s-pepper") && !text.contains("made-up"), "{}", batch.name);
    }
    let back = from_records(&records).expect("good records");
    assert!(back.settings == kept.settings && back.secrets == kept.secrets);
    assert_eq!(back.files.len(), kept.files.len());
    assert!(kept.files.iter().all(|file| back.files.contains(file)));
}

#[test]
fn damaged_records_are_refused() {
    let kept = read_in(&fixture("full")).kept;
    let refused = |from: &str, to: &str| {
        let mut records = to_records(&kept);
        for batch in &mut records {
            batch.lines = String::from_utf8_lossy(&batch.lines).replace(from, to).into_bytes();
        }
        from_records(&records).err()
    };
    assert!(refused("x", "x").is_none());
    let changed = refused("dmVyc2lvbjog", "dmVyc2lvbjoh");
    assert!(matches!(changed, Some(ConfigRecordError::Changed { .. })));
    let malformed =
        |from, to| matches!(refused(from, to), Some(ConfigRecordError::Malformed { .. }));
    assert!(malformed("\"secret\":true", "\"secret\":false"));
    assert!(malformed("\"path\":\"/", "\"path\":\""));
    assert!(malformed("\"key\":", "\"kex\":"));
}

#[test]
fn same_configuration_has_no_findings() {
    let config = read_in(&fixture("full"));
    assert_eq!(compare_for_restore(&config.kept, &config), []);
}

fn findings(change: impl Fn(&Path)) -> Vec<(Severity, String)> {
    let folder = full_copy();
    change(folder.path());
    let target = read_in(folder.path());
    let found = compare_for_restore(&read_in(&fixture("full")).kept, &target);
    found.into_iter().map(|finding| (finding.severity, finding.setting)).collect()
}

fn edit(folder: &Path, from: &str, to: &str) {
    let path = folder.join("homeserver.yaml");
    let text = fs::read_to_string(&path).expect("the file");
    assert!(text.contains(from));
    fs::write(path, text.replace(from, to)).expect("written");
}

#[test]
fn differences_that_break_a_server_are_refused() {
    let refuse = |setting: &str| [(Severity::Refuse, setting.to_owned())];
    let name = findings(|folder| edit(folder, "\"full.test\"", "other.test"));
    assert_eq!(name, refuse("server_name"));
    let pepper = findings(|folder| edit(folder, "pepper: s-pepper", "pepper: s-other"));
    assert_eq!(pepper, refuse("password_config.pepper"));
    let none = findings(|folder| edit(folder, "pepper: s-pepper", "policy: {}"));
    assert_eq!(none, refuse("password_config.pepper"));
    let key = "ed25519 a_full AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
    let other = findings(|folder| {
        fs::write(folder.join("keys/full.signing.key"), key).expect("written");
    });
    assert_eq!(other, refuse("signing_key_path"));
}

#[test]
fn differences_that_someone_notices_are_warned_about() {
    let warned = findings(|folder| {
        edit(folder, "form_secret: s-form", "form_secret: s-else");
        fs::write(folder.join("keys/macaroon"), "else").expect("written");
    });
    let settings: Vec<_> = warned.iter().map(|(_, setting)| setting.as_str()).collect();
    assert_eq!(settings, ["macaroon_secret_key", "form_secret"]);
    assert!(warned.iter().all(|(severity, _)| *severity == Severity::Warn));
}

#[test]
fn key_that_will_be_placed_is_no_finding_and_one_that_is_nowhere_is() {
    let gone = |folder: &Path| {
        fs::remove_file(folder.join("keys/full.signing.key")).expect("removed");
        fs::remove_file(folder.join("keys/macaroon")).expect("removed");
    };
    assert_eq!(findings(gone), []);
    let folder = full_copy();
    gone(folder.path());
    let target = read_in(folder.path());
    let mut packaged = read_in(&fixture("full")).kept;
    packaged.files.retain(|file| file.setting != "signing_key_path");
    let found = compare_for_restore(&packaged, &target);
    assert_eq!(found[0].severity, Severity::Refuse);
    assert_eq!(found[0].setting, "signing_key_path");
}

#[test]
fn key_that_is_there_and_cannot_be_read_is_refused() {
    let unreadable = findings(|folder| {
        fs::remove_file(folder.join("keys/full.signing.key")).expect("removed");
        fs::create_dir(folder.join("keys/full.signing.key")).expect("made");
    });
    assert_eq!(unreadable, [(Severity::Refuse, "signing_key_path".to_owned())]);
}

fn actions(packaged: &KeptConfig, target: &SynapseConfig) -> Vec<(String, PlaceAction)> {
    let plan = plan_config_files(packaged, target).into_iter();
    plan.map(|placement| (placement.setting, placement.action)).collect()
}

#[test]
fn missing_files_are_written_with_their_mode_and_others_left_alone() {
    let source = full_copy();
    let key = source.path().join("keys/full.signing.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).expect("mode set");
    let packaged = read_in(source.path()).kept;
    let folder = full_copy();
    let at = |name: &str| folder.path().join(name);
    fs::remove_dir_all(at("keys")).expect("removed");
    fs::remove_file(at("templates/en/1.0.html")).expect("removed");
    fs::write(at("log.yaml"), "version: 1\nroot: {}\n").expect("written");
    let target = read_in(folder.path());
    let plan = plan_config_files(&packaged, &target);
    assert_eq!(place_config_files(&plan, &packaged).ok(), Some(Vec::new()));
    let placed = fs::metadata(at("keys/full.signing.key")).expect("written");
    assert_eq!(placed.mode() & 0o7777, 0o640);
    assert_eq!(fs::read(at("log.yaml")).expect("there"), b"version: 1\nroot: {}\n");
    let keys: Vec<_> = fs::read_dir(at("keys")).expect("a folder").collect();
    assert_eq!(keys.len(), 2, "no draft is left");
    let again = actions(&packaged, &read_in(folder.path()));
    let left = again.iter().filter(|(_, action)| *action != PlaceAction::Equal);
    let left: Vec<_> = left.map(|(setting, _)| setting.as_str()).collect();
    assert_eq!(left, ["config[0]", "log_config"]);
    assert!(again.contains(&("log_config".to_owned(), PlaceAction::Differs)));
}

#[test]
fn file_that_appears_after_the_plan_is_not_overwritten() {
    let packaged = read_in(&fixture("full")).kept;
    let folder = full_copy();
    let log = folder.path().join("log.yaml");
    fs::remove_file(&log).expect("removed");
    let plan = plan_config_files(&packaged, &read_in(folder.path()));
    fs::write(&log, "mine").expect("written");
    let error = place_config_files(&plan, &packaged).err();
    assert!(matches!(error, Some(PlaceError::Appeared { .. })));
    assert_eq!(fs::read(&log).expect("there"), b"mine");
    assert!(!folder.path().join(".log.yaml.lifeboat-draft").exists());
}

#[test]
fn files_find_their_place_by_setting_and_name_or_not_at_all() {
    let mut packaged = read_in(&fixture("full")).kept;
    let folder = full_copy();
    edit(
        folder.path(),
        "[appservice.yaml, /does/not/exist.yaml]",
        "[other.yaml, b/appservice.yaml]",
    );
    edit(folder.path(), "log_config: log.yaml", "# no log");
    let mut outside = packaged.files[3].clone();
    assert_eq!(outside.setting, "email.template_dir/en/1.0.html");
    outside.setting = "email.template_dir/../../etc/passwd".to_owned();
    packaged.files.push(outside);
    let target = read_in(folder.path());
    let plan = plan_config_files(&packaged, &target);
    let place = |setting: &str| {
        let found = plan.iter().find(|placement| placement.setting == setting);
        found.and_then(|placement| placement.target.clone())
    };
    let appservice = place("app_service_config_files[0]");
    assert_eq!(appservice, Some(folder.path().join("b/appservice.yaml")));
    assert_eq!(place("log_config"), None);
    assert_eq!(place("config[0]"), None);
    assert_eq!(place("email.template_dir/../../etc/passwd"), None);
}

#[test]
fn password_file_is_used_only_when_nobody_else_can_read_it() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join(".pgpass");
    fs::write(&path, "/run/postgresql:5433:synapse:synapse:from-file\n").expect("written");
    let around = Surroundings { home: Some(home.path().to_owned()), ..Surroundings::default() };
    let mut target = databases("socket").expect("a database").databases[0].target.clone();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("mode set");
    assert!(target.find_password(&around).is_some_and(|words| words.contains("chmod 600")));
    assert!(target.password.is_none());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("mode set");
    assert_eq!(target.find_password(&around), None);
    assert_eq!(target.password.as_ref().map(Secret::expose), Some("from-file"));
    // PGPASSFILE stands for it.
    let named = home.path().join("named");
    fs::write(&named, "*:*:*:*:from-named\n").expect("written");
    fs::set_permissions(&named, fs::Permissions::from_mode(0o600)).expect("mode set");
    target.password = None;
    assert_eq!(target.find_password(&Surroundings { passfile: Some(named), ..around }), None);
    assert_eq!(target.password.as_ref().map(Secret::expose), Some("from-named"));
}
