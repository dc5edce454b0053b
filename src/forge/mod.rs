//! What is asked of forges over their APIs: the workflow files of a repository at one commit, and what an account may
//! do with a repository ([`Permissions`]).
//!
//! ```text
//! commit, branch or default branch -> commit (one call) -> cached? -> list of the folder -> each file
//! ```
//!
//! A commit never changes, so what was read at one is kept, bounded by number and by bytes; who asks for the same while
//! it is being read waits for that. Names out of a repository, of an event or of the API are data: each becomes one
//! escaped part of an address, or is refused.
//!
//! What is deliberately absent: when it is asked and asked again (`api::planning`), what the files mean (`workflow`,
//! `intake`), and what forges are told.

mod address;
mod app_key;
mod cache;
mod calls;
pub mod http;
mod permission;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use reqwest::Url;

pub use address::repository_url;
pub use app_key::{AppKey, AppKeyError};

use crate::webhook::Secret;
use cache::{Cache, Key};
use calls::Entry;
use http::{ForgeClient, ForgeError, Speech};

pub use permission::{PermissionOptions, Permissions};

/// Headers that GitHub wants: <https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api>.
pub const GITHUB_HEADERS: [(&str, &str); 2] =
    [("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28")];

/// The largest workflow file.
pub const FILE_BYTES_MAX: usize = 512 * 1024;
/// Files of one repository that are asked for at once.
const FILES_AT_ONCE: usize = 4;

/// Whose API it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ForgeKind {
    /// GitHub, and GitHub Enterprise Server.
    Github,
    /// Gitea and Forgejo.
    Gitea,
    /// GitLab.
    Gitlab,
}

/// How the repositories of a source are read.
#[derive(Clone, Debug)]
pub struct RepositoryOptions {
    /// Whose API it is.
    pub kind: ForgeKind,
    /// Where it is.
    pub api_url: Url,
    /// By whose right; public repositories alone without it.
    pub token: Option<Secret>,
    /// Where in a repository the files are, from its top.
    pub folder: String,
    /// How long one answer may take.
    pub timeout: Duration,
    /// The most workflow files of a repository.
    pub files_max: usize,
}

/// Which commit is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum At<'a> {
    /// This one.
    Commit(&'a str),
    /// The newest of a branch, by its short name.
    Branch(&'a str),
    /// The newest of the default branch, whatever that is called.
    DefaultBranch,
}

/// The workflow files of a repository at one commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FilesAt {
    /// The commit.
    pub commit: String,
    /// Each file's name and text, or what is wrong with it, in the order of their names. Empty also where there is no
    /// such folder.
    pub files: Vec<(String, Result<String, String>)>,
}

/// Reads the repositories of one source.
pub struct Repositories {
    client: ForgeClient,
    options: RepositoryOptions,
    cache: Mutex<Cache>,
    /// Who reads a commit now.
    turns: Mutex<HashMap<Key, Weak<tokio::sync::Mutex<()>>>>,
}

fn hint(status: u16) -> &'static str {
    match status {
        401 => "the token of the source's `workflows` is not valid",
        403 => "the token of the source's `workflows` may not read this repository",
        404 => {
            "no such repository, branch or commit, or the token of the source's `workflows` may not see it"
        }
        409 => "is the repository empty?",
        _ => "is `api_url` of the source's `workflows` the forge's API?",
    }
}

/// A client that speaks as such a forge wants it.
fn client(
    kind: ForgeKind,
    token: Option<&Secret>,
    timeout: Duration,
    hint: fn(u16) -> &'static str,
) -> Result<ForgeClient, ForgeError> {
    // https://docs.gitea.com/development/api-usage#authentication
    // https://docs.gitlab.com/api/rest/authentication/#personalprojectgroup-access-tokens
    let (headers, scheme): (&[_], &[u8]) = match kind {
        ForgeKind::Github => (&GITHUB_HEADERS, b"Bearer "),
        ForgeKind::Gitea => (&[], b"token "),
        ForgeKind::Gitlab => (&[], b"Bearer "),
    };
    ForgeClient::new(&Speech {
        headers: headers.to_vec(),
        authorization: token.map(|token| [scheme, token.bytes()].concat()),
        timeout,
        hint,
        follows: true,
    })
}

impl Repositories {
    /// For such a source. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ForgeError::Client`].
    pub fn new(options: RepositoryOptions) -> Result<Self, ForgeError> {
        let client = client(options.kind, options.token.as_ref(), options.timeout, hint)?;
        Ok(Self { client, options, cache: Mutex::default(), turns: Mutex::default() })
    }

    /// Where in a repository the files are.
    pub fn folder(&self) -> &str {
        &self.options.folder
    }

    /// The workflow files of a repository at a commit.
    ///
    /// # Errors
    /// [`ForgeError`]; what was read is not kept then.
    pub async fn files(&self, repository: &str, at: At<'_>) -> Result<Arc<FilesAt>, ForgeError> {
        // A commit that the forge has just named is there.
        let (commit, is_there) = match at {
            At::Commit(commit) => (calls::commit(commit)?, false),
            At::Branch(branch) => (self.head(repository, branch).await?, true),
            At::DefaultBranch => {
                let branch = self.default_branch(repository).await?;
                (self.head(repository, &branch).await?, true)
            }
        };
        let key = (repository.to_owned(), commit);
        let turn = self.turn(&key);
        let _turn = turn.lock().await;
        if let Some(known) = self.cache().get(&key) {
            return Ok(known);
        }
        let files = Arc::new(self.read(repository, &key.1, is_there).await?);
        self.cache().put(key, Arc::clone(&files));
        Ok(files)
    }

    async fn read(
        &self,
        repository: &str,
        commit: &str,
        is_there: bool,
    ) -> Result<FilesAt, ForgeError> {
        let listed = self.list(repository, commit).await;
        let mut entries = match listed {
            // The folder, or the commit: an error says which.
            Err(ForgeError::Refused { status: 404, .. }) => {
                if !is_there {
                    self.find(repository, commit).await?;
                }
                Vec::new()
            }
            other => other?,
        };
        entries.retain(Entry::is_workflow);
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        if entries.len() > self.options.files_max {
            let (folder, max) = (&self.options.folder, self.options.files_max);
            let many = entries.len();
            let text = format!("`{folder}` has {many} workflow files, `files_max` is {max}");
            return Err(ForgeError::NotUsable(text));
        }
        let reading = entries.into_iter().map(async |entry| {
            let text = self.text(repository, commit, &entry).await?;
            Ok::<_, ForgeError>((entry.name, text))
        });
        let files = futures_util::stream::iter(reading);
        let files = files.buffered(FILES_AT_ONCE).try_collect().await?;
        Ok(FilesAt { commit: commit.to_owned(), files })
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, key: &Key) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(key).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert(key.clone(), Arc::downgrade(&turn));
        turn
    }
}
