//! From the configuration to who reads the workflow files of repositories, and who asks forges for permissions.

use std::collections::BTreeMap;

use super::error::AppError;
use super::millis;
use crate::api::{SourceForge, SourceRepositories};
use crate::config::{Config, Secrets, SourceConfig};
use crate::forge::{ForgeKind, PermissionOptions, Permissions, Repositories, RepositoryOptions};
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
        let api_url = source.workflows_api_url().unwrap_or_default();
        let of_forge = secrets.forges.get(name).filter(|_| is_one_address(source));
        let made = Repositories::new(RepositoryOptions {
            kind: kind(source.kind),
            api_url: api_url.parse().map_err(|_| wrong("`api_url` is no URL".to_owned()))?,
            token: secrets.repositories.get(name).or(of_forge).cloned(),
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

/// Who is asked what somebody may do: one for each source whose forge may be asked.
pub(super) fn forges(
    config: &Config,
    secrets: &Secrets,
) -> Result<BTreeMap<String, SourceForge>, AppError> {
    let mut all = BTreeMap::new();
    for source in &config.sources {
        let (name, Some(forge)) = (&source.name, source.asked_forge()) else { continue };
        let wrong = |why: String| AppError::Repositories { source_name: name.clone(), why };
        let api_url = source.forge_api_url().unwrap_or_default();
        let of_workflows = secrets.repositories.get(name).filter(|_| is_one_address(source));
        let made = Permissions::new(PermissionOptions {
            kind: kind(source.kind),
            api_url: api_url.parse().map_err(|_| wrong("`api_url` is no URL".to_owned()))?,
            token: secrets.forges.get(name).or(of_workflows).cloned(),
            timeout: millis(forge.timeout_ms),
            kept_ms: forge.permission_kept_ms,
        });
        let permissions = made.map_err(|error| wrong(error.to_string()))?;
        let give_up_after_ms = forge.give_up_after_ms;
        all.insert(name.clone(), SourceForge { permissions, give_up_after_ms });
    }
    Ok(all)
}

/// A token is shown to the API alone for which it was given.
fn is_one_address(source: &SourceConfig) -> bool {
    source.forge_api_url() == source.workflows_api_url()
}

fn kind(provider: Provider) -> ForgeKind {
    match provider {
        Provider::Gitea | Provider::Forgejo => ForgeKind::Gitea,
        Provider::Gitlab => ForgeKind::Gitlab,
        _ => ForgeKind::Github,
    }
}
