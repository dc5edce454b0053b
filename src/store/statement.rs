//! Every statement of the store, by name.
//!
//! The texts are files under `sql/`, named by table and verb; the first line of each says what it
//! does and why that is safe. A [`Sql`] holds the text for each database that there is: where two
//! databases agree they share one file, and only where they must differ a second one stands beside
//! it. A [`Bulk`] is written as often as there are rows; see [`super::bulk`].
//!
//! Deliberately absent: statements made up at run time. Nothing but a number of rows ever changes
//! in a text.

use super::bulk::Bulk;

/// A statement with placeholders `$1`, `$2`, ...
#[derive(Clone, Copy, Debug)]
pub(super) struct Sql {
    /// The name of its file, for messages.
    pub(super) name: &'static str,
    /// The text for SQLite.
    sqlite: &'static str,
}

impl Sql {
    /// The text for the database in use.
    pub(super) fn text(self) -> &'static str {
        self.sqlite
    }
}

macro_rules! statements {
    ($($name:ident = $file:literal;)*) => {
        $(pub(super) const $name: Sql = Sql {
            name: $file,
            sqlite: include_str!(concat!("sql/", $file, ".sql")),
        };)*

        /// All of them, for the test that prepares each.
        #[cfg(test)]
        pub(super) const SINGLE: &[Sql] = &[$($name),*];
    };
}

macro_rules! bulk_statements {
    ($($name:ident = $file:literal, $columns:literal;)*) => {
        $(pub(super) static $name: Bulk =
            Bulk::new($file, include_str!(concat!("sql/", $file, ".sql")), $columns);)*

        /// All of them, for the test that prepares each in each of its sizes.
        #[cfg(test)]
        pub(super) static BULK: &[&Bulk] = &[$(&$name),*];
    };
}

// What the writer runs once per load or per batch, and what readers run.
statements! {
    ATTEMPT_ENDED_LIST = "attempt_ended_list";
    ATTEMPT_LIST = "attempt_list";
    ATTEMPT_OUTPUTS = "attempt_outputs";
    ATTEMPT_RUNS = "attempt_runs";
    ATTEMPT_SELECT = "attempt_select";
    CLASS_LOAD = "class_load";
    CLASS_SELECT = "class_select";
    DELIVERY_BODY = "delivery_body";
    DELIVERY_BODY_FILES = "delivery_body_files";
    DELIVERY_LIST = "delivery_list";
    DELIVERY_LIST_BY_STATE = "delivery_list_by_state";
    DELIVERY_SELECT = "delivery_select";
    EDGE_LIST = "edge_list";
    EDGE_LOAD = "edge_load";
    EDGE_NEED_NAMES = "edge_need_names";
    JOB_ENDED_LIST = "job_ended_list";
    JOB_ENDED_LIVE_LOAD = "job_ended_live_load";
    JOB_LIST = "job_list";
    JOB_LIST_BY_STATE = "job_list_by_state";
    JOB_LIST_BY_WORKLOAD = "job_list_by_workload";
    JOB_LOAD = "job_load";
    JOB_SELECT = "job_select";
    JOB_SPEC_SELECT = "job_spec_select";
    LEADER_FENCE = "leader_fence";
    LEADER_RAISE = "leader_raise";
    LEADER_SELECT = "leader_select";
    PAUSE_LOAD = "pause_load";
    POOL_LOAD = "pool_load";
    POOL_UPSERT = "pool_upsert";
    RECORD_LIST_BY_JOB = "record_list_by_job";
    RECORD_LIST_BY_WORKLOAD = "record_list_by_workload";
    RUNNER_LOAD = "runner_load";
    SOFT_STATE_LOAD = "soft_state_load";
    TENANT_INSERT = "tenant_insert";
    TENANT_LOAD = "tenant_load";
    TENANT_USAGE_LOAD = "tenant_usage_load";
    WORKLOAD_DONE_SELECT = "workload_done_select";
    WORKLOAD_LIST = "workload_list";
    WORKLOAD_LIST_BY_STATE = "workload_list_by_state";
    WORKLOAD_LOAD = "workload_load";
    WORKLOAD_SELECT = "workload_select";
}

// What a batch writes, many rows at a time; the number is that of the columns of one row.
bulk_statements! {
    ATTEMPT_INSERT = "attempt_insert", 18;
    CLASS_INSERT = "class_insert", 2;
    DELIVERY_INSERT = "delivery_insert", 19;
    EDGE_INSERT = "edge_insert", 3;
    JOB_ARCHIVE = "job_archive", 1;
    JOB_DELETE = "job_delete", 1;
    JOB_DONE_DELETE = "job_done_delete", 1;
    JOB_DONE_INSERT = "job_done_insert", 30;
    JOB_INSERT = "job_insert", 30;
    JOB_REOPEN = "job_reopen", 1;
    JOB_SPEC_INSERT = "job_spec_insert", 3;
    JOB_UPDATE = "job_update", 23;
    PAUSE_DELETE = "pause_delete", 1;
    PAUSE_UPSERT = "pause_upsert", 4;
    RECORD_INSERT = "record_insert", 9;
    RUNNER_DELETE = "runner_delete", 1;
    RUNNER_INSERT = "runner_insert", 11;
    RUNNER_UPDATE = "runner_update", 11;
    SOFT_STATE_UPSERT = "soft_state_upsert", 3;
    UNIQUE_KEY_CLAIM = "unique_key_claim", 4;
    UNIQUE_KEY_FIND = "unique_key_find", 2;
    UNIQUE_KEY_UPDATE = "unique_key_update", 3;
    WORKLOAD_ARCHIVE = "workload_archive", 1;
    WORKLOAD_DELETE = "workload_delete", 1;
    WORKLOAD_DONE_DELETE = "workload_done_delete", 1;
    WORKLOAD_DONE_INSERT = "workload_done_insert", 15;
    WORKLOAD_INSERT = "workload_insert", 15;
    WORKLOAD_REOPEN = "workload_reopen", 1;
    WORKLOAD_UPDATE = "workload_update", 8;
}
