//! Backups into a vault, beside the backup programs that people use today: first, again with
//! nothing changed, checked, and back. Without a Synapse nobody signs, which is a gap: exit code 3.

use super::contest::Contender;

/// Before a first backup: no vault, no state, a configuration.
const NO_VAULT: &str = "rm -rf vault state
printf '%s\\n' \"$DATABASE\" > database.url
cat > lifeboat.yaml <<EOF
server_name: bench.test
vault: $PWD/vault
state: $PWD/state
recipients: [$RECIPIENT]
components:
  - {kind: files, name: media, paths: [$SYNAPSE/media_store]}
  - {kind: database, name: database, database_url_file: $PWD/database.url}
EOF";

pub(super) const MEDIA: Contender = Contender {
    name: "lifeboat backup run",
    before: NO_VAULT,
    script: "lifeboat backup run -c lifeboat.yaml --component media || [ $? = 3 ]",
    outputs: &["vault"],
    restores: false,
};

pub(super) const MEDIA_PIPE: Contender = Contender {
    name: "tar, zstd and age, piped",
    before: "",
    script: "tar -C $SYNAPSE -cf - media_store | zstd -q -3 -T2 | age -r $RECIPIENT -o media.age",
    outputs: &["media.age"],
    restores: false,
};

pub(super) const MEDIA_RESTIC: Contender = Contender {
    name: "restic backup",
    before: "rm -rf restic; restic -q -r restic init",
    script: "restic -q -r restic backup $SYNAPSE/media_store",
    outputs: &["restic"],
    restores: false,
};

pub(super) const MEDIA_BORG: Contender = Contender {
    name: "borg create, zstd 3",
    before: "rm -rf borg; borg init -e repokey-blake2 borg",
    script: "borg create -C zstd,3 borg::first $SYNAPSE/media_store",
    outputs: &["borg"],
    restores: false,
};

pub(super) const AGAIN: Contender = Contender {
    name: "lifeboat backup run",
    before: "",
    script: "lifeboat backup run -c lifeboat.yaml --component media || [ $? = 3 ]",
    outputs: &["vault"],
    restores: false,
};

pub(super) const AGAIN_RESTIC: Contender = Contender {
    name: "restic backup",
    before: "",
    script: "restic -q -r restic backup $SYNAPSE/media_store",
    outputs: &["restic"],
    restores: false,
};

pub(super) const AGAIN_BORG: Contender = Contender {
    name: "borg create, zstd 3",
    before: "",
    script: "borg create -C zstd,3 borg::{now:%s%f} $SYNAPSE/media_store",
    outputs: &["borg"],
    restores: false,
};

pub(super) const ROWS: Contender = Contender {
    name: "lifeboat backup run",
    before: "rm -rf back-*",
    script: "lifeboat backup run -c lifeboat.yaml --component database || [ $? = 3 ]",
    outputs: &["vault"],
    restores: false,
};

pub(super) const ROWS_AGAIN: Contender = Contender { name: "the same, nothing changed", ..ROWS };

pub(super) const CHECK: Contender = Contender {
    name: "lifeboat backup verify",
    before: "",
    script: "lifeboat backup verify -c lifeboat.yaml -i identity.txt",
    outputs: &[],
    restores: false,
};

pub(super) const CHECK_RESTIC: Contender = Contender {
    name: "restic check, all data",
    before: "",
    script: "restic -q -r restic check --read-data",
    outputs: &[],
    restores: false,
};

pub(super) const CHECK_BORG: Contender = Contender {
    name: "borg check, all data",
    before: "",
    script: "borg check --verify-data borg",
    outputs: &[],
    restores: false,
};

/// Each has a folder of its own: a file system looks long for a place for new files where as many
/// were just removed.
pub(super) const BACK: Contender = Contender {
    name: "lifeboat restore run",
    before: "rm -rf back-ours",
    script: "lifeboat restore run -c lifeboat.yaml -i identity.txt --component media \\
    --root $PWD/back-ours --beside _back --no-start || [ $? = 3 ]",
    outputs: &[],
    restores: false,
};

pub(super) const BACK_PIPE: Contender = Contender {
    name: "age, zstd and tar, piped",
    before: "rm -rf back-pipe; mkdir back-pipe",
    script: "age -d -i identity.txt media.age | zstd -q -d | tar -C back-pipe -xf -",
    outputs: &[],
    restores: false,
};

pub(super) const BACK_RESTIC: Contender = Contender {
    name: "restic restore",
    before: "rm -rf back-restic",
    script: "restic -q -r restic restore latest --target back-restic",
    outputs: &[],
    restores: false,
};

pub(super) const BACK_BORG: Contender = Contender {
    name: "borg extract",
    before: "rm -rf back-borg; mkdir back-borg",
    script: "cd back-borg; borg extract ../borg::first",
    outputs: &[],
    restores: false,
};

pub(super) const ROWS_BACK: Contender = Contender {
    name: "lifeboat restore run",
    before: "psql -q -d $DATABASE -c 'DROP DATABASE IF EXISTS bench_back'; rm -rf back",
    script: "lifeboat restore run -c lifeboat.yaml -i identity.txt --component database \\
    --root $PWD/back --beside _back --no-start || [ $? = 3 ]",
    outputs: &[],
    restores: false,
};

pub(super) const ROWS_RESTORE: Contender = Contender {
    name: "pg_restore -j2",
    before: "",
    script: "pg_restore -j2 -d $TARGET_DATABASE database.dump",
    outputs: &[],
    restores: true,
};

/// A room with a hundredth of the events, out of a backup of the whole server.
pub(super) const ROOM: Contender = Contender {
    name: "lifeboat backup export",
    before: "[ -e one.yaml ] || {
cat > one.yaml <<EOF
server_name: bench.test
vault: $PWD/one
state: $PWD/one-state
recipients: [$RECIPIENT]
components:
  - {kind: synapse, config: [$SYNAPSE/homeserver.yaml, $SYNAPSE/conf.d]}
EOF
psql -At -d $DATABASE -o room.txt -c 'SELECT room_id FROM events GROUP BY room_id
    ORDER BY abs(count(*) - (SELECT count(*) / 100 FROM events)), room_id LIMIT 1'
lifeboat backup run -c one.yaml || [ $? = 3 ]; }",
    script: "lifeboat backup export -c one.yaml -i identity.txt --room $(cat room.txt) \\
    -o room.lifeboat || [ $? = 3 ]",
    outputs: &["room.lifeboat"],
    restores: false,
};

/// A copy of the database, in the vault as it is, and then with the rows of a fiftieth more events.
/// They are others each time: the vault of an earlier round must not have them.
pub(super) const ROWS_MORE: Contender = Contender {
    name: "lifeboat backup run",
    before: "psql -q -d ${DATABASE%/*}/postgres -c 'DROP DATABASE IF EXISTS more' \\
    -c 'CREATE DATABASE more TEMPLATE bench'
printf '%s\\n' \"${DATABASE%/*}/more\" > more.url
sed 's,/database.url,/more.url,' lifeboat.yaml > more.yaml
lifeboat backup run -c more.yaml --component database || [ $? = 3 ]
psql -q -o /dev/null -d ${DATABASE%/*}/more -v seed=$(date +%s%N) -f $BENCHES/more.sql",
    script: "lifeboat backup run -c more.yaml --component database || [ $? = 3 ]",
    outputs: &["vault"],
    restores: false,
};
