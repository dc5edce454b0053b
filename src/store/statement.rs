//! Every statement of the store, by name.
//!
//! The texts are files under `sql/`, named by table and verb; the first line of each says what it
//! does and why that is safe. A [`Sql`] holds the text for each database that there is: where two
//! databases agree they share one file, and only where they must differ (`two`) a second one stands in
//! `sql/postgres/`. A [`Bulk`] is written as often as there are rows; see [`super::bulk`].
//!
//! Deliberately absent: statements made up at run time. Nothing but a number of rows ever changes
//! in a text.

use super::bulk::Bulk;
use super::connection::Kind;

/// A statement with placeholders `$1`, `$2`, ...
#[derive(Clone, Copy, Debug)]
pub(super) struct Sql {
    /// The name of its file, for messages.
    pub(super) name: &'static str,
    /// The text for SQLite.
    sqlite: &'static str,
    /// The text for PostgreSQL.
    postgres: &'static str,
}

impl Sql {
    /// The text for the database in use.
    pub(super) fn text(self, kind: Kind) -> &'static str {
        match kind {
            Kind::Sqlite => self.sqlite,
            Kind::Postgres => self.postgres,
        }
    }
}

/// The two texts of a statement: of one file, or of one for each database.
macro_rules! texts {
    ($file:literal) => {
        (include_str!(concat!("sql/", $file, ".sql")), include_str!(concat!("sql/", $file, ".sql")))
    };
    ($file:literal two) => {
        (
            include_str!(concat!("sql/", $file, ".sql")),
            include_str!(concat!("sql/postgres/", $file, ".sql")),
        )
    };
    ($file:literal postgres) => {
        ("", include_str!(concat!("sql/postgres/", $file, ".sql")))
    };
}

macro_rules! statements {
    ($list:ident: $($name:ident = $file:literal $($form:ident)?;)*) => {
        $(pub(super) const $name: Sql = {
            let (sqlite, postgres) = texts!($file $($form)?);
            Sql { name: $file, sqlite, postgres }
        };)*

        /// All of them, for the test that prepares each.
        #[cfg(test)]
        pub(super) const $list: &[Sql] = &[$($name),*];
    };
}

macro_rules! bulk_statements {
    ($($name:ident = $file:literal $($form:ident)?, $types:literal;)*) => {
        $(pub(super) static $name: Bulk = {
            let (sqlite, postgres) = texts!($file $($form)?);
            Bulk::new($file, sqlite, postgres, $types)
        };)*

        /// All of them, for the test that prepares each in each of its sizes.
        #[cfg(test)]
        pub(super) static BULK: &[&Bulk] = &[$(&$name),*];
    };
}

// What the writer runs once per load or per batch, and what readers run.
statements! { SINGLE:
    ATTEMPT_ENDED_LIST = "attempt_ended_list";
    ATTEMPT_LIST = "attempt_list";
    ATTEMPT_OUTPUTS = "attempt_outputs" two;
    ATTEMPT_RAN = "attempt_ran";
    ATTEMPT_RUNS = "attempt_runs";
    ATTEMPT_SELECT = "attempt_select";
    CLASS_LOAD = "class_load";
    CLASS_SELECT = "class_select";
    DATABASE_EXTENT_LOAD = "database_extent_load" two;
    DELIVERY_BODY = "delivery_body";
    DELIVERY_EXTERNAL_IDS = "delivery_external_ids";
    DELIVERY_BODY_FILES = "delivery_body_files" two;
    DELIVERY_HELD_LOAD = "delivery_held_load";
    DELIVERY_LIST = "delivery_list";
    DELIVERY_LIST_BY_STATE = "delivery_list_by_state";
    DELIVERY_PLANNING_COUNT = "delivery_planning_count";
    DELIVERY_PLANNING_LIST = "delivery_planning_list";
    DELIVERY_PRUNABLE = "delivery_prunable";
    DELIVERY_SELECT = "delivery_select";
    EDGE_LIST = "edge_list";
    EDGE_LOAD = "edge_load" two;
    EDGE_NEEDS = "edge_needs" two;
    JOB_ENDED_LIST = "job_ended_list";
    JOB_ENDED_LIVE_LOAD = "job_ended_live_load";
    JOB_LIST = "job_list";
    JOB_LIST_BY_STATE = "job_list_by_state";
    JOB_LIST_BY_WORKLOAD = "job_list_by_workload";
    JOB_LOAD = "job_load";
    JOB_LOG_AGE = "job_log_age" two;
    JOB_SELECT = "job_select";
    JOB_SPEC_SELECT = "job_spec_select";
    LEADER_FENCE = "leader_fence";
    LEADER_JUMP = "leader_jump";
    LEADER_INSTALLATION = "leader_installation";
    LEADER_RAISE = "leader_raise" two;
    LEADER_SELECT = "leader_select";
    OUTBOX_DUE = "outbox_due";
    OUTBOX_EXTENT = "outbox_extent";
    OUTBOX_LINE = "outbox_line";
    OUTBOX_LIST = "outbox_list";
    OUTBOX_LIST_BY_STATE = "outbox_list_by_state";
    OUTBOX_NEXT = "outbox_next";
    OUTBOX_REFERENCES = "outbox_references";
    OUTBOX_REFRESH = "outbox_refresh";
    OUTBOX_SELECT = "outbox_select";
    PAUSE_LOAD = "pause_load";
    POOL_LOAD = "pool_load";
    POOL_UPSERT = "pool_upsert";
    RECORD_LIST_BY_JOB = "record_list_by_job";
    RECORD_LIST_BY_WORKLOAD = "record_list_by_workload";
    RECORD_PRUNABLE = "record_prunable";
    RUNNER_LOAD = "runner_load";
    SCHEDULE_LOAD = "schedule_load";
    SESSION_DAY_LOAD = "session_day_load";
    SESSION_LIST = "session_list";
    SESSION_LOAD = "session_load";
    SESSION_MESSAGE_INBOUND = "session_message_inbound";
    SESSION_MESSAGE_LIST = "session_message_list";
    SESSION_OF_WORKLOAD = "session_of_workload";
    SESSION_PRUNABLE = "session_prunable";
    SESSION_SELECT = "session_select";
    SOFT_STATE_LOAD = "soft_state_load";
    SOFT_STATE_SELECT = "soft_state_select";
    TENANT_INSERT = "tenant_insert";
    TENANT_LOAD = "tenant_load";
    TENANT_USAGE_LOAD = "tenant_usage_load";
    UNIQUE_KEY_PRUNABLE = "unique_key_prunable";
    WORKLOAD_DONE_SELECT = "workload_done_select";
    WORKLOAD_KEPT = "workload_kept" two;
    WORKLOAD_LIST = "workload_list";
    WORKLOAD_LIST_BY_STATE = "workload_list_by_state";
    WORKLOAD_LOAD = "workload_load";
    WORKLOAD_PRUNABLE = "workload_prunable";
    WORKLOAD_PRUNABLE_JOBS = "workload_prunable_jobs" two;
    WORKLOAD_SELECT = "workload_select";
}

// What there is on PostgreSQL only: bodies and logs as rows, the lock of a batch that is not alone,
// other instances, and what they accept.
statements! { POSTGRES_ONLY:
    BODY_DELETE = "body_delete" postgres;
    BODY_INSERT = "body_insert" postgres;
    BODY_SELECT = "body_select" postgres;
    BODY_SWEEP = "body_sweep" postgres;
    DELIVERY_ACCEPT = "delivery_accept" postgres;
    DELIVERY_TAKE_UP = "delivery_take_up" postgres;
    INSTANCE_LIST = "instance_list" postgres;
    JOB_LOG_APPEND = "job_log_append" postgres;
    JOB_LOG_BEGIN = "job_log_begin" postgres;
    JOB_LOG_CHUNK_DELETE = "job_log_chunk_delete" postgres;
    JOB_LOG_CHUNK_LIST = "job_log_chunk_list" postgres;
    JOB_LOG_DELETE = "job_log_delete" postgres;
    JOB_LOG_LIST = "job_log_list" postgres;
    JOB_LOG_SEAL = "job_log_seal" postgres;
    JOB_LOG_SEAL_ALL = "job_log_seal_all" postgres;
    JOB_LOG_SELECT = "job_log_select" postgres;
    LEADER_LOCK = "leader_lock" postgres;
    UNIQUE_KEY_REFERENCE = "unique_key_reference" postgres;
}

// What a batch writes, many rows at a time; the letters are the types of the columns of one row:
// `i` a number, `t` a text, `b` bytes.
bulk_statements! {
    ATTEMPT_INSERT = "attempt_insert", "iiiiiiiiiiiiittiiii";
    ATTEMPT_PRUNE = "attempt_prune", "ii";
    CLASS_INSERT = "class_insert", "it";
    DELIVERY_ANSWER = "delivery_answer", "titt";
    DELIVERY_BODY_PRUNE = "delivery_body_prune", "tb";
    DELIVERY_DECIDE = "delivery_decide", "tittit";
    DELIVERY_INSERT = "delivery_insert", "tttttitttitiittitttb";
    DELIVERY_PRUNE = "delivery_prune", "t";
    EDGE_INSERT = "edge_insert", "iii";
    EDGE_PRUNE = "edge_prune", "ii";
    JOB_ARCHIVE = "job_archive", "i";
    JOB_DELETE = "job_delete", "i";
    JOB_DONE_DELETE = "job_done_delete", "i";
    JOB_DONE_INSERT = "job_done_insert", "iiiitiiiiiiiiiiiiitiiiiiiitiit";
    JOB_INSERT = "job_insert", "iiiitiiiiiiiiiiiiitiiiiiiitiit";
    JOB_PRUNE = "job_prune", "ii";
    JOB_REOPEN = "job_reopen", "i";
    JOB_REPLAN = "job_replan", "iiiit";
    JOB_SPEC_INSERT = "job_spec_insert", "iit";
    JOB_SPEC_PRUNE = "job_spec_prune", "ii";
    JOB_SPEC_UPDATE = "job_spec_update", "it";
    JOB_UPDATE = "job_update", "iiiiiiiiiiiitiiiiiiiiit";
    OUTBOX_INSERT = "outbox_insert", "tiiiitiiiiiiii";
    OUTBOX_PRUNE = "outbox_prune", "ii";
    OUTBOX_RETRY = "outbox_retry", "ii";
    OUTBOX_TELL = "outbox_tell", "iiiiiitt";
    PAUSE_DELETE = "pause_delete", "t";
    PAUSE_UPSERT = "pause_upsert", "tttit";
    RECORD_INSERT = "record_insert", "iitiiiitt";
    RECORD_PRUNE = "record_prune", "i";
    RECORD_PRUNE_BY_WORKLOAD = "record_prune_by_workload", "ii";
    RUNNER_DELETE = "runner_delete", "i";
    RUNNER_INSERT = "runner_insert", "itttitttitit";
    RUNNER_UPDATE = "runner_update", "itttitttitit";
    SCHEDULE_DELETE = "schedule_delete", "t";
    SCHEDULE_UPSERT = "schedule_upsert", "ttiititi";
    SESSION_DAY_UPSERT = "session_day_upsert", "iiii";
    SESSION_INSERT = "session_insert", "iittiiiiiitiiiiiiitttttt";
    SESSION_MESSAGE_DELIVER = "session_message_deliver", "iiii";
    SESSION_MESSAGE_INSERT = "session_message_insert", "iiiitttii";
    SESSION_MESSAGE_PRUNE = "session_message_prune", "iii";
    OUTBOX_PRUNE_BY_SESSION = "outbox_prune_by_session", "ii";
    SESSION_PRUNE = "session_prune", "ii";
    SESSION_UPDATE = "session_update", "iiiiiitiiiiiiitt";
    SOFT_STATE_UPSERT = "soft_state_upsert", "tti";
    UNIQUE_KEY_CLAIM = "unique_key_claim", "itti";
    UNIQUE_KEY_FIND = "unique_key_find" two, "it";
    UNIQUE_KEY_PRUNE = "unique_key_prune", "it";
    UNIQUE_KEY_UPDATE = "unique_key_update", "itt";
    WORKLOAD_ARCHIVE = "workload_archive", "i";
    WORKLOAD_DELETE = "workload_delete", "i";
    WORKLOAD_DONE_DELETE = "workload_done_delete", "i";
    WORKLOAD_DONE_INSERT = "workload_done_insert", "iiititttiiiitiii";
    WORKLOAD_INSERT = "workload_insert", "iiititttiiiitiii";
    WORKLOAD_PRUNE = "workload_prune", "ii";
    WORKLOAD_REOPEN = "workload_reopen", "i";
    WORKLOAD_UPDATE = "workload_update", "iiiiitiii";
}
