//! Every reason that is given is true, and none is missing, by the checker's own code.

use std::collections::BTreeSet;

use dispatchyard::dispatch::{Command, Poll, Reason, Register, Reply, Seen};
use dispatchyard::model::{
    Job, JobId, JobStateKind, PauseScope, PoolId, RecordName, RunnerCapabilities,
};
use dispatchyard::runner::PollId;

use super::World;
use super::operators::patch;
use crate::known::trigger_paused;
use crate::naive::Naive;
use crate::{gates, setup, shapes};

impl World {
    pub(super) fn check_explanations(&mut self) {
        let naive = self.naive();
        let mut positions = Vec::new();
        for job in self.rows.jobs.values() {
            let explained = self.scheduler.explain(self.now, job.id).expect("a live job");
            assert_eq!(explained.state, job.kind());
            assert!(!explained.reasons.is_empty(), "job {} waits unseen", job.id);
            match job.kind() {
                JobStateKind::Blocked => self.check_blocked(job, &explained.reasons),
                JobStateKind::Pending => {
                    check_pending(&naive, job, &explained.reasons);
                    let position = explained.reasons.iter().find_map(|reason| match reason {
                        Reason::Position(position) => Some(*position),
                        _ => None,
                    });
                    let ready = naive.known.ready.contains_key(&job.id);
                    assert_eq!(position.is_some(), ready, "position of job {}", job.id);
                    if let Some(position) = position.filter(|_| is_plain(&naive, job)) {
                        positions.push((job.id, position));
                    }
                }
                JobStateKind::Claimed => {
                    let runner = job.lease().unwrap().runner_id;
                    assert!(explained.reasons.contains(&Reason::ClaimedBy(runner)));
                }
                JobStateKind::Running => {
                    let runner = job.lease().unwrap().runner_id;
                    assert!(explained.reasons.contains(&Reason::RunningOn(runner)));
                }
                _ => assert!(matches!(explained.reasons[..], [Reason::Ended(_)])),
            }
        }
        if !positions.is_empty() && self.dice.once_in(6) {
            let (id, position) = self.dice.pick(&positions);
            self.check_position(id, position);
        }
    }

    fn check_blocked(&self, job: &Job, reasons: &[Reason]) {
        let needs = gates::needs(&self.rows, job);
        let list = |ids: Vec<String>| ids.join(",");
        let mut expected = BTreeSet::new();
        if !needs.unended_jobs.is_empty() {
            let jobs = needs.unended_jobs.iter().map(|id| &self.rows.jobs[id]);
            let jobs = jobs.map(|need| format!("{} {}", need.id, need.kind()));
            expected.insert(format!("blocked by {}", list(jobs.collect())));
        }
        if !needs.awaited.is_empty() {
            let names = needs.awaited.iter().map(ToString::to_string);
            expected.insert(format!("awaits {}", list(names.collect())));
        }
        if !needs.unended_workloads.is_empty() {
            let ids = needs.unended_workloads.iter().map(ToString::to_string);
            expected.insert(format!("after {}", list(ids.collect())));
        }
        if needs.all_ended() {
            expected.insert("planning".to_owned());
        }
        if job.extras.cancel_requested_at_ms.is_some() {
            expected.insert("cancelling".to_owned());
        }
        expected.extend(group_held(&self.naive(), job));
        let sorted = |ids: Vec<String>| list(BTreeSet::from_iter(ids).into_iter().collect());
        let said = reasons.iter().map(|reason| match reason {
            Reason::BlockedBy(jobs) => {
                let mut jobs: Vec<_> = jobs.iter().map(|(id, _, kind)| (*id, *kind)).collect();
                jobs.sort_unstable_by_key(|(id, _)| *id);
                let jobs = jobs.into_iter().map(|(id, kind)| format!("{id} {kind}"));
                format!("blocked by {}", list(jobs.collect()))
            }
            Reason::AwaitsJobs(names) => {
                format!("awaits {}", sorted(names.iter().map(ToString::to_string).collect()))
            }
            Reason::BlockedByWorkloads(said) => {
                let mut said: Vec<_> = said
                    .iter()
                    .map(|it| match it {
                        Seen::This((id, ..)) => *id,
                        Seen::Another => panic!("who asks may know everything"),
                    })
                    .collect();
                said.sort_unstable();
                format!("after {}", list(said.iter().map(ToString::to_string).collect()))
            }
            other => held_said(other).unwrap_or_else(|| other.code().to_owned()),
        });
        assert_eq!(said.collect::<BTreeSet<_>>(), expected, "what blocks job {}", job.id);
    }

    /// In a copy, a runner that fits everything polls alone: the job is given out after at most
    /// `position - 1` others.
    fn check_position(&mut self, id: JobId, position: u64) {
        let job = self.rows.jobs[&id].clone();
        let pool_id = self.rows.classes[&job.class_id].requirements.pool_id;
        let mut copy = self.scheduler.clone();
        let mut apply = |command| copy.apply(self.now, command, &mut self.entropy);
        for runner in self.rows.runners.keys() {
            apply(patch(*runner, Some(Some("alone".into())), None)).expect("it is registered");
        }
        let register = Register {
            name: "all".into(),
            instance_id: "all".into(),
            boot_id: "1".into(),
            pool_id,
            token_hash: "".into(),
            capabilities: RunnerCapabilities {
                labels: vec!["big".into(), "rare".into()],
                cpu_cores: 1_000,
                gpu: 1_000,
                max_parallel_jobs: 1_000,
                region: Some(setup::REGIONS[0].into()),
                ..RunnerCapabilities::default()
            },
            version: "sim".into(),
            ordered: None,
        };
        let Ok(Reply::Registered(runner_id)) = apply(Command::Register(Box::new(register))) else {
            return;
        };
        let poll = Poll {
            runner_id,
            poll_id: PollId(u64::MAX),
            wait_ms: 0,
            jobs_max: None,
            known: vec![],
            capabilities: None,
            current_jobs: None,
        };
        apply(Command::Poll(Box::new(poll))).expect("it is registered");
        drop(copy.take_output());
        copy.settle(self.now, &mut self.entropy);
        let records = copy.take_output().records;
        let given = records.iter().filter(|it| it.name == RecordName::JobAssigned);
        let at = given.filter_map(|it| it.job_id).position(|given| given == id);
        if self.live.len() as u64 + position <= self.settings.max_global_concurrency {
            let at = at.unwrap_or_else(|| panic!("job {id} at {position} was not given out"));
            assert!((at as u64) < position, "job {id} at {position} was given out as {}", at + 1);
            self.reached.mark("position kept");
        }
    }
}

/// Whether the position of a job says exactly when it is its turn: nothing that is given out
/// before it can close a gate to it, and pools do not disagree about the order.
fn is_plain(naive: &Naive<'_>, job: &Job) -> bool {
    let needs = naive.needs(job);
    let policy = |pool: &PoolId| &naive.settings.pools[pool].scheduling_policy;
    let mut policies = naive.settings.pools.keys().map(policy);
    let first = policies.next();
    // To cordon the others lets go of what is held for them.
    naive.known.held.is_empty()
        && naive.settings.tenants.keys().all(|tenant| *tenant != job.tenant_id)
        && naive.closed_by_tenant(job).is_none()
        && !naive.paused(&PauseScope::Everything)
        && !naive.paused(&PauseScope::Pool(needs.pool_id))
        && naive.settings.pools[&needs.pool_id].jobs_max.is_none()
        && naive.settings.max_global_concurrency > naive.running()
        && needs.resources.is_empty()
        && job.terms.as_ref().is_none_or(|terms| terms.placement == Default::default())
        && policies.all(|other| Some(other) == first)
}

/// The gates of a waiting job, then its runners.
fn check_pending(naive: &Naive<'_>, job: &Job, reasons: &[Reason]) {
    let mut expected = gates(naive, job);
    expected.extend(runners(naive, job));
    let said = reasons.iter().filter_map(|reason| {
        Some(match reason {
            Reason::Position(_) | Reason::Cancelling(_) => return None,
            Reason::Paused { what, .. } => format!("paused {what}"),
            Reason::HeldFor { runner_id, in_ms } => format!("held for {runner_id} {in_ms}"),
            Reason::Quota(reached) => format!("quota {}", reached.quota),
            Reason::Resource { name, held, reserved_for, .. } => {
                let this = |seen: &Seen<JobId>| match seen {
                    Seen::This(id) => *id,
                    Seen::Another => panic!("nobody is limited here"),
                };
                let held: Vec<_> = held.iter().map(|(at, job)| (*at, this(job))).collect();
                let reserved_for = reserved_for.as_ref().map(this);
                format!("resource {name} {held:?} {reserved_for:?}")
            }
            Reason::PoolLimit { pool, running, .. } => format!("pool {pool} {running}"),
            Reason::NoneAvailable { offline, cordoned, draining, unhealthy, .. } => {
                format!("away {offline} {cordoned} {draining} {unhealthy}")
            }
            Reason::NotNow { runners } => format!("not now {runners}"),
            Reason::Busy { busy, of } => format!("busy {busy} of {of}"),
            Reason::AwaitingPoll { runners } => format!("awaiting poll {runners}"),
            Reason::DelayedUntil { at_ms, .. } => format!("delayed {at_ms}"),
            Reason::MatrixLimit { matrix, used, max } => format!("limit {matrix:?} {used} {max}"),
            other => held_said(other).unwrap_or_else(|| other.code().to_owned()),
        })
    });
    let said: BTreeSet<_> = said.collect();
    assert_eq!(said, expected, "reasons (left) of job {}: {job:?}", job.id);
}

/// The group for which a job waits, or its workload: who is in, and its place among those that wait.
fn group_held(naive: &Naive<'_>, job: &Job) -> Option<String> {
    let members = [(job.workload_id, None), (job.workload_id, Some(job.id))];
    members.into_iter().find_map(|member| {
        let mut groups = naive.known.groups.iter();
        let (name, group) = groups.find(|(_, group)| group.waiting.contains_key(&member))?;
        let own = group.waiting[&member];
        let ahead = group.waiting.values().filter(|turn| **turn < own).count();
        let (limit, _) = shapes::group_terms(&name.1);
        Some(format!("group {} {member:?} {:?} {limit} {}", name.1, group.inside, ahead + 1))
    })
}

fn held_said(reason: &Reason) -> Option<String> {
    let Reason::GroupHeld { key, member, holders, limit, position } = reason else { return None };
    let member = (member.workload_id, member.job_id);
    let holders = holders.iter().map(|(it, _)| (it.workload_id, it.job_id));
    let holders: BTreeSet<gates::Member> = holders.collect();
    Some(format!("group {key} {member:?} {holders:?} {limit} {position}"))
}

/// Every closed gate of a job.
fn gates(naive: &Naive<'_>, job: &Job) -> BTreeSet<String> {
    let mut gates = BTreeSet::new();
    let held = naive.known.held.get(&job.id);
    if !naive.known.came.contains(&job.id) && job.not_before_ms > naive.now.wall_ms {
        gates.insert(format!("delayed {}", job.not_before_ms));
    }
    gates.extend(group_held(naive, job));
    if let Some(((_, matrix), used, max)) = naive.known.offers.at.get(&job.id) {
        gates.insert(format!("limit {matrix:?} {used} {max}"));
    }
    let name = |pool: PoolId| naive.settings.catalogue.pool_name(pool).to_owned();
    if naive.paused(&PauseScope::Everything) {
        gates.insert("paused everything".into());
    }
    if naive.paused(&PauseScope::Tenant(job.tenant_id)) {
        let tenant = naive.settings.catalogue.tenant_name(job.tenant_id);
        gates.insert(format!("paused tenant {tenant}"));
    }
    if let Some(PauseScope::Trigger(trigger)) = trigger_paused(naive.rows, job) {
        gates.insert(format!("paused trigger {trigger}"));
    }
    gates.extend(
        held.map(|(runner, until)| format!("held for {runner} {}", until - naive.now.mono_ms)),
    );
    gates.extend(naive.quota(job).map(|quota| format!("quota {quota}")));
    for lacking in naive.lacking(job) {
        let held = naive.units.iter().filter(|((name, _), _)| *name == lacking);
        let held: Vec<_> = held.map(|((_, at), job)| (*at, *job)).collect();
        gates.insert(format!("resource {lacking} {held:?} {:?}", naive.reserved(&lacking)));
    }
    if naive.running() >= naive.settings.max_global_concurrency {
        gates.insert("global_limit".into());
    }
    // A closed pool keeps a job back only when it may go to no other.
    let pools: Vec<_> = naive.needs(job).pools().collect();
    let paused = |pool: &PoolId| naive.paused(&PauseScope::Pool(*pool));
    if pools.iter().all(|pool| paused(pool) || naive.pool_full(*pool)) {
        for pool in pools {
            if paused(&pool) {
                gates.insert(format!("paused pool {}", name(pool)));
            }
            if naive.pool_full(pool) {
                gates.insert(format!("pool {} {}", name(pool), naive.running_in(pool)));
            }
        }
    }
    gates
}

/// What the runners are doing that could take the job.
fn runners(naive: &Naive<'_>, job: &Job) -> BTreeSet<String> {
    let mut said = BTreeSet::new();
    if job.extras.avoid_runner_id.is_some() {
        said.insert("avoids_runner".into());
    }
    let (mut away, mut busy, mut not_now, mut idle, mut avoided) = ([0; 4], 0, 0, 0, 0);
    for runner in naive.fitting(job) {
        let known = &naive.known.runners[&runner.id];
        match naive.barrier(job, runner) {
            _ if known.offline => away[0] += 1,
            _ if runner.cordoned.is_some() => away[1] += 1,
            _ if runner.draining => away[2] += 1,
            _ if !known.health.takes_new() => away[3] += 1,
            _ if naive.free(runner) == 0 => busy += 1,
            Some("avoided") => avoided += 1,
            Some(_) => not_now += 1,
            None => idle += 1,
        }
    }
    let there = busy + not_now + idle;
    if busy > 0 {
        said.insert(format!("busy {busy} of {there}"));
    }
    if not_now > 0 {
        said.insert(format!("not now {not_now}"));
    }
    if idle > 0 {
        said.insert(format!("awaiting poll {idle}"));
    }
    if there + avoided == 0 {
        let [offline, cordoned, draining, unhealthy] = away;
        said.insert(match away {
            [0, 0, 0, 0] => "no_compatible_runner".into(),
            _ => format!("away {offline} {cordoned} {draining} {unhealthy}"),
        });
    }
    said
}
