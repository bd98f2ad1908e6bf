//! Everything of an installation is lost and put back: Synapse and MAS of one cut, and real
//! servers beside them, an identity server, a bridge and a bot. Each starts again on what was put
//! back, and goes on where it was.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lifeboat_testing::http::Request;
use lifeboat_testing::world::say_on_stderr;
use lifeboat_testing::{Neighbour, Part, Tools, World, wait};
use serde_json::{Value, json};

use crate::harbour::Suite;
use crate::introspection::{Introspection, SECRET};
use crate::whole::{equip, introduce, rows, step};

const PATIENCE: Duration = Duration::from_secs(30);
const ROBOT: &str = "@robot:lifeboat.test";
const SAID: &str = "only the volume of the robot opens this";
const PORTAL: &str = "!portal:lifeboat.test";

/// An installation with everything it has.
struct Town {
    world: World,
    suite: Suite,
    /// All but Synapse's.
    databases: Vec<String>,
    state: Value,
    identity: Neighbour,
    bridge: Neighbour,
    robot: Neighbour,
    /// Dropped after the homeserver that asks it.
    _mas: Introspection,
    /// The token and the room of the robot.
    spoken: (String, String),
    /// Where the bridge is told what to do.
    orders: String,
}

fn ask(port: u16, method: &str, path: &str, (token, body): (&str, Option<Value>)) -> Value {
    let text = body.map(|body| body.to_string());
    let token = Some(token).filter(|token| !token.is_empty());
    let answer = Request { port, method, path, token, json: text.as_deref() }.send().unwrap();
    assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

fn get(port: u16, path: &str, token: &str) -> Value {
    ask(port, "GET", path, (token, None))
}

/// The bodies of a room's messages, newest first, with who sent them.
fn messages(port: u16, room: &str, token: &str) -> Vec<(String, String)> {
    let path = format!("/_matrix/client/v3/rooms/{room}/messages?dir=b&limit=50");
    let chunk = get(port, &path, token)["chunk"].clone();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let messages = chunk.as_array().unwrap().iter();
    messages.map(|event| (text(&event["sender"]), text(&event["content"]["body"]))).collect()
}

impl Town {
    /// Makes the installation, and lives in it for a while.
    fn found(name: &str) -> Self {
        Tools::ready(&[Part::Neighbours], &say_on_stderr).unwrap();
        let mut world = World::small().unwrap();
        let suite = Suite::around(&world, name);
        let mut databases = equip(&world, &suite);
        databases.push(suite.accounts.clone());
        databases.push("telegram".to_owned());
        let state = fs::read(world.state()).unwrap();
        let state: Value = serde_json::from_slice(&state).unwrap();
        let role = world.server.role();
        world.cluster.create_database("telegram", role).unwrap();
        let url = world.cluster.url("telegram", role);
        let folder = |name: &str| suite.folder.join(name);
        let (tools, server) = (world.tools(), &world.server);
        let name = server.server_name();
        let mut identity = Neighbour::sydent(tools, &folder("identity"), name).unwrap();
        let mut robot = Neighbour::pantalaimon(tools, &folder("robot"), server).unwrap();
        identity.launch().unwrap();
        robot.launch().unwrap();
        let of_bridge = (server, url.as_str());
        let mut bridge = Neighbour::telegram(tools, &folder("telegram"), of_bridge).unwrap();
        identity.wait_ready().unwrap();
        robot.wait_ready().unwrap();
        let spoken = speak(&world, (&robot, &state));
        introduce(&world);
        sign_in(&world);
        let mas = Introspection::start(&world.cluster, "mas", world.server.role());
        delegate(&mut world, &bridge, &mas.endpoint());
        bridge.launch().unwrap();
        bridge.wait_ready().unwrap();
        let portal = format!(
            "INSERT INTO portal (tgid, tg_receiver, peer_type, mxid, title, config)
             VALUES (77, 77, 'chat', '{PORTAL}', 'Harbour watch', '{{}}')"
        );
        world.cluster.psql("telegram", &portal).unwrap();
        let orders = order(&world, token_of(&state, 0));
        name_all(&suite);
        bind(&identity, "alice@harbour.test");
        Self { world, suite, databases, state, identity, bridge, robot, _mas: mas, spoken, orders }
    }

    /// What each server says of what it keeps.
    fn seen(&self) -> Value {
        let (hs, identity) = (self.world.server.port(), self.identity.port());
        let (token, room) = &self.spoken;
        let heard = messages(self.robot.port(), room, token);
        assert!(heard.contains(&(ROBOT.to_owned(), SAID.to_owned())), "{heard:?}");
        let sealed = messages(hs, room, token);
        assert!(!sealed.iter().any(|(_, body)| body == SAID), "it is encrypted: {sealed:?}");
        let find = "/_matrix/identity/api/v1/lookup?medium=email&address=alice@harbour.test";
        let config = fs::read_to_string(self.bridge.directory().join("config.yaml")).unwrap();
        let mut lines = config.lines().map(str::trim);
        let secret = lines.find_map(|line| line.strip_prefix("shared_secret: ")).unwrap();
        json!({
            "key of Sydent": get(identity, "/_matrix/identity/api/v1/pubkey/ed25519:0", ""),
            "address": get(identity, find, ""),
            "portal": get(self.bridge.port(), &format!("/provision/v1/portal/{PORTAL}"), secret),
            "alice": get(hs, "/_matrix/client/v3/account/whoami", token_of(&self.state, 0)),
            "robot": get(self.robot.port(), "/_matrix/client/v3/account/whoami", token),
        })
    }

    /// The rows of databases that no server writes to meanwhile.
    fn still(&self) -> BTreeMap<&str, BTreeMap<String, String>> {
        let names = self.databases.iter().map(String::as_str);
        let quiet = names.filter(|name| *name != "mas" && *name != "telegram");
        quiet.map(|name| (name, rows(&self.world, name))).collect()
    }

    /// Backs up while MAS and the identity server are written to.
    fn back_up_under_load(&self) -> Value {
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut number = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let job = "INSERT INTO queue_jobs (queue_job_id, status, queue_name)
                         SELECT gen_random_uuid(), 'completed', 'load' FROM generate_series(1, 20)";
                    self.world.cluster.psql("mas", job).unwrap();
                    bind(&self.identity, &format!("load{number}@harbour.test"));
                    number += 1;
                }
            });
            let backup = self.suite.back_up();
            is_over.store(true, Ordering::Relaxed);
            backup
        })
    }

    /// Takes everything away that the backup is of.
    fn destroy(&mut self) {
        for server in [&mut self.identity, &mut self.bridge, &mut self.robot] {
            server.kill();
            fs::remove_dir_all(server.directory()).unwrap();
        }
        self.world.server.kill();
        self.world.cluster.drop_database(self.world.server.database()).unwrap();
        for name in &self.databases {
            self.world.cluster.drop_database(name).unwrap();
        }
        fs::remove_dir_all(self.world.server.directory()).unwrap();
        // All but the vault, and what opens it.
        for entry in fs::read_dir(&self.suite.folder).unwrap() {
            let path = entry.unwrap().path();
            match path.file_name().and_then(|name| name.to_str()) {
                Some("vault" | "identity.txt") => {}
                _ if path.is_dir() => fs::remove_dir_all(path).unwrap(),
                _ => fs::remove_file(path).unwrap(),
            }
        }
    }

    /// Starts every server on what is there.
    fn start(&mut self) {
        self.world.server.start().unwrap();
        let servers = [&mut self.identity, &mut self.bridge, &mut self.robot];
        for server in servers {
            server.launch().unwrap();
        }
        for server in [&mut self.identity, &mut self.bridge, &mut self.robot] {
            server.wait_ready().unwrap();
        }
    }
}

fn token_of(state: &Value, person: usize) -> &str {
    state["people"][person]["access_token"].as_str().unwrap()
}

/// A robot signs in through its own server, and says something in an encrypted room; and an
/// address is bound at the identity server. Gives the robot's token and room.
fn speak(world: &World, (robot, state): (&Neighbour, &Value)) -> (String, String) {
    let admin = token_of(state, 0);
    let password = "robot-password";
    let path = format!("/_synapse/admin/v2/users/{ROBOT}");
    let body = json!({"password": password});
    let request = Request {
        port: world.server.port(),
        method: "PUT",
        path: &path,
        token: Some(admin),
        json: Some(&body.to_string()),
    };
    assert_eq!(request.send().unwrap().status, 201);
    let login = json!({"type": "m.login.password", "user": "robot", "password": password,
        "identifier": {"type": "m.id.user", "user": "robot"}});
    let port = robot.port();
    let login = ask(port, "POST", "/_matrix/client/v3/login", ("", Some(login)));
    let token = login["access_token"].as_str().unwrap().to_owned();
    let encrypted = json!({"type": "m.room.encryption", "state_key": "",
        "content": {"algorithm": "m.megolm.v1.aes-sha2"}});
    let room = json!({"preset": "private_chat", "initial_state": [encrypted]});
    let room = ask(port, "POST", "/_matrix/client/v3/createRoom", (&token, Some(room)));
    let room = room["room_id"].as_str().unwrap().to_owned();
    let say = |transaction: usize, body: &str| {
        let path = &format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/{transaction}");
        let words = json!({"msgtype": "m.text", "body": body}).to_string();
        let (token, json) = (Some(token.as_str()), Some(words.as_str()));
        Request { port, method: "PUT", path, token, json }.send().unwrap().status
    };
    // A room that its own sync has not shown it yet is spoken in openly, or not at all.
    let mut transaction = 0;
    let is_sealing = wait::until(PATIENCE, || {
        transaction += 1;
        if say(transaction, "can you hear me") != 200 {
            return Ok(false);
        }
        let newest = messages(world.server.port(), &room, &token);
        Ok(newest.first().is_some_and(|(_, body)| body.is_empty()))
    });
    assert!(is_sealing.unwrap());
    assert_eq!(say(transaction + 1, SAID), 200);
    (token, room)
}

/// MAS has the sessions of all devices that Synapse gave tokens to; and the tokens.
fn sign_in(world: &World) {
    let tokens = "SELECT split_part(substr(t.user_id, 2), ':', 1), t.device_id, t.token,
               CASE u.admin WHEN 1 THEN ',urn:synapse:admin:*' ELSE '' END
        FROM access_tokens t JOIN users u ON u.name = t.user_id
        WHERE u.is_guest = 0 AND u.appservice_id IS NULL AND u.deactivated = 0
          AND t.device_id IS NOT NULL";
    let tokens = world.cluster.psql(world.server.database(), tokens).unwrap();
    let mut sql = format!(
        "SET ROLE \"{}\"; INSERT INTO oauth2_clients (oauth2_client_id, redirect_uris, is_static)
         VALUES ('00000000-0000-0000-0000-0000000000c1', '{{}}', true);",
        world.server.role().name
    );
    for line in tokens.lines().filter(|line| !line.is_empty()) {
        let fields: Vec<&str> = line.split('|').collect();
        let [user, device, token, more] = fields[..] else { panic!("{line}") };
        write!(
            sql,
            "DELETE FROM compat_sessions s USING users u
             WHERE u.user_id = s.user_id AND u.username = '{user}' AND s.device_id = '{device}';
             WITH session AS (
                 INSERT INTO oauth2_sessions (oauth2_session_id, oauth2_client_id, user_id,
                                              scope_list)
                 SELECT gen_random_uuid(), '00000000-0000-0000-0000-0000000000c1', user_id,
                        '{{urn:matrix:client:api:*,urn:matrix:client:device:{device}{more}}}'
                 FROM users WHERE username = '{user}' RETURNING oauth2_session_id)
             INSERT INTO oauth2_access_tokens (oauth2_access_token_id, oauth2_session_id,
                                               access_token)
             SELECT gen_random_uuid(), oauth2_session_id, '{token}' FROM session;"
        )
        .unwrap();
    }
    world.cluster.psql("mas", &sql).unwrap();
}

/// Synapse asks MAS who somebody is from now on, and knows the bridge.
fn delegate(world: &mut World, bridge: &Neighbour, endpoint: &str) {
    let home = world.server.directory().to_owned();
    let importer = home.join("appservices/importer.yaml");
    let registration = fs::read_to_string(&importer).unwrap();
    // The users of the bridge are the bridge's.
    fs::write(&importer, registration.replace("exclusive: true", "exclusive: false")).unwrap();
    let text = format!(
        "password_config: {{enabled: false, pepper: test-password-pepper}}\n\
         login_via_existing_session: {{enabled: false}}\n\
         matrix_authentication_service:\n  enabled: true\n  endpoint: '{endpoint}'\n  \
         secret: {SECRET}\n\
         app_service_config_files: ['{}', '{}/registration.yaml']\n",
        importer.display(),
        bridge.directory().display(),
    );
    fs::write(home.join("conf.d/99-suite.yaml"), text).unwrap();
    world.server.stop();
    world.server.start().unwrap();
}

/// A room in which somebody gives the bridge orders; it has answered there.
fn order(world: &World, token: &str) -> String {
    let bot = "@telegrambot:lifeboat.test";
    let room = json!({"preset": "private_chat", "invite": [bot], "is_direct": true});
    let path = "/_matrix/client/v3/createRoom";
    let room = ask(world.server.port(), "POST", path, (token, Some(room)));
    let room = room["room_id"].as_str().unwrap().to_owned();
    let members = format!("/_matrix/client/v3/rooms/{room}/joined_members");
    let has_joined = || Ok(!get(world.server.port(), &members, token)["joined"][bot].is_null());
    assert!(wait::until(PATIENCE, has_joined).unwrap());
    assert_help(world.server.port(), (&room, token), "before");
    room
}

/// The bridge answers an order.
fn assert_help(port: u16, (room, token): (&str, &str), label: &str) {
    let answers = || {
        let said = messages(port, room, token);
        said.iter()
            .filter(|(who, body)| who.starts_with("@telegrambot") && body.contains("login"))
            .count()
    };
    let before = answers();
    let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/{label}");
    ask(port, "PUT", &path, (token, Some(json!({"msgtype": "m.text", "body": "help"}))));
    assert!(wait::until(PATIENCE, || Ok(answers() > before)).unwrap(), "{label}");
}

/// `lifeboat.yaml` names the servers.
fn name_all(suite: &Suite) {
    let mut yaml = fs::read_to_string(&suite.yaml).unwrap();
    let home = suite.folder.display();
    write!(
        yaml,
        "  - {{kind: sydent, name: identity, config: {home}/identity/sydent.conf}}\n  \
           - {{kind: bridge, bridge: telegram, config: {home}/telegram/config.yaml}}\n  \
           - {{kind: adminbot, name: robot, config: {home}/robot/pantalaimon.conf,\n     \
              sqlite: {home}/robot/volume/pan.db, paths: [{home}/robot/volume]}}\n"
    )
    .unwrap();
    fs::write(&suite.yaml, yaml).unwrap();
}

fn bind(identity: &Neighbour, address: &str) {
    let body = json!({"medium": "email", "address": address, "mxid": "@alice:lifeboat.test"});
    let path = "/_matrix/identity/internal/bind";
    ask(identity.inner_port(), "POST", path, ("", Some(body)));
}

fn facts(world: &World, label: &str) -> std::path::PathBuf {
    world.capture(&world.server, &format!("{label}-first")).unwrap();
    world.capture(&world.server, label).unwrap()
}

#[test]
fn lost_installation_is_put_back_and_each_of_its_servers_goes_on() {
    let mut town = Town::found("town");
    // What it keeps in memory of what is unread is of before it was summed up.
    town.world.settle(&town.world.server).unwrap();
    town.world.server.stop();
    town.world.server.start().unwrap();
    let (facts_before, before) = (facts(&town.world, "before"), town.seen());
    let still: Value = json!(town.still());
    let backup = town.back_up_under_load();
    let group = &backup["groups"][0];
    assert_eq!(group["method"], "snapshot-equality", "{group}");
    town.suite.lifeboat_opened(&["backup", "verify"]).result(0);
    town.destroy();
    let (vault, state) = (town.suite.vault.clone(), town.suite.folder.join("state"));
    let words = ["--vault", vault.to_str().unwrap(), "--state", state.to_str().unwrap()];
    let restore = |verb: &str| {
        let all: Vec<&str> = ["restore", verb, "--no-start"].into_iter().chain(words).collect();
        town.suite.lifeboat_opened(&all)
    };
    let plan = restore("plan").result(0);
    assert!(plan["steps"].as_array().unwrap().len() > 30, "{plan}");
    assert!(!town.suite.yaml.exists(), "a plan changes nothing");
    // What waits in the queue of MAS, and whom Synapse would call, is for the operator.
    let outcome = restore("run").result(3);
    let said = |name: &str| step(&outcome, name).to_string();
    assert_eq!(step(&outcome, "compare")["gaps"], json!([]), "{}", said("compare"));
    assert_eq!(step(&outcome, "check")["gaps"], json!([]), "{}", said("check"));
    assert!(said("secrets").contains("identity: signing key is there"), "{}", said("secrets"));
    assert_eq!(json!(town.still()), still);

    town.start();
    assert_eq!(town.seen(), before);
    let facts_after = facts(&town.world, "after");
    town.world.compare(&facts_before, &facts_after, &[]).unwrap_or_else(|e| panic!("{e}"));
    let at = (town.orders.as_str(), token_of(&town.state, 0));
    assert_help(town.world.server.port(), at, "after");
    bind(&town.identity, "bob@harbour.test");
    let stranger = Request {
        token: Some("of_nobody"),
        ..Request::get(town.world.server.port(), "/_matrix/client/v3/account/whoami")
    };
    assert_eq!(stranger.send().unwrap().status, 401);
    assert_eq!(town.world.server.errors_in_log().unwrap(), Vec::<String>::new());
}
