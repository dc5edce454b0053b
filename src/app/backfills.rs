//! From the configuration to who asks forges for what never arrived, and when that is done by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::error::AppError;
use super::millis;
use crate::api::state::AppState;
use crate::backfill::{Backfill, BackfillOptions, Right};
use crate::clock::Clock;
use crate::config::{BackfillRight, Config, Secrets};
use crate::driver::ServerState;
use crate::forge::AppKey;
use crate::store::Store;

/// One for each source that says how.
pub(super) fn backfills(
    config: &Config,
    secrets: &Secrets,
    store: &Store,
    clock: &Arc<dyn Clock>,
) -> Result<BTreeMap<String, Backfill>, AppError> {
    let mut all = BTreeMap::new();
    for source in &config.sources {
        let name = &source.name;
        let Some(backfill) = source.backfill.as_ref().map(toml::Spanned::get_ref) else { continue };
        let (Some(right), Some(secret)) = (backfill.right(source), secrets.backfills.get(name))
        else {
            continue;
        };
        let wrong = |why: String| AppError::Backfill { source_name: name.clone(), why };
        let right = match right {
            BackfillRight::Token(_) => Right::Token(secret.clone()),
            BackfillRight::App(app_id, _) => {
                let key = AppKey::new(app_id, secret);
                Right::App(Arc::new(key.map_err(|error| wrong(format!("`private_key`: {error}")))?))
            }
        };
        let options = BackfillOptions {
            api_url: backfill
                .api_url()
                .parse()
                .map_err(|_| wrong("`api_url` is no URL".to_owned()))?,
            hook: backfill.path().to_owned(),
            right,
            timeout: millis(backfill.timeout_ms),
            on_start: backfill.on_start,
            since_max: millis(backfill.since_max_ms),
        };
        let made = Backfill::new(name, options, store.clone(), Arc::clone(clock));
        all.insert(name.clone(), made.map_err(|error| wrong(error.to_string()))?);
    }
    Ok(all)
}

/// Once this server decides, asks for what was sent while nobody listened, where the configuration says so.
pub(super) async fn after_a_gap(state: AppState, began_ms: i64, stopping: CancellationToken) {
    let mut server_state = state.handle.views().watch_state();
    let look = async {
        if server_state.wait_for(|it| *it == ServerState::Running).await.is_err() {
            return;
        }
        let rulebook = state.rulebook();
        for backfill in rulebook.backfills.values().filter(|it| it.is_on_start()) {
            backfill.after_a_gap(began_ms).await;
        }
    };
    tokio::select! {
        () = stopping.cancelled() => {}
        () = look => {}
    }
}
