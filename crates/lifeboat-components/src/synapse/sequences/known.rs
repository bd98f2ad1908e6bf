//! The sequences of Synapse: what takes its numbers from each, and who outside learns of them.
//!
//! Read from a real database and from what Synapse 1.163 compares at its start. The types of the
//! columns are read from the database, not from here.

/// One sequence.
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) usage: Use,
    /// Table and column of the rows that took their numbers from it.
    pub(super) columns: &'static [(&'static str, &'static str)],
    /// Why it stands where it is set to, for the report.
    pub(super) why: &'static str,
}

/// What its numbers are used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Positions in a stream of this name in `stream_positions`.
    Stream(&'static str),
    /// The same, but the stream goes backwards: columns and positions hold the numbers negated.
    Backwards(&'static str),
    /// Numbers that others get to see.
    Shown,
    /// Numbers that never leave the database.
    Inner,
}

impl Use {
    /// The name in `stream_positions`.
    pub(super) fn stream(self) -> Option<&'static str> {
        match self {
            Self::Stream(name) | Self::Backwards(name) => Some(name),
            Self::Shown | Self::Inner => None,
        }
    }
}

/// What is known of a sequence.
pub(super) fn get(name: &str) -> Option<&'static Known> {
    SEQUENCES.iter().find(|known| known.name == name)
}

/// The sequence of a stream, and whether the stream goes backwards.
pub(in crate::synapse) fn of_stream(stream: &str) -> Option<(&'static str, bool)> {
    let known = SEQUENCES.iter().find(|known| known.usage.stream() == Some(stream))?;
    Some((known.name, matches!(known.usage, Use::Backwards(_))))
}

const SYNC: &str = "past sync tokens given out since the export";
const FOLLOWED: &str = "past numbers given out since the export";
const INNER: &str = "past the highest in use";

const fn known(
    name: &'static str,
    usage: Use,
    columns: &'static [(&'static str, &'static str)],
    why: &'static str,
) -> Known {
    Known { name, usage, columns, why }
}

const SEQUENCES: [Known; 26] = [
    known(
        "account_data_sequence",
        Use::Stream("account_data"),
        &[
            ("account_data", "stream_id"),
            ("room_account_data", "stream_id"),
            ("room_tags_revisions", "stream_id"),
        ],
        SYNC,
    ),
    known(
        "application_services_txn_id_seq",
        Use::Shown,
        &[("application_services_txns", "txn_id")],
        "bridges ignore numbers they saw before",
    ),
    known(
        "cache_invalidation_stream_seq",
        Use::Stream("caches"),
        &[("cache_invalidation_stream_by_instance", "stream_id")],
        FOLLOWED,
    ),
    known(
        "device_inbox_sequence",
        Use::Stream("to_device"),
        &[("device_inbox", "stream_id"), ("device_federation_outbox", "stream_id")],
        "else clients miss to-device messages, room keys with them",
    ),
    known(
        "device_lists_sequence",
        Use::Stream("device_lists_stream"),
        &[
            ("device_lists_stream", "stream_id"),
            ("user_signature_stream", "stream_id"),
            ("device_lists_outbound_pokes", "stream_id"),
            ("device_lists_changes_in_room", "stream_id"),
            ("device_lists_remote_pending", "stream_id"),
            ("device_lists_changes_converted_stream_position", "stream_id"),
        ],
        "else clients and servers miss new devices",
    ),
    known(
        "e2e_cross_signing_keys_sequence",
        Use::Stream("e2e_cross_signing_keys"),
        &[("e2e_cross_signing_keys", "stream_id")],
        FOLLOWED,
    ),
    known("event_auth_chain_id", Use::Inner, &[("event_auth_chains", "chain_id")], INNER),
    known(
        "events_backfill_stream_seq",
        Use::Backwards("backfill"),
        &[("events", "stream_ordering"), ("ex_outlier_stream", "event_stream_ordering")],
        "past pagination tokens given out since",
    ),
    known(
        "events_stream_seq",
        Use::Stream("events"),
        &[
            ("events", "stream_ordering"),
            ("current_state_delta_stream", "stream_id"),
            ("ex_outlier_stream", "event_stream_ordering"),
        ],
        "else clients with later sync tokens miss events",
    ),
    known("instance_map_instance_id_seq", Use::Inner, &[("instance_map", "instance_id")], INNER),
    known(
        "presence_stream_sequence",
        Use::Stream("presence_stream"),
        &[("presence_stream", "stream_id")],
        SYNC,
    ),
    known(
        "profile_updates_sequence",
        Use::Stream("profile_updates"),
        &[("profile_updates", "stream_id"), ("profile_updates_per_user", "stream_id")],
        SYNC,
    ),
    known(
        "push_rules_stream_sequence",
        Use::Stream("push_rules_stream"),
        &[("push_rules_stream", "stream_id")],
        SYNC,
    ),
    known(
        "pushers_sequence",
        Use::Stream("pushers"),
        &[("pushers", "id"), ("deleted_pushers", "stream_id")],
        FOLLOWED,
    ),
    known(
        "quarantined_media_id_seq",
        Use::Stream("quarantined_media"),
        &[("quarantined_media_changes", "stream_id")],
        FOLLOWED,
    ),
    known(
        "receipts_sequence",
        Use::Stream("receipts"),
        &[("receipts_linearized", "stream_id")],
        SYNC,
    ),
    known(
        "sliding_sync_connection_positions_connection_position_seq",
        Use::Shown,
        &[("sliding_sync_connection_positions", "connection_position")],
        FOLLOWED,
    ),
    known(
        "sliding_sync_connection_required_state_required_state_id_seq",
        Use::Inner,
        &[("sliding_sync_connection_required_state", "required_state_id")],
        INNER,
    ),
    known(
        "sliding_sync_connections_connection_key_seq",
        Use::Inner,
        &[("sliding_sync_connections", "connection_key")],
        INNER,
    ),
    known("state_group_id_seq", Use::Inner, &[("state_groups", "id")], INNER),
    known(
        "state_groups_pending_deletion_sequence_number_seq",
        Use::Inner,
        &[("state_groups_pending_deletion", "sequence_number")],
        INNER,
    ),
    known(
        "sticky_events_sequence",
        Use::Stream("sticky_events"),
        &[
            ("sticky_events", "stream_id"),
            ("destination_rooms_sticky_events_backlog", "sticky_events_stream_position"),
        ],
        SYNC,
    ),
    known(
        "thread_subscriptions_sequence",
        Use::Stream("thread_subscriptions"),
        &[("thread_subscriptions", "stream_id")],
        SYNC,
    ),
    known(
        "un_partial_stated_event_stream_sequence",
        Use::Stream("un_partial_stated_event_stream"),
        &[("un_partial_stated_event_stream", "stream_id")],
        FOLLOWED,
    ),
    known(
        "un_partial_stated_room_stream_sequence",
        Use::Stream("un_partial_stated_room_stream"),
        &[("un_partial_stated_room_stream", "stream_id")],
        SYNC,
    ),
    known("user_id_seq", Use::Shown, &[], "past guests made since the export"),
];
