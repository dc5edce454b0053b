//! The calls of the three APIs.
//!
//! - GitHub: <https://docs.github.com/en/rest/repos/contents#get-repository-content>,
//!   <https://docs.github.com/en/rest/git/refs#get-a-reference>
//! - Gitea and Forgejo: <https://docs.gitea.com/api/1.24/#tag/repository> (`contents`, `raw`, `branches`)
//! - GitLab: <https://docs.gitlab.com/api/repositories/#list-all-repository-trees-in-a-project>,
//!   <https://docs.gitlab.com/api/repository_files/#retrieve-a-raw-file-from-a-repository>,
//!   <https://docs.gitlab.com/api/branches/#retrieve-a-repository-branch>

use reqwest::Url;
use serde::Deserialize;

use super::address::{repository_url, shown};
use super::http::{ForgeError, read, read_json};
use super::{FILE_BYTES_MAX, ForgeKind, Repositories};

/// The most that is read of an answer that lists or names something: a thousand entries of a folder, with room.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Entries of a folder on one page of GitLab's.
const PAGE_ROWS: &str = "100";
/// Pages that are read of one folder.
const PAGES_MAX: usize = 20;

/// One entry of a folder.
#[derive(Deserialize)]
pub(super) struct Entry {
    pub(super) name: String,
    /// `file`, `dir`, `symlink`, `submodule`; at GitLab `blob`, `tree`.
    #[serde(rename = "type")]
    kind: String,
    /// Where it is told.
    #[serde(default)]
    size: Option<u64>,
    /// At GitLab: `120000` is a link.
    #[serde(default)]
    mode: Option<String>,
}

impl Entry {
    /// Whether it is a file whose name ends as those of workflows do.
    pub(super) fn is_workflow(&self) -> bool {
        let is_file =
            matches!(&*self.kind, "file" | "blob") && self.mode.as_deref() != Some("120000");
        let name = self.name.as_str();
        let is_plain = !name.contains(|it: char| matches!(it, '/' | '\\') || it.is_control());
        is_file && is_plain && (name.ends_with(".yml") || name.ends_with(".yaml"))
    }
}

/// What is at a path: the entries of a folder, or one thing that is no folder.
#[derive(Deserialize)]
#[serde(untagged)]
enum Listing {
    Folder(Vec<Entry>),
    Other(Entry),
}

#[derive(Deserialize)]
struct Reference {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    sha: String,
}

#[derive(Deserialize)]
struct Branch {
    commit: Commit,
}

#[derive(Deserialize)]
struct Commit {
    id: String,
}

#[derive(Deserialize)]
struct Project {
    default_branch: Option<String>,
}

/// A commit's id as it is written into an address.
pub(super) fn commit(id: &str) -> Result<String, ForgeError> {
    let is_one = (7..=64).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_hexdigit());
    match is_one {
        true => Ok(id.to_ascii_lowercase()),
        false => Err(ForgeError::NotUsable(format!("{:?} is no commit", shown(id)))),
    }
}

impl Repositories {
    fn url(&self, repository: &str, parts: &[&str]) -> Result<Url, ForgeError> {
        repository_url(self.options.kind, &self.options.api_url, repository, parts)
    }

    /// The name of the default branch.
    pub(super) async fn default_branch(&self, repository: &str) -> Result<String, ForgeError> {
        let url = self.url(repository, &[])?;
        let response = self.client.ask(self.client.get(url)).await?;
        let project: Project = read_json(response, ANSWER_BYTES_MAX).await?;
        project.default_branch.filter(|name| !name.is_empty()).ok_or_else(|| {
            ForgeError::NotUsable("the repository has no default branch: is it empty?".to_owned())
        })
    }

    /// The newest commit of a branch.
    pub(super) async fn head(&self, repository: &str, branch: &str) -> Result<String, ForgeError> {
        let names = branch.split('/');
        let url = match self.options.kind {
            ForgeKind::Github => {
                let parts: Vec<_> = ["git", "ref", "heads"].into_iter().chain(names).collect();
                self.url(repository, &parts)?
            }
            ForgeKind::Gitea => {
                let parts: Vec<_> = std::iter::once("branches").chain(names).collect();
                self.url(repository, &parts)?
            }
            ForgeKind::Gitlab => self.url(repository, &["repository", "branches", branch])?,
        };
        let response = self.client.ask(self.client.get(url)).await?;
        let id = match self.options.kind {
            ForgeKind::Github => {
                read_json::<Reference>(response, ANSWER_BYTES_MAX).await?.object.sha
            }
            ForgeKind::Gitea | ForgeKind::Gitlab => {
                read_json::<Branch>(response, ANSWER_BYTES_MAX).await?.commit.id
            }
        };
        commit(&id)
    }

    /// Finds out whether there is such a commit.
    pub(super) async fn find(&self, repository: &str, commit: &str) -> Result<(), ForgeError> {
        let group = match self.options.kind {
            ForgeKind::Gitlab => "repository",
            ForgeKind::Github | ForgeKind::Gitea => "git",
        };
        let url = self.url(repository, &[group, "commits", commit])?;
        self.client.ask(self.client.get(url)).await.map(drop)
    }

    /// What is in the folder.
    pub(super) async fn list(
        &self,
        repository: &str,
        commit: &str,
    ) -> Result<Vec<Entry>, ForgeError> {
        if self.options.kind == ForgeKind::Gitlab {
            return self.list_pages(repository, commit).await;
        }
        let folder = self.options.folder.split('/');
        let parts: Vec<_> = std::iter::once("contents").chain(folder).collect();
        let mut url = self.url(repository, &parts)?;
        url.query_pairs_mut().append_pair("ref", commit);
        let response = self.client.ask(self.client.get(url)).await?;
        match read_json(response, ANSWER_BYTES_MAX).await? {
            Listing::Folder(entries) => Ok(entries),
            Listing::Other(it) => {
                let folder = &self.options.folder;
                Err(ForgeError::NotUsable(format!(
                    "`{folder}` is no folder, but a {}",
                    shown(&it.kind)
                )))
            }
        }
    }

    /// GitLab's list, which has pages. <https://docs.gitlab.com/api/rest/#pagination>
    async fn list_pages(&self, repository: &str, commit: &str) -> Result<Vec<Entry>, ForgeError> {
        let (mut entries, mut page) = (Vec::new(), "1".to_owned());
        for _ in 0..PAGES_MAX {
            let mut url = self.url(repository, &["repository", "tree"])?;
            url.query_pairs_mut()
                .append_pair("path", &self.options.folder)
                .append_pair("ref", commit)
                .append_pair("per_page", PAGE_ROWS)
                .append_pair("page", &page);
            let response = self.client.ask(self.client.get(url)).await?;
            let next = response.headers().get("x-next-page").and_then(|it| it.to_str().ok());
            let next = next.map(str::to_owned).filter(|it| !it.is_empty());
            entries.extend(read_json::<Vec<Entry>>(response, ANSWER_BYTES_MAX).await?);
            match next {
                Some(next) => page = next,
                None => return Ok(entries),
            }
        }
        let folder = &self.options.folder;
        Err(ForgeError::NotUsable(format!("`{folder}` has more than {PAGES_MAX} pages of files")))
    }

    /// The text of a file, or what is wrong with it.
    pub(super) async fn text(
        &self,
        repository: &str,
        commit: &str,
        entry: &Entry,
    ) -> Result<Result<String, String>, ForgeError> {
        let too_large = || Ok(Err(format!("it is larger than {FILE_BYTES_MAX} bytes")));
        if entry.size.is_some_and(|size| size > FILE_BYTES_MAX as u64) {
            return too_large();
        }
        let folder = self.options.folder.as_str();
        let below = |first: &'static str| -> Vec<&str> {
            std::iter::once(first).chain(folder.split('/')).chain([entry.name.as_str()]).collect()
        };
        let mut url = match self.options.kind {
            ForgeKind::Github => self.url(repository, &below("contents"))?,
            ForgeKind::Gitea => self.url(repository, &below("raw"))?,
            ForgeKind::Gitlab => {
                let path = format!("{folder}/{}", entry.name);
                self.url(repository, &["repository", "files", &path, "raw"])?
            }
        };
        url.query_pairs_mut().append_pair("ref", commit);
        let mut request = self.client.get(url);
        if self.options.kind == ForgeKind::Github {
            request = request.header("accept", "application/vnd.github.raw+json");
        }
        let said = read(self.client.ask(request).await?, FILE_BYTES_MAX).await?;
        let Some(bytes) = said.whole() else { return too_large() };
        Ok(String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::RepositoryOptions;
    use super::*;

    fn of(kind: ForgeKind) -> Repositories {
        Repositories::new(RepositoryOptions {
            kind,
            api_url: "https://forge.test/api/v9/".parse().unwrap(),
            token: None,
            folder: ".x/y".to_owned(),
            timeout: Duration::from_secs(1),
            files_max: 1,
        })
        .unwrap()
    }

    #[test]
    fn names_are_escaped_parts_of_an_address() {
        let path = |kind, repository: &str, parts: &[&str]| {
            of(kind).url(repository, parts).map(|url| url.path().to_owned()).ok()
        };
        let (github, gitlab) = (ForgeKind::Github, ForgeKind::Gitlab);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(path(github, "a/b", &["raw", "c d"]), some("/api/v9/repos/a/b/raw/c%20d"));
        assert_eq!(path(gitlab, "a/b/c", &["x"]), some("/api/v9/projects/a%2Fb%2Fc/x"));
        assert_eq!(path(github, "a/b%2F..", &["?#"]), some("/api/v9/repos/a/b%252F../%3F%23"));
        for (repository, parts) in [
            ("a", &["x"][..]),
            ("a/b/c", &["x"]),
            ("../b", &["x"]),
            ("a/", &["x"]),
            ("a/b", &["..", "x"]),
            ("a/b", &["x", ""]),
            ("a/b", &["x\ny"]),
        ] {
            assert_eq!(path(github, repository, parts), None, "{repository} {parts:?}");
        }
    }

    #[test]
    fn only_files_with_the_ending_of_workflows_are_read() {
        let is = |kind: &str, name: &str, mode: Option<&str>| {
            let (name, kind, mode) = (name.to_owned(), kind.to_owned(), mode.map(str::to_owned));
            Entry { name, kind, size: None, mode }.is_workflow()
        };
        assert!(is("file", "ci.yml", None) && is("blob", "ci.yaml", Some("100644")));
        for (kind, name, mode) in [
            ("dir", "ci.yml", None),
            ("symlink", "ci.yml", None),
            ("blob", "ci.yml", Some("120000")),
            ("file", "ci.txt", None),
            ("file", "../ci.yml", None),
            ("file", "a\\ci.yml", None),
            ("file", "a\n.yml", None),
        ] {
            assert!(!is(kind, name, mode), "{kind} {name}");
        }
    }

    #[test]
    fn a_commit_is_hex() {
        assert_eq!(commit("ABCDEF0").unwrap(), "abcdef0");
        for text in ["", "main", "abcdef", "abcdef0/..", &"a".repeat(65)] {
            assert!(commit(text).is_err(), "{text}");
        }
    }
}
