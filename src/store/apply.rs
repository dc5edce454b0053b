//! Writes a folded batch: which table comes after which.
//!
//! What others refer to is written first, so that a reader between two statements of a database
//! without snapshots would never see a reference to nothing: classes and deliveries, then
//! workloads, then jobs with what they do and need, then history; what is forgotten comes last.

use std::collections::HashSet;

use super::bind::Bind;
use super::bulk::Bulk;
use super::connection::Connection;
use super::error::StoreError;
use super::moves::{Moves, Tracks};
use super::pipe::Pipe;
use super::planted::Planted;
use super::rows;
use super::statement as sql;
use super::write_set::{Sessions, Spec, WriteSet};
use crate::model::{
    OutboxEntry, OutboxId, OutboxTold, PrunedRows, SessionDelivered, SessionMessage,
};

/// The statements over a hot table and its done table.
struct Pair<R> {
    archive: &'static Bulk,
    reopen: &'static Bulk,
    hot_delete: &'static Bulk,
    done_delete: &'static Bulk,
    hot_insert: &'static Bulk,
    done_insert: &'static Bulk,
    update: &'static Bulk,
    bind: fn(&R, &mut Bind),
    bind_update: fn(&R, &mut Bind),
}

static WORKLOADS: Pair<crate::model::Workload> = Pair {
    archive: &sql::WORKLOAD_ARCHIVE,
    reopen: &sql::WORKLOAD_REOPEN,
    hot_delete: &sql::WORKLOAD_DELETE,
    done_delete: &sql::WORKLOAD_DONE_DELETE,
    hot_insert: &sql::WORKLOAD_INSERT,
    done_insert: &sql::WORKLOAD_DONE_INSERT,
    update: &sql::WORKLOAD_UPDATE,
    bind: rows::workload::bind,
    bind_update: rows::workload::bind_update,
};

static JOBS: Pair<crate::model::Job> = Pair {
    archive: &sql::JOB_ARCHIVE,
    reopen: &sql::JOB_REOPEN,
    hot_delete: &sql::JOB_DELETE,
    done_delete: &sql::JOB_DONE_DELETE,
    hot_insert: &sql::JOB_INSERT,
    done_insert: &sql::JOB_DONE_INSERT,
    update: &sql::JOB_UPDATE,
    bind: rows::job::bind,
    bind_update: rows::job::bind_update,
};

impl<R> Pair<R> {
    async fn write(&self, to: &Pipe, tracks: Tracks<'_, R>) -> Result<(), StoreError> {
        let Moves {
            reopen,
            archive,
            hot_deletes,
            done_deletes,
            hot_inserts,
            done_inserts,
            hot_updates,
        } = tracks.finish();
        to.send(self.reopen, &reopen, id).await?;
        to.send(self.archive, &archive, id).await?;
        to.send(self.hot_delete, &hot_deletes, id).await?;
        to.send(self.done_delete, &done_deletes, id).await?;
        to.send(self.hot_insert, &hot_inserts, |row, to| (self.bind)(row, to)).await?;
        to.send(self.done_insert, &done_inserts, |row, to| (self.bind)(row, to)).await?;
        to.send(self.update, &hot_updates, |row, to| (self.bind_update)(row, to)).await
    }
}

/// Writes all rows of a batch, inside the caller's transaction.
///
/// # Errors
/// [`StoreError::Data`] when the schema refuses a value, or when a row that is to change is not
/// there; otherwise what the database could not do. Either way the transaction must end.
pub(super) async fn apply(
    to: &mut Connection,
    set: WriteSet<'_>,
    planted: &Planted,
) -> Result<(), StoreError> {
    Pipe::run(to, planted, async |pipe| write(&pipe, set).await).await
}

async fn write(to: &Pipe, set: WriteSet<'_>) -> Result<(), StoreError> {
    to.send(&sql::CLASS_INSERT, &set.classes, |row, to| rows::class::bind(row, to)).await?;
    let deliveries = &set.deliveries;
    to.send(&sql::DELIVERY_INSERT, deliveries, |row, to| rows::delivery::bind(row, to)).await?;
    let decided = &set.decided;
    to.send(&sql::DELIVERY_DECIDE, decided, |row, to| rows::delivery::bind_decided(row, to))
        .await?;
    let answered = &set.answered;
    to.send(&sql::DELIVERY_ANSWER, answered, |row, to| rows::delivery::bind_answered(row, to))
        .await?;
    // Before the rows move: what was planned anew was live before the batch.
    let replanned: Vec<_> = set.replanned.into_values().collect();
    to.send(&sql::JOB_REPLAN, &replanned, |(job, _), to| rows::job::bind_replan(job, to)).await?;
    to.send(&sql::JOB_SPEC_UPDATE, &replanned, |(job, spec), to| {
        to.int(job.id.0).json(&***spec);
    })
    .await?;
    WORKLOADS.write(to, set.workloads).await?;
    JOBS.write(to, set.jobs).await?;
    to.send(&sql::JOB_SPEC_INSERT, &set.specs, bind_spec).await?;
    to.send(&sql::EDGE_INSERT, &set.edges, rows::job::bind_edge).await?;
    let attempts = &set.attempts;
    to.send(&sql::ATTEMPT_INSERT, attempts, |row, to| rows::attempt::bind(row, to)).await?;
    let runner = |row: &&_, to: &mut Bind| rows::runner::bind(row, to);
    to.send(&sql::RUNNER_DELETE, &set.runners.deletes(), id).await?;
    to.send(&sql::RUNNER_INSERT, &set.runners.inserts(), runner).await?;
    to.send(&sql::RUNNER_UPDATE, &set.runners.updates(), runner).await?;
    let paused: Vec<_> = set.pauses.into_values().flatten().collect();
    to.send(&sql::PAUSE_DELETE, &set.lifted, |scope, to| rows::pause::bind_scope(scope, to))
        .await?;
    to.send(&sql::PAUSE_UPSERT, &paused, |row, to| rows::pause::bind(row, to)).await?;
    to.send_any(&sql::SCHEDULE_DELETE, &set.forgotten, |name, to| {
        to.text(*name);
    })
    .await?;
    let marks: Vec<_> = set.schedules.into_values().flatten().collect();
    to.send(&sql::SCHEDULE_UPSERT, &marks, |row, to| rows::schedule::bind(row, to)).await?;
    write_sessions(to, set.sessions, &set.messages, &set.delivered).await?;
    let days: Vec<_> = set.session_days.into_values().collect();
    to.send(&sql::SESSION_DAY_UPSERT, &days, |row, to| rows::session::bind_day(row, to)).await?;
    let soft: Vec<_> = set.soft.into_values().collect();
    to.send(&sql::SOFT_STATE_UPSERT, &soft, |row, to| rows::pause::bind_soft(row, to)).await?;
    let records = &set.records;
    to.send(&sql::RECORD_INSERT, records, |row, to| rows::record::bind(row, to)).await?;
    let answers: Vec<_> = set.answers.into_iter().collect();
    to.send(&sql::UNIQUE_KEY_UPDATE, &answers, |(key, stands_for), to| {
        to.int(key.scope as i64).text(&*key.key).text(*stands_for);
    })
    .await?;
    outbox(to, &set.outbox, &set.told, &set.retold).await?;
    for rows in set.pruned {
        prune(to, rows).await?;
    }
    Ok(())
}

/// What is told to others. How many rows change nobody knows: a try may be told of an entry that is told already.
async fn outbox(
    to: &Pipe,
    added: &[&OutboxEntry],
    told: &[&OutboxTold],
    retold: &[(OutboxId, i64)],
) -> Result<(), StoreError> {
    to.send(&sql::OUTBOX_INSERT, added, |row, to| rows::outbox::bind(row, to)).await?;
    // Two tries of one entry in one batch are two updates, the second of what the first left.
    let mut rest: Vec<&OutboxTold> = told.to_vec();
    while !rest.is_empty() {
        let mut seen = HashSet::new();
        let (first, later) = rest.iter().partition(|told| seen.insert(told.id));
        rest = later;
        let first: Vec<&OutboxTold> = first;
        to.send_any(&sql::OUTBOX_TELL, &first, |told, to| rows::outbox::bind_told(told, to))
            .await?;
    }
    to.send_any(&sql::OUTBOX_RETRY, retold, |(id, at_ms), to| {
        to.int(id.0).int(*at_ms);
    })
    .await
}

/// Sessions that end come first: another one may have the key of one of them.
async fn write_sessions(
    to: &Pipe,
    sessions: Sessions<'_>,
    messages: &[&SessionMessage],
    delivered: &[SessionDelivered],
) -> Result<(), StoreError> {
    let updates: Vec<_> = sessions.updates.into_values().collect();
    to.send(&sql::SESSION_UPDATE, &updates, |row, to| rows::session::bind_update(row, to)).await?;
    let mut inserts: Vec<_> = sessions.inserts.into_values().collect();
    inserts.sort_unstable_by_key(|session| session.id);
    to.send(&sql::SESSION_INSERT, &inserts, |row, to| rows::session::bind(row, to)).await?;
    to.send(&sql::SESSION_MESSAGE_INSERT, messages, |row, to| {
        rows::session::bind_message(row, to);
    })
    .await?;
    // One at a time, because two ranges may touch the same message.
    for it in delivered {
        to.send_any(&sql::SESSION_MESSAGE_DELIVER, std::slice::from_ref(it), |it, to| {
            rows::session::bind_delivered(it, to);
        })
        .await?;
    }
    Ok(())
}

/// Forgets rows, what refers to others first. How many there were nobody knows for sure: what was
/// found to be old may have been retried since.
async fn prune(to: &Pipe, rows: &PrunedRows) -> Result<(), StoreError> {
    let of_workloads = [
        &sql::ATTEMPT_PRUNE,
        &sql::RECORD_PRUNE_BY_WORKLOAD,
        &sql::OUTBOX_PRUNE,
        &sql::EDGE_PRUNE,
        &sql::JOB_PRUNE,
        // The jobs of a workload are found by these.
        &sql::JOB_SPEC_PRUNE,
        &sql::WORKLOAD_PRUNE,
    ];
    for statement in of_workloads {
        to.send_any(statement, &rows.workloads, |(id, ended_at_ms), to| {
            to.int(id.0).int(*ended_at_ms);
        })
        .await?;
    }
    to.send_any(&sql::DELIVERY_BODY_PRUNE, &rows.bodies, |id, to| {
        to.display(Some(*id)).bytes(Some(&[]));
    })
    .await?;
    to.send_any(&sql::DELIVERY_PRUNE, &rows.deliveries, |id, to| {
        to.display(Some(*id));
    })
    .await?;
    to.send_any(&sql::UNIQUE_KEY_PRUNE, &rows.keys, |key, to| {
        to.int(key.scope as i64).text(&*key.key);
    })
    .await?;
    to.send_any(&sql::SESSION_MESSAGE_PRUNE, &rows.sessions, |it, to| {
        to.int(it.id.0).int(it.ended_at_ms).int(it.up_to);
    })
    .await?;
    let whole: Vec<_> = rows.sessions.iter().filter(|it| it.whole).collect();
    for prune in [&sql::OUTBOX_PRUNE_BY_SESSION, &sql::SESSION_PRUNE] {
        to.send_any(prune, &whole, |it, to| {
            to.int(it.id.0).int(it.ended_at_ms);
        })
        .await?;
    }
    to.send_any(&sql::RECORD_PRUNE, &rows.records, id).await
}

fn id(id: &i64, to: &mut Bind) {
    to.int(*id);
}

fn bind_spec((job_id, workload_id, spec): &Spec<'_>, to: &mut Bind) {
    to.int(job_id.0).int(workload_id.0).json(&***spec);
}
