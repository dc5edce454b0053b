//! What a configuration says of events and callers, and taking over what has changed of it.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::{AppError, ReloadError};
use super::rules::{rules, warnings_of};
use super::{App, backfills, reports, repositories, settings};
use crate::api::state::{Rulebook, Source};
use crate::clock::Clock;
use crate::config::{Config, Secrets, SourceConfig};
use crate::model::{Catalogue, TenantId};
use crate::store::{Names, Store};
use crate::webhook;

/// What rulebooks of one server have in common.
pub(super) struct Common {
    pub(super) names: Names,
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) catalogue: Arc<Catalogue>,
    /// What an operator should look at beside what the configuration and its secrets tell.
    pub(super) warning: Option<String>,
}

impl Common {
    /// What that configuration says.
    pub(super) fn rulebook(
        &self,
        config: &Config,
        secrets: &Secrets,
    ) -> Result<Rulebook, AppError> {
        let mut sources = sources(config, secrets)?;
        for source in &config.sources {
            let tenant = source.tenant.as_ref();
            let tenant = tenant.map(|name| self.names.tenants[name.get_ref().as_str()]);
            if let (Some(tenant), Some(source)) = (tenant, sources.get_mut(&source.name)) {
                source.tenant_id = tenant;
            }
        }
        let vars = settings::vars(config);
        let teams = settings::teams(config);
        let catalogue = Catalogue { vars, teams, ..(*self.catalogue).clone() };
        let rules = rules(config, Arc::new(catalogue))?;
        let mut warnings = warnings_of(config, &rules, self.clock.now().wall_ms);
        warnings.extend(secrets.warnings.iter().cloned());
        warnings.extend(self.warning.clone());
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        Ok(Rulebook {
            rules,
            sources,
            backfills: backfills::backfills(config, secrets, &self.store, &self.clock)?,
            repositories: repositories::repositories(config, secrets)?,
            reports: reports::connections(config, secrets, &self.clock)?,
            forges: repositories::forges(config, secrets)?,
            access: settings::access(config, secrets, &self.names),
            trigger_tenants: settings::trigger_tenants(config, &self.names),
            warnings,
        })
    }
}

/// The sources, whoever's they are.
pub(super) fn sources(
    config: &Config,
    secrets: &Secrets,
) -> Result<HashMap<String, Source>, AppError> {
    let all = config.sources.iter();
    all.map(|source| Ok((source.name.clone(), source_of(source, secrets)?))).collect()
}

fn source_of(source: &SourceConfig, secrets: &Secrets) -> Result<Source, AppError> {
    let wrong = |error| AppError::SourceSecret { source_name: source.name.clone(), error };
    let texts = secrets.sources.get(&source.name).map_or(&[][..], Vec::as_slice);
    let auth = if source.insecure && texts.is_empty() {
        webhook::SourceAuth::Insecure
    } else {
        let secrets = webhook::Secrets::new(texts.to_vec()).map_err(wrong)?;
        let keys = webhook::Keys::new(source.signature_rule(), &secrets);
        webhook::SourceAuth::Signed(keys.map_err(|error| wrong(error.into()))?)
    };
    Ok(Source { auth, reader: source.reader(), tenant_id: TenantId::DEFAULT })
}

impl App {
    /// Takes over what a changed configuration says of sources, triggers, workflow files, tokens and their
    /// secrets, all of it or nothing. A body that is being read is still checked by the secrets with which that began.
    ///
    /// # Errors
    /// [`ReloadError`]: the server goes on as before, and its status says why.
    pub fn reload(&self, config: &Config, secrets: &Secrets) -> Result<(), ReloadError> {
        let reload = || {
            let others: Vec<_> = config.sections_changed_since(&self.config);
            if !others.is_empty() {
                return Err(ReloadError::Restart(others));
            }
            Ok(self.common.rulebook(config, secrets)?)
        };
        match reload() {
            Ok(rulebook) => {
                self.state.replace_rulebook(rulebook);
                self.state.reload_failed(None);
                tracing::info!("took over what has changed in the configuration");
                Ok(())
            }
            Err(error) => {
                self.reload_failed(&error);
                Err(error)
            }
        }
    }

    /// Has the status say that a changed configuration was not taken over, and why.
    pub fn reload_failed(&self, why: &dyn std::fmt::Display) {
        tracing::error!(
            "the changed configuration is not taken over, what was before holds: {why}"
        );
        let text = format!("a changed configuration is not taken over: {why}");
        self.state.reload_failed(Some(text));
    }
}
