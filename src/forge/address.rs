//! Addresses of the three APIs below a repository's.

use reqwest::Url;

use super::ForgeKind;
use super::http::ForgeError;

/// How much of a wrong name is shown.
const SHOWN_CHARS_MAX: usize = 80;

/// An address below a repository's, of parts each of which is escaped.
///
/// # Errors
/// [`ForgeError::NotUsable`] for a name that cannot be part of one, [`ForgeError::Client`] where the API's address can
/// have no path.
pub fn repository_url(
    kind: ForgeKind,
    api_url: &Url,
    repository: &str,
    parts: &[&str],
) -> Result<Url, ForgeError> {
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(char::is_control);
    let names: Vec<_> = repository.split('/').collect();
    let is_path = match kind {
        ForgeKind::Gitlab => names.len() >= 2,
        ForgeKind::Github | ForgeKind::Gitea => names.len() == 2,
    };
    if !is_path || !names.iter().chain(parts).all(|part| is_part(part)) {
        let (parts, repository) = (shown(&parts.join("/")), shown(repository));
        return Err(ForgeError::NotUsable(format!(
            "{parts:?} of {repository:?} cannot be asked for"
        )));
    }
    let mut url = api_url.clone();
    match url.path_segments_mut() {
        Ok(mut path) => {
            path.pop_if_empty();
            match kind {
                ForgeKind::Gitlab => path.push("projects").push(repository),
                ForgeKind::Github | ForgeKind::Gitea => path.push("repos").extend(names),
            };
            path.extend(parts);
        }
        Err(()) => return Err(ForgeError::Client("`api_url` cannot have a path".to_owned())),
    }
    Ok(url)
}

/// A name as a message shows it.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}
