//! A database in memory, written from the meaning of each change and from nothing else.

use std::collections::{BTreeMap, BTreeSet};

use crate::desk::Desk;
use crate::talks::Talks;
use dispatchyard::model::{
    Archived, Attempt, Change, Class, ClassId, Delivery, DeliveryId, Edge, Job, JobId, LeaseToken,
    Marks, Pause, PauseScope, PrunedRows, Runner, RunnerId, ScheduleMark, Snapshot, SoftState,
    Workload, WorkloadId,
};

/// A delivery, as far as anybody asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DeliveryRow {
    /// What it started.
    pub(crate) workloads: Vec<WorkloadId>,
    pub(crate) has_body: bool,
}

/// The keys of all rows that can be forgotten.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Outline {
    workloads: BTreeSet<WorkloadId>,
    jobs: BTreeSet<JobId>,
    attempts: BTreeSet<LeaseToken>,
    edges: usize,
    /// Each with whether it has its body.
    deliveries: BTreeMap<DeliveryId, bool>,
    keys: BTreeSet<Box<str>>,
}

#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) epoch: i64,
    pub(crate) marks: Marks,
    pub(crate) classes: BTreeMap<ClassId, Class>,
    pub(crate) workloads: BTreeMap<WorkloadId, Workload>,
    pub(crate) jobs: BTreeMap<JobId, Job>,
    pub(crate) done_workloads: BTreeMap<WorkloadId, Workload>,
    pub(crate) done_jobs: BTreeMap<JobId, Job>,
    pub(crate) edges: Vec<Edge>,
    pub(crate) runners: BTreeMap<RunnerId, Runner>,
    pub(crate) pauses: BTreeMap<PauseScope, Pause>,
    pub(crate) schedules: BTreeMap<Box<str>, ScheduleMark>,
    pub(crate) soft: BTreeMap<Box<str>, SoftState>,
    pub(crate) attempts: BTreeMap<LeaseToken, Attempt>,
    /// Of each job that there is which jobs it needs; the same as the edges.
    pub(crate) needs: BTreeMap<JobId, Vec<JobId>>,
    pub(crate) deliveries: BTreeMap<DeliveryId, DeliveryRow>,
    /// Where deliveries stand.
    pub(crate) desk: Desk,
    /// Sessions of agents.
    pub(crate) talks: Talks,
    /// What was claimed by deliveries, and by which.
    pub(crate) keys: BTreeMap<Box<str>, DeliveryId>,
}

/// Rows as they were before a commit, of what the commit changed: absent, live or ended.
#[derive(Debug, Default)]
pub(crate) struct Before {
    pub(crate) jobs: BTreeMap<JobId, Option<Job>>,
    pub(crate) workloads: BTreeMap<WorkloadId, Option<Workload>>,
}

impl Rows {
    /// Writes changes; what their rows were before.
    pub(crate) fn apply(&mut self, changes: Vec<Change>, marks: Marks) -> Before {
        let mut before = Before::default();
        self.marks = marks;
        for change in changes {
            self.desk.apply(&change);
            let Some(change) = self.talks.apply(change) else { continue };
            match change {
                Change::OutboxAdded(entry) => {
                    let id = entry.workload_id.expect("it is about one");
                    let row = self.workloads.get(&id).expect("it is about a live one");
                    let terms = row.terms.as_ref().expect("somebody wants to hear of it");
                    assert!(terms.report.iter().any(|it| it.target == entry.target));
                }
                Change::OutboxTold(_) | Change::OutboxRetried(..) => {}
                Change::DeliveryDecided(_)
                | Change::DeliveryAnswered(_)
                | Change::Recorded(_)
                | Change::KeyAnswered(..) => {}
                Change::SessionInserted(_)
                | Change::SessionUpdated(_)
                | Change::SessionSaid(_)
                | Change::SessionDelivered(_)
                | Change::SessionSpent(_) => {}
                Change::DeliveryInserted(delivery) => self.add_delivery(&delivery),
                Change::Pruned(rows) => self.forget(&rows),
                Change::SoftSaved(soft) => drop(self.soft.insert(soft.key.clone(), soft)),
                Change::ScheduleKept(mark) => {
                    self.schedules.insert(mark.name.clone(), mark);
                }
                Change::ScheduleForgotten(name) => drop(self.schedules.remove(&name)),
                Change::EdgeInserted(edge) => self.add_edge(edge),
                Change::Paused(pause) => drop(self.pauses.insert(pause.scope.clone(), pause)),
                Change::Resumed(scope) => assert!(self.pauses.remove(&scope).is_some()),
                Change::ClassInserted(class) => {
                    assert!(self.classes.insert(class.id, class).is_none());
                }
                Change::WorkloadInserted(row) => {
                    before.workloads.insert(row.id, None);
                    assert!(self.workloads.insert(row.id, row).is_none());
                }
                Change::WorkloadUpdated(row) => {
                    let (id, old) = (row.id, self.workloads.insert(row.id, row));
                    assert!(old.is_some(), "workload {id} is not live");
                    before.workloads.entry(id).or_insert(old);
                }
                Change::JobInserted { job, edges, .. } => {
                    edges.into_iter().for_each(|edge| self.add_edge(edge));
                    before.jobs.insert(job.id, None);
                    assert!(self.jobs.insert(job.id, job).is_none());
                }
                Change::JobReplanned { job, .. } | Change::JobUpdated(job) => {
                    let (id, old) = (job.id, self.jobs.insert(job.id, job));
                    assert!(old.is_some(), "job {id} is not live");
                    before.jobs.entry(id).or_insert(old);
                }
                Change::AttemptEnded(attempt) => {
                    assert!(self.attempts.insert(attempt.token, *attempt).is_none());
                }
                Change::WorkloadArchived(id, jobs) => {
                    let row = self.workloads.remove(&id).expect("archived workload was live");
                    assert!(row.state.is_terminal() && row.ended_at_ms.is_some());
                    self.done_workloads.insert(id, row);
                    for id in jobs {
                        let job = self.jobs.remove(&id).expect("archived job was live");
                        assert!(job.kind().is_terminal(), "job {id} was archived unended");
                        self.done_jobs.insert(id, job);
                    }
                }
                Change::WorkloadReopened(id, jobs) => {
                    let row = self.done_workloads.remove(&id).expect("was archived");
                    before.workloads.insert(id, Some(row.clone()));
                    self.workloads.insert(id, row);
                    for id in jobs {
                        let job = self.done_jobs.remove(&id).expect("was archived");
                        before.jobs.insert(id, Some(job.clone()));
                        self.jobs.insert(id, job);
                    }
                }
                Change::RunnerInserted(row) => {
                    assert!(self.runners.insert(row.id, row).is_none());
                }
                Change::RunnerUpdated(row) => {
                    assert!(self.runners.insert(row.id, row).is_some());
                }
                Change::RunnerRemoved(id) => {
                    assert!(self.runners.remove(&id).is_some());
                }
            }
        }
        before
    }

    fn add_delivery(&mut self, delivery: &Delivery) {
        let workloads = delivery.verdicts.iter().filter_map(|it| it.workload_id).collect();
        let row = DeliveryRow { workloads, has_body: true };
        assert!(self.deliveries.insert(delivery.id, row).is_none());
    }

    /// Forgets what is named, and all that is a workload's own.
    fn forget(&mut self, rows: &PrunedRows) {
        for (id, ended_at_ms) in &rows.workloads {
            assert!(!self.workloads.contains_key(id), "workload {id} is live");
            let Some(row) = self.done_workloads.get(id) else { continue };
            if row.ended_at_ms != Some(*ended_at_ms) {
                continue;
            }
            self.done_workloads.remove(id);
            let gone = |job: &Job| job.workload_id == *id;
            let jobs: BTreeSet<_> =
                self.done_jobs.values().filter(|job| gone(job)).map(|job| job.id).collect();
            self.done_jobs.retain(|_, job| !gone(job));
            self.edges.retain(|edge| edge.workload_id != *id);
            self.needs.retain(|job, _| !jobs.contains(job));
            self.attempts.retain(|_, attempt| !jobs.contains(&attempt.job_id));
        }
        for id in &rows.bodies {
            self.deliveries.get_mut(id).expect("it is there").has_body = false;
        }
        for id in &rows.deliveries {
            assert!(self.deliveries.remove(id).is_some(), "delivery {id} was there");
        }
        self.talks.forget(&rows.sessions);
        for key in &rows.keys {
            assert!(self.keys.remove(&key.key).is_some(), "{key:?} was there");
        }
    }

    /// The keys of what there is.
    pub(crate) fn outline(&self) -> Outline {
        let jobs = self.jobs.keys().chain(self.done_jobs.keys());
        Outline {
            workloads: self.workloads.keys().chain(self.done_workloads.keys()).copied().collect(),
            jobs: jobs.copied().collect(),
            attempts: self.attempts.keys().copied().collect(),
            edges: self.edges.len(),
            deliveries: self.deliveries.iter().map(|(id, row)| (*id, row.has_body)).collect(),
            keys: self.keys.keys().cloned().collect(),
        }
    }

    /// The keys of what is to be there when these are forgotten: all but theirs.
    pub(crate) fn after(&self, rows: &PrunedRows) -> Outline {
        let mut kept = self.outline();
        let gone: BTreeSet<_> = rows.workloads.iter().map(|(id, _)| *id).collect();
        let of = |id: &JobId| self.any_job(*id).workload_id;
        kept.workloads.retain(|id| !gone.contains(id));
        kept.jobs.retain(|id| !gone.contains(&of(id)));
        kept.attempts.retain(|token| !gone.contains(&of(&self.attempts[token].job_id)));
        kept.edges -= self.edges.iter().filter(|it| gone.contains(&it.workload_id)).count();
        for id in &rows.bodies {
            kept.deliveries.insert(*id, false);
        }
        kept.deliveries.retain(|id, _| !rows.deliveries.contains(id));
        kept.keys.retain(|key| !rows.keys.iter().any(|it| it.key == *key));
        kept
    }

    /// Whether there is such a workload, live or ended.
    pub(crate) fn knows(&self, id: WorkloadId) -> bool {
        self.workloads.contains_key(&id) || self.done_workloads.contains_key(&id)
    }

    fn add_edge(&mut self, edge: Edge) {
        self.needs.entry(edge.job_id).or_default().push(edge.needs_job_id);
        self.edges.push(edge);
    }

    /// The jobs that a job needs.
    pub(crate) fn needs_of(&self, id: JobId) -> &[JobId] {
        self.needs.get(&id).map_or(&[], Vec::as_slice)
    }

    /// A job's row, live or ended.
    pub(crate) fn any_job(&self, id: JobId) -> &Job {
        self.find_job(id).expect("it was made")
    }

    /// The same, or nothing when it was forgotten.
    pub(crate) fn find_job(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(&id).or_else(|| self.done_jobs.get(&id))
    }

    pub(crate) fn snapshot(&self, epoch: i64) -> Snapshot {
        let live = |edge: &&Edge| self.workloads.contains_key(&edge.workload_id);
        Snapshot {
            epoch,
            marks: self.marks,
            classes: self.classes.values().cloned().collect(),
            workloads: self.workloads.values().cloned().collect(),
            jobs: self.jobs.values().cloned().collect(),
            edges: self.edges.iter().filter(live).copied().collect(),
            runners: self.runners.values().cloned().collect(),
            pauses: self.pauses.values().cloned().collect(),
            held: self.desk.held(),
            schedules: self.schedules.values().cloned().collect(),
            soft: self.soft.values().cloned().collect(),
            sessions: self.talks.live.values().cloned().collect(),
            session_days: self.talks.days.values().copied().collect(),
        }
    }

    pub(crate) fn archived(&self, id: WorkloadId) -> Option<Archived> {
        let workload = self.done_workloads.get(&id)?.clone();
        let jobs: Vec<_> =
            self.done_jobs.values().filter(|job| job.workload_id == id).cloned().collect();
        let edges = self.edges.iter().filter(|edge| edge.workload_id == id).copied().collect();
        let classes = jobs.iter().map(|job| self.classes[&job.class_id].clone()).collect();
        Some(Archived { workload, jobs, edges, classes })
    }
}
