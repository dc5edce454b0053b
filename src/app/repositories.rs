//! From the configuration to who reads the workflow files of repositories.

use std::collections::BTreeMap;

use super::error::AppError;
use super::millis;
use crate::api::SourceRepositories;
use crate::config::{Config, Secrets};
use crate::forge::{ForgeKind, Repositories, RepositoryOptions};
use crate::webhook::Provider;

/// The folder of workflow files in the repositories of each source that has them.
pub(super) fn folders(config: &Config) -> BTreeMap<String, String> {
    let folder = |source: &crate::config::SourceConfig| {
        let folder = source.workflows.as_ref()?.get_ref().folder(source.kind);
        Some((source.name.clone(), folder.to_owned()))
    };
    config.sources.iter().filter_map(folder).collect()
}

/// One for each source that says how.
pub(super) fn repositories(
    config: &Config,
    secrets: &Secrets,
) -> Result<BTreeMap<String, SourceRepositories>, AppError> {
    let mut all = BTreeMap::new();
    for source in &config.sources {
        let (name, Some(workflows)) = (&source.name, &source.workflows) else { continue };
        let workflows = workflows.get_ref();
        let wrong = |why: String| AppError::Repositories { source_name: name.clone(), why };
        let api_url = workflows.api_url(source.kind).unwrap_or_default();
        let kind = match source.kind {
            Provider::Gitea | Provider::Forgejo => ForgeKind::Gitea,
            Provider::Gitlab => ForgeKind::Gitlab,
            _ => ForgeKind::Github,
        };
        let made = Repositories::new(RepositoryOptions {
            kind,
            api_url: api_url.parse().map_err(|_| wrong("`api_url` is no URL".to_owned()))?,
            token: secrets.repositories.get(name).cloned(),
            folder: workflows.folder(source.kind).to_owned(),
            timeout: millis(workflows.timeout_ms),
            files_max: workflows.files_max,
        });
        let repositories = made.map_err(|error| wrong(error.to_string()))?;
        let give_up_after_ms = workflows.give_up_after_ms;
        all.insert(name.clone(), SourceRepositories { repositories, give_up_after_ms });
    }
    Ok(all)
}
