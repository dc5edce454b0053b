//! Concurrency groups: who asks to be in, who gives way, and what follows for the jobs.
//!
//! A workload asks when it is made, and keeps its jobs back until it is in. A job asks when nothing
//! else keeps it but its limits. Either stays in until it ends, over retries too.

use super::planted::Planted;
use super::scheduler::Scheduler;
use super::wait_graph::Node;
use crate::model::{EndReason, GroupTerms, Job, JobId, JobStateKind, Now, WorkloadId};
use crate::queue::{Asked, GroupKey, Member, Turn};

/// In whose name a group cancels.
const AUTHOR: &str = "group";

impl Scheduler {
    /// Whether a job has a group of its own and is not in it.
    pub(super) fn asks_group(&self, job: &Job) -> bool {
        !job.in_group && job.group().is_some()
    }

    /// Lets a pending job, whose time has come, through its gates. When it must wait before one of
    /// them this is arranged, and it is not to be offered.
    pub(super) fn pass_gates(&mut self, id: JobId) -> bool {
        let job = &self.jobs[&id].row;
        let workload = &self.workloads[&job.workload_id].row;
        if job.terms.is_none() && workload.terms.is_none() {
            return true;
        }
        if workload.is_quiet() || workload.waits_for_group() {
            return false;
        }
        if self.asks_group(job) {
            let (member, turn) = (Member::job(job), Turn::of(job));
            match self.group_of(member) {
                Some((key, _)) if self.groups.is_waiting(&key, member) => {
                    self.groups.reorder(&key, turn);
                }
                _ => self.agenda.asking.push_back(member),
            }
            return false;
        }
        self.pass_limits(id, 0)
    }

    /// Whether a pending job is kept back by a group, its own or its workload's.
    pub(super) fn waits_for_group(&self, job: &Job) -> bool {
        self.asks_group(job)
            || self.workload(job.workload_id).is_some_and(|it| it.waits_for_group())
    }

    /// The group for which a pending job waits, and who it is that waits there.
    pub(super) fn awaited_group(&self, job: &Job) -> Option<(GroupKey, Member)> {
        let workload = self.workload(job.workload_id).filter(|it| !it.is_quiet())?;
        let member = match workload.waits_for_group() {
            true => Member::workload(workload.id),
            false if self.asks_group(job) => Member::job(job),
            false => return None,
        };
        self.group_of(member).map(|(key, _)| (key, member))
    }

    /// The group of a live member, as it names it.
    fn group_of(&self, member: Member) -> Option<(GroupKey, GroupTerms)> {
        let (tenant_id, terms) = match member.job_id {
            Some(id) => self.job(id).map(|job| (job.tenant_id, job.group()))?,
            None => self.workload(member.workload_id).map(|it| (it.tenant_id, it.group()))?,
        };
        let terms = terms?.clone();
        Some((GroupKey { tenant_id, key: terms.key.clone() }, terms))
    }

    /// The turn of a member: a workload's is that of its most urgent and that of its oldest job.
    /// Completed ones, of a run before, do not count.
    fn turn_of(&self, member: Member) -> Option<Turn> {
        if let Some(id) = member.job_id {
            return self.job(id).map(Turn::of);
        }
        let workload = self.workloads.get(&member.workload_id)?;
        let jobs = || {
            let jobs = workload.jobs().iter().filter_map(|id| self.job(*id));
            jobs.filter(|job| job.kind() != JobStateKind::Completed)
        };
        let priority = jobs().map(|job| job.priority).min()?;
        let lane_key = jobs().map(|job| job.lane_key).min()?;
        Some(Turn { priority, lane_key, member })
    }

    /// Gives a workload that waits for its group the place that its jobs say. To be called when the
    /// priority or the lane key of one of them changed, or when jobs joined.
    pub(super) fn reorder_workload(&mut self, id: WorkloadId) {
        if self.workload(id).is_none_or(|workload| !workload.waits_for_group()) {
            return;
        }
        let member = Member::workload(id);
        if let (Some((key, _)), Some(turn)) = (self.group_of(member), self.turn_of(member)) {
            self.groups.reorder(&key, turn);
        }
    }

    /// A member asks to be in its group.
    pub(super) fn ask_group(&mut self, now: Now, member: Member) {
        if !self.may_ask(now, member) {
            return;
        }
        let (Some((key, terms)), Some(turn)) = (self.group_of(member), self.turn_of(member)) else {
            return;
        };
        self.groups.arrive(&key, member, terms.limit);
        self.fill_group(now, &key);
        let reason = format!("{} came to group `{}`", self.node_name(&Node::of(member)), key.key);
        match self.groups.ask(&key, turn, terms.pending) {
            Asked::In => self.entered(now, member),
            Asked::Refused => {
                let reason = format!("too many wait for group `{}`", key.key);
                self.cancel_member(now, member, &reason, EndReason::GroupReplaced);
            }
            Asked::Waits { replaced } => {
                for other in replaced {
                    self.cancel_member(now, other, &reason, EndReason::GroupReplaced);
                }
                let own = Member::workload(member.workload_id);
                for holder in self.groups.inside(&key) {
                    if terms.cancel_in_progress && holder != own {
                        self.cancel_member(now, holder, &reason, EndReason::CancelRequested);
                    }
                }
                self.agenda.waits.push(Node::of(member));
            }
        }
    }

    /// Whether a member that wanted to ask still does: it may have ended meanwhile, or asked twice.
    fn may_ask(&self, now: Now, member: Member) -> bool {
        if self.waits_for_quiet(member.workload_id) {
            return false;
        }
        let Some((key, _)) = self.group_of(member) else { return false };
        let wants = match member.job_id.and_then(|id| self.job(id)) {
            Some(job) => {
                job.kind() == JobStateKind::Pending
                    && self.asks_group(job)
                    && !self.is_delayed(now, job)
                    && self.workload(job.workload_id).is_some_and(|it| !it.waits_for_group())
            }
            None => self.workload(member.workload_id).is_some_and(|it| it.waits_for_group()),
        };
        wants && !self.groups.is_waiting(&key, member)
    }

    /// Lets those in who wait for a group, as far as there is room.
    pub(super) fn fill_group(&mut self, now: Now, key: &GroupKey) {
        while let Some(member) = self.groups.next(key) {
            self.entered(now, member);
        }
        // Who was in may have been the only one that could end.
        if self.groups.waiting(key).next().is_some() {
            self.agenda.waits.push(Node::Group(key.clone()));
        }
    }

    /// A member is in: its jobs go on to their next gate.
    fn entered(&mut self, now: Now, member: Member) {
        if let Some(id) = member.job_id {
            self.edit_job(id, |job| job.in_group = true);
            if self.pass_limits(id, 0) {
                self.enqueue(now, id);
            }
            return;
        }
        self.edit_workload(member.workload_id, |workload| workload.in_group = true);
        for id in self.unended_jobs(member.workload_id) {
            let job = &self.jobs[&id].row;
            if job.kind() == JobStateKind::Pending {
                // Its time may have come in this very tick, and not be handled yet.
                self.time_gate.remove(job.not_before_ms, id);
                self.place(now, id);
            }
        }
    }

    /// A job ended: it is in no group and waits for none.
    pub(super) fn job_leaves_group(&mut self, id: JobId) {
        let job = &self.jobs[&id].row;
        if job.group().is_none() {
            return;
        }
        let member = Member::job(job);
        self.leave_group(member);
        if self.jobs[&id].row.in_group {
            self.edit_job(id, |job| job.in_group = false);
        }
    }

    /// A workload ended: it is in no group and waits for none.
    pub(super) fn workload_leaves_group(&mut self, id: WorkloadId) {
        if self.workload(id).is_none_or(|workload| workload.group().is_none()) {
            return;
        }
        self.leave_group(Member::workload(id));
        self.edit_workload(id, |workload| workload.in_group = false);
    }

    fn leave_group(&mut self, member: Member) {
        if let Some((key, _)) = self.group_of(member)
            && !self.planted(Planted::GroupKept)
            && self.groups.leave(&key, member)
        {
            self.agenda.freed.insert(key);
        }
    }

    /// Cancels a member of a group, for another's sake.
    fn cancel_member(&mut self, now: Now, member: Member, reason: &str, end: EndReason) {
        match member.job_id {
            Some(id) => self.cancel_unless_asked(now, id, AUTHOR, reason, end),
            None => self.cancel_all(now, member.workload_id, AUTHOR, reason, end),
        }
    }

    /// The gates as the rows say: who is in, and who could be and is not.
    pub(super) fn load_groups(&mut self) {
        let workloads = self.workloads.values().filter(|it| it.row.group().is_some());
        let mut members: Vec<_> = workloads.map(|it| Member::workload(it.row.id)).collect();
        let jobs = self.jobs.values().filter(|it| it.row.group().is_some());
        members.extend(jobs.map(|it| Member::job(&it.row)));
        members.sort_unstable();
        for member in members {
            let Some((key, terms)) = self.group_of(member) else { continue };
            if self.waits_for_quiet(member.workload_id) {
                continue;
            }
            let (inside, waits) = match member.job_id.and_then(|id| self.job(id)) {
                Some(job) => {
                    let free =
                        self.workload(job.workload_id).is_some_and(|it| !it.waits_for_group());
                    let pending = job.kind() == JobStateKind::Pending && job.not_before_ms == 0;
                    (job.in_group, pending && free)
                }
                None => (self.workloads[&member.workload_id].row.in_group, true),
            };
            if inside {
                self.groups.restore(&key, member, terms.limit, None);
            } else if waits {
                self.groups.restore(&key, member, terms.limit, self.turn_of(member));
            }
        }
    }
}
