//! The configuration: defaults, under the file, under the environment.
//!
//! ```text
//!  Default of each section  <  dispatchyard.toml  <  DISPATCHYARD_<SECTION>__<KEY>
//! ```
//!
//! One file per section; a field's doc gives its key, its unit and its default, and the default's
//! value is written once, in the section's `Default`. Everything wrong with a file is reported at
//! once, with file, line, column and key ([`ConfigErrors`]).
//!
//! Deliberately absent: what the triggers mean (`trigger`), the text of secrets (a separate step,
//! [`Config::load_secrets`], so that a file can be checked where the secrets are not), reloading.

mod access;
mod backfill;
mod chat;
mod database;
mod document;
mod effective;
mod entry;
mod error;
mod executor;
mod forge;
mod guard;
mod hints;
mod instances;
mod keys;
mod kubernetes;
mod limits;
mod name;
mod number;
mod overlay;
mod place;
mod policy;
mod pool;
mod provisioner;
mod reach;
mod references;
mod report;
mod repository_workflows;
mod resource;
mod retention;
mod risk;
mod route;
mod scheduler;
mod schema;
mod secret;
mod section;
mod server;
mod sessions;
mod source;
mod source_map;
mod tenant;
mod unit;
mod warm;
mod weights;
mod workflow;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use toml::Spanned;

pub use access::{ADMIN_NAME, AccessConfig, Role, TokenConfig};
pub use backfill::{BackfillConfig, BackfillRight};
pub use chat::{ChatApi, SourceChatConfig};
pub use database::{DatabaseConfig, DatabaseUrl};
pub use error::{ConfigError, ConfigErrors};
pub use executor::{
    BreakerConfig, ContainerConfig, ExecutorConfig, HttpAuthConfig, HttpExecutorConfig,
    LambdaCredentialsConfig, LambdaExecutorConfig, LambdaInvocation, MountConfig, PullConfig,
    RegistryAuthConfig,
};
pub use forge::ForgeConfig;
pub use instances::InstancesConfig;
pub use kubernetes::KubernetesConfig;
pub use limits::LimitsConfig;
pub use overlay::environment;
pub use place::{ConfigFile, Origin, Place};
pub use pool::{Distances, PoolConfig};
pub use provisioner::{HttpProvisionerConfig, ProcessConfig, ProvisionerConfig};
pub use report::{CommentsOn, ReportsConfig, SessionsOn, SourceReportConfig};
pub use repository_workflows::RepositoryWorkflowsConfig;
pub use resource::ResourceConfig;
pub use retention::RetentionConfig;
pub use route::RouteConfig;
pub use scheduler::SchedulerConfig;
pub use schema::schema;
pub use secret::{SecretRef, Secrets};
pub use server::ServerConfig;
pub use sessions::SessionsConfig;
pub use source::{EncodingName, HeaderText, SourceConfig, ToleranceS};
pub use source_map::{Pointer, SourceMapConfig};
pub use tenant::TenantConfig;
pub use warm::WarmConfig;
pub use weights::WeightsConfig;
pub use workflow::{OutsideValues, WorkflowConfig};

use crate::model::Member;
use crate::trigger::RuleConfig;

/// The name of the file that is read when none is named.
pub const DEFAULT_FILE: &str = "dispatchyard.toml";

/// A valid configuration.
#[derive(Debug, Serialize)]
pub struct Config {
    /// `[server]`: where it listens and keeps its data.
    pub server: ServerConfig,
    /// `[database]`: which database keeps everything.
    pub database: DatabaseConfig,
    /// `[instances]`: servers that share a PostgreSQL.
    pub instances: InstancesConfig,
    /// `[scheduler]`: leases, retries, timeouts.
    pub scheduler: SchedulerConfig,
    /// `[limits]`: what is refused, and from which size on.
    pub limits: LimitsConfig,
    /// `[retention]`: how long what is over is kept.
    pub retention: RetentionConfig,
    /// `[reports]`: how others outside are told.
    pub reports: ReportsConfig,
    /// `[sessions]`: conversations with agents.
    pub sessions: SessionsConfig,
    /// `[access]`: who may call the API.
    pub access: AccessConfig,
    /// `[tenants.NAME]`: who shares the runners; `default` is one also when it is not here.
    pub tenants: BTreeMap<String, TenantConfig>,
    /// `[agent_pools.NAME]`: runners of one kind; `default` is one also when it is not here.
    #[serde(rename = "agent_pools")]
    pub pools: BTreeMap<String, PoolConfig>,
    /// `[skill_mapping]`: of each skill the pools whose runners have it, the preferred one first.
    #[serde(rename = "skill_mapping")]
    pub skills: BTreeMap<String, Vec<String>>,
    /// `[teams]`: lists of accounts, for `allow` of triggers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub teams: BTreeMap<String, Vec<Member>>,
    /// `[workflow]`: how workflow files are read.
    pub workflow: WorkflowConfig,
    /// `[vars]`: what expressions of workflow files read as `vars.NAME`.
    pub vars: BTreeMap<String, String>,
    /// `[resources.NAME]`: named, counted things that jobs hold while they run.
    pub resources: BTreeMap<String, ResourceConfig>,
    /// `[[source]]`: who sends deliveries; names are unique.
    #[serde(rename = "source", skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceConfig>,
    /// `[[trigger]]`: what they start, with each table's place; names are unique.
    #[serde(skip)]
    pub triggers: Vec<Spanned<RuleConfig>>,
    /// `[[executor]]`: backends that jobs are pushed to; names are unique.
    #[serde(rename = "executor", skip_serializing_if = "Vec::is_empty")]
    pub executors: Vec<ExecutorConfig>,
    /// `[[provisioner]]`: who starts runners; names are unique.
    #[serde(rename = "provisioner", skip_serializing_if = "Vec::is_empty")]
    pub provisioners: Vec<ProvisionerConfig>,
    /// `[[route]]`: how jobs are carried out, by their names; the first that matches decides.
    #[serde(rename = "route", skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RouteConfig>,
    /// Where it was read from.
    #[serde(skip)]
    file: ConfigFile,
    /// Who set the keys that are not at their default, by `section.key`.
    #[serde(skip)]
    origins: BTreeMap<String, Origin>,
}

impl Config {
    /// Reads a file and lays the environment over it.
    ///
    /// # Errors
    /// Everything that is wrong with the two.
    pub fn load(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigErrors::from(ConfigError::unreadable(path, &error)))?;
        Self::from_text(path, text, environment)
    }

    /// As [`Config::load`], of text that was read before; relative paths are relative to the
    /// folder of `path`.
    ///
    /// # Errors
    /// Everything that is wrong with the two.
    pub fn from_text(
        path: &Path,
        text: impl Into<String>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        document::read(ConfigFile::new(path, text.into()), environment)
    }

    /// The place of a byte of the file, for errors that are found later: the span of a trigger,
    /// or of a value inside it.
    pub fn place(&self, offset: usize) -> Place {
        self.file.place(offset)
    }

    /// A path of the configuration as the process can open it.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.file.folder().join(path)
    }

    /// The folder of the database and the bodies, where these are files, and of the logs.
    pub fn data_dir(&self) -> PathBuf {
        self.resolve(&self.server.data_dir)
    }

    /// The folder of the workflow files.
    pub fn workflows_dir(&self) -> PathBuf {
        self.resolve(&self.server.workflows_dir)
    }
}

#[cfg(test)]
mod executor_tests;
#[cfg(test)]
mod route_tests;
#[cfg(test)]
mod source_tests;
#[cfg(test)]
mod tenancy_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod token_tests;
