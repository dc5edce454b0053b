//! What might be changed: whatever the waiting jobs run into, by their rows. Whether it helps is for
//! the play to say.

use std::collections::{BTreeMap, BTreeSet};

use super::change::Suggestion;
use super::excerpt::Rows;
use crate::model::{
    ClassId, Job, JobPriority, Mismatch, PauseScope, PoolId, Runner, RunnerCapabilities, RunnerId,
    RunnerRequirements, TenantId,
};
use crate::queue::Demand;

/// Most cordoned runners that are tried, and most pauses.
const EACH_MAX: usize = 4;
/// Classes whose near misses are looked for: those with most jobs that wait.
const CLASSES_MAX: usize = 8;
/// Labels that a runner may lack to count as a near miss.
const LABELS_MAX: usize = 2;
/// Most suggestions of labels, and of runners.
const RUNNERS_MAX: usize = 6;

/// What waits, counted.
struct Waiting<'a> {
    tenant: Option<TenantId>,
    jobs: Vec<&'a Job>,
    /// Classes with jobs that wait, those with most first.
    classes: Vec<(ClassId, &'a RunnerRequirements, usize)>,
    running: Vec<&'a Job>,
}

impl Rows {
    /// What is worth trying, what is easily done first.
    pub(super) fn candidates(&self, tenant: Option<TenantId>) -> Vec<Suggestion> {
        let mut counts: BTreeMap<ClassId, usize> = BTreeMap::new();
        let jobs: Vec<_> = self.asked(tenant).collect();
        jobs.iter().for_each(|job| *counts.entry(job.class_id).or_default() += 1);
        let classes = self
            .snapshot
            .classes
            .iter()
            .filter_map(|class| Some((class.id, &class.requirements, *counts.get(&class.id)?)));
        let mut classes: Vec<_> = classes.collect();
        classes.sort_by_key(|(id, _, count)| (std::cmp::Reverse(*count), *id));
        let running = self.snapshot.jobs.iter().filter(|job| job.lease().is_some()).collect();
        let waiting = Waiting { tenant, jobs, classes, running };
        let mut found = Vec::new();
        if waiting.jobs.is_empty() {
            return found;
        }
        self.pauses(&waiting, &mut found);
        self.cordons(&waiting, &mut found);
        self.maximums(&waiting, &mut found);
        self.quotas(&waiting, &mut found);
        self.groups(&waiting, &mut found);
        self.resources(&waiting, &mut found);
        self.labels(&waiting, &mut found);
        self.runners(&waiting, &mut found);
        found
    }

    /// Whether whoever asks may change something of this pool.
    fn may_touch(&self, waiting: &Waiting<'_>, pool: PoolId) -> bool {
        let owner = self.settings.pools.get(&pool).and_then(|pool| pool.tenant_id);
        waiting.tenant.is_none_or(|tenant| owner == Some(tenant))
    }

    fn pool_name(&self, pool: PoolId) -> Box<str> {
        self.settings.catalogue.pool_name(pool).into()
    }

    fn pauses(&self, waiting: &Waiting<'_>, found: &mut Vec<Suggestion>) {
        let catalogue = &self.settings.catalogue;
        let own = |scope: &PauseScope| match scope {
            PauseScope::Tenant(id) => waiting.tenant.is_none_or(|tenant| tenant == *id),
            PauseScope::Pool(id) => self.may_touch(waiting, *id),
            PauseScope::Everything | PauseScope::Trigger(_) => waiting.tenant.is_none(),
        };
        let scopes = self.snapshot.pauses.iter().map(|pause| &pause.scope);
        found.extend(scopes.filter(|scope| own(scope)).take(EACH_MAX).map(|scope| {
            let what = match scope {
                PauseScope::Everything => "everything".to_owned(),
                PauseScope::Pool(id) => format!("pool {}", catalogue.pool_name(*id)),
                PauseScope::Tenant(id) => format!("tenant {}", catalogue.tenant_name(*id)),
                PauseScope::Trigger(name) => format!("trigger {name}"),
            };
            Suggestion::Resume { scope: scope.clone(), what: what.into() }
        }));
    }

    /// Cordoned runners, those first that could take most jobs.
    fn cordons(&self, waiting: &Waiting<'_>, found: &mut Vec<Suggestion>) {
        let cordoned = self.snapshot.runners.iter().filter(|runner| {
            runner.cordoned.is_some()
                && !runner.draining
                && !self.offline.contains(&runner.id)
                && self.may_touch(waiting, runner.pool_id)
        });
        let mut cordoned: Vec<_> = cordoned
            .map(|runner| (waiting.could_take(&runner.capabilities, runner.pool_id), runner))
            .filter(|(jobs, _)| *jobs > 0)
            .collect();
        cordoned.sort_by_key(|(jobs, runner)| (std::cmp::Reverse(*jobs), runner.id));
        found.extend(cordoned.into_iter().take(EACH_MAX).map(|(_, runner)| Suggestion::Uncordon {
            runner_id: runner.id,
            name: runner.name.clone(),
        }));
    }

    fn maximums(&self, waiting: &Waiting<'_>, found: &mut Vec<Suggestion>) {
        let from = self.settings.max_global_concurrency;
        let all = (waiting.jobs.len() + waiting.running.len()) as u64;
        if waiting.tenant.is_none() && all > from {
            found.push(Suggestion::RaiseGlobal { from, to: twice(from) });
        }
        let pools: BTreeSet<_> =
            waiting.classes.iter().flat_map(|(_, needs, _)| needs.pools()).collect();
        let pools = pools.into_iter().filter(|pool| self.may_touch(waiting, *pool));
        found.extend(pools.filter_map(|pool_id| {
            let from = self.settings.pools.get(&pool_id)?.jobs_max?;
            let name = self.pool_name(pool_id);
            Some(Suggestion::RaisePool { pool_id, name, from, to: twice(from) })
        }));
    }

    fn quotas(&self, waiting: &Waiting<'_>, found: &mut Vec<Suggestion>) {
        let tenants: BTreeSet<_> = waiting.jobs.iter().map(|job| job.tenant_id).collect();
        for tenant_id in tenants {
            let Some(settings) = self.settings.tenants.get(&tenant_id) else { continue };
            let of = |job: &&&Job| job.tenant_id == tenant_id;
            let all: Vec<_> =
                waiting.jobs.iter().chain(&waiting.running).filter(of).copied().collect();
            let critical = all.iter().filter(|job| job.priority == JobPriority::Critical).count();
            let mut held = [0; 3];
            for job in &all {
                let needs = self.requirements(job.class_id);
                let amounts = needs.map(|needs| Demand::of(needs).amounts).unwrap_or_default();
                held.iter_mut().zip(amounts).for_each(|(held, more)| *held += u64::from(more));
            }
            let starts = settings.starts_per_minute_max.map(u64::from);
            let quotas = [
                ("running_max", settings.running_max, all.len() as u64),
                ("critical_running_max", settings.critical_running_max, critical as u64),
                ("cpu_cores_max", settings.cpu_cores_max, held[0]),
                ("memory_gb_max", settings.memory_gb_max, held[1]),
                ("gpu_max", settings.gpu_max, held[2]),
                ("starts_per_minute_max", starts, all.len() as u64),
            ];
            for (quota, limit, wanted) in quotas {
                let Some(from) = limit.filter(|limit| wanted > *limit) else { continue };
                let name = self.settings.catalogue.tenant_name(tenant_id).into();
                let to = twice(from);
                found.push(Suggestion::RaiseQuota { tenant_id, name, quota, from, to });
            }
        }
    }

    /// Groups with more members than may be in.
    fn groups(&self, waiting: &Waiting<'_>, found: &mut Vec<Suggestion>) {
        // The limit is what the member says that was made last.
        let mut groups: BTreeMap<(TenantId, &str), (u32, u32)> = BTreeMap::new();
        let workloads = self.snapshot.workloads.iter();
        let of_workloads = workloads.filter_map(|it| Some((it.tenant_id, it.group()?)));
        let jobs = self.snapshot.jobs.iter().filter(|job| !job.kind().is_terminal());
        let of_jobs = jobs.filter_map(|job| Some((job.tenant_id, job.group()?)));
        for (tenant, group) in of_workloads.chain(of_jobs) {
            let known = groups.entry((tenant, &*group.key)).or_default();
            *known = (group.limit, known.1 + 1);
        }
        let own = |tenant: TenantId| waiting.tenant.is_none_or(|own| own == tenant);
        let full = groups
            .into_iter()
            .filter(|((tenant, _), (limit, members))| own(*tenant) && members > limit);
        found.extend(full.take(EACH_MAX).map(|((tenant_id, key), (from, _))| {
            Suggestion::RaiseGroup {
                tenant_id,
                key: key.into(),
                from,
                to: from.saturating_mul(2).max(1),
            }
        }));
    }

    fn resources(&self, waiting: &Waiting<'_>, found: &mut Vec<Suggestion>) {
        if waiting.tenant.is_some() {
            return;
        }
        let catalogue = &self.settings.catalogue;
        let needs = waiting.classes.iter().flat_map(|(_, needs, _)| &needs.resources);
        let names: BTreeSet<_> = needs.map(|need| &*need.name).collect();
        let configured: BTreeSet<_> = names
            .into_iter()
            .filter_map(|name| {
                let units = catalogue.resource_units(name)?;
                let exact = catalogue.resources.get_key_value(name).map(|(name, _)| name);
                // The pattern that decides is the longest.
                let pattern = catalogue.resources.keys().filter(|pattern| {
                    pattern.strip_suffix('*').is_some_and(|prefix| name.starts_with(prefix))
                });
                let pattern = exact.or_else(|| pattern.max_by_key(|pattern| pattern.len()));
                Some((pattern?.clone(), units))
            })
            .collect();
        found.extend(configured.into_iter().take(EACH_MAX).map(|(name, from)| {
            Suggestion::RaiseResource { name, from, to: from.saturating_mul(2).max(1) }
        }));
    }

    /// Runners that lack nothing but a label or two; of those that lack the same the least busy.
    fn labels(&self, waiting: &Waiting<'_>, found: &mut Vec<Suggestion>) {
        let mut busy: BTreeMap<RunnerId, usize> = BTreeMap::new();
        for lease in waiting.running.iter().filter_map(|job| job.lease()) {
            *busy.entry(lease.runner_id).or_default() += 1;
        }
        let mut best: BTreeMap<Vec<Box<str>>, (usize, RunnerId, Box<str>)> = BTreeMap::new();
        let mut order = Vec::new();
        for (_, needs, _) in waiting.classes.iter().take(CLASSES_MAX) {
            for runner in self.snapshot.runners.iter().filter(|runner| {
                runner.cordoned.is_none()
                    && !runner.draining
                    && !self.offline.contains(&runner.id)
                    && self.may_touch(waiting, runner.pool_id)
            }) {
                let lacks = runner.capabilities.mismatches(runner.pool_id, needs);
                let Some(labels) = labels_only(&lacks) else { continue };
                let load = busy.get(&runner.id).copied().unwrap_or(0) * 1_000
                    / runner.capabilities.max_parallel_jobs.max(1) as usize;
                let own = (load, runner.id, runner.name.clone());
                match best.get_mut(&labels) {
                    Some(known) if *known <= own => {}
                    Some(known) => *known = own,
                    None => {
                        order.push(labels.clone());
                        best.insert(labels, own);
                    }
                }
            }
        }
        found.extend(order.into_iter().take(RUNNERS_MAX).filter_map(|labels| {
            let (_, runner_id, name) = best.remove(&labels)?;
            Some(Suggestion::AddLabels { runner_id, name, labels })
        }));
    }

    /// One more runner of each kind that could take jobs that wait, and one for those that nobody
    /// can take.
    fn runners(&self, waiting: &Waiting<'_>, found: &mut Vec<Suggestion>) {
        let mut kinds: Vec<(usize, &Runner)> = Vec::new();
        for runner in &self.snapshot.runners {
            let same = |(_, known): &(usize, &Runner)| {
                known.pool_id == runner.pool_id && known.capabilities == runner.capabilities
            };
            if !self.may_touch(waiting, runner.pool_id) || kinds.iter().any(same) {
                continue;
            }
            let jobs = waiting.could_take(&runner.capabilities, runner.pool_id);
            if jobs > 0 {
                kinds.push((jobs, runner));
                kinds.sort_by_key(|(jobs, runner)| (std::cmp::Reverse(*jobs), runner.id));
                kinds.truncate(RUNNERS_MAX);
            }
        }
        let like = kinds.into_iter().map(|(_, runner)| {
            let like = Some(runner.name.clone());
            self.new_runner(runner.pool_id, runner.capabilities.clone(), like)
        });
        found.extend(like.collect::<Vec<_>>());
        let nobody = waiting.classes.iter().filter(|(_, needs, _)| {
            let fits = |it: &Runner| it.capabilities.satisfies(it.pool_id, needs);
            self.may_touch(waiting, needs.pool_id) && !self.snapshot.runners.iter().any(fits)
        });
        let made = nobody.take(EACH_MAX).filter_map(|(_, needs, _)| {
            let capabilities = capabilities_for(needs);
            let fits = capabilities.satisfies(needs.pool_id, needs);
            fits.then(|| self.new_runner(needs.pool_id, capabilities, None))
        });
        found.extend(made.collect::<Vec<_>>());
    }

    fn new_runner(
        &self,
        pool_id: PoolId,
        capabilities: RunnerCapabilities,
        like: Option<Box<str>>,
    ) -> Suggestion {
        let runner = Runner {
            id: RunnerId(self.snapshot.marks.next_runner),
            name: "new".into(),
            instance_id: "new".into(),
            boot_id: "new".into(),
            pool_id,
            token_hash: "".into(),
            capabilities,
            cordoned: None,
            draining: false,
            version: "".into(),
            registered_at_ms: self.now.wall_ms,
            order: None,
        };
        Suggestion::AddRunner { runner: Box::new(runner), like, pool: self.pool_name(pool_id) }
    }

    fn requirements(&self, id: ClassId) -> Option<&RunnerRequirements> {
        let classes = &self.snapshot.classes;
        let at = classes.binary_search_by_key(&id, |class| class.id).ok()?;
        Some(&classes[at].requirements)
    }
}

impl Waiting<'_> {
    /// How many of the jobs that wait such a runner could take.
    fn could_take(&self, offers: &RunnerCapabilities, pool: PoolId) -> usize {
        let fits = self.classes.iter().filter(|(_, needs, _)| offers.satisfies(pool, needs));
        fits.map(|(_, _, jobs)| jobs).sum()
    }
}

fn twice(limit: u64) -> u64 {
    limit.saturating_mul(2).max(1)
}

/// The labels that are missing, when nothing else is and they are few.
fn labels_only(lacks: &[Mismatch]) -> Option<Vec<Box<str>>> {
    if lacks.is_empty() || lacks.len() > LABELS_MAX {
        return None;
    }
    let label = |mismatch: &Mismatch| match mismatch {
        // Of a pattern it is not known which label is meant.
        Mismatch::Label(label) if !label.ends_with("=*") => Some(label.clone()),
        _ => None,
    };
    lacks.iter().map(label).collect()
}

/// A runner of one slot that offers what is required and no more.
fn capabilities_for(needs: &RunnerRequirements) -> RunnerCapabilities {
    let plain = RunnerCapabilities::default();
    let labels = needs.labels.iter().filter(|label| !label.starts_with('!'));
    let labels = labels.map(|label| match label.strip_suffix('*') {
        Some(key) if key.ends_with('=') => format!("{key}any").into(),
        _ => label.clone(),
    });
    RunnerCapabilities {
        labels: labels.collect(),
        architecture: needs.architecture.clone().unwrap_or(plain.architecture),
        os: needs.os.clone().unwrap_or(plain.os),
        cpu_cores: needs.min_cpu_cores.max(1),
        memory_gb: needs.min_memory_gb.max(1),
        docker_enabled: needs.requires_docker,
        gpu: needs.gpu,
        region: needs.required_regions.first().cloned(),
        ..RunnerCapabilities::default()
    }
    .normalised()
}
