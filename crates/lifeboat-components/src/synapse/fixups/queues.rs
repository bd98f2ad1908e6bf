//! Work that was waiting when the export was cut, and that Synapse takes up when it starts.

use super::steps::{NAMED, Steps, clipped, counted};
use super::{Done, Rule};
use crate::postgres::PostgresError;

/// Cancels the tasks that were to run or were running: a purge in a backup purges the room again.
pub(super) async fn cancel_tasks(steps: &mut Steps<'_>) -> Result<(), PostgresError> {
    if !steps.has(Rule::ScheduledTasks, "scheduled_tasks") {
        return Ok(());
    }
    let update = "
        UPDATE scheduled_tasks
        SET status = 'cancelled'
        WHERE status IN ('scheduled', 'active')
        RETURNING action, coalesce(resource_id, '-')";
    let tasks = steps.rows("cancelled the scheduled tasks", update, &[]).await?;
    for task in tasks.iter().take(NAMED) {
        let (action, resource): (&str, &str) = (task.get(0), task.get(1));
        let detail = format!("cancelled {} of {}", clipped(action), clipped(resource));
        steps.say(Rule::ScheduledTasks, Done::Applied, 1, detail);
    }
    let rest = tasks.len().saturating_sub(NAMED) as u64;
    if rest > 0 {
        let detail = format!("cancelled {rest} more (status cancelled in scheduled_tasks)");
        steps.say(Rule::ScheduledTasks, Done::Applied, rest, detail);
    } else if tasks.is_empty() {
        steps.say(Rule::ScheduledTasks, Done::Nothing, 0, "none was waiting or running");
    }
    Ok(())
}

/// Names the users whose deactivation goes on when Synapse starts.
pub(super) async fn deactivations(steps: &mut Steps<'_>) -> Result<(), PostgresError> {
    let waiting = Waiting {
        rule: Rule::Deactivations,
        table: "users_pending_deactivation",
        names: "SELECT user_id FROM users_pending_deactivation ORDER BY user_id",
        one: "user is",
        many: "users are",
        then: "deactivated when Synapse starts",
    };
    waiting.list(steps, Done::Decide).await
}

/// Names the application services that get transactions when Synapse starts.
pub(super) async fn application_services(steps: &mut Steps<'_>) -> Result<(), PostgresError> {
    let waiting = Waiting {
        rule: Rule::ApplicationServices,
        table: "application_services_txns",
        names: "
            SELECT as_id || ' ' || txn_id
            FROM application_services_txns
            ORDER BY as_id, txn_id",
        one: "transaction is",
        many: "transactions are",
        then: "sent to bridges when Synapse starts",
    };
    waiting.list(steps, Done::Decide).await
}

/// Counts the pushers: a copy of a server notifies the same telephones as the server.
pub(super) async fn pushers(steps: &mut Steps<'_>) -> Result<(), PostgresError> {
    if !steps.has(Rule::Pushers, "pushers") {
        return Ok(());
    }
    let query = "SELECT count(*), count(DISTINCT user_name) FROM pushers";
    let [rows, users] = steps.counts("counted the pushers", query, &[]).await?;
    if rows == 0 {
        steps.say(Rule::Pushers, Done::Nothing, 0, "none");
        return Ok(());
    }
    let (pushers, users) = (counted(rows, "pusher", "pushers"), counted(users, "user", "users"));
    let detail =
        format!("{pushers} of {users} notify real phones; for a copy: start_pushers: false");
    steps.say(Rule::Pushers, Done::Decide, rows, detail);
    Ok(())
}

/// Names the updates that Synapse goes on with in the background.
pub(super) async fn background_updates(steps: &mut Steps<'_>) -> Result<(), PostgresError> {
    let waiting = Waiting {
        rule: Rule::BackgroundUpdates,
        table: "background_updates",
        names: "SELECT update_name FROM background_updates ORDER BY ordering, update_name",
        one: "update goes",
        many: "updates go",
        then: "on in the background, as on the old server",
    };
    waiting.list(steps, Done::Nothing).await
}

/// Names the rooms whose state was still being fetched from other servers.
pub(super) async fn partial_state(steps: &mut Steps<'_>) -> Result<(), PostgresError> {
    let waiting = Waiting {
        rule: Rule::PartialState,
        table: "partial_state_rooms",
        names: "SELECT room_id FROM partial_state_rooms ORDER BY room_id",
        one: "room is",
        many: "rooms are",
        then: "incomplete until other servers answer",
    };
    waiting.list(steps, Done::Decide).await
}

/// A table whose rows are work to come, and how to speak of them.
struct Waiting {
    rule: Rule,
    table: &'static str,
    names: &'static str,
    one: &'static str,
    many: &'static str,
    then: &'static str,
}

impl Waiting {
    /// A line with the count, and one for each of the first rows.
    async fn list(&self, steps: &mut Steps<'_>, done: Done) -> Result<(), PostgresError> {
        if !steps.has(self.rule, self.table) {
            return Ok(());
        }
        let doing = format!("listed {}", self.table);
        let count = format!("SELECT count(*) FROM {}", self.table);
        let [rows] = steps.counts(&doing, &count, &[]).await?;
        if rows == 0 {
            steps.say(self.rule, Done::Nothing, 0, "none");
            return Ok(());
        }
        let detail = format!("{} {}", counted(rows, self.one, self.many), self.then);
        steps.say(self.rule, done, rows, detail);
        let names = format!("{} LIMIT {NAMED}", self.names);
        for row in steps.rows(&doing, &names, &[]).await? {
            steps.say(self.rule, done, 1, clipped(row.get(0)));
        }
        Ok(())
    }
}
