//! What a delivery waits for, asked of its forge: workflow files, and what its sender may do.
//!
//! An error that would come again fails closed: without its files a delivery is broken, and a sender of whom the forge
//! does not say what it may do is let in by nobody who wants to know.

use std::sync::Arc;

use super::judge::{Judged, judge};
use super::{AppState, Rulebook};
use crate::event::Event;
use crate::forge::http::ForgeError;
use crate::forge::{At, Permissions, Repositories};
use crate::intake::{Account, Commit, Lookup, Needs, RepositoryFiles};
use crate::trigger::Standing;

/// The repositories of a source.
pub struct SourceRepositories {
    /// How they are read.
    pub repositories: Repositories,
    /// How long a delivery waits for a forge that is away, in milliseconds.
    pub give_up_after_ms: i64,
}

/// The forge of a source.
pub struct SourceForge {
    /// How it is asked what somebody may do.
    pub permissions: Permissions,
    /// How long a delivery waits for a forge that is away, in milliseconds.
    pub give_up_after_ms: i64,
}

/// All that was looked up.
#[derive(Clone, Default)]
pub(in crate::api) struct LookedUp {
    pub(in crate::api) files: Option<Arc<RepositoryFiles>>,
    pub(in crate::api) standing: Option<Standing>,
}

/// What could not be looked up, and why.
pub(super) struct Failure {
    pub(super) what: String,
    pub(super) error: ForgeError,
}

/// Looks up all that an event needs.
pub(super) async fn look_up(
    state: &AppState,
    rulebook: &Arc<Rulebook>,
    event: &Event,
    needs: &Needs,
) -> Result<LookedUp, Failure> {
    let mut found = LookedUp::default();
    let of = rulebook.repositories.get(&event.source);
    if let (Some(of), Some(lookup)) = (of, &needs.files) {
        let files = read(&of.repositories, lookup, rulebook).await;
        let failure = |error| Failure { what: lookup.to_string(), error };
        found.files = Some(files.map_err(failure)?);
    }
    let of = rulebook.forges.get(&event.source);
    if let (Some(of), Some(account)) = (of, &needs.account) {
        found.standing = Some(standing(state, &of.permissions, account).await?);
    }
    Ok(found)
}

/// What an account may do; an error that may pass is one.
async fn standing(
    state: &AppState,
    permissions: &Permissions,
    account: &Account,
) -> Result<Standing, Failure> {
    let Account { repository, number, login } = account;
    let now = state.clock.now();
    match permissions.of(repository, *number, login, now.mono_ms).await {
        Ok(permission) => Ok(Standing::Has(permission)),
        Err(error) => match judge(&error, state.clock.now()) {
            Judged::Never => {
                let error = error.to_string();
                tracing::warn!(
                    repository,
                    account = number,
                    error,
                    "a forge does not tell what somebody may do: it lets in nobody"
                );
                Ok(Standing::Unknown(error))
            }
            Judged::Later { .. } => Err(Failure { what: account.to_string(), error }),
        },
    }
}

/// Reads and compiles the files; what compiles them is off the threads that serve.
async fn read(
    repositories: &Repositories,
    lookup: &Lookup,
    rulebook: &Arc<Rulebook>,
) -> Result<Arc<RepositoryFiles>, ForgeError> {
    let at = match &lookup.at {
        Commit::Id(id) => At::Commit(id),
        Commit::Of(branch) => At::Branch(branch),
        Commit::OfDefault => At::DefaultBranch,
    };
    let found = repositories.files(&lookup.repository, at).await?;
    let (rulebook, folder) = (Arc::clone(rulebook), repositories.folder().to_owned());
    let compiled = tokio::task::spawn_blocking(move || {
        RepositoryFiles::compile(&rulebook.rules, &folder, &found.commit, &found.files)
    });
    let fault = |_| {
        let text = "a fault in the server while they were read; replay it once that is mended";
        ForgeError::NotUsable(text.to_owned())
    };
    compiled.await.map(Arc::new).map_err(fault)
}
