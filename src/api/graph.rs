//! A workload's jobs as a graph: who needs whom, how long each ran, and the path that took longest.

use std::collections::BTreeMap;

use super::wire::GraphNode;
use crate::model::{Edge, Job, JobId, JobState, JobStateKind};
use crate::store::RanInRun;

/// The graph of a workload in this run. Of a job that completed in a run before it is said how long it
/// took then; of one that runs, how long it has so far.
pub(super) fn graph(
    jobs: &[Job],
    edges: &[Edge],
    ran: &[RanInRun],
    run: u32,
    now_ms: i64,
) -> Vec<GraphNode> {
    let mut needs: BTreeMap<JobId, Vec<JobId>> = BTreeMap::new();
    for edge in edges {
        needs.entry(edge.job_id).or_default().push(edge.needs_job_id);
    }
    let mut node = |job: &Job| {
        let completed = job.kind() == JobStateKind::Completed;
        let of_job = ran.iter().rev().find(|it| it.job_id == job.id);
        let before = of_job.filter(|it| completed || it.run == run).map(|it| it.ran_ms.max(0));
        let live = match &job.state {
            JobState::Running { started_at_ms, .. } => Some((now_ms - started_at_ms).max(0)),
            _ => None,
        };
        let ran_ms = match (before, live) {
            (None, None) => None,
            (before, live) => Some(before.unwrap_or(0).saturating_add(live.unwrap_or(0))),
        };
        GraphNode { job_id: job.id, needs: needs.remove(&job.id).unwrap_or_default(), ran_ms }
    };
    jobs.iter().map(&mut node).collect()
}

/// The jobs, in the order in which they ran, of the path through the graph whose runs took longest together;
/// of two that are equal the one with the older jobs. Jobs that did not run are no part of it, though it
/// may lead through them.
pub(super) fn critical_path(graph: &[GraphNode]) -> Vec<JobId> {
    let places: BTreeMap<JobId, usize> =
        graph.iter().enumerate().map(|(at, node)| (node.job_id, at)).collect();
    let needs = |at: usize| graph[at].needs.iter().filter_map(|id| places.get(id).copied());
    // Of each job: how long the longest path to its end took, and by which of its needs it comes.
    let mut longest: Vec<Option<(i64, Option<usize>)>> = vec![None; graph.len()];
    for start in 0..graph.len() {
        // Without recursion, so that a long chain cannot exhaust the stack.
        let mut open = vec![start];
        while let Some(&at) = open.last() {
            if longest[at].is_some() {
                open.pop();
                continue;
            }
            let before = open.len();
            let unknown = needs(at).filter(|need| longest[*need].is_none());
            // There are no circles: they are refused. Damaged rows must not hang a reader.
            let unknown: Vec<_> = unknown.filter(|need| !open.contains(need)).collect();
            open.extend(unknown);
            if open.len() > before {
                continue;
            }
            let come_from = needs(at).filter_map(|need| Some((longest[need]?.0, need)));
            let best = come_from.max_by_key(|(ms, need)| (*ms, std::cmp::Reverse(*need)));
            let own = graph[at].ran_ms.unwrap_or(0);
            let sum = own.saturating_add(best.map_or(0, |(ms, _)| ms));
            longest[at] = Some((sum, best.map(|(_, need)| need)));
            open.pop();
        }
    }
    let ends = (0..graph.len()).filter_map(|at| Some((longest[at]?.0, at)));
    let mut next = ends.max_by_key(|(ms, at)| (*ms, std::cmp::Reverse(*at))).map(|(_, at)| at);
    let mut path = Vec::new();
    while let Some(at) = next {
        if graph[at].ran_ms.is_some() {
            path.push(graph[at].job_id);
        }
        next = longest[at].and_then(|(_, from)| from);
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        ClassId, EndReason, JobPriority, Lease, LeaseToken, Nonce, Rare, RunnerId, TenantId,
        WorkloadId,
    };

    fn path(jobs: &[(i64, &[i64], Option<i64>)]) -> Vec<i64> {
        let node = |(id, needs, ran_ms): &(i64, &[i64], Option<i64>)| GraphNode {
            job_id: JobId(*id),
            needs: needs.iter().map(|id| JobId(*id)).collect(),
            ran_ms: *ran_ms,
        };
        let graph: Vec<_> = jobs.iter().map(node).collect();
        critical_path(&graph).into_iter().map(|id| id.0).collect()
    }

    #[test]
    fn of_a_diamond_the_longer_side_counts() {
        let diamond = |left, right| {
            path(&[
                (1, &[], Some(10)),
                (2, &[1], Some(left)),
                (3, &[1], Some(right)),
                (4, &[2, 3], Some(5)),
            ])
        };
        assert_eq!(diamond(7, 3), [1, 2, 4]);
        assert_eq!(diamond(3, 7), [1, 3, 4]);
        assert_eq!(diamond(7, 7), [1, 2, 4], "the older one, when both are equal");
    }

    #[test]
    fn a_chain_is_all_of_it_and_many_short_jobs_may_be_longer_than_one() {
        assert_eq!(path(&[(1, &[], Some(1)), (2, &[1], Some(1)), (3, &[2], Some(1))]), [1, 2, 3]);
        assert_eq!(path(&[(1, &[], Some(6)), (2, &[], Some(4)), (3, &[2], Some(3))]), [2, 3]);
        let long: Vec<(i64, Vec<i64>)> = (0..20_000).map(|id| (id, vec![id - 1])).collect();
        let long: Vec<_> = long.iter().map(|(id, needs)| (*id, &**needs, Some(1))).collect();
        assert_eq!(path(&long).len(), 20_000);
    }

    #[test]
    fn of_a_matrix_it_goes_through_the_slowest_and_not_through_the_job_it_took_the_place_of() {
        let jobs: [(i64, &[i64], Option<i64>); 5] = [
            (1, &[], Some(2)),
            (2, &[1], None),
            (4, &[1], Some(3)),
            (5, &[1], Some(9)),
            (3, &[2, 4, 5], Some(1)),
        ];
        assert_eq!(path(&jobs), [1, 5, 3]);
    }

    #[test]
    fn it_leads_through_jobs_that_were_skipped_and_nothing_ran_is_no_path() {
        assert_eq!(path(&[(1, &[], Some(2)), (2, &[1], None), (3, &[2], Some(1))]), [1, 3]);
        assert_eq!(path(&[(1, &[], None), (2, &[1], None)]), [0; 0]);
        assert_eq!(path(&[]), [0; 0]);
    }

    fn job(id: i64, state: JobState) -> Job {
        Job {
            id: JobId(id),
            workload_id: WorkloadId(1),
            class_id: ClassId(1),
            tenant_id: TenantId::DEFAULT,
            name: "x".into(),
            terms: None,
            state,
            priority: JobPriority::Normal,
            lane_key: 0,
            queued_at_ms: 0,
            ready_at_ms: 0,
            not_before_ms: 0,
            timeout_ms: 1,
            backoff_ms: 0,
            attempt: 1,
            retry_count: 0,
            max_retries: 0,
            need_failed: false,
            in_group: false,
            unschedulable: false,
            extras: Rare::default(),
        }
    }

    #[test]
    fn what_runs_counts_as_far_as_it_is_and_only_what_completed_counts_from_runs_before() {
        let lease = Lease {
            token: LeaseToken(1),
            nonce: Nonce(1),
            runner_id: RunnerId(1),
            assigned_at_ms: 60,
        };
        let ended = |kind, reason| JobState::Ended { kind, at_ms: 50, reason };
        let jobs = [
            job(1, ended(JobStateKind::Completed, EndReason::Succeeded)),
            job(2, JobState::Running { lease: Box::new(lease), started_at_ms: 70 }),
            job(3, ended(JobStateKind::Skipped, EndReason::ConditionFalse)),
        ];
        let ran = |job_id, run, ran_ms| RanInRun { job_id: JobId(job_id), run, ran_ms };
        let ran = [ran(1, 1, 40), ran(2, 1, 9), ran(2, 2, 5), ran(3, 1, 8)];
        let edge = |job_id, needs| Edge {
            workload_id: WorkloadId(1),
            job_id: JobId(job_id),
            needs_job_id: JobId(needs),
        };
        let graph = graph(&jobs, &[edge(2, 1), edge(3, 1), edge(3, 2)], &ran, 2, 100);
        let told: Vec<_> = graph.iter().map(|node| node.ran_ms).collect();
        assert_eq!(told, [Some(40), Some(35), None]);
        assert_eq!(graph[2].needs, [JobId(1), JobId(2)]);
        assert_eq!(critical_path(&graph), [JobId(1), JobId(2)]);
    }
}
