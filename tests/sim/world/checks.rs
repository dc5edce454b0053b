//! The laws that hold after every batch, by the checker's own code.

use std::collections::{BTreeMap, BTreeSet};

use dispatchyard::model::{Job, JobPriority, JobStateKind, TenantId};

use super::World;

impl World {
    pub(super) fn check(&mut self) {
        let leased = || self.rows.jobs.values().filter(|job| job.lease().is_some());
        let leases: BTreeMap<_, _> =
            leased().map(|job| (job.id, job.lease().unwrap().token)).collect();
        assert_eq!(leases, self.live, "the rows have other attempts than those that began");
        let due = self.known.held.values().any(|(_, until)| *until <= self.now.mono_ms);
        assert!(!due, "a job is held for longer than it may be");
        assert_eq!(self.naive().decide(), [], "a job waits beside a runner that could take it");
        self.check_quotas(&leased().collect::<Vec<_>>());
        self.check_units(&leased().collect::<Vec<_>>());
        self.check_apart(&leased().collect::<Vec<_>>());
        self.check_terms();
        self.check_shares();
        self.check_explanations();
        self.check_memory();
    }

    /// The fourth law: memory is an index over the rows, and can be built from them at any time.
    fn check_memory(&self) {
        let live = self.scheduler.durable();
        for workload in live.workloads.values() {
            assert!(!workload.state.is_terminal());
        }
        let rows = &self.rows;
        let snapshot = rows.snapshot(rows.epoch);
        assert!(live.jobs == rows.jobs, "memory has other jobs than the rows");
        assert!(live.workloads == rows.workloads, "memory has other workloads than the rows");
        assert!(live.runners == rows.runners, "memory has other runners than the rows");
        assert!(live.pauses == rows.pauses, "memory has other pauses than the rows");
        let loaded = self.scheduler.loaded(snapshot, self.settings.clone(), self.now).durable();
        assert_eq!(loaded, live, "memory is not an index over the rows");
    }

    fn check_quotas(&self, leased: &[&Job]) {
        let max = self.settings.max_global_concurrency;
        assert!(leased.len() as u64 <= max, "{} jobs run, {max} may", leased.len());
        for (tenant, limits) in &self.settings.tenants {
            let own: Vec<_> = leased.iter().filter(|job| job.tenant_id == *tenant).collect();
            let within = |used: u64, max: Option<u64>| max.is_none_or(|max| used <= max);
            assert!(within(own.len() as u64, limits.running_max), "running_max of {tenant:?}");
            let critical = own.iter().filter(|job| job.priority == JobPriority::Critical).count();
            assert!(within(critical as u64, limits.critical_running_max), "critical of {tenant:?}");
            let cores = |job: &&&Job| self.rows.classes[&job.class_id].requirements.min_cpu_cores;
            let cores = own.iter().map(cores).map(u64::from).sum();
            assert!(within(cores, limits.cpu_cores_max), "cpu_cores_max of {tenant:?}");
            let starts = self.known.starts.get(tenant).map_or(&[][..], Vec::as_slice);
            if let Some(most) = limits.starts_per_minute_max {
                let minute = starts.windows(most as usize + 1);
                let over = minute.filter(|it| it[most as usize] - it[0] < 60_000).count();
                assert_eq!(over, 0, "more than {most} starts of {tenant:?} in a minute");
            }
        }
    }

    /// Each unit has one holder, exists, and is held exactly as required while a runner has the job.
    fn check_units(&self, leased: &[&Job]) {
        let mut held = BTreeSet::new();
        for job in self.rows.jobs.values().filter(|job| job.lease().is_none()) {
            assert_eq!(job.extras.units, None, "job {} holds units and runs nowhere", job.id);
        }
        for job in leased {
            let needs = &self.rows.classes[&job.class_id].requirements.resources;
            let has = |name: &str| {
                job.extras.units.as_ref().and_then(|units| units.0.get(name)).map_or(0, Vec::len)
            };
            for need in needs {
                assert_eq!(has(&need.name), need.units as usize, "units of job {}", job.id);
            }
            for (name, indexes) in job.extras.units.iter().flat_map(|units| &units.0) {
                for index in indexes {
                    let units = self.settings.catalogue.resources[name];
                    assert!(*index < units, "unit {index} of {name}, there are {units}");
                    assert!(held.insert((name, index)), "unit {index} of {name} is held twice");
                }
            }
        }
    }

    /// Jobs that are kept apart are apart.
    fn check_apart(&self, leased: &[&Job]) {
        let mut keys = BTreeSet::new();
        for job in leased {
            let key = job.terms.as_ref().and_then(|terms| terms.placement.anti_affinity.clone());
            let Some(key) = key else { continue };
            let runner = job.lease().unwrap().runner_id;
            assert!(keys.insert((runner, job.tenant_id, key)), "job {} is not apart", job.id);
        }
    }

    /// What tenants were charged is what their jobs took.
    fn check_shares(&self) {
        let usage = self.scheduler.share_usage();
        for share in usage {
            let own = self.used_ms.get(&share.tenant_id).copied().unwrap_or(0);
            assert_eq!(share.used_ms, own, "charged to {:?}", share.tenant_id);
            let weight = self.settings.tenants.get(&share.tenant_id).map_or(1, |it| it.weight);
            assert_eq!(share.weight, weight, "weight of {:?}", share.tenant_id);
        }
        let counts = self.scheduler.tenant_counts();
        for (tenant, running, waiting) in counts {
            let count = |kinds: &[JobStateKind]| self.count(tenant, kinds);
            assert_eq!(running, count(&[JobStateKind::Claimed, JobStateKind::Running]));
            assert_eq!(waiting, count(&[JobStateKind::Blocked, JobStateKind::Pending]));
        }
    }

    fn count(&self, tenant: TenantId, kinds: &[JobStateKind]) -> u64 {
        let jobs = self.rows.jobs.values().filter(|job| job.tenant_id == tenant);
        jobs.filter(|job| kinds.contains(&job.kind())).count() as u64
    }

    /// The scheduler says that nothing is due for so long: then nothing happens before.
    pub(super) fn check_nothing_is_due_before(&self, ms: i64) {
        if ms <= 1 {
            return;
        }
        let mut copy = self.scheduler.clone();
        let mut now = self.now;
        (now.mono_ms, now.wall_ms) = (now.mono_ms + ms - 1, now.wall_ms + ms - 1);
        let mut entropy = self.entropy.clone();
        drop(copy.take_output());
        copy.tick(now, &mut entropy);
        copy.settle(now, &mut entropy);
        let output = copy.take_output();
        assert!(output.records.is_empty(), "something was due sooner: {:?}", output.records);
        assert!(output.answers.is_empty(), "a poll was due sooner: {:?}", output.answers);
        let mut naive = self.naive();
        naive.now = now;
        for (id, level) in &self.known.ready {
            let mut later = self.known.clone();
            later.sync(&self.rows, &self.settings, now);
            assert_eq!(later.ready.get(id), Some(level), "job {id} was to be raised sooner");
            assert_eq!(later.ready.len(), self.known.ready.len(), "a job was due sooner");
        }
        naive.known.overtaken.clear();
        let mut before = self.naive();
        before.known.overtaken.clear();
        if before.decide().is_empty() {
            assert_eq!(naive.decide(), [], "a job could be given out sooner");
        }
    }
}
