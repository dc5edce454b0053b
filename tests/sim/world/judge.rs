//! Judges each commit by the rows before and after it: whether what ended, ran, waits or was let in
//! did so by its own terms.

use std::collections::BTreeMap;

use dispatchyard::model::{
    EndReason, Job, JobId, JobState, JobStateKind, PendingPolicy, RunIf, WorkloadId,
};

use super::World;
use crate::gates::{self, Group, GroupName, Member};
use crate::rows::Before;
use crate::shapes;

fn waits_or_runs(kind: JobStateKind) -> bool {
    use JobStateKind::{Claimed, Pending, Running};
    matches!(kind, Pending | Claimed | Running)
}

fn allowed(job: &Job) -> bool {
    job.terms.as_ref().is_some_and(|terms| terms.allow_failure)
}

fn end_reason(job: &Job) -> Option<EndReason> {
    match job.state {
        JobState::Ended { reason, .. } => Some(reason),
        _ => None,
    }
}

impl World {
    /// Follows what was written, and judges it.
    pub(super) fn follow(&mut self, before: &Before) {
        let groups = self.known.groups.clone();
        let told = self.told();
        if told.values().any(|ms| *ms != self.settings.expected_run_ms) {
            self.reached.mark("run times learned");
        }
        self.known.told = told;
        self.known.sync(&self.rows, &self.settings, self.now);
        self.due_when_cancelled(before);
        self.note_failures(before);
        let ids: Vec<JobId> = before.jobs.keys().copied().collect();
        for id in ids {
            let old = before.jobs[&id].as_ref();
            let job = self.rows.any_job(id).clone();
            self.judge_job(old, &job);
            let failed = |job: &Job| job.kind() == JobStateKind::Failed && !allowed(job);
            if job.kind() == JobStateKind::Failed && allowed(&job) {
                self.reached.mark("failure allowed");
            }
            if failed(&job) && !old.is_some_and(failed) {
                self.judge_fail_fast(before, &job);
            }
        }
        self.judge_groups(before, &groups);
    }

    /// Of blocked jobs remembers that something they need failed.
    fn note_failures(&mut self, before: &Before) {
        let reopened = before.jobs.iter().filter(|(id, old)| {
            let ended = old.as_ref().is_some_and(|old| old.kind().is_terminal());
            ended && !self.rows.any_job(**id).kind().is_terminal()
        });
        for id in reopened.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.failures.remove(&id);
        }
        let was_blocked = |old: &Option<Job>| {
            old.as_ref()
                .is_none_or(|it| it.kind() == JobStateKind::Blocked || it.kind().is_terminal())
        };
        let changed = before.jobs.iter().filter(|(_, old)| was_blocked(old)).map(|(id, _)| *id);
        let blocked = self.rows.jobs.values().filter(|job| job.kind() == JobStateKind::Blocked);
        let mut ids: Vec<_> = changed.chain(blocked.map(|job| job.id)).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            let job = self.rows.any_job(id);
            if gates::needs(&self.rows, job).failed > 0 {
                self.failures.insert(id);
            }
            // Which of two ends in one commit came first is not known.
            let said = job.need_failed;
            let seen = self.failures.contains(&id);
            assert!(!said || seen, "job {id} says that a need failed, and none has");
            let waits = matches!(job.kind(), JobStateKind::Blocked | JobStateKind::Pending);
            assert!(said || !seen || !waits, "job {id} does not know that a need failed");
        }
    }

    fn judge_job(&mut self, old: Option<&Job>, job: &Job) {
        let id = job.id;
        if old.is_some_and(|old| job.retry_count == old.retry_count + 1) && job.backoff_ms > 0 {
            self.judge_backoff(job);
        }
        if let Some(old) = old.filter(|_| self.lost.remove(&id)) {
            assert_eq!(
                job.extras.infra_failures,
                old.extras.infra_failures + 1,
                "losses of job {id}"
            );
        }
        let was = old.map(Job::kind).filter(|kind| !kind.is_terminal());
        let needs = gates::needs(&self.rows, job);
        let failed = self.failures.contains(&id);
        if waits_or_runs(job.kind()) && !was.is_some_and(waits_or_runs) {
            assert!(needs.all_ended(), "job {id} may run before its needs ended: {needs:?}");
            match job.run_if() {
                RunIf::Success => assert_eq!(needs.unmet, 0, "job {id} runs over a bad end"),
                RunIf::Failure => {
                    assert!(failed, "job {id} runs on failure, and nothing failed");
                    self.reached.mark("ran on failure");
                }
                RunIf::Always if needs.unmet > 0 => self.reached.mark("ran always"),
                RunIf::Always => {}
                RunIf::Never => panic!("job {id} never runs"),
                // It was decided so: a job is not pending before.
                RunIf::Decide => assert_eq!(was, Some(JobStateKind::Blocked), "job {id}"),
            }
            if old.is_some() && !job.needs_workloads().is_empty() {
                self.reached.mark("need of a workload met");
            }
            if old.is_some() && !job.late_needs().is_empty() {
                self.reached.mark("late need met");
            }
        }
        let ended_now = job.kind().is_terminal() && old.is_none_or(|it| !it.kind().is_terminal());
        let Some(reason) = end_reason(job).filter(|_| ended_now) else { return };
        match reason {
            EndReason::NeedNotMet => {
                assert_eq!(job.kind(), JobStateKind::Skipped);
                match job.run_if() {
                    RunIf::Success => assert!(needs.unmet > 0, "job {id} was skipped for nothing"),
                    RunIf::Failure => {
                        assert!(needs.all_ended() && !job.need_failed, "job {id} was skipped");
                        self.reached.mark("skipped, as nothing failed");
                    }
                    RunIf::Always => panic!("job {id} always runs"),
                    RunIf::Never | RunIf::Decide => panic!("job {id} does not go by ends"),
                }
            }
            EndReason::ConditionFalse | EndReason::Unplannable | EndReason::Expanded => {
                self.judge_decided(old, job, reason);
            }
            EndReason::NeedNeverCame => {
                assert!(needs.failed > 0 && job.run_if() == RunIf::Success);
                self.reached.mark("need never came");
            }
            EndReason::QueueTimeout => {
                let due_ms = self.queue_timeout_at_ms(old.expect("it waited"));
                assert!(due_ms.is_some_and(|at_ms| at_ms <= self.now.wall_ms), "job {id}: early");
                self.reached.mark("queue timeout");
            }
            EndReason::GroupReplaced => self.reached.mark("group replaced"),
            EndReason::FailFast => self.reached.mark("fail fast"),
            EndReason::WaitCycle => self.reached.mark("wait cycle broken"),
            EndReason::Poisoned => {
                let most = self.settings.infra_retries_max;
                assert_eq!(job.extras.infra_failures, most + 1, "job {id} was poisoned");
                self.reached.mark("poisoned");
            }
            _ => {}
        }
    }

    /// A job that failed waits for a random time before its next try: now and then for none, but not
    /// always.
    fn judge_backoff(&mut self, job: &Job) {
        let wait_ms = (job.not_before_ms - self.now.wall_ms).max(0);
        let most_ms = (job.backoff_ms << (job.retry_count - 1)).min(self.settings.backoff_max_ms);
        assert!(wait_ms <= most_ms, "job {} waits {wait_ms} ms before its next try", job.id);
        self.backoffs.0 += 1;
        self.backoffs.1 += u32::from(wait_ms <= 1);
        let (all, short) = self.backoffs;
        assert!(all < 3 || short < all, "{all} jobs failed, and none waited for its next try");
    }

    /// When a pending job is given up (wall).
    pub(super) fn queue_timeout_at_ms(&self, job: &Job) -> Option<i64> {
        let own_ms = job.terms.as_ref().and_then(|terms| terms.queue_timeout_ms);
        let most_ms = own_ms.or(self.settings.queue_timeout_ms)?;
        Some(job.ready_at_ms.max(job.not_before_ms) + most_ms)
    }

    /// The first failure of what shares a fate stops all the rest.
    fn judge_fail_fast(&self, before: &Before, failed: &Job) {
        let id = failed.workload_id;
        let live = self.rows.workloads.get(&id);
        let Some(row) = live.or_else(|| self.rows.done_workloads.get(&id)) else { return };
        let whole = row.terms.as_ref().is_some_and(|terms| terms.fail_fast);
        let matrix = failed.matrix().filter(|matrix| matrix.fail_fast);
        let shares = |other: &Job| whole || (matrix.is_some() && other.matrix() == matrix);
        let all = self.rows.jobs.values().chain(self.rows.done_jobs.values());
        let others: Vec<_> =
            all.filter(|it| it.workload_id == id && it.id != failed.id && shares(it)).collect();
        if others.iter().any(|it| it.kind() == JobStateKind::Failed && !allowed(it)) {
            return;
        }
        for other in others {
            // What a retry brought back may have been blocked in between.
            let old = before.jobs.get(&other.id).map(|old| old.as_ref().map(Job::kind));
            let was_blocked = match old {
                None => other.kind() == JobStateKind::Blocked,
                Some(old) => {
                    old.is_none_or(|old| old == JobStateKind::Blocked || old.is_terminal())
                }
            };
            let spared = was_blocked && other.run_if() != RunIf::Success;
            let stopped =
                other.kind().is_terminal() || other.extras.cancel_requested_at_ms.is_some();
            let same = matrix.is_some() && other.matrix() == matrix;
            assert!(stopped || (spared && !same), "job {} survived job {}", other.id, failed.id);
        }
    }

    /// Nobody waits for a group that has room, nobody is in too many, and whoever came in was first.
    fn judge_groups(&mut self, before: &Before, old: &BTreeMap<GroupName, Group>) {
        let empty = Group::default();
        for (name, group) in self.known.groups.clone() {
            let old = old.get(&name).unwrap_or(&empty);
            let (limit, pending) = shapes::group_terms(&name.1);
            let inside = group.inside.len();
            assert!(inside <= limit as usize, "{inside} are in {name:?}, {limit} may");
            let full = group.waiting.is_empty() || inside == limit as usize;
            assert!(full, "somebody waits for {name:?}, and {inside} are in of {limit}");
            match pending {
                PendingPolicy::Latest => assert!(group.waiting.len() <= 1, "{name:?}: {group:?}"),
                PendingPolicy::Queue { max } => assert!(group.waiting.len() <= max as usize),
            }
            if !group.waiting.is_empty() {
                self.reached.mark("waited for a group");
            }
            let stayed = || group.waiting.iter().filter(|(it, _)| old.waiting.contains_key(*it));
            for member in group.inside.iter().filter(|it| old.waiting.contains_key(*it)) {
                self.reached.mark("let into a group");
                let turn = (old.waiting[member].0, old.waiting[member].1, *member);
                for (other, behind) in stayed() {
                    let was = old.waiting[other];
                    assert!(turn < was || turn < *behind, "{member:?} came in before {other:?}");
                }
            }
            for member in group.waiting.keys().filter(|it| !old.waiting.contains_key(*it)) {
                if self.cancels_in_progress(*member) {
                    self.reached.mark("cancelled in progress");
                    let stayed = group.inside.iter().filter(|it| old.inside.contains(*it));
                    for holder in stayed.filter(|it| **it != (member.0, None)) {
                        self.judge_asked_to_stop(before, *holder);
                    }
                }
            }
        }
    }

    fn cancels_in_progress(&self, (workload, job): Member) -> bool {
        let group = match job {
            Some(id) => self.rows.jobs[&id].group(),
            None => self.rows.workloads[&workload].group(),
        };
        group.is_some_and(|group| group.cancel_in_progress)
    }

    /// Whoever is in a group for which a new member waits that cancels has been asked to stop.
    fn judge_asked_to_stop(&self, before: &Before, (workload, job): Member) {
        let of = |it: &&Job| job.map_or(it.workload_id == workload, |id| it.id == id);
        for job in self.rows.jobs.values().filter(of) {
            let asked = job.kind().is_terminal() || job.extras.cancel_requested_at_ms.is_some();
            let old = before.jobs.get(&job.id).map(Option::as_ref);
            let new = old.is_some_and(|old| old.is_none());
            // What may run however others end was let run by their end.
            let tidies = matches!(job.run_if(), RunIf::Always | RunIf::Decide)
                && old.flatten().is_some_and(|old| old.kind() == JobStateKind::Blocked);
            assert!(
                asked || new || tidies,
                "job {} was not asked to make room in its group",
                job.id
            );
        }
    }

    /// What holds of every live job at any time.
    pub(super) fn check_terms(&self) {
        for (name, taken) in gates::taken(&self.rows) {
            let most = shapes::max_parallel(name.1.is_some());
            assert!(taken <= most, "{taken} of {name:?} run, {most} may");
        }
        for job in self.rows.jobs.values() {
            let id = job.id;
            let needs = gates::needs(&self.rows, job);
            let waits = matches!(job.kind(), JobStateKind::Blocked | JobStateKind::Pending);
            if job.kind() == JobStateKind::Blocked {
                let undecided = job.run_if() == RunIf::Decide;
                assert!(undecided || !needs.all_ended(), "job {id} is blocked by nothing");
                let doomed = job.run_if() == RunIf::Success && needs.unmet > 0;
                assert!(!doomed, "job {id} waits under a parent that ended badly: {needs:?}");
            }
            let cancelled = job.extras.cancel_requested_at_ms.is_some() && waits;
            let tidies = job.kind() == JobStateKind::Blocked
                && matches!(job.run_if(), RunIf::Always | RunIf::Decide);
            assert!(!cancelled || tidies, "job {id} waits, though its cancel was asked for");
            let kept_back = job.lease().is_some() && gates::waits_for_group(&self.rows, job);
            assert!(!kept_back, "job {id} runs outside its group");
            if waits {
                let most = self.settings.infra_retries_max;
                assert!(job.extras.infra_failures <= most, "job {id} lives on, though poisoned");
                assert!(job.retry_count <= job.max_retries, "job {id} was tried too often");
            }
            if job.kind() == JobStateKind::Pending {
                let due_ms = self.queue_timeout_at_ms(job);
                let late = due_ms.is_some_and(|at_ms| at_ms <= self.now.wall_ms);
                assert!(!late, "job {id} waits longer than its queue timeout");
            }
        }
        self.check_everything_can_end();
    }

    /// Whoever waits can be reached by an end, if runners work and people close what is open: what
    /// waits for itself was given up.
    fn check_everything_can_end(&self) {
        let waiting = |group: &Group| !group.waiting.is_empty();
        let across = |job: &Job| job.needs_workloads().iter().any(|id| self.is_live(*id));
        if !self.known.groups.values().any(waiting) && !self.rows.jobs.values().any(across) {
            return;
        }
        let mut can: BTreeMap<JobId, bool> =
            self.rows.jobs.values().map(|job| (job.id, job.kind().is_terminal())).collect();
        loop {
            let more: Vec<_> = self
                .rows
                .jobs
                .values()
                .filter(|job| !can[&job.id] && self.job_can_end(&can, job))
                .map(|job| job.id)
                .collect();
            if more.is_empty() {
                break;
            }
            can.extend(more.into_iter().map(|id| (id, true)));
        }
        let stuck: Vec<_> = can.iter().filter(|(_, can)| !**can).map(|(id, _)| *id).collect();
        assert!(stuck.is_empty(), "jobs {stuck:?} wait for each other, for ever");
    }

    fn is_live(&self, id: WorkloadId) -> bool {
        self.rows.workloads.contains_key(&id)
    }

    fn job_can_end(&self, can: &BTreeMap<JobId, bool>, job: &Job) -> bool {
        if job.lease().is_some() {
            return true;
        }
        // What let a job out of its needs may begin anew, by a retry, and keeps it back no more.
        let needs = match job.kind() {
            JobStateKind::Blocked => gates::needs(&self.rows, job),
            _ => gates::Needs::default(),
        };
        let workload_can = |id: WorkloadId| {
            let mut jobs = self.rows.jobs.values().filter(|it| it.workload_id == id);
            jobs.all(|it| can[&it.id])
        };
        let member_can = |member: &Member| member.1.map_or(workload_can(member.0), |id| can[&id]);
        let waits = |member: Member| {
            let mut groups = self.known.groups.values();
            groups.find(|group| group.waiting.contains_key(&member))
        };
        let groups = [waits((job.workload_id, None)), waits((job.workload_id, Some(job.id)))];
        needs.unended_jobs.iter().all(|id| can[id])
            && needs.unended_workloads.iter().all(|id| workload_can(*id))
            && groups.into_iter().flatten().all(|group| group.inside.iter().any(member_can))
    }
}
