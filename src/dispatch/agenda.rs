//! What a decision leads to: ends that others waited for, members that want to be in a group,
//! limits with room.
//!
//! Each of these can lead to more of them (a member that gives way ends, what needed it is
//! skipped, its group has room, ...), in chains as long as all live jobs. So each is written down
//! here and done in a loop, never by a call inside a call. Nothing of it outlives a command.

use std::collections::{BTreeSet, VecDeque};

use super::scheduler::Scheduler;
use super::wait_graph::Node;
use crate::model::{JobId, Now, WorkloadId};
use crate::queue::{GroupKey, Member, NeedEnd, ParallelKey};

/// What is still to be done about earlier decisions.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    /// Jobs that ended: for those that need them, and for those that share their fate.
    pub(super) jobs: VecDeque<(JobId, NeedEnd)>,
    /// Workloads that ended: for jobs of others that need them.
    pub(super) workloads: VecDeque<(WorkloadId, NeedEnd)>,
    /// Groups that a member left.
    pub(super) freed: BTreeSet<GroupKey>,
    /// Members that want to be in their group.
    pub(super) asking: VecDeque<Member>,
    /// Limits of which something changed.
    pub(super) limits: BTreeSet<ParallelKey>,
    /// Waits that are new: they may close a circle.
    pub(super) waits: Vec<Node>,
}

impl Scheduler {
    /// Does everything that earlier decisions led to. Every round takes something off the agenda
    /// or ends a job, so it comes to an end.
    pub(super) fn drain(&mut self, now: Now) {
        loop {
            if let Some((id, end)) = self.agenda.jobs.pop_front() {
                self.job_ended(now, id, end);
            } else if let Some((id, end)) = self.agenda.workloads.pop_front() {
                self.workload_ended(now, id, end);
            } else if let Some(key) = self.agenda.freed.pop_first() {
                self.fill_group(now, &key);
            } else if let Some(member) = self.agenda.asking.pop_front() {
                self.ask_group(now, member);
            } else if !self.agenda.limits.is_empty() {
                self.open_limits(now);
            } else if let Some((id, state)) = self.sessions.ended_work.pop_front() {
                self.session_work_ended(now, id, state);
            } else if !self.agenda.waits.is_empty() {
                self.break_wait_cycle(now);
            } else {
                return;
            }
        }
    }
}
