//! What an event is about, as one key: by it a newer event takes the place of one that waits.

use super::Event;
use crate::model::About;

impl Event {
    /// The pull request, issue or ref that it is about, and its commit; `None` where it is about none of these.
    pub fn about(&self) -> Option<About> {
        let subject = self.subject_key()?;
        Some(About { subject: subject.into(), sha: self.sha.as_deref().map(Into::into) })
    }

    /// The same without the commit.
    ///
    /// Deployments have none: two of one ref, to two places, are not the same.
    pub fn subject_key(&self) -> Option<String> {
        if self.kind.as_str().starts_with("deployment") {
            return None;
        }
        let repository = self.repository.as_ref()?;
        let place = match repository.id {
            Some(id) => id.to_string(),
            None => repository.full_name.to_lowercase(),
        };
        let what = match (self.subject.number, &self.git_ref) {
            // Issues and pull requests of a repository share their numbers where one can be the other.
            (Some(number), _) => format!("#{number}"),
            (None, Some(git_ref)) => git_ref.as_data().to_owned(),
            (None, None) => return None,
        };
        // No name has this character.
        Some([self.source.as_str(), &place, &what].join("\u{1e}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(more: &serde_json::Value) -> Event {
        let mut all = serde_json::json!({ "source": "gh", "kind": "pull_request" });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn a_subject_is_a_number_or_a_ref_of_a_repository() {
        let key = |more: serde_json::Value| {
            event(&more).subject_key().map(|it| it.replace('\u{1e}', " "))
        };
        let repository = serde_json::json!({ "id": 5, "full_name": "Acme/App" });
        let named = serde_json::json!({ "full_name": "Acme/App" });
        let pull = serde_json::json!({ "kind": "pull_request", "number": 7 });
        assert_eq!(
            key(
                serde_json::json!({ "repository": repository, "subject": pull, "ref": "refs/pull/7/merge" })
            ),
            Some("gh 5 #7".to_owned())
        );
        assert_eq!(
            key(serde_json::json!({ "repository": named, "ref": "refs/heads/main" })),
            Some("gh acme/app refs/heads/main".to_owned())
        );
        assert_eq!(key(serde_json::json!({ "repository": repository })), None);
        assert_eq!(key(serde_json::json!({ "subject": pull })), None);
        let deployed = serde_json::json!({ "kind": "deployment_status", "repository": repository,
            "ref": "refs/heads/main" });
        assert_eq!(key(deployed), None);
    }
}
