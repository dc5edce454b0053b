//! What an account may do with a repository, as its forge says now.
//!
//! - GitHub: <https://docs.github.com/en/rest/collaborators/collaborators#get-repository-permissions-for-a-user>
//! - Gitea and Forgejo: <https://docs.gitea.com/api/1.24/#tag/repository/operation/repoGetRepoPermissions>
//! - GitLab: <https://docs.gitlab.com/api/members/#retrieve-a-member-of-a-group-or-project-including-inherited-and-invited-members>
//!
//! Two of them are asked by login, which may be somebody else's by now: the answer must name the account's number. GitLab
//! is asked by number. An answer is kept for a short time; an error is never kept, and never an answer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Response, Url};
use serde::Deserialize;

use super::address::{repository_url, shown};
use super::http::{ForgeClient, ForgeError, read_json};
use super::{ForgeKind, client};
use crate::model::Permission;
use crate::webhook::Secret;

/// The most that is read of an answer.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// The most answers that are kept; of more, all are forgotten that are not good any longer, or all.
const KEPT_MAX: usize = 10_000;

/// How the forge of a source is asked.
#[derive(Clone, Debug)]
pub struct PermissionOptions {
    /// Whose API it is.
    pub kind: ForgeKind,
    /// Where it is.
    pub api_url: Url,
    /// By whose right.
    pub token: Option<Secret>,
    /// How long one answer may take.
    pub timeout: Duration,
    /// How long an answer is good, in milliseconds.
    pub kept_ms: i64,
}

/// A repository, and the number and login of an account.
type Key = (String, i64, String);

/// Asks one forge what accounts may do.
pub struct Permissions {
    client: ForgeClient,
    options: PermissionOptions,
    /// Each answer with until when it is good, on the clock that nobody can set.
    kept: Mutex<HashMap<Key, (i64, Permission)>>,
}

/// The answer of GitHub, Gitea and Forgejo.
#[derive(Deserialize)]
struct OfLogin {
    permission: String,
    /// The finer word, where the forge has one; roles of one's own have names of their own.
    #[serde(default)]
    role_name: Option<String>,
    #[serde(default)]
    user: Option<Account>,
}

#[derive(Deserialize)]
struct Account {
    id: i64,
}

/// The answer of GitLab.
#[derive(Deserialize)]
struct Member {
    id: i64,
    access_level: i64,
    #[serde(default)]
    state: Option<String>,
}

fn hint(status: u16) -> &'static str {
    match status {
        401 => "the token of the source's `forge` is not valid",
        403 => "the token of the source's `forge` may not ask for permissions in this repository",
        404 => "no such account or repository, or the token of the source's `forge` may not see it",
        _ => "is `api_url` of the source's `forge` the forge's API?",
    }
}

impl Permissions {
    /// For such a source. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ForgeError::Client`].
    pub fn new(options: PermissionOptions) -> Result<Self, ForgeError> {
        let client = client(options.kind, options.token.as_ref(), options.timeout, hint)?;
        Ok(Self { client, options, kept: Mutex::default() })
    }

    /// What an account may do with a repository; `now_ms` is the time of the clock that nobody can set.
    ///
    /// # Errors
    /// [`ForgeError`]; [`ForgeError::NotUsable`] when the login is another account's now.
    pub async fn of(
        &self,
        repository: &str,
        number: i64,
        login: &str,
        now_ms: i64,
    ) -> Result<Permission, ForgeError> {
        let key = (repository.to_owned(), number, login.to_owned());
        if let Some((until_ms, permission)) = self.kept().get(&key).copied()
            && until_ms > now_ms
        {
            return Ok(permission);
        }
        let permission = match self.options.kind {
            ForgeKind::Gitlab => self.of_member(repository, number).await?,
            ForgeKind::Github | ForgeKind::Gitea => {
                self.of_login(repository, number, login).await?
            }
        };
        let mut kept = self.kept();
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, (until_ms, _)| *until_ms > now_ms);
            if kept.len() >= KEPT_MAX {
                kept.clear();
            }
        }
        kept.insert(key, (now_ms.saturating_add(self.options.kept_ms), permission));
        Ok(permission)
    }

    async fn of_login(
        &self,
        repository: &str,
        number: i64,
        login: &str,
    ) -> Result<Permission, ForgeError> {
        let response = self.ask(repository, &["collaborators", login, "permission"]).await?;
        let said: OfLogin = read_json(response, ANSWER_BYTES_MAX).await?;
        match said.user {
            Some(Account { id }) if id == number => {}
            Some(Account { id }) => {
                let login = shown(login);
                return Err(ForgeError::NotUsable(format!(
                    "{login:?} is the account {id} now, and the event is of the account {number}"
                )));
            }
            None => {
                let text = "the forge does not say which account it speaks of";
                return Err(ForgeError::NotUsable(text.to_owned()));
            }
        }
        let role = said.role_name.as_deref().map_or(Permission::None, of_word);
        Ok(role.max(of_word(&said.permission)))
    }

    async fn of_member(&self, repository: &str, number: i64) -> Result<Permission, ForgeError> {
        let response = match self.ask(repository, &["members", "all", &number.to_string()]).await {
            // Who is no member is not there. What else is not there cannot be told from it.
            Err(ForgeError::Refused { status: 404, .. }) => return Ok(Permission::None),
            other => other?,
        };
        let said: Member = read_json(response, ANSWER_BYTES_MAX).await?;
        if said.id != number {
            let text = format!("it speaks of the account {}, not of {number}", said.id);
            return Err(ForgeError::NotUsable(text));
        }
        let is_active = said.state.as_deref().is_none_or(|state| state == "active");
        Ok(if is_active { of_access_level(said.access_level) } else { Permission::None })
    }

    async fn ask(&self, repository: &str, parts: &[&str]) -> Result<Response, ForgeError> {
        let url = repository_url(self.options.kind, &self.options.api_url, repository, parts)?;
        self.client.ask(self.client.get(url)).await
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Key, (i64, Permission)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A word of GitHub or Gitea. One that is not known, as the name of a role of one's own, allows nothing by itself.
fn of_word(word: &str) -> Permission {
    match word {
        "admin" | "owner" => Permission::Admin,
        "maintain" => Permission::Maintain,
        "write" => Permission::Write,
        "triage" => Permission::Triage,
        "read" => Permission::Read,
        _ => Permission::None,
    }
}

/// <https://docs.gitlab.com/api/access_requests/#valid-access-levels>: 10 guest, 15 planner, 20 reporter, 30 developer,
/// 40 maintainer, 50 owner.
fn of_access_level(level: i64) -> Permission {
    match level {
        ..10 => Permission::None,
        10..20 => Permission::Read,
        20..30 => Permission::Triage,
        30..40 => Permission::Write,
        40..50 => Permission::Maintain,
        50.. => Permission::Admin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_levels_are_ranked_and_unknown_ones_allow_nothing() {
        let words = ["none", "", "security_lead", "read", "triage", "write", "maintain", "admin"];
        let ranked: Vec<_> = words.map(|word| of_word(word).as_str()).into();
        assert_eq!(
            ranked,
            ["none", "none", "none", "read", "triage", "write", "maintain", "admin"]
        );
        assert_eq!(of_word("owner"), Permission::Admin);
        let levels =
            [-1, 0, 5, 10, 15, 20, 30, 40, 50, 60].map(|level| of_access_level(level).as_str());
        assert_eq!(
            levels,
            [
                "none", "none", "none", "read", "read", "triage", "write", "maintain", "admin",
                "admin"
            ]
        );
    }
}
