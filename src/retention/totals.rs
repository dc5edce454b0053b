//! How much went.

use std::collections::HashSet;

use super::steps::Batch;
use crate::model::{KeyScope, PrunedRows, PrunedSession};

/// What went, or would go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Finished workloads.
    pub workloads: u64,
    /// Their jobs.
    pub jobs: u64,
    /// Their attempts.
    pub attempts: u64,
    /// Records, those about no workload too.
    pub records: u64,
    /// Bodies of deliveries that stay.
    pub bodies: u64,
    /// The bytes of these.
    pub body_bytes: u64,
    /// Deliveries.
    pub deliveries: u64,
    /// Keys of deliveries.
    pub dedupe_keys: u64,
    /// Keys of submissions.
    pub idempotency_keys: u64,
    /// Runners that are gone.
    pub runners: u64,
    /// Sessions that ended.
    pub sessions: u64,
    /// What was said in them.
    pub session_messages: u64,
    /// Jobs whose logs went before the jobs did, or were left behind by them.
    pub logs: u64,
}

impl Totals {
    /// Each figure with its name, but for bytes.
    pub fn named(&self) -> [(&'static str, u64); 12] {
        let Self { workloads, jobs, attempts, records, bodies, .. } = *self;
        let Self { deliveries, dedupe_keys, idempotency_keys, runners, logs, .. } = *self;
        let Self { sessions, session_messages, .. } = *self;
        [
            ("workloads", workloads),
            ("jobs", jobs),
            ("attempts", attempts),
            ("records", records),
            ("bodies", bodies),
            ("deliveries", deliveries),
            ("dedupe_keys", dedupe_keys),
            ("idempotency_keys", idempotency_keys),
            ("runners", runners),
            ("sessions", sessions),
            ("session_messages", session_messages),
            ("logs", logs),
        ]
    }

    /// Adds what went of a batch.
    pub(super) fn add(&mut self, batch: &Batch, gone: &PrunedRows, runners: u64) {
        let kept: HashSet<_> = gone.workloads.iter().map(|(id, _)| *id).collect();
        for workload in batch.workloads.iter().filter(|it| kept.contains(&it.id)) {
            self.workloads += 1;
            self.jobs += workload.jobs;
            self.attempts += workload.attempts;
            self.records += workload.records;
        }
        self.records += gone.records.len() as u64;
        self.bodies += gone.bodies.len() as u64;
        self.body_bytes += batch.deliveries_of(&gone.bodies).map(|it| it.body_bytes).sum::<u64>();
        self.deliveries += gone.deliveries.len() as u64;
        self.sessions += gone.sessions.iter().filter(|it| it.whole).count() as u64;
        self.session_messages += gone.sessions.iter().map(PrunedSession::messages).sum::<u64>();
        for key in &gone.keys {
            match key.scope {
                KeyScope::Delivery | KeyScope::Schedule => self.dedupe_keys += 1,
                KeyScope::Submission => self.idempotency_keys += 1,
            }
        }
        self.runners += runners;
    }

    /// Both together.
    pub(super) fn plus(&self, other: &Self) -> Self {
        Self {
            workloads: self.workloads + other.workloads,
            jobs: self.jobs + other.jobs,
            attempts: self.attempts + other.attempts,
            records: self.records + other.records,
            bodies: self.bodies + other.bodies,
            body_bytes: self.body_bytes + other.body_bytes,
            deliveries: self.deliveries + other.deliveries,
            dedupe_keys: self.dedupe_keys + other.dedupe_keys,
            idempotency_keys: self.idempotency_keys + other.idempotency_keys,
            runners: self.runners + other.runners,
            sessions: self.sessions + other.sessions,
            session_messages: self.session_messages + other.session_messages,
            logs: self.logs + other.logs,
        }
    }
}
