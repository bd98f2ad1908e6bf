//! Tests of the configuration of a copy.

use serde_json::Value;

use super::*;
use crate::Document;

fn parsed(text: &str) -> SynapseConfig {
    let path = PathBuf::from("/etc/synapse/homeserver.yaml");
    SynapseConfig::parse(&[Document { path, text }], Path::new("/var/lib/synapse")).unwrap()
}

const REST: &str = "server_name: a.test\nmedia_store_path: media\n";
const BY_SOCKET: &str = "database: {name: psycopg2, args: {user: s, password: 'p\"w', dbname: m, \
                         host: /run/postgresql}}\n";

fn practise(config: &SynapseConfig, socket: Option<&Path>) -> Result<Value, PracticeError> {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("etc/synapse/a.test.signing.key");
    std::fs::create_dir_all(key.parent().unwrap()).unwrap();
    std::fs::write(&key, "ed25519 a b").unwrap();
    let practice = Practice {
        root: folder.path(),
        listener: Path::new("/scratch/s.sock"),
        suffix: "_drill",
        socket,
        around: &Surroundings::default(),
    };
    let made = config.for_practice(&practice)?;
    // What Synapse reads is YAML, and says the same.
    let yaml = crate::yaml::parse(&made.text, 0);
    assert!(yaml.is_ok(), "{}", *made.text);
    let text = made.text.replace(&folder.path().display().to_string(), "ROOT");
    Ok(serde_json::from_str(&text).unwrap())
}

#[test]
fn copy_reaches_nobody_and_shares_nothing_with_the_server_that_runs() {
    let loud = "federation_domain_whitelist: [other.test]\nstart_pushers: true\n\
        email: {smtp_host: mail}\nurl_preview_enabled: yes\nredis: {enabled: true}\n\
        worker_app: x\ninstance_map: {main: {host: a, port: 1}}\npid_file: /run/s.pid\n\
        log_config: /etc/synapse/log.yaml\napp_service_config_files: [/etc/a.yaml]\n\
        listeners: [{port: 8008}]\noidc_providers: [{idp_id: x}]\n\
        big: 1.0e+16\npepper: \"\\u2028x\"\n";
    let made = practise(&parsed(&format!("{REST}{BY_SOCKET}{loud}")), None).unwrap();
    assert_eq!(made["federation_domain_whitelist"], serde_json::json!([]));
    assert_eq!((&made["start_pushers"], &made["send_federation"]), (&false.into(), &false.into()));
    assert_eq!(made["url_preview_enabled"], false);
    for gone in ["email", "redis", "worker_app", "instance_map", "pid_file", "log_config"] {
        assert!(made[gone].is_null(), "{gone}: {made}");
    }
    assert!(made["app_service_config_files"].is_null() && made["oidc_providers"].is_null());
    assert_eq!(made["listeners"].as_array().unwrap().len(), 1);
    assert_eq!(made["listeners"][0]["path"], "/scratch/s.sock");
    assert_eq!(made["database"]["args"]["dbname"], "m_drill");
    assert_eq!(made["database"]["args"]["password"], "p\"w");
    assert_eq!(made["media_store_path"], "ROOT/var/lib/synapse/media");
    assert_eq!(made["signing_key_path"], "ROOT/etc/synapse/a.test.signing.key");
    assert_eq!(made["pepper"], "\u{2028}x");
    assert_eq!(made["server_name"], "a.test");
}

#[test]
fn database_that_the_network_alone_reaches_is_refused_unless_a_socket_is_given() {
    let split = "databases:\n  one: {name: psycopg2, data_stores: [main], allow_unsafe_locale: \
        true, args: {user: s, dbname: m, host: db, port: 5433}}\n  two: {name: psycopg2, \
        data_stores: [state], args: {user: s, dbname: t, host: db, sslmode: require}}\n";
    let config = parsed(&format!("{REST}{split}"));
    assert!(
        matches!(practise(&config, None), Err(PracticeError::Network { name }) if name == "m_drill")
    );
    let made = practise(&config, Some(Path::new("/run/pg"))).unwrap();
    let one = &made["databases"]["one"];
    assert_eq!((&one["args"]["host"], &one["args"]["port"]), (&"/run/pg".into(), &5433.into()));
    assert_eq!(
        (&one["data_stores"][0], &one["allow_unsafe_locale"]),
        (&"main".into(), &true.into())
    );
    assert_eq!(made["databases"]["two"]["args"]["dbname"], "t_drill");
    assert!(made["databases"]["two"]["args"]["sslmode"].is_null());
}
