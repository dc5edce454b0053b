//! A workload's jobs as a tree: each below the last of the jobs that it needs, with what it took.

use std::collections::{BTreeMap, BTreeSet};

use super::list::or_dash;
use super::table::rows;
use super::time::precise;
use crate::api::wire::{GraphNode, JobView, WorkloadDetail};
use crate::model::JobId;

/// The graph, where there is one: jobs that need nothing are told by the table of jobs alone.
pub(super) fn tree(detail: &WorkloadDetail) -> String {
    if detail.graph.iter().all(|node| node.needs.is_empty()) {
        return String::new();
    }
    let jobs: BTreeMap<JobId, &JobView> = detail.jobs.iter().map(|job| (job.id, job)).collect();
    let critical: BTreeSet<JobId> = detail.critical_path.iter().copied().collect();
    let lines = in_order(&detail.graph).into_iter().filter_map(|(node, depth)| {
        let job = jobs.get(&node.job_id)?;
        let mark = if critical.contains(&job.id) { "*" } else { "" };
        let needs = node.needs.iter().filter_map(|id| jobs.get(id)).map(|need| need.name.as_str());
        let needs: Vec<_> = needs.collect();
        let ran = node.ran_ms.map(|ms| precise(u64::try_from(ms).unwrap_or(0)));
        Some(vec![
            mark.to_owned(),
            format!("{}{}", "  ".repeat(depth), job.name),
            job.state.to_string(),
            or_dash(ran),
            or_dash((!needs.is_empty()).then(|| needs.join(", "))),
        ])
    });
    let table = rows(&["", "GRAPH", "STATE", "RAN", "NEEDS"], lines, "");
    if critical.is_empty() { table } else { format!("{table}\n\n* the path that takes longest") }
}

/// The jobs with their depth in the tree, each after the one that it stands below. Without recursion: a
/// chain may be as long as a workload.
fn in_order(graph: &[GraphNode]) -> Vec<(&GraphNode, usize)> {
    let depths = depths(graph);
    let parent = |node: &GraphNode| {
        let needs = node.needs.iter().filter(|id| depths.contains_key(id));
        needs.copied().max_by_key(|id| (depths[id], std::cmp::Reverse(*id)))
    };
    let mut children: BTreeMap<Option<JobId>, Vec<&GraphNode>> = BTreeMap::new();
    for node in graph.iter().rev() {
        children.entry(parent(node)).or_default().push(node);
    }
    let mut open = children.remove(&None).unwrap_or_default();
    let mut ordered = Vec::with_capacity(graph.len());
    while let Some(node) = open.pop() {
        ordered.push((node, depths.get(&node.job_id).copied().unwrap_or(0)));
        open.extend(children.remove(&Some(node.job_id)).unwrap_or_default());
    }
    ordered
}

/// How many jobs stand above each, on the longest way. Jobs of a circle, which there is none of, have no
/// depth.
fn depths(graph: &[GraphNode]) -> BTreeMap<JobId, usize> {
    let known: BTreeSet<JobId> = graph.iter().map(|node| node.job_id).collect();
    let mut depths = BTreeMap::new();
    let mut left: Vec<&GraphNode> = graph.iter().collect();
    while !left.is_empty() {
        let before = left.len();
        let mut next = Vec::new();
        for node in left {
            let needs = node.needs.iter().filter(|id| known.contains(id));
            match needs.map(|id| depths.get(id).copied()).collect::<Option<Vec<usize>>>() {
                Some(above) => {
                    depths.insert(node.job_id, above.into_iter().max().map_or(0, |at| at + 1));
                }
                None => next.push(node),
            }
        }
        if next.len() == before {
            break;
        }
        left = next;
    }
    depths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::WorkloadView;
    use crate::model::{JobPriority, JobStateKind, WorkloadId, WorkloadKind, WorkloadState};

    /// Number, name, state, what it needs, how long it ran.
    type Row<'a> = (i64, &'a str, JobStateKind, &'a [i64], Option<i64>);

    fn detail(jobs: &[Row<'_>]) -> WorkloadDetail {
        let view = |(id, name, state, ..): &Row<'_>| {
            let (name, state) = ((*name).to_owned(), *state);
            JobView {
                id: JobId(*id),
                workload_id: WorkloadId(1),
                name,
                state,
                reason: None,
                unschedulable: false,
                priority: JobPriority::Normal,
                attempt: 1,
                retry_count: 0,
                max_retries: 0,
                runner_id: None,
                queued_at_ms: 0,
                started_at_ms: None,
                ended_at_ms: None,
                cancel_requested_at_ms: None,
            }
        };
        let node = |(id, _, _, needs, ran_ms): &(_, _, _, &[i64], _)| GraphNode {
            job_id: JobId(*id),
            needs: needs.iter().map(|id| JobId(*id)).collect(),
            ran_ms: *ran_ms,
        };
        WorkloadDetail {
            workload: WorkloadView {
                id: WorkloadId(1),
                run: 1,
                kind: WorkloadKind::Workflow,
                name: "ci".to_owned(),
                trigger: None,
                delivery_id: None,
                state: WorkloadState::Running,
                created_at_ms: 0,
                ended_at_ms: None,
            },
            terms: Default::default(),
            open: false,
            jobs: jobs.iter().map(view).collect(),
            graph: jobs.iter().map(node).collect(),
            critical_path: Vec::new(),
        }
    }

    #[test]
    fn each_job_stands_below_the_last_that_it_needs_and_the_longest_path_is_marked() {
        use JobStateKind::{Blocked, Completed, Running, Skipped};
        let mut detail = detail(&[
            (1, "build", Completed, &[], Some(61_000)),
            (2, "test (linux)", Completed, &[1], Some(30_000)),
            (3, "test (mac)", Running, &[1], Some(95_000)),
            (4, "docs", Skipped, &[], None),
            (5, "ship", Blocked, &[2, 3, 4], None),
        ]);
        detail.critical_path = vec![JobId(1), JobId(3)];
        insta::assert_snapshot!(tree(&detail), @r"
           GRAPH           STATE      RAN  NEEDS
        *  build           completed  61s  -
             test (linux)  completed  30s  build
               ship        blocked    -    test (linux), test (mac), docs
        *    test (mac)    running    95s  build
           docs            skipped    -    -

        * the path that takes longest
        ");
    }

    #[test]
    fn jobs_that_need_nothing_are_no_graph() {
        let detail = detail(&[(1, "a", JobStateKind::Pending, &[], None)]);
        assert_eq!(tree(&detail), "");
    }
}
