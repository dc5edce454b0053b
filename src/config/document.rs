//! From text to a valid [`Config`]: the sections one by one, then what holds between them.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;

use super::overlay::Variable;
use super::references::{self, Parts};
use super::section::{self, Reading, Section};
use super::{
    AccessConfig, Config, ConfigError, ConfigErrors, ConfigFile, DatabaseConfig, ExecutorConfig,
    InstancesConfig, LimitsConfig, Origin, ProvisionerConfig, ReportsConfig, RetentionConfig,
    RouteConfig, SchedulerConfig, ServerConfig, SessionsConfig, SourceConfig, WorkflowConfig,
    hints, name, retention, source,
};
use crate::model::Member;
use crate::trigger::RuleConfig;

const SECTIONS: [&str; 21] = [
    ServerConfig::NAME,
    DatabaseConfig::NAME,
    InstancesConfig::NAME,
    SchedulerConfig::NAME,
    LimitsConfig::NAME,
    RetentionConfig::NAME,
    ReportsConfig::NAME,
    SessionsConfig::NAME,
    AccessConfig::NAME,
    WorkflowConfig::NAME,
    "vars",
    "tenants",
    "agent_pools",
    "skill_mapping",
    "teams",
    "resources",
    "source",
    "trigger",
    "executor",
    "provisioner",
    "route",
];

/// Reads everything and reports everything that is wrong.
pub(super) fn read(
    file: ConfigFile,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigErrors> {
    let pairs = environment.into_iter();
    let variables: Vec<_> = pairs.filter_map(|(name, text)| Variable::parse(name, text)).collect();
    let mut table = section::parse(&file)?;
    let mut reading = Reading { file: &file, errors: Vec::new(), origins: Default::default() };
    for key in table.keys().filter(|key| !SECTIONS.contains(&key.get_ref().as_ref())) {
        let place = file.place(key.span().start);
        reading.errors.push(unknown_section(Origin::File(place), key.get_ref()));
    }
    for variable in &variables {
        check_variable(variable, &mut reading.errors);
    }
    let mut take = |name: &str| table.remove(name);
    let server = reading.section(take(ServerConfig::NAME), &variables);
    let database = reading.section(take(DatabaseConfig::NAME), &variables);
    let instances = reading.section(take(InstancesConfig::NAME), &variables);
    let scheduler = reading.section(take(SchedulerConfig::NAME), &variables);
    let limits = reading.section(take(LimitsConfig::NAME), &variables);
    let retention = reading.section(take(RetentionConfig::NAME), &variables);
    let reports = reading.section(take(ReportsConfig::NAME), &variables);
    let sessions = reading.section(take(SessionsConfig::NAME), &variables);
    let access = reading.section(take(AccessConfig::NAME), &variables);
    let workflow = reading.section(take(WorkflowConfig::NAME), &variables);
    let vars: BTreeMap<String, Spanned<String>> =
        reading.values("vars", take("vars"), name::variable);
    let tenants = reading.named("tenants", take("tenants"), name::plain);
    let pools = reading.named("agent_pools", take("agent_pools"), name::plain);
    let skills: BTreeMap<String, Spanned<Vec<Spanned<String>>>> =
        reading.values("skill_mapping", take("skill_mapping"), name::free);
    let teams: BTreeMap<String, Vec<Member>> = reading.values("teams", take("teams"), name::plain);
    let resources = reading.named("resources", take("resources"), name::resource);
    let sources: Vec<Spanned<SourceConfig>> = reading.list("source", take("source"));
    let triggers: Vec<Spanned<RuleConfig>> = reading.list("trigger", take("trigger"));
    let executors: Vec<Spanned<ExecutorConfig>> = reading.list("executor", take("executor"));
    let provisioners: Vec<Spanned<ProvisionerConfig>> =
        reading.list("provisioner", take("provisioner"));
    let routes: Vec<Spanned<RouteConfig>> = reading.list("route", take("route"));
    check_sources(&sources, &mut reading);
    check_triggers(&triggers, &sources, &mut reading);
    let parts = Parts {
        tenants: &tenants,
        pools: &pools,
        skills: &skills,
        access: &access,
        sources: &sources,
        triggers: &triggers,
        executors: &executors,
        provisioners: &provisioners,
        routes: &routes,
    };
    references::check(&parts, &mut reading);
    retention::check(&retention, &mut reading);
    let Reading { errors, origins, .. } = reading;
    ConfigErrors::check(errors)?;
    let bare = |pools: Spanned<Vec<Spanned<String>>>| {
        pools.into_inner().into_iter().map(Spanned::into_inner).collect()
    };
    Ok(Config {
        server,
        database,
        instances,
        scheduler,
        limits,
        retention,
        reports,
        sessions,
        access,
        tenants,
        pools,
        skills: skills.into_iter().map(|(name, pools)| (name, bare(pools))).collect(),
        teams,
        workflow,
        vars: vars.into_iter().map(|(name, value)| (name, value.into_inner())).collect(),
        resources,
        sources: sources.into_iter().map(Spanned::into_inner).collect(),
        triggers,
        executors: executors.into_iter().map(Spanned::into_inner).collect(),
        provisioners: provisioners.into_iter().map(Spanned::into_inner).collect(),
        routes: routes.into_iter().map(Spanned::into_inner).collect(),
        file,
        origins,
    })
}

fn unknown_section(origin: Origin, name: &str) -> ConfigError {
    let message = format!("unknown section, allowed: {}", SECTIONS.join(", "));
    let mut error = ConfigError::new(origin, name, message);
    error.hint = hints::for_section(name);
    error
}

/// Lists and named tables have no fixed name by which a variable could reach into them.
fn check_variable(variable: &Variable, errors: &mut Vec<ConfigError>) {
    let origin = Origin::Environment(variable.name.clone());
    match variable.section.as_str() {
        "source" | "trigger" | "executor" | "provisioner" | "route" => errors.push(
            ConfigError::new(origin, &variable.section, "a list cannot be set by a variable")
                .hint(format!("write `[[{}]]` in the file", variable.section)),
        ),
        "tenants" | "agent_pools" | "resources" => errors.push(
            ConfigError::new(origin, &variable.section, "a variable cannot set what has a name")
                .hint(format!("write `[{}.NAME]` in the file", variable.section)),
        ),
        "teams" => errors.push(
            ConfigError::new(origin, "teams", "a variable cannot set what has a name")
                .hint("write `[teams]` in the file"),
        ),
        "skill_mapping" => errors.push(
            ConfigError::new(origin, "skill_mapping", "a variable cannot set what has a name")
                .hint("write `[skill_mapping]` in the file"),
        ),
        "vars" => errors.push(
            ConfigError::new(origin, "vars", "a variable cannot set what has a name")
                .hint("write `[vars]` in the file"),
        ),
        name if !SECTIONS.contains(&name) => errors.push(unknown_section(origin, name)),
        _ => {}
    }
}

fn check_sources(sources: &[Spanned<SourceConfig>], reading: &mut Reading<'_>) {
    let mut names = BTreeSet::new();
    for table in sources {
        let (place, source) = (reading.file.place(table.span().start), table.get_ref());
        if !names.insert(source.name.as_str()) {
            let message = format!("a second source has the name `{}`", source.name);
            reading.errors.push(ConfigError::at(place.clone(), "source.name", message));
        }
        source::check(source, reading);
        if source.secrets.is_empty() && !source.insecure {
            let message = format!(
                "the source `{}` has no secret: anybody could send it deliveries",
                source.name
            );
            let hint = "write `secrets = [{ env = \"NAME\" }]`, or `insecure = true` to accept \
                        what nobody signed";
            reading.errors.push(ConfigError::at(place, "source.secrets", message).hint(hint));
        }
    }
}

fn check_triggers(
    triggers: &[Spanned<RuleConfig>],
    sources: &[Spanned<SourceConfig>],
    reading: &mut Reading<'_>,
) {
    let configured = sources.iter().map(|source| source.get_ref().name.as_str());
    let known: BTreeSet<&str> = configured.chain(source::BUILT_IN).collect();
    // A source that was refused is reported already; triggers that name it are not wrong.
    let sources_complete = reading.errors.iter().all(|error| !error.key.starts_with("source"));
    let mut names = BTreeSet::new();
    for table in triggers {
        let (place, rule) = (reading.file.place(table.span().start), table.get_ref());
        let name = rule.name.get_ref();
        if !names.insert(name) {
            let place = reading.file.place(rule.name.span().start);
            let message = format!("a second trigger has the name `{name}`");
            reading.errors.push(ConfigError::at(place, "trigger.name", message));
        }
        let unknown = rule.source.as_deref().filter(|name| !known.contains(name));
        if let Some(source) = unknown.filter(|_| sources_complete) {
            let list: Vec<_> = known.iter().copied().collect();
            let message = format!("the trigger `{name}` names the source `{source}`");
            let hint = format!("sources are {}", list.join(", "));
            reading.errors.push(ConfigError::at(place, "trigger.source", message).hint(hint));
        }
    }
}
