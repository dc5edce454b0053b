//! From names to numbers: the one place where pools, skills and resources of an ask are looked up.

use super::{Ask, Deadline, Fault, Names};
use crate::model::{
    Catalogue, JobPriority, JobTerms, Placement, PlannedJob, PlannedWorkload, PoolId, ResourceNeed,
    RunnerRequirements, WorkloadTerms,
};

/// The most names that a hint lists.
const NAMES_SHOWN_MAX: usize = 20;

/// What a job asks for, as the scheduler has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resolved {
    /// What it requires of a runner, normalised.
    pub requirements: RunnerRequirements,
    /// How urgent it is.
    pub priority: JobPriority,
    /// What it asks for beside.
    pub terms: JobTerms,
    /// What the event decides.
    pub later: Later,
}

/// What of a job's ask is not known before there is an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Later {
    /// Milliseconds from the event to its deadline.
    deadline_in_ms: Option<i64>,
    /// Whether it takes a unit of its repository's resource, where there is one.
    by_repository: bool,
}

/// A workload that is planned but for what its event decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planned {
    /// The workload.
    pub workload: PlannedWorkload,
    /// Of each of its jobs what the event decides.
    pub later: Vec<Later>,
}

impl Planned {
    /// The workload of an event or a submission that came at `at_ms`, wall milliseconds.
    pub fn settle(
        self,
        at_ms: i64,
        repository: Option<&str>,
        catalogue: &Catalogue,
    ) -> PlannedWorkload {
        let Self { mut workload, later } = self;
        let own = repository.map(|name| format!("repo:{name}"));
        let own = own.filter(|name| catalogue.resource_units(name).is_some_and(|units| units > 0));
        for (job, later) in workload.jobs.iter_mut().zip(later) {
            later.settle(job, at_ms, own.as_deref());
        }
        workload
    }
}

impl Later {
    /// Says what the event, or the submission, decides about a job: it came at `at_ms`, wall
    /// milliseconds, from the repository whose resource is `own_resource`.
    pub fn settle(self, job: &mut PlannedJob, at_ms: i64, own_resource: Option<&str>) {
        if let Some(span_ms) = self.deadline_in_ms {
            job.terms.deadline_ms = Some(at_ms.saturating_add(span_ms));
        }
        let needs = &mut job.requirements.resources;
        let own = own_resource
            .filter(|own| self.by_repository && needs.iter().all(|it| *it.name != **own));
        if let Some(own) = own {
            needs.push(ResourceNeed { name: own.into(), units: 1 });
            needs.sort_unstable();
        }
    }
}

impl Ask {
    /// What it asks of a workload as a whole.
    pub fn workload_terms(&self) -> WorkloadTerms {
        WorkloadTerms {
            group: self.group.as_ref().map(|group| group.terms()),
            max_parallel: self.max_parallel,
            fail_fast: self.fail_fast.unwrap_or_default(),
            title: None,
            report: Vec::new(),
            succession: None,
        }
    }

    /// What it asks of a job whose runner's labels must be `labels`.
    ///
    /// # Errors
    ///
    /// Every name that the configuration does not know or that fits nothing.
    pub fn resolve(
        &self,
        labels: &[String],
        catalogue: &Catalogue,
    ) -> Result<Resolved, Vec<Fault>> {
        let (resolved, faults) = self.draft(labels, catalogue);
        if faults.is_empty() { Ok(resolved) } else { Err(faults) }
    }

    /// The same with what is wrong, so that all the rest can be checked too: a pool that is not
    /// known is the default one.
    pub fn draft(&self, labels: &[String], catalogue: &Catalogue) -> (Resolved, Vec<Fault>) {
        let mut faults = Vec::new();
        if labels.iter().any(|label| label.trim().is_empty()) {
            faults.push(Fault::new("labels", "a label is empty"));
        }
        let pools = self.pools(catalogue).unwrap_or_else(|fault| {
            faults.push(fault);
            vec![PoolId::DEFAULT]
        });
        let resources = self.resources.clone().unwrap_or_default().0;
        faults.extend(resources.iter().filter_map(|need| resource_fault(need, catalogue)));
        let boxed = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
        let region = self.region.clone().unwrap_or_default();
        let requirements = RunnerRequirements {
            labels: boxed(labels),
            architecture: self.architecture.as_deref().map(Into::into),
            os: self.os.as_deref().map(Into::into),
            min_memory_gb: self.min_memory_gb.unwrap_or_default(),
            min_cpu_cores: self.min_cpu_cores.unwrap_or_default(),
            requires_docker: self.requires_docker.unwrap_or_default(),
            gpu: self.gpu.unwrap_or_default(),
            pool_id: pools[0],
            fallback_pools: pools[1..].to_vec(),
            required_regions: boxed(&region.required),
            preferred_regions: boxed(&region.preferred),
            preferred: self.preferred.clone().unwrap_or_default().0,
            resources,
            ..RunnerRequirements::default()
        };
        let resolved = Resolved {
            requirements: requirements.normalised(),
            priority: self.priority.unwrap_or_default(),
            terms: self.terms(),
            later: self.later(),
        };
        (resolved, faults)
    }

    fn terms(&self) -> JobTerms {
        let key = |text: &str| text.trim().into();
        JobTerms {
            run_if: self.run_if.unwrap_or_default(),
            group: self.group.as_ref().map(|group| group.terms()),
            deadline_ms: match self.deadline {
                Some(Deadline::At(at_ms)) => Some(at_ms),
                Some(Deadline::In(_)) | None => None,
            },
            max_wait_ms: self.max_wait.map(|span| span.0),
            queue_timeout_ms: self.queue_timeout.map(|span| span.0),
            namespace: self.namespace.as_deref().map(key),
            placement: Placement {
                affinity: self.affinity.as_ref().map(|near| key(&near.key)),
                affinity_required: self.affinity.as_ref().is_some_and(|near| near.required),
                anti_affinity: self.anti_affinity.as_deref().map(key),
                spread: self.spread.as_ref().map(|spread| spread.0.clone()),
            },
            ..JobTerms::default()
        }
    }

    fn later(&self) -> Later {
        Later {
            deadline_in_ms: match self.deadline {
                Some(Deadline::In(span_ms)) => Some(span_ms),
                Some(Deadline::At(_)) | None => None,
            },
            by_repository: self.resources.as_ref().is_none_or(|needs| !needs.0.is_empty()),
        }
    }

    /// The pools whose runners may take it, in order, at least one: those that are named, else
    /// those that have all skills in the order of the first skill, else the default. Named pools
    /// must have the skills too.
    fn pools(&self, catalogue: &Catalogue) -> Result<Vec<PoolId>, Fault> {
        let skilled = match self.skills.as_ref().map(|skills| skills.0.as_slice()) {
            None | Some([]) => None,
            Some(skills) => Some(skilled(skills, catalogue)?),
        };
        let Some(Names(names)) = &self.pool else {
            return Ok(skilled.unwrap_or_else(|| vec![PoolId::DEFAULT]));
        };
        let mut pools = Vec::with_capacity(names.len());
        for name in names {
            let Some(&id) = catalogue.pools.get(name.as_str()) else {
                return Err(Fault::new("pool", unknown("pool", name, catalogue.pools.keys())));
            };
            if skilled.as_ref().is_some_and(|having| !having.contains(&id)) {
                let message = format!("pool `{name}` has not all the wanted skills");
                return Err(Fault::new("pool", message));
            }
            if !pools.contains(&id) {
                pools.push(id);
            }
        }
        if pools.is_empty() { Err(Fault::new("pool", "no pool is named")) } else { Ok(pools) }
    }
}

/// The pools that have all of these skills, at least one, in the order of the first skill.
fn skilled(skills: &[String], catalogue: &Catalogue) -> Result<Vec<PoolId>, Fault> {
    let mut common: Option<Vec<PoolId>> = None;
    for skill in skills {
        let Some(having) = catalogue.skills.get(skill.as_str()) else {
            return Err(Fault::new("skills", unknown("skill", skill, catalogue.skills.keys())));
        };
        common = Some(match common {
            None => having.clone(),
            Some(pools) => pools.into_iter().filter(|pool| having.contains(pool)).collect(),
        });
    }
    let common = common.unwrap_or_default();
    if common.is_empty() {
        let message = format!("no pool has all of the skills {}", skills.join(", "));
        return Err(Fault::new("skills", message));
    }
    Ok(common)
}

fn resource_fault(need: &ResourceNeed, catalogue: &Catalogue) -> Option<Fault> {
    let ResourceNeed { name, units } = need;
    let message = match catalogue.resource_units(name) {
        None => unknown("resource", name, catalogue.resources.keys()),
        Some(there_are) if *units > there_are => {
            format!("{units} units of `{name}` where there are {there_are}")
        }
        Some(_) => return None,
    };
    Some(Fault::new("resources", message))
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a Box<str>>) -> String {
    let known: Vec<_> = known.take(NAMES_SHOWN_MAX).map(AsRef::as_ref).collect();
    if known.is_empty() {
        return format!("no {what} `{name}`: none is configured");
    }
    format!("no {what} `{name}`; known are {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn catalogue() -> Catalogue {
        let pools = [("default", 1), ("fast", 2), ("general", 3)];
        Catalogue {
            pools: pools.map(|(name, id)| (name.into(), PoolId(id))).into(),
            skills: [
                ("rust".into(), vec![PoolId(2), PoolId(3)]),
                ("gpu".into(), vec![PoolId(3)]),
                ("go".into(), vec![PoolId(2)]),
            ]
            .into(),
            resources: [("licence".into(), 2), ("repo:acme/*".into(), 1)].into(),
            ..Catalogue::default()
        }
    }

    fn resolved(ask: Value) -> Result<Resolved, Vec<Fault>> {
        let ask: Ask = serde_json::from_value(ask).unwrap();
        ask.resolve(&[], &catalogue())
    }

    fn pools(ask: Value) -> Vec<i64> {
        let requirements = resolved(ask).unwrap().requirements;
        requirements.pools().map(|pool| pool.0).collect()
    }

    fn refused(ask: Value) -> String {
        let faults = resolved(ask).unwrap_err();
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn skills_choose_the_pools_that_have_all_of_them_in_the_first_ones_order() {
        assert_eq!(pools(json!({})), [1]);
        assert_eq!(pools(json!({ "skills": "rust" })), [2, 3]);
        assert_eq!(pools(json!({ "skills": ["rust", "gpu"] })), [3]);
        assert_eq!(
            refused(json!({ "skills": ["gpu", "go"] })),
            "skills: no pool has all of the skills gpu, go"
        );
        assert_eq!(
            refused(json!({ "skills": "cobol" })),
            "skills: no skill `cobol`; known are go, gpu, rust"
        );
    }

    #[test]
    fn a_named_pool_wins_over_skills_and_must_have_them() {
        assert_eq!(pools(json!({ "skills": "rust", "pool": "general" })), [3]);
        assert_eq!(pools(json!({ "pool": ["general", "fast", "general"] })), [3, 2]);
        assert_eq!(
            refused(json!({ "skills": "gpu", "pool": "fast" })),
            "pool: pool `fast` has not all the wanted skills"
        );
        assert_eq!(
            refused(json!({ "pool": "slow" })),
            "pool: no pool `slow`; known are default, fast, general"
        );
    }

    #[test]
    fn a_resource_must_exist_and_have_as_many_units() {
        assert!(resolved(json!({ "resources": { "name": "licence", "units": 2 } })).is_ok());
        assert_eq!(
            refused(json!({ "resources": ["toner", { "name": "licence", "units": 3 }] })),
            "resources: no resource `toner`; known are licence, repo:acme/*\n\
             resources: 3 units of `licence` where there are 2"
        );
    }

    #[test]
    fn a_job_of_a_repository_holds_its_resource_where_there_is_one() {
        let held = |ask: Value, repository: Option<&str>| {
            let found = resolved(ask).unwrap();
            let mut job = crate::dispatch::tests::yard::job("a");
            (job.requirements, job.terms) = (found.requirements, found.terms);
            let workload = crate::dispatch::tests::yard::workload(vec![job]);
            let planned = Planned { workload, later: vec![found.later] };
            planned.settle(1_000, repository, &catalogue()).jobs.remove(0)
        };
        let names = |job: &PlannedJob| -> Vec<_> {
            job.requirements.resources.iter().map(|it| it.name.to_string()).collect()
        };
        assert_eq!(names(&held(json!({}), Some("acme/app"))), ["repo:acme/app"]);
        assert_eq!(names(&held(json!({}), Some("other/app"))), [""; 0]);
        assert_eq!(names(&held(json!({}), None)), [""; 0]);
        assert_eq!(names(&held(json!({ "resources": "none" }), Some("acme/app"))), [""; 0]);
        let beside = held(json!({ "resources": "licence" }), Some("acme/app"));
        assert_eq!(names(&beside), ["licence", "repo:acme/app"]);
        let said = json!({ "resources": "repo:acme/app", "deadline": "2s" });
        let said = held(said, Some("acme/app"));
        assert_eq!(
            (names(&said), said.terms.deadline_ms),
            (vec!["repo:acme/app".into()], Some(3_000))
        );
    }
}
