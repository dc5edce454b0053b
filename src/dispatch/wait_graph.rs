//! Waits that can never end.
//!
//! ```text
//! job --needs--> job, workload      job --waits for--> its group, its workload's group
//! workload --ends with--> its jobs  group --has room after--> any one that is in it
//! ```
//!
//! What can end is found from below: what waits for nothing can, a job or a workload when all that
//! it waits for can, a group has room when one that is in it can end. People can close an open
//! workload and bring what is late, so that is no wait. What remains waits for itself, and of one
//! circle in it the youngest job that waits for a group or a workload is given up, until nothing
//! remains. Those who merely stand behind a circle are spared: they go on when it is broken.
//!
//! Looked at after each new wait, and when somebody left a group for which others wait, from there
//! on and no further: a circle that is new contains what is new. Resources are no part of it: they
//! are taken together with the assignment and held only by jobs that run, which can end.

use rustc_hash::FxHashMap;

use super::planted::Planted;
use super::scheduler::Scheduler;
use crate::model::{
    EndReason, JobId, JobStateKind, Now, Record, RecordName, WorkloadId, find_cycle,
};
use crate::queue::{GroupKey, Member};

/// Something that can wait, or be waited for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Node {
    /// The end of a job.
    Job(JobId),
    /// The end of a workload.
    Workload(WorkloadId),
    /// Room in a group.
    Group(GroupKey),
}

impl Node {
    /// The end of a member of a group.
    pub(super) fn of(member: Member) -> Self {
        member.job_id.map_or(Self::Workload(member.workload_id), Self::Job)
    }
}

/// Everything that can be reached from `starts`, and for each what is next, as places in the list.
pub(super) fn reach(
    starts: Vec<Node>,
    mut next: impl FnMut(&Node) -> Vec<Node>,
) -> (Vec<Node>, Vec<Vec<usize>>) {
    let (mut nodes, mut places) = (Vec::new(), FxHashMap::default());
    let mut place = |node: Node, nodes: &mut Vec<Node>| {
        *places.entry(node).or_insert_with_key(|node| {
            nodes.push(node.clone());
            nodes.len() - 1
        })
    };
    for start in starts {
        place(start, &mut nodes);
    }
    let mut edges: Vec<Vec<usize>> = Vec::new();
    while let Some(node) = nodes.get(edges.len()) {
        let found = next(node);
        edges.push(found.into_iter().map(|node| place(node, &mut nodes)).collect());
    }
    (nodes, edges)
}

/// Which of the nodes can never end: the least fixpoint of what can, turned round.
fn stuck(nodes: &[Node], next: &[Vec<usize>]) -> Vec<bool> {
    let mut waiters = vec![Vec::new(); nodes.len()];
    for (at, needs) in next.iter().enumerate() {
        for &need in needs {
            waiters[need].push(at);
        }
    }
    let is_group = |at: usize| matches!(nodes[at], Node::Group(_));
    let mut open: Vec<_> = (0..nodes.len())
        .map(|at| if is_group(at) { next[at].len().min(1) } else { next[at].len() })
        .collect();
    let mut free: Vec<_> = (0..nodes.len()).filter(|at| open[*at] == 0).collect();
    let mut stuck = vec![true; nodes.len()];
    while let Some(at) = free.pop() {
        stuck[at] = false;
        for &waiter in &waiters[at] {
            // A group needs only one: whoever comes later finds it free.
            if open[waiter] > 0 {
                open[waiter] -= 1;
                if open[waiter] == 0 {
                    free.push(waiter);
                }
            }
        }
    }
    stuck
}

impl Scheduler {
    /// Looks whether one of the new waits can never end, and then gives up the youngest job of one
    /// circle. The waits stay on the agenda until there is no circle.
    pub(super) fn break_wait_cycle(&mut self, now: Now) {
        let starts = std::mem::take(&mut self.agenda.waits);
        let (nodes, mut next) = reach(starts.clone(), |node| self.waits_for(node));
        let stuck = stuck(&nodes, &next);
        for (at, needs) in next.iter_mut().enumerate() {
            needs.retain(|need| stuck[at] && stuck[*need]);
        }
        let Some(path) = find_cycle(&next) else { return };
        if self.planted(Planted::CycleKept) {
            return;
        }
        let waits = path.windows(2).filter_map(|step| match (&nodes[step[0]], &nodes[step[1]]) {
            (Node::Job(id), Node::Group(_)) => Some((*id, true)),
            (Node::Job(id), Node::Workload(_)) => Some((*id, false)),
            _ => None,
        });
        let Some((victim, for_group)) = waits.max() else { return };
        let names: Vec<_> = path.iter().map(|at| self.node_name(&nodes[*at])).collect();
        let detail = names.join(" -> ");
        for id in self.share_wait(victim, for_group) {
            self.give_up(now, id, &detail);
        }
        self.agenda.waits = starts;
    }

    /// The jobs that wait as this one does: all of a workload that waits for its group.
    fn share_wait(&self, id: JobId, for_group: bool) -> Vec<JobId> {
        let workload_id = self.jobs[&id].row.workload_id;
        match self.workload(workload_id).is_some_and(|it| for_group && it.waits_for_group()) {
            true => self.unended_jobs(workload_id),
            false => vec![id],
        }
    }

    fn give_up(&mut self, now: Now, id: JobId, path: &str) {
        if self.job(id).is_some_and(|job| job.kind() == JobStateKind::Pending) {
            self.unplace(id);
        }
        let record = self.job_record(now, RecordName::JobWaitCycle, id);
        self.record(Record { detail: path.into(), ..record });
        self.end_job(now, id, JobStateKind::Failed, EndReason::WaitCycle);
    }

    fn waits_for(&self, node: &Node) -> Vec<Node> {
        match node {
            Node::Job(id) => {
                let mut needs = self.unended_needs(*id);
                let job = self.job(*id);
                let group = job.and_then(|job| match job.kind() {
                    JobStateKind::Pending => self.awaited_group(job),
                    // Its own group it asks later, when it is pending.
                    JobStateKind::Blocked => {
                        self.awaited_group(job).filter(|(_, member)| member.job_id.is_none())
                    }
                    _ => None,
                });
                needs.extend(group.map(|(key, _)| Node::Group(key)));
                needs
            }
            Node::Workload(id) => self.unended_jobs(*id).into_iter().map(Node::Job).collect(),
            Node::Group(key) => self.groups.inside(key).into_iter().map(Node::of).collect(),
        }
    }

    /// The jobs and workloads that a blocked job needs and that have not ended.
    pub(super) fn unended_needs(&self, id: JobId) -> Vec<Node> {
        let Some(job) = self.job(id).filter(|job| job.kind() == JobStateKind::Blocked) else {
            return Vec::new();
        };
        let needs = self
            .dependencies
            .needs(id)
            .iter()
            .filter(|need| self.job(**need).is_some_and(|need| !need.kind().is_terminal()));
        let workloads = job.needs_workloads().iter();
        let live = workloads.filter(|id| self.workloads.contains_key(id));
        needs.map(|id| Node::Job(*id)).chain(live.map(|id| Node::Workload(*id))).collect()
    }

    /// What people call a node.
    pub(super) fn node_name(&self, node: &Node) -> String {
        match node {
            Node::Job(id) => {
                let name = self.job(*id).map_or("", |job| &job.name);
                format!("{name} (job {id})")
            }
            Node::Workload(id) => {
                let name = self.workload(*id).map_or("", |it| &it.name);
                format!("{name} (workload {id})")
            }
            Node::Group(key) => format!("group `{}`", key.key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TenantId;

    fn group(key: &str) -> Node {
        Node::Group(GroupKey { tenant_id: TenantId::DEFAULT, key: key.into() })
    }

    #[test]
    fn a_group_has_room_when_one_of_its_members_can_end_and_a_job_needs_all() {
        let [runs, waits, both] = [1, 2, 3].map(|id| Node::Job(JobId(id)));
        let nodes = [runs, group("g"), waits, both, group("h")];
        // 0 runs; group 1 has 0 and 2 in it; 2 waits for group 4, which has only 2 in it; 3 needs
        // what can end and what cannot.
        let next = [vec![], vec![0, 2], vec![4], vec![0, 2], vec![2]];
        assert_eq!(stuck(&nodes, &next), [false, false, true, true, true]);
    }

    #[test]
    fn what_is_reached_twice_is_there_once() {
        let [a, b, c] = [1, 2, 3].map(|id| Node::Job(JobId(id)));
        let (from, to) = (a.clone(), c.clone());
        let (nodes, next) = reach(vec![a.clone()], |node| match node {
            it if *it == from => vec![b.clone(), to.clone()],
            it if *it == to => vec![],
            _ => vec![to.clone()],
        });
        assert_eq!(nodes, [a, b, c]);
        assert_eq!(next, [vec![1, 2], vec![2], vec![]]);
    }
}
