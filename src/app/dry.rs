//! What an event would start under a configuration, without a server and without a database.
//!
//! The rules, the routes and the planning are those of a server; only the numbers of tenants and
//! pools are made up, and none of them is shown. What depends on the moment is left out: groups that
//! are full, quotas, who waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::repositories::folders;
use super::rules::rules;
use super::settings::{checked_catalogue, made_up_names, trigger_tenants};
use crate::config::{Config, ConfigErrors};
use crate::event::Event;
use crate::executor::router::{Namespace, RoutingConfig, SEPARATOR};
use crate::intake::{Arrival, Evaluation, Facts, Lookup, Outcome, Rules, evaluate};
use crate::model::{
    Catalogue, JobPriority, PlannedJob, PlannedWorkload, PoolId, TenantId, TriggerVerdict,
};
use crate::trigger::Standing;
use crate::webhook::stored_json;
use crate::workflow::Defaults;

/// A configuration that can be asked.
pub struct Dry {
    rules: Rules,
    router: crate::executor::router::Router,
    catalogue: Arc<Catalogue>,
    trigger_tenants: BTreeMap<String, TenantId>,
    /// Of each source that has one of its own.
    source_tenants: BTreeMap<String, TenantId>,
    /// Of each source whose repositories have workflow files of their own, the folder of these.
    folders: BTreeMap<String, String>,
}

/// What an event would start.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Tried {
    /// What each trigger says.
    pub triggers: Vec<TriggerVerdict>,
    /// Why nothing is started; `None` when something is.
    pub ignored: Option<String>,
    /// What might be started too, and was not looked at: nobody is asked here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
    /// Where the files are that were not looked at: what the names of their triggers begin with.
    #[serde(skip)]
    pub folder: Option<String>,
    /// What is started, in the order of the triggers.
    pub workloads: Vec<TriedWorkload>,
}

/// A workload that would be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TriedWorkload {
    /// The trigger that wants it.
    pub trigger: String,
    /// Workflow or agent.
    pub kind: &'static str,
    /// The workflow's or the profile's name.
    pub name: String,
    /// Who is charged.
    pub tenant: String,
    /// Its jobs.
    pub jobs: Vec<TriedJob>,
}

/// A job that would be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TriedJob {
    /// Its name.
    pub name: String,
    /// The name by which routes find it.
    pub namespace: String,
    /// Jobs that must end well first.
    pub needs: Vec<String>,
    /// The route that decides; `None` for the default.
    pub route: Option<String>,
    /// Who may carry it out, in order of fallback.
    pub executors: Vec<String>,
    /// The pools whose runners may take it, in order.
    pub pools: Vec<String>,
    /// What its runner's labels must be.
    pub labels: Vec<String>,
    /// How urgent it is.
    pub priority: JobPriority,
    /// How long an attempt may run, in milliseconds.
    pub timeout_ms: i64,
    /// Charged failures that are followed by another try.
    pub max_retries: u32,
}

impl Tried {
    /// Whether a trigger is a file that was not looked at.
    pub fn left_out(&self, trigger: &str) -> bool {
        let folder = self.folder.as_deref();
        folder.is_some_and(|it| trigger.strip_prefix(it).is_some_and(|it| it.starts_with('/')))
    }
}

impl Dry {
    /// Reads the rules of a configuration.
    ///
    /// # Errors
    ///
    /// As a server would find them at its start.
    pub fn new(config: &Config) -> Result<Self, ConfigErrors> {
        config.check_routes()?;
        let (catalogue, names) = (Arc::new(checked_catalogue(config)), made_up_names(config));
        let executors = config.executors.iter().map(|executor| {
            let pool = executor.pool.as_deref().unwrap_or("default");
            let pool_id = catalogue.pools.get(pool).copied().unwrap_or(PoolId::DEFAULT);
            (executor.name.as_str().into(), pool_id)
        });
        let routes =
            RoutingConfig { pools: executors.collect(), ..config.routing_config(&catalogue) };
        let tenant = |source: &crate::config::SourceConfig| {
            let tenant = source.tenant.as_ref()?.get_ref().as_str();
            Some((source.name.clone(), *names.tenants.get(tenant)?))
        };
        Ok(Self {
            rules: rules(config, Arc::clone(&catalogue))?,
            // Whose patterns were checked before.
            router: routes.compile().unwrap_or_default(),
            trigger_tenants: trigger_tenants(config, &names),
            source_tenants: config.sources.iter().filter_map(tenant).collect(),
            folders: folders(config),
            catalogue,
        })
    }

    /// The labels that jobs want of runners, each with somebody who wants it.
    pub fn wanted_labels(&self) -> Vec<(String, String)> {
        let wanted = self.rules.wanted_labels().into_iter();
        let of_jobs = wanted.map(|(label, who)| (label.to_owned(), who));
        let of_routes = self.router.rules().flat_map(|rule| {
            let who = format!("the route `{}`", rule.name);
            rule.labels.iter().map(move |label| (label.to_string(), who.clone()))
        });
        let mut all: Vec<_> = of_jobs.chain(of_routes).collect();
        let mut known = std::collections::BTreeSet::new();
        all.retain(|(label, _)| known.insert(label.to_lowercase()));
        all
    }

    /// What jobs get when neither trigger nor file says.
    pub fn defaults(&self) -> &Defaults {
        self.rules.defaults()
    }

    /// What names stand for.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Asks what an event would start, if it came at `at_ms` of the wall's clock.
    /// `payload` is the delivery's body, where there is one.
    pub fn try_event(&self, event: &Event, payload: Option<&[u8]>, at_ms: i64) -> Tried {
        let body = || stored_json(payload?);
        let payload = payload.map(|_| &body as &dyn Fn() -> Option<serde_json::Value>);
        let facts = Facts::LeftOut;
        let standing = Standing::LeftOut("nobody is asked here".to_owned());
        let standing = Some(&standing);
        let arrival = Arrival { at_ms, payload, facts, standing, ..Arrival::default() };
        let Evaluation { verdicts: triggers, outcome, .. } = evaluate(event, &self.rules, arrival);
        let (ignored, plan) = match outcome {
            Outcome::Plan(plan) => (None, plan.workloads),
            Outcome::Ignored(why) | Outcome::Failed(why) | Outcome::Held(why) => {
                (Some(why), Vec::new())
            }
            // What is left out is not needed.
            Outcome::Needs(needs) => (Some(format!("{needs} would be needed")), Vec::new()),
        };
        let folder = self.folders.get(&event.source).cloned();
        let left_out = folder.as_ref().and_then(|folder| {
            let lookup = Lookup::of(event)?;
            Some(format!("{lookup} (`{folder}`) were not looked at: nobody is asked here"))
        });
        let workloads = plan.into_iter().map(|workload| self.workload(workload, event)).collect();
        Tried { triggers, ignored, left_out, folder, workloads }
    }

    /// Asks what a stored event would start, that came at `at_ms`.
    ///
    /// # Errors
    ///
    /// The text is no event.
    pub fn try_stored(&self, event: &str, at_ms: i64) -> Result<Tried, serde_json::Error> {
        Ok(self.try_event(&serde_json::from_str(event)?, None, at_ms))
    }

    /// As it is when it is submitted: charged, and sent on its way.
    fn workload(&self, workload: PlannedWorkload, event: &Event) -> TriedWorkload {
        let own = self.trigger_tenants.get(&workload.trigger);
        let tenant = own.or_else(|| self.source_tenants.get(&event.source)).copied();
        let tenant = self.catalogue.tenant_name(tenant.unwrap_or(TenantId::DEFAULT)).to_owned();
        let (kind, name) = (workload.kind.as_str(), workload.name);
        let job = |mut job: PlannedJob| {
            let more = job.terms.namespace.clone();
            let more = more.iter().flat_map(|more| more.split(SEPARATOR));
            let namespace = Namespace::new(&tenant, kind, more, &name, &job.name);
            let route = self.router.route(&namespace, &mut job);
            self.job(job, &namespace, route)
        };
        let jobs = workload.jobs.into_iter().map(job).collect();
        TriedWorkload { trigger: workload.trigger, kind, name, tenant, jobs }
    }

    fn job(&self, job: PlannedJob, namespace: &Namespace, route: Option<usize>) -> TriedJob {
        let needs = job.requirements;
        let route = route.and_then(|at| self.router.rules().nth(at));
        let texts = |texts: &[Box<str>]| texts.iter().map(ToString::to_string).collect();
        TriedJob {
            namespace: namespace.to_string(),
            needs: job.needs,
            route: route.map(|rule| rule.name.to_string()),
            executors: texts(&needs.executors),
            pools: needs.pools().map(|id| self.catalogue.pool_name(id).to_owned()).collect(),
            labels: texts(&needs.labels),
            priority: job.priority,
            timeout_ms: job.timeout_ms,
            max_retries: job.retry.max_retries,
            name: job.name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::OwnEvent;

    #[test]
    fn files_of_repositories_are_not_looked_at_and_that_is_said() {
        let text = "[[source]]\nname = 'gh'\nsecrets = [{ env = 'S' }]\n[source.workflows]";
        let dry = Dry::new(&Config::from_text("d.toml".as_ref(), text, []).unwrap()).unwrap();
        let event = |repository: &str| -> Event {
            let text =
                format!(r#"{{ "source": "gh", "kind": "star", "repository": {repository} }}"#);
            serde_json::from_str(&text).unwrap()
        };
        let tried = dry.try_event(&event(r#"{ "full_name": "acme/app" }"#), None, 0);
        let told = "the workflow files of acme/app at its default branch (`.github/workflows`) were not looked at: \
                    nobody is asked here";
        assert_eq!(tried.left_out.as_deref(), Some(told));
        assert_eq!(tried.ignored.as_deref(), Some("no trigger is configured"));
        assert!(tried.left_out(".github/workflows/ci.yml") && !tried.left_out("ci"));
        assert_eq!(dry.try_event(&event("null"), None, 0).left_out, None);
    }

    const CONFIG: &str = "
        [server]
        workflows_dir = 'workflows'
        [tenants.acme]
        [agent_pools.fast]
        [[source]]
        name = 'github'
        insecure = true
        tenant = 'acme'
        [[trigger]]
        name = 'ci'
        workflow = 'build'
        priority = 'high'
        on.push.branches = ['main']
        [[trigger]]
        name = 'review'
        agent = { profile = 'claude', prompt = 'look' }
        on = 'pull_request'
        [[route]]
        name = 'tests'
        match = 'acme::workflow::**::test'
        pools = ['fast']
        timeout_minutes_max = 5
    ";
    const WORKFLOW: &str = "
jobs:
  build: { runs-on: linux, steps: [{ run: make }] }
  test: { needs: build, runs-on: [linux, gpu], steps: [{ run: make test }] }
";

    #[test]
    fn an_event_is_planned_and_routed_as_a_server_would() {
        let home = tempfile::tempdir().unwrap();
        let workflows = home.path().join("workflows");
        std::fs::create_dir(&workflows).unwrap();
        std::fs::write(workflows.join("build.yml"), WORKFLOW).unwrap();
        let config = Config::from_text(&home.path().join("d.toml"), CONFIG, []).unwrap();
        let dry = Dry::new(&config).unwrap();
        let event = |kind: &str, git_ref: &str| {
            let own = OwnEvent {
                source: "github".into(),
                kind: kind.into(),
                git_ref: Some(git_ref.into()),
                ..OwnEvent::default()
            };
            own.into_event().unwrap()
        };
        let tried = dry.try_event(&event("push", "refs/heads/main"), None, 0);
        assert_eq!(tried.ignored, None);
        insta::assert_json_snapshot!(tried.workloads, @r#"
        [
          {
            "trigger": "ci",
            "kind": "workflow",
            "name": "build",
            "tenant": "acme",
            "jobs": [
              {
                "name": "build",
                "namespace": "acme::workflow::build::build",
                "needs": [],
                "route": null,
                "executors": [
                  "runners"
                ],
                "pools": [
                  "default"
                ],
                "labels": [
                  "linux"
                ],
                "priority": "high",
                "timeout_ms": 21600000,
                "max_retries": 0
              },
              {
                "name": "test",
                "namespace": "acme::workflow::build::test",
                "needs": [
                  "build"
                ],
                "route": "tests",
                "executors": [
                  "runners"
                ],
                "pools": [
                  "fast"
                ],
                "labels": [
                  "gpu",
                  "linux"
                ],
                "priority": "high",
                "timeout_ms": 300000,
                "max_retries": 0
              }
            ]
          }
        ]
        "#);
        let tried = dry.try_event(&event("push", "refs/heads/dev"), None, 0);
        assert_eq!(tried.workloads, []);
        assert_eq!(tried.ignored.as_deref(), Some("none of 2 triggers wants it"));
        assert_eq!(tried.triggers[0].why, "branch `dev` matches none of branches");
    }
}
