//! The rows.

use super::{Class, Group, Row, Sensitivity, Store};
use crate::installation::{Bridge, Kind};

const fn critical(what: &'static str, lost: &'static str, attacker: &'static str) -> Store {
    Store { what, class: Class::Critical, lost, attacker }
}

const fn feature(what: &'static str, lost: &'static str, attacker: &'static str) -> Store {
    Store { what, class: Class::Feature, lost, attacker }
}

const REGISTRATION_LEAK: &str = "make the bridge's registration anew, on both sides";
const RESTART: &str = "restart the bridge after Synapse, so that it forgets which of Synapse's \
                       transactions it has seen";
const REGISTRATION: &str = "its registration, the same on both sides";

pub(super) const ROWS: &[Row] = &[
    SYNAPSE,
    MAS,
    SLIDING_SYNC,
    SYDENT,
    INTEGRATOR,
    ADMINBOT,
    AUDITBOT,
    IRC,
    XMPP,
    TELEGRAM,
    WHATSAPP,
    SIP,
    HOOKSHOT,
    DATABASE,
    FILES,
];

pub(super) const fn of(kind: Kind) -> &'static Row {
    match kind {
        Kind::Synapse => &SYNAPSE,
        Kind::Mas => &MAS,
        Kind::SlidingSync => &SLIDING_SYNC,
        Kind::Sydent => &SYDENT,
        Kind::Integrator => &INTEGRATOR,
        Kind::Adminbot => &ADMINBOT,
        Kind::Auditbot => &AUDITBOT,
        Kind::Bridge(Bridge::Irc) => &IRC,
        Kind::Bridge(Bridge::Xmpp) => &XMPP,
        Kind::Bridge(Bridge::Telegram) => &TELEGRAM,
        Kind::Bridge(Bridge::Whatsapp) => &WHATSAPP,
        Kind::Bridge(Bridge::Sip) => &SIP,
        Kind::Bridge(Bridge::Hookshot) => &HOOKSHOT,
        Kind::Database => &DATABASE,
        Kind::Files => &FILES,
    }
}

const SYNAPSE: Row = Row {
    kind: Kind::Synapse,
    title: "Synapse",
    stores: &[
        critical(
            "PostgreSQL, one database or two",
            "all rooms, messages, accounts, devices and keys that clients saved",
            "every message that was not encrypted, who talks to whom, password hashes, the tokens \
             of every session, addresses of mail, phone and network; key backups, if their \
             passphrase is weak",
        ),
        critical(
            "signing key, configuration, secrets",
            "the server's name in federation: others refuse a server that has another key; with \
             the pepper, every local password",
            "whoever has the signing key speaks as the server to all others; whoever has the \
             registration secret makes administrators",
        ),
        feature(
            "media, in a folder or a bucket",
            "pictures of people and rooms, and every file that was sent",
            "every file that was sent in rooms without encryption",
        ),
    ],
    group: Group::Accounts,
    order: 1,
    sensitivity: Sensitivity::Highest,
    needs: &[
        "the signing key",
        "the password pepper, if one is set",
        "the macaroon secret",
        "the secret shared with MAS",
        "the registrations of application services",
    ],
    revoke: &[
        "end all sessions",
        "replace the registration secret, the macaroon secret and the secret shared with MAS",
        "replace the password of its database, and what else its configuration holds: keys of a \
         bucket with media, passwords of mail and Redis, the TURN secret",
        "make a signing key with a new id, tell others of the old one in old_signing_keys, and \
         have Synapse sign its events again",
        "ask people to make new key backups with a new passphrase",
        "make the registrations of all application services anew",
    ],
    after_restore: &[
        "empty the one-time keys: those that were handed out since must not be handed out again",
        "raise every sequence of streams past what was handed out since the backup",
        "cancel purges that were scheduled; look through delayed events",
        "apply again what was erased since the backup; when it runs, have it purge rooms and \
         history and close accounts again (`lifeboat restore erasures`)",
        "start it without federation and application services; check; then let clients in",
        "when the signing key changed, have Synapse sign its events again",
    ],
};

const MAS: Row = Row {
    kind: Kind::Mas,
    title: "Matrix Authentication Service",
    stores: &[
        critical(
            "PostgreSQL",
            "accounts, passwords, sessions, and who signs in through which provider",
            "access and refresh tokens of every session, as they are; password hashes, former \
             ones too; addresses of mail and network; who is who at upstream providers",
        ),
        critical(
            "configuration and secrets",
            "without the encryption secret every encrypted column, without the keys every token \
             that was handed out",
            "the encryption secret opens the secrets of clients and providers; the keys make \
             tokens for anybody",
        ),
    ],
    group: Group::Accounts,
    order: 2,
    sensitivity: Sensitivity::Highest,
    needs: &["the encryption secret", "the keys of secrets.keys", "the secret shared with Synapse"],
    revoke: &[
        "end all sessions of every user (mas-cli manage kill-sessions)",
        "replace the secrets of upstream providers and of clients",
        "replace the password of its database, and that of mail",
        "make new keys; a new encryption secret loses what is encrypted, so enter that again",
    ],
    after_restore: &[
        "of one moment with Synapse's database, never another",
        "compare the users and devices of both sides before its worker starts",
        "empty the list of workers and look through the jobs that wait: old ones send mail and \
         deactivate people",
        "mas-cli config sync, then mas-cli doctor",
        "every session that was used since the backup has to sign in again; tell people",
    ],
};

const SLIDING_SYNC: Row = Row {
    kind: Kind::SlidingSync,
    title: "Sliding sync proxy (retired)",
    stores: &[feature(
        "PostgreSQL",
        "clients begin anew, and messages to devices that waited here are lost: some messages \
         stay undecryptable",
        "tokens of users, once SYNCV3_SECRET is known too; events of their rooms",
    )],
    group: Group::Own,
    order: 6,
    sensitivity: Sensitivity::High,
    needs: &["SYNCV3_SECRET, unchanged for the life of the database"],
    revoke: &["end the sessions of its users; with MAS their tokens change by themselves"],
    after_restore: &[
        "start it after Synapse, whose streams must have been raised first",
        "retire it where Synapse answers sliding sync itself",
    ],
};

const SYDENT: Row = Row {
    kind: Kind::Sydent,
    title: "Sydent",
    stores: &[
        feature(
            "SQLite",
            "which mail address and phone number belongs to whom, and open invitations",
            "which mail address and phone number belongs to whom: the pepper is in it, so hashes \
             are no protection; tokens of invitations and accounts",
        ),
        feature(
            "sydent.conf, which Sydent rewrites",
            "its signing key: what it has vouched for counts no more",
            "its signing key vouches for anybody; passwords for mail and text messages",
        ),
    ],
    group: Group::Own,
    order: 4,
    sensitivity: Sensitivity::High,
    needs: &["the signing key in sydent.conf"],
    revoke: &["replace the pepper of lookups", "replace its signing key", "tell those concerned"],
    after_restore: &[
        "configuration first, then the database, then start",
        "invitations that were taken up since the backup may be sent again",
    ],
};

const INTEGRATOR: Row = Row {
    kind: Kind::Integrator,
    title: "Integrator",
    stores: &[feature(
        "PostgreSQL",
        "which integration is in which room; they have to be added again, and what is set up at \
         the far end may no longer fit",
        "what rooms are connected to, and the secrets of those connections",
    )],
    group: Group::Own,
    order: 5,
    sensitivity: Sensitivity::Moderate,
    needs: &["its component secret", "the generic shared secret of ESS"],
    revoke: &["replace its secret", "replace tokens of connected services"],
    after_restore: &["look through integrations that were added or removed since the backup"],
};

const ADMINBOT: Row = Row {
    kind: Kind::Adminbot,
    title: "Adminbot",
    stores: &[feature(
        "a volume: login and encryption keys",
        "the account cannot go on: it needs another name before it joins rooms again",
        "reads every room it is in, and governs them",
    )],
    group: Group::Own,
    order: 7,
    sensitivity: Sensitivity::Highest,
    needs: &["its backup passphrase", "its account, in Synapse's database"],
    revoke: &["end its sessions, give it a new device", "replace its backup passphrase"],
    after_restore: &["must not be much older or newer than Synapse's database"],
};

const AUDITBOT: Row = Row {
    kind: Kind::Auditbot,
    title: "Auditbot",
    stores: &[
        feature(
            "a volume: login and encryption keys",
            "the account cannot go on: it needs another name before it joins rooms again",
            "reads every room it is in",
        ),
        feature(
            "records of rooms, in the volume or a bucket",
            "what was recorded; nothing records it afterwards. By law this may be critical",
            "messages of all recorded rooms in clear",
        ),
    ],
    group: Group::Own,
    order: 7,
    sensitivity: Sensitivity::Highest,
    needs: &[
        "its backup passphrase",
        "its account, in Synapse's database",
        "credentials of the bucket",
    ],
    revoke: &[
        "end its sessions, give it a new device",
        "replace its backup passphrase and the credentials of the bucket",
        "take its records for published; ask a lawyer",
    ],
    after_restore: &[
        "must not be much older or newer than Synapse's database",
        "say that messages between the backup and now were not recorded",
    ],
};

const IRC: Row = Row {
    kind: Kind::Bridge(Bridge::Irc),
    title: "IRC bridge",
    stores: &[feature(
        "PostgreSQL or NeDB",
        "which room is which channel, and the IRC passwords people stored",
        "IRC passwords, if passkey.pem is with it; tokens of provisioning",
    )],
    group: Group::Own,
    order: 3,
    sensitivity: Sensitivity::High,
    needs: &["passkey.pem", REGISTRATION],
    revoke: &["people change their IRC passwords", "make a new passkey.pem", REGISTRATION_LEAK],
    after_restore: &[RESTART],
};

const XMPP: Row = Row {
    kind: Kind::Bridge(Bridge::Xmpp),
    title: "XMPP bridge (Bifrost)",
    stores: &[feature(
        "PostgreSQL or NeDB",
        "which room is which chat; rooms of chats are orphaned",
        "who talks to whom over XMPP",
    )],
    group: Group::Own,
    order: 3,
    sensitivity: Sensitivity::Moderate,
    needs: &["the password of the XMPP component", REGISTRATION],
    revoke: &["replace the password of the XMPP component", REGISTRATION_LEAK],
    after_restore: &[RESTART],
};

const MAUTRIX_CONFIG: Store = feature(
    "config.yaml, which the bridge rewrites",
    "keys that were made on the first start: the pickle key, tokens",
    "acts as anybody in the bridge's part of the server",
);

const TELEGRAM: Row = Row {
    kind: Kind::Bridge(Bridge::Telegram),
    title: "Telegram bridge (mautrix)",
    stores: &[
        feature(
            "PostgreSQL or SQLite",
            "people sign in again, and chats get a second room",
            "the Telegram accounts of everybody who signed in",
        ),
        MAUTRIX_CONFIG,
    ],
    group: Group::Own,
    order: 3,
    sensitivity: Sensitivity::High,
    needs: &["the pickle key", "the Telegram API id and hash", REGISTRATION],
    revoke: &["people end the session in Telegram's list of devices", REGISTRATION_LEAK],
    after_restore: &[RESTART, "some messages since the backup may come twice"],
};

const WHATSAPP: Row = Row {
    kind: Kind::Bridge(Bridge::Whatsapp),
    title: "WhatsApp bridge (mautrix)",
    stores: &[
        feature(
            "PostgreSQL or SQLite",
            "people pair their phones again, and chats get a second room",
            "the linked WhatsApp devices of everybody who signed in",
        ),
        MAUTRIX_CONFIG,
    ],
    group: Group::Own,
    order: 3,
    sensitivity: Sensitivity::High,
    needs: &["the pickle key", REGISTRATION],
    revoke: &["people end the linked device on their phones", REGISTRATION_LEAK],
    after_restore: &[
        RESTART,
        "its encryption goes forward only: after an older backup expect messages that cannot be \
         read, and plan to pair phones again",
    ],
};

const SIP: Row = Row {
    kind: Kind::Bridge(Bridge::Sip),
    title: "SIP bridge",
    stores: &[feature(
        "PostgreSQL",
        "its trunks and who calls by which number; they are set up again",
        "credentials of trunks, if the encryption key is with it",
    )],
    group: Group::Own,
    order: 3,
    sensitivity: Sensitivity::Moderate,
    needs: &["encryption_key, 32 letters", "settings of the trunks", REGISTRATION],
    revoke: &["replace credentials of the trunks", REGISTRATION_LEAK],
    after_restore: &[RESTART, "register the trunks again"],
};

const HOOKSHOT: Row = Row {
    kind: Kind::Bridge(Bridge::Hookshot),
    title: "Hookshot",
    stores: &[
        feature(
            "Synapse: connections are state of rooms, sign-ins are data of its accounts",
            "nothing more than Synapse's backup loses",
            "the names of connected projects",
        ),
        feature(
            "passkey and store of encryption",
            "people sign in to connected services again",
            "with Synapse's database, access to the connected services of everybody",
        ),
    ],
    group: Group::Own,
    order: 3,
    sensitivity: Sensitivity::High,
    needs: &["the RSA passkey", REGISTRATION],
    revoke: &[
        "people revoke its access at connected services",
        "make a new passkey",
        REGISTRATION_LEAK,
    ],
    after_restore: &[
        RESTART,
        "when Synapse went back in time, empty its store of encryption and its Redis, or it does \
         not start",
    ],
};

const DATABASE: Row = Row {
    kind: Kind::Database,
    title: "Any other database",
    stores: &[feature("PostgreSQL or SQLite", "what is in it", "what is in it")],
    group: Group::Own,
    order: 8,
    sensitivity: Sensitivity::Unknown,
    needs: &["what its program says"],
    revoke: &["what its program says"],
    after_restore: &["start its program, and check"],
};

const FILES: Row = Row {
    kind: Kind::Files,
    title: "Any other files",
    stores: &[feature("files and folders", "what is in them", "what is in them")],
    group: Group::Own,
    order: 8,
    sensitivity: Sensitivity::Unknown,
    needs: &["what its program says"],
    revoke: &["what its program says"],
    after_restore: &["check owners and modes, start its program"],
};
