//! Whether work that an event starts may be trusted: decided once, from authenticated fields.
//!
//! The decision asks in this order and stops at the first answer:
//!
//! 1. Was the body authenticated, and does it have the shape of the kind that was claimed? The kind
//!    itself comes in a header that signatures do not cover.
//! 2. Is there a sender with a number, and what sort of account is it? Identity is the number or,
//!    for a bot, being named in the configuration; a `[bot]` suffix or a commit's author says
//!    nothing.
//! 3. The kind's own rule: who is able to cause such an event at all.
//!
//! What is deliberately absent: live permission. The association that a payload carries is the
//! forge's hint; a lookup of the actor's permission belongs to `intake`.

use super::{Actor, EventKind};
use crate::model::{Trust, TrustLevel};

/// What the decision is made from.
#[derive(Clone, Copy, Debug)]
pub struct Claims<'a> {
    /// What happened, as the request's header says.
    pub kind: &'a EventKind,
    /// Whether the body was verified; false for a source that is configured as insecure.
    pub authenticated: bool,
    /// Whether the body has the fields that the kind always has.
    pub has_shape: bool,
    /// The account that caused the event.
    pub sender: Option<&'a Actor>,
    /// How the AUTHOR of the text (comment, issue, pull request) stands to the repository. That is
    /// not always the sender: a maintainer may label a stranger's issue.
    pub author_association: Option<&'a str>,
    /// Of a pull request: whether its head is in another repository.
    pub from_fork: Option<bool>,
}

/// Decides. `trusted_bots` names the bots that may start trusted work: each entry is an account's
/// number or its full login (`renovate[bot]`).
pub fn decide(claims: &Claims<'_>, trusted_bots: &[String]) -> Trust {
    match distrusted(claims, trusted_bots) {
        Some(trust) => trust,
        None => by_kind(claims),
    }
}

/// What stands against trust whatever the kind is.
fn distrusted(claims: &Claims<'_>, trusted_bots: &[String]) -> Option<Trust> {
    if !claims.authenticated {
        return Some(unknown("the source is configured as insecure: nothing is authenticated"));
    }
    if !claims.has_shape {
        let kind = claims.kind.as_str();
        return Some(unknown(format!("the body lacks the fields of the claimed kind `{kind}`")));
    }
    let Some(sender) = claims.sender else {
        return Some(unknown("the event names no sender"));
    };
    let Some(id) = sender.id.map(|id| id.to_string()).or_else(|| sender.uid.clone()) else {
        return Some(unknown("the sender has no account number"));
    };
    match sender.account_type.as_deref() {
        Some("User" | "Organization") => None,
        Some("Bot") if is_named(sender, &id, trusted_bots) => None,
        Some("Bot") => {
            Some(untrusted(format!("the sender {id} is a bot that `trusted_bots` does not name")))
        }
        _ => Some(unknown(format!("the sender {id} is neither a user nor a bot"))),
    }
}

fn is_named(sender: &Actor, id: &str, trusted_bots: &[String]) -> bool {
    trusted_bots
        .iter()
        .any(|bot| bot == id || (!bot.is_empty() && bot.eq_ignore_ascii_case(&sender.login)))
}

/// Who can cause such an event at all.
fn by_kind(claims: &Claims<'_>) -> Trust {
    match claims.kind {
        EventKind::Push | EventKind::Create | EventKind::Delete => {
            trusted("only writers can change refs")
        }
        EventKind::WorkflowDispatch | EventKind::RepositoryDispatch => {
            trusted("only writers can send a dispatch")
        }
        EventKind::Release => trusted("only writers can change releases"),
        EventKind::PullRequest => match claims.from_fork {
            Some(true) => untrusted("the pull request comes from a fork"),
            Some(false) => by_association(claims.author_association),
            None => unknown("the event does not say where the pull request comes from"),
        },
        EventKind::Issues | EventKind::IssueComment => by_association(claims.author_association),
        EventKind::Other(name) => unknown(format!("no rule of trust for the kind `{name}`")),
    }
}

/// <https://docs.github.com/en/graphql/reference/enums#commentauthorassociation>
fn by_association(association: Option<&str>) -> Trust {
    match association {
        Some(known @ ("OWNER" | "MEMBER" | "COLLABORATOR")) => {
            trusted(format!("the author's association is {known}"))
        }
        // Signed, but a word that this program does not know is not repeated in a reason.
        Some(
            stranger @ ("CONTRIBUTOR"
            | "FIRST_TIMER"
            | "FIRST_TIME_CONTRIBUTOR"
            | "MANNEQUIN"
            | "NONE"),
        ) => untrusted(format!("the author's association is {stranger}")),
        Some(_) => untrusted("the author's association is not one that is trusted"),
        None => unknown("the event does not give the author's association"),
    }
}

fn trusted(reason: impl Into<String>) -> Trust {
    Trust::new(TrustLevel::Trusted, reason)
}

fn untrusted(reason: impl Into<String>) -> Trust {
    Trust::new(TrustLevel::Untrusted, reason)
}

fn unknown(reason: impl Into<String>) -> Trust {
    Trust::new(TrustLevel::Unknown, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user() -> Actor {
        let account_type = Some("User".to_owned());
        let login = "octo-dev".to_owned();
        Actor { id: Some(1), login, account_type, ..Actor::default() }
    }

    fn bot() -> Actor {
        let account_type = Some("Bot".to_owned());
        let login = "helper[bot]".to_owned();
        Actor { id: Some(7), login, account_type, ..Actor::default() }
    }

    fn claims<'a>(kind: &'a EventKind, sender: &'a Actor) -> Claims<'a> {
        Claims {
            kind,
            authenticated: true,
            has_shape: true,
            sender: Some(sender),
            author_association: None,
            from_fork: None,
        }
    }

    fn level(claims: &Claims<'_>) -> TrustLevel {
        decide(claims, &[]).level
    }

    #[test]
    fn what_only_writers_can_do_is_trusted() {
        for name in
            ["push", "create", "delete", "release", "workflow_dispatch", "repository_dispatch"]
        {
            let kind = EventKind::from(name.to_owned());
            assert_eq!(level(&claims(&kind, &user())), TrustLevel::Trusted, "{name}");
        }
    }

    #[test]
    fn a_fork_is_untrusted_even_from_an_owner() {
        let (kind, sender) = (EventKind::PullRequest, user());
        let fork = Claims {
            from_fork: Some(true),
            author_association: Some("OWNER"),
            ..claims(&kind, &sender)
        };
        assert_eq!(level(&fork), TrustLevel::Untrusted);
        assert_eq!(level(&Claims { from_fork: None, ..fork }), TrustLevel::Unknown);
        assert_eq!(level(&Claims { from_fork: Some(false), ..fork }), TrustLevel::Trusted);
    }

    #[test]
    fn the_authors_association_decides_for_issues_and_comments() {
        for kind in [EventKind::Issues, EventKind::IssueComment] {
            let sender = user();
            let by = |association| {
                level(&Claims { author_association: association, ..claims(&kind, &sender) })
            };
            for known in ["OWNER", "MEMBER", "COLLABORATOR"] {
                assert_eq!(by(Some(known)), TrustLevel::Trusted);
            }
            for stranger in ["CONTRIBUTOR", "FIRST_TIMER", "NONE", "owner", "", "SOMETHING_NEW"] {
                assert_eq!(by(Some(stranger)), TrustLevel::Untrusted, "{stranger:?}");
            }
            assert_eq!(by(None), TrustLevel::Unknown);
        }
    }

    #[test]
    fn a_bot_is_trusted_only_by_name_or_number() {
        let (kind, sender) = (EventKind::Push, bot());
        let claims = claims(&kind, &sender);
        let with = |name: &str| decide(&claims, &[name.to_owned()]).level;
        assert_eq!(level(&claims), TrustLevel::Untrusted);
        assert_eq!(with("other[bot]"), TrustLevel::Untrusted);
        assert_eq!(with(""), TrustLevel::Untrusted);
        assert_eq!(with("Helper[bot]"), TrustLevel::Trusted);
        assert_eq!(with("7"), TrustLevel::Trusted);
    }

    #[test]
    fn a_bots_name_alone_does_not_make_a_person_of_it() {
        let kind = EventKind::Push;
        for account_type in [None, Some("Mannequin".to_owned())] {
            let sender = Actor { account_type, ..user() };
            assert_eq!(level(&claims(&kind, &sender)), TrustLevel::Unknown);
        }
    }

    #[test]
    fn an_event_without_a_numbered_sender_is_unknown() {
        let (kind, sender) = (EventKind::Push, Actor { id: None, ..user() });
        assert_eq!(level(&claims(&kind, &sender)), TrustLevel::Unknown);
        assert_eq!(level(&Claims { sender: None, ..claims(&kind, &sender) }), TrustLevel::Unknown);
    }

    #[test]
    fn an_unknown_kind_is_never_trusted() {
        let (kind, sender) = (EventKind::Other("star".to_owned()), user());
        assert_eq!(level(&claims(&kind, &sender)), TrustLevel::Unknown);
    }

    proptest! {
        #[test]
        fn nothing_unauthenticated_or_misshapen_is_trusted(
            name in "push|release|issues|pull_request|workflow_dispatch",
            authenticated: bool,
            has_shape: bool,
            from_fork: Option<bool>,
        ) {
            let (kind, sender) = (EventKind::from(name), user());
            let claims = Claims {
                authenticated,
                has_shape,
                from_fork,
                author_association: Some("OWNER"),
                ..claims(&kind, &sender)
            };
            let trust = decide(&claims, &[]);
            prop_assert!(!trust.reason.is_empty());
            if trust.level == TrustLevel::Trusted {
                prop_assert!(authenticated && has_shape);
            }
        }
    }
}
