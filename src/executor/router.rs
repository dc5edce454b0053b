//! Which rule says how a job is carried out.
//!
//! Rules are asked in their order, and the first whose pattern matches the job's name decides. A job that
//! no rule matches goes to [`RoutingConfig::default`]'s executor as it is.
//!
//! A rule is the operator's last word: what it says is in the place of what the job asked for, but
//! for labels, which are added, and for the timeout, of which the shorter one counts.

pub mod dry;
mod namespace;
mod pattern;

use std::collections::BTreeMap;

use crate::model::{Catalogue, JobPriority, PlannedJob, PoolId, ResourceNeed, RunnerRequirements};

pub use namespace::{Namespace, SEPARATOR};
pub use pattern::{Miss, Pattern, PatternError};

/// One rule, as it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoutingRule {
    /// What people call it; the pattern where nobody gave it a name.
    pub name: Box<str>,
    /// Which jobs it is about.
    pub pattern: Box<str>,
    /// Who may carry them out, in order of fallback; at least one.
    pub executors: Vec<Box<str>>,
    /// The pools whose runners may take them, in order; empty for what the job asks for.
    pub pools: Vec<PoolId>,
    /// How urgent they are.
    pub priority: Option<JobPriority>,
    /// Labels that their runners must have beside those that the job asks for.
    pub labels: Vec<Box<str>>,
    /// The longest that an attempt may run.
    pub timeout_ms_max: Option<i64>,
    /// How many of them runners may have at once.
    pub running_max: Option<u32>,
}

impl RoutingRule {
    /// Sends the jobs whose names match the pattern to one executor.
    pub fn new(pattern: impl Into<Box<str>>, executor: impl Into<Box<str>>) -> Self {
        let pattern = pattern.into();
        Self {
            name: pattern.clone(),
            pattern,
            executors: vec![executor.into()],
            pools: Vec::new(),
            priority: None,
            labels: Vec::new(),
            timeout_ms_max: None,
            running_max: None,
        }
    }

    /// Adds an executor for when those before it are away.
    #[must_use]
    pub fn or(mut self, executor: impl Into<Box<str>>) -> Self {
        self.executors.push(executor.into());
        self
    }
}

/// All rules, in order, and the executor of jobs that none of them matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoutingConfig {
    /// Who carries out what no rule matches.
    pub default: Box<str>,
    /// The rules, the first one first.
    pub rules: Vec<RoutingRule>,
    /// The pool of each executor that has one of its own: where a rule names no pools, jobs go to
    /// those of its executors.
    pub pools: BTreeMap<Box<str>, PoolId>,
}

impl Default for RoutingConfig {
    fn default() -> Self {
        Self::new(RunnerRequirements::RUNNERS)
    }
}

impl RoutingConfig {
    /// No rules yet.
    pub fn new(default: impl Into<Box<str>>) -> Self {
        Self { default: default.into(), rules: Vec::new(), pools: BTreeMap::new() }
    }

    /// Adds a rule, to be asked after those before it.
    #[must_use]
    pub fn with_rule(mut self, rule: RoutingRule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Reads the patterns.
    ///
    /// # Errors
    ///
    /// Every rule whose pattern is none, by its place in the list.
    pub fn compile(self) -> Result<Router, Vec<(usize, PatternError)>> {
        let (mut rules, mut wrong) = (Vec::with_capacity(self.rules.len()), Vec::new());
        for (at, rule) in self.rules.into_iter().enumerate() {
            match Pattern::parse(&rule.pattern) {
                Ok(pattern) => rules.push((pattern, rule)),
                Err(error) => wrong.push((at, error)),
            }
        }
        let Self { default, pools, .. } = self;
        if wrong.is_empty() { Ok(Router { default, rules, pools }) } else { Err(wrong) }
    }
}

/// Rules that can be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Router {
    default: Box<str>,
    rules: Vec<(Pattern, RoutingRule)>,
    pools: BTreeMap<Box<str>, PoolId>,
}

impl Default for Router {
    fn default() -> Self {
        let default = RoutingConfig::default().default;
        Self { default, rules: Vec::new(), pools: BTreeMap::new() }
    }
}

/// What the rules say of a name, and why the rules before that one said nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision<'a> {
    /// The rule that decides; `None` for the default.
    pub rule: Option<&'a RoutingRule>,
    /// Each rule that was asked before it, and what of it the name lacks.
    pub passed: Vec<(&'a RoutingRule, Miss)>,
}

impl Router {
    /// Who carries out what no rule matches.
    pub fn default_executor(&self) -> &str {
        &self.default
    }

    /// The rules, in their order.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &RoutingRule> {
        self.rules.iter().map(|(_, rule)| rule)
    }

    /// Those that can be about a tenant's jobs; all for `None`.
    pub fn rules_about(&self, tenant: Option<&str>) -> impl Iterator<Item = &RoutingRule> {
        let about = move |pattern: &Pattern| tenant.is_none_or(|it| pattern.may_be_about(it));
        self.rules.iter().filter(move |(pattern, _)| about(pattern)).map(|(_, rule)| rule)
    }

    /// Whether there is anything to ask: without rules no name needs to be made.
    pub fn is_plain(&self) -> bool {
        self.rules.is_empty() && *self.default == *RunnerRequirements::RUNNERS
    }

    /// The first rule that matches, with its place.
    pub fn resolve(&self, name: &Namespace) -> Option<(usize, &RoutingRule)> {
        let found = self.rules.iter().enumerate().find(|(_, (pattern, _))| pattern.matches(name));
        found.map(|(at, (_, rule))| (at, rule))
    }

    /// The same with the reasons, for people: those of rules that can be about the tenant's jobs; of
    /// all for `None`.
    pub fn decide(&self, name: &Namespace, tenant: Option<&str>) -> Decision<'_> {
        let mut passed = Vec::new();
        for (pattern, rule) in &self.rules {
            match pattern.miss(name) {
                None => return Decision { rule: Some(rule), passed },
                Some(miss) if tenant.is_none_or(|it| pattern.may_be_about(it)) => {
                    passed.push((rule, miss));
                }
                Some(_) => {}
            }
        }
        Decision { rule: None, passed }
    }

    /// Rules that never come to their turn, each with the earlier one that matches all that it
    /// matches.
    pub fn shadowed(&self) -> impl Iterator<Item = (usize, usize)> {
        (1..self.rules.len()).filter_map(|late| {
            let (pattern, _) = &self.rules[late];
            let early = self.rules[..late].iter().position(|(early, _)| early.covers(pattern))?;
            Some((late, early))
        })
    }

    /// The pools of what carries it out: those that it asks for where that is runners.
    fn pools_of(&self, needs: &RunnerRequirements) -> Vec<PoolId> {
        let of = |executor| match self.pools.get(executor) {
            Some(pool) => vec![*pool],
            None => needs.pools().collect(),
        };
        needs.executors.iter().flat_map(of).collect()
    }

    /// Sends a job of that name on its way. Returns the place of the rule that decided.
    pub fn route(&self, name: &Namespace, job: &mut PlannedJob) -> Option<usize> {
        let needs = &mut job.requirements;
        let Some((at, rule)) = self.resolve(name) else {
            needs.executors = vec![self.default.clone()];
            go_to(needs, &self.pools_of(needs));
            job.requirements = std::mem::take(needs).normalised();
            return None;
        };
        needs.executors.clone_from(&rule.executors);
        match rule.pools.is_empty() {
            true => go_to(needs, &self.pools_of(needs)),
            false => go_to(needs, &rule.pools),
        }
        needs.labels.extend(rule.labels.iter().cloned());
        if rule.running_max.is_some() {
            needs.resources.push(ResourceNeed { name: rule.resource(), units: 1 });
        }
        job.requirements = std::mem::take(needs).normalised();
        job.priority = rule.priority.unwrap_or(job.priority);
        job.timeout_ms = rule.timeout_ms_max.unwrap_or(i64::MAX).min(job.timeout_ms);
        Some(at)
    }
}

fn go_to(needs: &mut RunnerRequirements, pools: &[PoolId]) {
    if let [first, rest @ ..] = pools {
        needs.pool_id = *first;
        needs.fallback_pools = rest.to_vec();
    }
}

impl RoutingRule {
    /// The resource of which each of its jobs holds a unit while `running_max` bounds them.
    pub fn resource(&self) -> Box<str> {
        format!("{}{}", Catalogue::OF_ROUTE, self.name).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::tests::yard;

    fn name(job: &str) -> Namespace {
        Namespace::new("acme", "workflow", [], "build", job)
    }

    fn router() -> Router {
        let gpu = RoutingRule {
            name: "gpu".into(),
            pools: vec![PoolId(3), PoolId(2)],
            priority: Some(JobPriority::High),
            labels: vec!["CUDA".into()],
            timeout_ms_max: Some(1_000),
            running_max: Some(2),
            ..RoutingRule::new("**::gpu-*", "runners").or("cloud")
        };
        RoutingConfig::default()
            .with_rule(gpu)
            .with_rule(RoutingRule::new("acme::**", "runners"))
            .with_rule(RoutingRule::new("acme::workflow::**::test", "runners"))
            .compile()
            .unwrap()
    }

    #[test]
    fn the_first_rule_that_matches_decides_all_it_speaks_of() {
        let router = router();
        let mut job = yard::job("gpu-train");
        job.requirements.labels = vec!["linux".into()];
        job.timeout_ms = 5_000;
        assert_eq!(router.route(&name("gpu-train"), &mut job), Some(0));
        let needs = &job.requirements;
        assert_eq!(needs.pools().collect::<Vec<_>>(), [PoolId(3), PoolId(2)]);
        assert_eq!(needs.labels, ["cuda".into(), "linux".into()]);
        assert_eq!(needs.executors, ["runners".into(), "cloud".into()]);
        assert_eq!(needs.resources, [ResourceNeed { name: "route:gpu".into(), units: 1 }]);
        assert_eq!((job.priority, job.timeout_ms), (JobPriority::High, 1_000));

        let before = yard::job("test");
        let mut job = before.clone();
        assert_eq!(router.route(&name("test"), &mut job), Some(1));
        assert_eq!(job, before, "a rule that says nothing changes nothing");
        let other = Namespace::new("other", "agent", [], "review", "agent");
        assert_eq!(router.route(&other, &mut job), None);
        assert_eq!(job, before);
    }

    #[test]
    fn jobs_go_to_the_pools_of_their_executors_where_the_rule_names_none() {
        let config = RoutingConfig {
            pools: [("cloud".into(), PoolId(7))].into(),
            ..RoutingConfig::new("cloud")
                .with_rule(RoutingRule::new("**::both", "cloud").or("runners"))
                .with_rule(RoutingRule::new("**::own", "runners"))
        };
        let router = config.compile().unwrap();
        let pools = |job: &str| {
            let mut planned = yard::job(job);
            planned.requirements.pool_id = PoolId(3);
            router.route(&name(job), &mut planned);
            planned.requirements.pools().map(|pool| pool.0).collect::<Vec<_>>()
        };
        assert_eq!(pools("both"), [7, 3]);
        assert_eq!(pools("own"), [3]);
        assert_eq!(pools("by-default"), [7]);
    }

    #[test]
    fn a_timeout_is_shortened_and_never_made_longer() {
        let mut job = yard::job("gpu-x");
        job.timeout_ms = 10;
        router().route(&name("gpu-x"), &mut job);
        assert_eq!(job.timeout_ms, 10);
    }

    #[test]
    fn the_rules_that_were_passed_say_why() {
        let router = router();
        let asked = name("test");
        let decision = router.decide(&asked, None);
        assert_eq!(decision.rule.map(|rule| &*rule.name), Some("acme::**"));
        let passed: Vec<_> =
            decision.passed.iter().map(|(rule, miss)| format!("{}: {miss}", rule.name)).collect();
        assert_eq!(passed, ["gpu: `gpu-*` finds no place in it"]);
    }

    #[test]
    fn a_rule_behind_one_that_takes_all_of_its_jobs_is_found() {
        assert_eq!(router().shadowed().collect::<Vec<_>>(), [(2, 1)]);
    }

    #[test]
    fn every_rule_without_a_pattern_is_told() {
        let config = RoutingConfig::new("default")
            .with_rule(RoutingRule::new("gpu", "a"))
            .with_rule(RoutingRule::new("**", "a"))
            .with_rule(RoutingRule::new("", "a"));
        let wrong = config.compile().unwrap_err();
        assert_eq!(wrong.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 2]);
    }
}
