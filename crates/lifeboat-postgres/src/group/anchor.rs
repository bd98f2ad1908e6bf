//! One member's session, which becomes the anchor of its cut.

use tokio_postgres::{Client, SimpleQueryMessage, Statement};

use crate::PostgresError;
use crate::connect::Connector;
use crate::cut::{BEGIN, Cut};

use super::{GroupError, Member, Seen};

/// A session of a member, ready to open its snapshot.
pub(super) struct Anchor<'a> {
    pub(super) member: &'a Member,
    pub(super) client: Client,
    pub(super) is_standby: bool,
    pub(super) system_identifier: Option<String>,
    /// Says what the snapshot shows; as the first question it opens it.
    question: Statement,
}

impl<'a> Anchor<'a> {
    /// Opens a session and learns what it may ask.
    pub(super) async fn open(member: &'a Member) -> Result<Self, GroupError> {
        let at = GroupError::at(member);
        let client = member.connector.connect().await.map_err(&at)?;
        if is_pooled(&client, &member.connector).await.map_err(&at)? {
            return Err(GroupError::Pooler { member: member.name.clone() });
        }
        Cut::settle(&client).await.map_err(&at)?;
        Self::prepare(member, client).await.map_err(&at)
    }

    async fn prepare(member: &'a Member, client: Client) -> Result<Self, PostgresError> {
        let doing = |e| PostgresError::sorted("asked what the server is", e);
        let row = client
            .query_one(
                "SELECT pg_is_in_recovery(), current_setting('server_version_num')::int4,
                        has_function_privilege('pg_current_wal_insert_lsn()', 'EXECUTE'),
                        has_function_privilege('pg_control_system()', 'EXECUTE')",
                &[],
            )
            .await
            .map_err(doing)?;
        let (is_standby, version): (bool, i32) = (row.get(0), row.get(1));
        let (may_ask_place, may_ask_cluster): (bool, bool) = (row.get(2), row.get(3));
        let mut system_identifier = None;
        if may_ask_cluster {
            let question = "SELECT system_identifier::text FROM pg_control_system()";
            system_identifier = Some(client.query_one(question, &[]).await.map_err(doing)?.get(0));
        }
        let snapshot =
            if version >= 130_000 { "pg_current_snapshot()" } else { "txid_current_snapshot()" };
        let place = match (may_ask_place, is_standby) {
            (false, _) => "NULL",
            (true, false) => "pg_current_wal_insert_lsn()",
            (true, true) => "pg_last_wal_replay_lsn()",
        };
        let question = format!("SELECT {snapshot}::text, ({place})::text");
        let question = client.prepare(&question).await.map_err(doing)?;
        Ok(Self { member, client, is_standby, system_identifier, question })
    }

    /// Begins the transaction, without a snapshot yet.
    pub(super) async fn begin(&self) -> Result<(), GroupError> {
        self.tell(BEGIN).await
    }

    /// Throws the transaction and its snapshot away.
    pub(super) async fn forget(&self) -> Result<(), GroupError> {
        self.tell("ROLLBACK").await
    }

    async fn tell(&self, statement: &str) -> Result<(), GroupError> {
        let doing = |e| PostgresError::sorted("opened a snapshot", e);
        let told = self.client.batch_execute(statement).await.map_err(doing);
        told.map_err(GroupError::at(self.member))
    }

    /// Opens the snapshot of a transaction that has begun.
    pub(super) async fn see(&self) -> Result<Seen, GroupError> {
        let doing = |e| PostgresError::sorted("opened a snapshot", e);
        let answer = self.client.query_one(&self.question, &[]).await.map_err(doing);
        let row = answer.map_err(GroupError::at(self.member))?;
        Ok(Seen { snapshot_text: row.get(0), lsn: row.get(1) })
    }

    /// Begins, and opens the snapshot.
    pub(super) async fn look(&self) -> Result<Seen, GroupError> {
        self.begin().await?;
        self.see().await
    }
}

/// True when two sessions of ours do not have a server process each, all the time: `first`, and
/// one more that `connector` opens.
///
/// # Errors
/// [`PostgresError`] when the server lets no second session in, or is lost.
pub async fn is_pooled(first: &Client, connector: &Connector) -> Result<bool, PostgresError> {
    let second = connector.connect().await?;
    let firsts = [process(first).await?, process(first).await?];
    let seconds = [process(&second).await?, process(&second).await?];
    let later = [process(first).await?, process(&second).await?];
    Ok(firsts != [later[0]; 2] || seconds != [later[1]; 2] || later[0] == later[1])
}

/// The server process that answers, asked in a way that needs no state of a session.
async fn process(client: &Client) -> Result<Option<i32>, PostgresError> {
    let doing = |e| PostgresError::sorted("asked which process answers", e);
    let answer = client.simple_query("SELECT pg_backend_pid()").await.map_err(doing)?;
    Ok(answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).and_then(|id| id.parse().ok()),
        _ => None,
    }))
}
