//! One batch of what is old, and where the next one begins.

use std::collections::HashSet;

use super::rules::{Cutoffs, first_id_at, fitting, pieces};
use crate::dispatch::{GoneRunners, Prune};
use crate::model::{DeliveryId, JobId, KeyScope, PrunedRows, SessionId, UniqueKey, WorkloadId};
use crate::store::{OldDelivery, OldWorkload, Store, StoreError};

/// Rows of one page, at most.
const PAGE_ROWS: u32 = 256;
/// Bytes of bodies that go in one batch: their pages are written too.
const BATCH_BYTES_MAX: u64 = 4 << 20;

/// What is pruned, one kind after the other; what refers to others comes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Workloads,
    Sessions,
    Bodies,
    Deliveries,
    Keys(KeyScope),
    Records,
    Runners,
    Done,
}

impl Kind {
    fn next(self) -> Self {
        match self {
            Self::Workloads => Self::Sessions,
            Self::Sessions => Self::Bodies,
            Self::Bodies => Self::Deliveries,
            Self::Deliveries => Self::Keys(KeyScope::Delivery),
            Self::Keys(KeyScope::Delivery) => Self::Keys(KeyScope::Submission),
            Self::Keys(KeyScope::Submission) => Self::Keys(KeyScope::Schedule),
            Self::Keys(KeyScope::Schedule) => Self::Records,
            Self::Records => Self::Runners,
            Self::Runners | Self::Done => Self::Done,
        }
    }
}

/// A walk over all that is old, batch by batch.
#[derive(Debug)]
pub(super) struct Walk {
    cutoffs: Cutoffs,
    rows_max: usize,
    gone: GoneRunners,
    kind: Kind,
    /// Of what comes by time: the time of the last that was seen.
    after_ms: i64,
    /// And its number.
    after_id: i64,
    /// Or its text.
    after_key: Box<str>,
    /// Of a session that goes in pieces: the first message that is still to go.
    next_piece: Option<(SessionId, i64)>,
    after_delivery: DeliveryId,
    /// Before it no delivery has a body that may go.
    pub(super) bodies_from: DeliveryId,
    /// The last delivery that was looked at for its body.
    bodies_seen: DeliveryId,
    /// A body was left because of what it started: the next walk begins before it.
    body_left: bool,
}

/// What is to go together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) prune: Prune,
    pub(super) workloads: Vec<OldWorkload>,
    pub(super) deliveries: Vec<OldDelivery>,
    /// Jobs whose logs go with their workloads.
    jobs: Vec<(WorkloadId, JobId)>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.prune == Prune::default()
    }

    /// Jobs of those workloads that did go.
    pub(super) fn jobs_of(&self, gone: &PrunedRows) -> Vec<JobId> {
        let gone: HashSet<_> = gone.workloads.iter().map(|(id, _)| *id).collect();
        self.jobs.iter().filter(|(id, _)| gone.contains(id)).map(|(_, job)| *job).collect()
    }

    /// Deliveries that did go, or lost their bodies.
    pub(super) fn deliveries_of<'b>(
        &'b self,
        gone: &'b [DeliveryId],
    ) -> impl Iterator<Item = &'b OldDelivery> {
        let gone: HashSet<_> = gone.iter().copied().collect();
        self.deliveries.iter().filter(move |it| gone.contains(&it.id))
    }
}

impl Walk {
    pub(super) fn new(
        cutoffs: Cutoffs,
        rows_max: usize,
        gone: GoneRunners,
        bodies_from: DeliveryId,
    ) -> Self {
        let mut walk = Self {
            cutoffs,
            rows_max,
            gone,
            kind: Kind::Workloads,
            after_ms: 0,
            after_id: 0,
            after_key: "".into(),
            next_piece: None,
            after_delivery: first_id_at(0),
            bodies_from,
            bodies_seen: bodies_from,
            body_left: false,
        };
        walk.begin(Kind::Workloads);
        walk
    }

    fn begin(&mut self, kind: Kind) {
        self.kind = kind;
        (self.after_ms, self.after_id, self.after_key) = (i64::MIN, i64::MIN, "".into());
        self.after_delivery = if kind == Kind::Bodies { self.bodies_from } else { first_id_at(0) };
    }

    /// The next batch; `None` when all was seen.
    ///
    /// # Errors
    /// As every read.
    pub(super) async fn next(&mut self, store: &Store) -> Result<Option<Batch>, StoreError> {
        while self.kind != Kind::Done {
            let (batch, more) = match self.kind {
                Kind::Workloads => self.workloads(store).await?,
                Kind::Sessions => self.sessions(store).await?,
                Kind::Bodies => self.bodies(store).await?,
                Kind::Deliveries => self.deliveries(store).await?,
                Kind::Keys(scope) => self.keys(store, scope).await?,
                Kind::Records => self.records(store).await?,
                Kind::Runners => {
                    let prune = Prune { runners: Some(self.gone), ..Prune::default() };
                    (Batch { prune, ..Batch::default() }, false)
                }
                Kind::Done => break,
            };
            if !more {
                self.begin(self.kind.next());
            }
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    fn page_rows(&self) -> u32 {
        PAGE_ROWS.min(u32::try_from(self.rows_max).unwrap_or(u32::MAX))
    }

    async fn workloads(&mut self, store: &Store) -> Result<(Batch, bool), StoreError> {
        let (after, limit) = ((self.after_ms, WorkloadId(self.after_id)), self.page_rows());
        let mut page = store.old_workloads(after, self.cutoffs.workloads_ms, limit).await?;
        let more = page.len() == limit as usize;
        let fitting = fitting(page.iter().map(OldWorkload::rows), self.rows_max);
        let more = more || fitting < page.len();
        page.truncate(fitting);
        let Some(last) = page.last() else { return Ok((Batch::default(), false)) };
        (self.after_ms, self.after_id) = (last.ended_at_ms, last.id.0);
        let jobs = store.job_ids_of(page.iter().map(|it| it.id)).await?;
        let workloads = page.iter().map(|it| (it.id, it.ended_at_ms)).collect();
        let prune = Prune { workloads, ..Prune::default() };
        Ok((Batch { prune, workloads: page, jobs, ..Batch::default() }, more))
    }

    async fn sessions(&mut self, store: &Store) -> Result<(Batch, bool), StoreError> {
        let (after, limit) = ((self.after_ms, SessionId(self.after_id)), self.page_rows());
        let mut page = store.old_sessions(after, self.cutoffs.sessions_ms, limit).await?;
        if let (Some((id, first)), Some(next)) = (self.next_piece.take(), page.first_mut())
            && next.id == id
        {
            next.first = next.first.max(first);
        }
        let sessions = pieces(&page, self.rows_max);
        let more = page.len() == limit as usize || sessions.len() < page.len();
        match sessions.last() {
            Some(last) if last.whole => {
                (self.after_ms, self.after_id) = (last.ended_at_ms, last.id.0);
            }
            Some(last) => self.next_piece = Some((last.id, last.up_to + 1)),
            None => {}
        }
        let more = more || self.next_piece.is_some();
        Ok((Batch { prune: Prune { sessions, ..Prune::default() }, ..Batch::default() }, more))
    }

    async fn bodies(&mut self, store: &Store) -> Result<(Batch, bool), StoreError> {
        let (mut page, more) = self.old_deliveries(store, self.cutoffs.bodies_ms).await?;
        let (mut bytes, mut seen) = (0, 0);
        for delivery in &page {
            let in_row = delivery.has_body && delivery.body_file.is_none();
            let more_bytes = if in_row { delivery.body_bytes } else { 0 };
            if bytes > 0 && bytes + more_bytes > BATCH_BYTES_MAX {
                break;
            }
            bytes += more_bytes;
            seen += 1;
        }
        let more = more || seen < page.len();
        page.truncate(seen);
        if let Some(last) = page.last() {
            (self.after_delivery, self.bodies_seen) = (last.id, last.id);
        }
        page.retain(|it| it.has_body);
        if page.is_empty() && !self.body_left {
            self.bodies_from = self.bodies_seen;
        }
        let bodies = page.iter().map(|it| (it.id, it.workloads.clone())).collect();
        let prune = Prune { bodies, ..Prune::default() };
        Ok((Batch { prune, deliveries: page, ..Batch::default() }, more))
    }

    /// What became of the bodies of a batch: as long as all of them went, the next walk need not look
    /// at them again.
    pub(super) fn bodies_went(&mut self, batch: &Batch, gone: &PrunedRows) {
        self.body_left |= gone.bodies.len() < batch.prune.bodies.len();
        if !self.body_left && !gone.bodies.is_empty() {
            self.bodies_from = self.bodies_seen;
        }
    }

    async fn deliveries(&mut self, store: &Store) -> Result<(Batch, bool), StoreError> {
        let (mut page, more) = self.old_deliveries(store, self.cutoffs.deliveries_ms).await?;
        if let Some(last) = page.last() {
            self.after_delivery = last.id;
        }
        let started = page.iter().flat_map(|it| it.workloads.iter().copied());
        let kept = store.kept_workloads(started).await?;
        page.retain(|it| !it.workloads.iter().any(|id| kept.contains(id)));
        let deliveries = page.iter().map(|it| it.id).collect();
        let prune = Prune { deliveries, ..Prune::default() };
        Ok((Batch { prune, deliveries: page, ..Batch::default() }, more))
    }

    async fn old_deliveries(
        &self,
        store: &Store,
        until_ms: i64,
    ) -> Result<(Vec<OldDelivery>, bool), StoreError> {
        let (before, limit) = (first_id_at(until_ms.saturating_add(1)), self.page_rows());
        let page = store.old_deliveries(self.after_delivery, before, limit).await?;
        let more = page.len() == limit as usize;
        Ok((page, more))
    }

    async fn keys(&mut self, store: &Store, scope: KeyScope) -> Result<(Batch, bool), StoreError> {
        let until_ms = match scope {
            KeyScope::Delivery | KeyScope::Schedule => self.cutoffs.dedupe_keys_ms,
            KeyScope::Submission => self.cutoffs.idempotency_keys_ms,
        };
        let (after, limit) = ((self.after_ms, &*self.after_key), self.page_rows());
        let page = store.old_keys(scope, after, until_ms, limit).await?;
        let more = page.len() == limit as usize;
        if let Some(last) = page.last() {
            (self.after_ms, self.after_key) = (last.claimed_at_ms, last.key.key.clone());
        }
        let keys: Vec<UniqueKey> = page.into_iter().map(|it| it.key).collect();
        Ok((Batch { prune: Prune { keys, ..Prune::default() }, ..Batch::default() }, more))
    }

    async fn records(&mut self, store: &Store) -> Result<(Batch, bool), StoreError> {
        let (after, limit) = ((self.after_ms, self.after_id), self.page_rows());
        let page = store.old_records(after, self.cutoffs.records_ms, limit).await?;
        let more = page.len() == limit as usize;
        if let Some(last) = page.last() {
            (self.after_ms, self.after_id) = (last.at_ms, last.seq);
        }
        let records = page.iter().map(|it| it.seq).collect();
        Ok((Batch { prune: Prune { records, ..Prune::default() }, ..Batch::default() }, more))
    }
}
