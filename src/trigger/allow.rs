//! Who may start what a trigger starts: the table `allow`.
//!
//! ```text
//! forks   where the event comes from a fork, and it does not say `forks = true`: no
//! bots    a bot that `bots` names: yes; another one: no
//! who     of `actors`, `teams`, `associations` and `permission` any one that is said suffices; none said: everybody
//! ```
//!
//! An account is its number; a login holds for whoever has it now. Pure: what the forge says of a permission was asked
//! before, and [`Said::Ask`] says that it must be. Nothing that was not asked, or not answered, lets anybody in.
//!
//! Approvals ([`Approve`]) are asked for after that: who may not start it cannot have it approved either.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::RuleError;
use super::error::Faults;
use super::select::shown;
use crate::event::{Actor, Event, EventKind};
use crate::model::{Member, Permission, TrustLevel};

/// The most accounts of one list, and of all teams of one condition.
const MEMBERS_MAX: usize = 10_000;

/// The table `allow` as it is written.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AllowConfig {
    /// Accounts: numbers, or logins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actors: Option<Vec<Member>>,
    /// Lists of accounts by their names under `[teams]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teams: Option<Vec<String>>,
    /// How the sender stands to the repository, by the forge's hint: `OWNER`, `MEMBER`, `COLLABORATOR`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub associations: Option<Vec<String>>,
    /// What the sender may do with the repository, asked of the forge: `read`, `triage`, `write`, `maintain`, `admin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<Permission>,
    /// Bots that may start it. Default none.
    pub bots: Vec<Member>,
    /// Whether events that come from a fork may start it. Default false.
    pub forks: bool,
    /// Whether somebody must approve first: `never`, `untrusted` or `always`. Default `never`.
    pub approval: Approve,
    /// Accounts that answer what agents ask in sessions of it: numbers, or logins. Default those who may start it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvers: Option<Vec<Member>>,
    /// The same, as lists of accounts by their names under `[teams]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approver_teams: Option<Vec<String>>,
}

/// When somebody must approve first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Approve {
    /// Never.
    #[default]
    Never,
    /// When the event is not trusted.
    Untrusted,
    /// Each time.
    Always,
}

/// Who may start it, checked.
#[derive(Clone, Debug)]
pub struct Allow {
    actors: Option<Vec<Member>>,
    /// Each with its members.
    teams: Option<Vec<(String, Vec<Member>)>>,
    /// In upper case.
    associations: Option<Vec<String>>,
    permission: Option<Permission>,
    bots: Vec<Member>,
    forks: bool,
    approval: Approve,
    /// Those who answer, if that is said, without regard to the rest.
    approvers: Option<Vec<Member>>,
}

/// What the forge said of an account's permission, or that it was not asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Standing {
    /// It was not asked yet.
    #[default]
    NotAsked,
    /// It will not be asked: this is a dry run, or there is nobody to ask. Why.
    LeftOut(String),
    /// This it may.
    Has(Permission),
    /// It does not say, and will not: why.
    Unknown(String),
}

/// What the conditions come to.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Said {
    /// It may; the clause that decided.
    Yes(String),
    /// It may not; the clause that decided.
    No(String),
    /// The forge must be asked what the sender may do.
    Ask,
}

impl Allow {
    /// Checks the table, with the lists that there are.
    pub(super) fn compile(
        config: &Spanned<AllowConfig>,
        teams: &BTreeMap<Box<str>, Vec<Member>>,
        faults: &mut Faults<'_>,
    ) -> Option<Self> {
        let (place, config) = (config.span(), config.get_ref());
        let before = faults.found.len();
        let lists: [(&str, Option<usize>); 6] = [
            ("actors", config.actors.as_ref().map(Vec::len)),
            ("teams", config.teams.as_ref().map(Vec::len)),
            ("associations", config.associations.as_ref().map(Vec::len)),
            ("bots", Some(config.bots.len()).filter(|len| *len > 0)),
            ("approvers", config.approvers.as_ref().map(Vec::len)),
            ("approver_teams", config.approver_teams.as_ref().map(Vec::len)),
        ];
        for (key, len) in lists {
            check_length(key, len, &place, faults);
        }
        let mut known = |name: &String| match teams.get(name.as_str()) {
            Some(members) => Some((name.clone(), members.clone())),
            None => {
                let all: Vec<_> = teams.keys().map(|it| &**it).collect();
                let hint = match all.as_slice() {
                    [] => "write `[teams]`, and below it `NAME = [numbers or logins]`".to_owned(),
                    all => format!("teams are {}", all.join(", ")),
                };
                faults.add_with_hint(place.clone(), format!("allow: no team `{name}`"), hint);
                None
            }
        };
        let mut of_teams = |names: &Option<Vec<String>>| {
            let names = names.as_ref()?;
            Some(names.iter().filter_map(&mut known).collect::<Vec<_>>())
        };
        let (teams, approver_teams) = (of_teams(&config.teams), of_teams(&config.approver_teams));
        let approvers = match (&config.approvers, approver_teams) {
            (None, None) => None,
            (own, teams) => {
                let teams = teams.into_iter().flatten().flat_map(|(_, members)| members);
                Some(own.iter().flatten().cloned().chain(teams).collect())
            }
        };
        let word = |it: &String| it.to_uppercase();
        let associations = config.associations.as_ref();
        let associations: Option<Vec<_>> = associations.map(|it| it.iter().map(word).collect());
        if let Some(wrong) = associations.iter().flatten().find(|it| !is_association(it)) {
            let hint = "they are OWNER, MEMBER, COLLABORATOR, CONTRIBUTOR, FIRST_TIME_CONTRIBUTOR, \
                        FIRST_TIMER, MANNEQUIN and NONE";
            faults.add_with_hint(place.clone(), format!("allow: no association `{wrong}`"), hint);
        }
        if config.permission == Some(Permission::None) {
            let hint = "leave `permission` out to let in everybody";
            faults.add_with_hint(place, "allow: everybody has the permission `none`", hint);
        }
        (faults.found.len() == before).then(|| Self {
            actors: config.actors.clone(),
            teams,
            associations,
            permission: config.permission,
            bots: config.bots.clone(),
            forks: config.forks,
            approval: config.approval,
            approvers,
        })
    }

    /// The same, for the workflow files of a source's repositories.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn of_source(
        config: &Spanned<AllowConfig>,
        teams: &BTreeMap<Box<str>, Vec<Member>>,
        source: &str,
    ) -> Result<Self, Vec<RuleError>> {
        let mut faults = Faults { trigger: source, found: Vec::new() };
        let allow = Self::compile(config, teams, &mut faults);
        allow.ok_or(faults.found)
    }

    /// Whether the forge may have to be asked.
    pub fn asks(&self) -> bool {
        self.permission.is_some()
    }

    /// Whether somebody must approve first what that event starts.
    pub fn wants_approval(&self, event: &Event) -> bool {
        match self.approval {
            Approve::Never => false,
            Approve::Untrusted => event.trust.level != TrustLevel::Trusted,
            Approve::Always => true,
        }
    }

    /// Whether the sender of that event may start it.
    pub fn judge(&self, event: &Event, standing: &Standing) -> Said {
        if !self.forks && comes_from_fork(event) {
            return Said::No(
                "it comes from a fork, and `allow` does not say `forks = true`".into(),
            );
        }
        let Some(actor) = &event.actor else {
            return match self.names_somebody() {
                true => Said::No("the event names no actor, and `allow` lets in only some".into()),
                false => Said::Yes("`allow` lets in everybody".into()),
            };
        };
        if is_bot(actor) {
            let shown = shown_actor(actor);
            return match self.bots.iter().any(|bot| is(bot, actor)) {
                true => Said::Yes(format!("`allow.bots` names the bot {shown}")),
                false => Said::No(format!("`allow.bots` does not name the bot {shown}")),
            };
        }
        self.judge_person(actor, standing)
    }

    /// Whether the sender of that event may answer what an agent asks. Bots never may.
    pub fn judge_answer(&self, event: &Event, standing: &Standing) -> Said {
        let Some(approvers) = &self.approvers else {
            return match self.names_somebody() {
                true => self.judge(event, standing),
                false => Said::No("`allow` names nobody who may answer what agents ask".into()),
            };
        };
        match &event.actor {
            Some(actor) if !is_bot(actor) && approvers.iter().any(|it| is(it, actor)) => {
                Said::Yes(format!("`allow` names the approver {}", shown_actor(actor)))
            }
            Some(actor) => Said::No(format!(
                "`allow.approvers` and `allow.approver_teams` do not name {}",
                shown_actor(actor)
            )),
            None => Said::No("the event names no actor, and `allow` names who answers".into()),
        }
    }

    /// Whether that says who answers, so that no approval by somebody else is waited for.
    pub fn names_approvers(&self) -> bool {
        self.approvers.is_some()
    }

    /// What any one clause says that lets in somebody; the first that does decides.
    fn judge_person(&self, actor: &Actor, standing: &Standing) -> Said {
        if !self.names_somebody() {
            return Said::Yes("`allow` lets in everybody".into());
        }
        let (shown, mut missing) = (shown_actor(actor), Vec::new());
        if let Some(actors) = &self.actors {
            if actors.iter().any(|it| is(it, actor)) {
                return Said::Yes(format!("`allow.actors` names {shown}"));
            }
            missing.push("is none of `actors`".to_owned());
        }
        if let Some(teams) = &self.teams {
            let mut all = teams.iter();
            if let Some((team, _)) = all.find(|(_, all)| all.iter().any(|it| is(it, actor))) {
                return Said::Yes(format!("{shown} is of the team `{team}`"));
            }
            missing.push("is of none of `teams`".to_owned());
        }
        if let Some(associations) = &self.associations {
            let own = actor.association.as_deref();
            if let Some(own) = own.filter(|own| associations.iter().any(|it| it == own)) {
                return Said::Yes(format!("the association of {shown} is {own}"));
            }
            missing.push(match own.filter(|own| is_association(own)) {
                Some(own) => format!("has the association {own}"),
                None => "has no association that the event tells".to_owned(),
            });
        }
        if let Some(wanted) = self.permission {
            let wanted_name = wanted.as_str();
            match standing {
                Standing::NotAsked => return Said::Ask,
                Standing::Has(own) if *own >= wanted => {
                    let own = own.as_str();
                    return Said::Yes(format!("{shown} has the permission {own} at the forge"));
                }
                Standing::Has(own) => missing.push(format!(
                    "has the permission {} at the forge, `{wanted_name}` is needed",
                    own.as_str()
                )),
                Standing::LeftOut(why) | Standing::Unknown(why) => missing
                    .push(format!("is not known to have the permission {wanted_name}: {why}")),
            }
        }
        let hint =
            if actor.is_nickname { "; people of chats are named by id or number" } else { "" };
        Said::No(format!("the actor {shown} may not start it: it {}{hint}", missing.join(", ")))
    }

    /// Whether it says who is let in.
    fn names_somebody(&self) -> bool {
        self.actors.is_some()
            || self.teams.is_some()
            || self.associations.is_some()
            || self.permission.is_some()
    }
}

fn check_length(key: &str, len: Option<usize>, place: &Range<usize>, faults: &mut Faults<'_>) {
    match len {
        Some(0) => faults.add_with_hint(
            place.clone(),
            format!("allow.{key} is empty: nobody could ever start it by that"),
            "name somebody, or leave the key out",
        ),
        Some(len) if len > MEMBERS_MAX => faults
            .add(place.clone(), format!("allow.{key} has {len} entries, at most {MEMBERS_MAX}")),
        _ => {}
    }
}

/// <https://docs.github.com/en/graphql/reference/enums#commentauthorassociation>
fn is_association(text: &str) -> bool {
    matches!(
        text,
        "OWNER"
            | "MEMBER"
            | "COLLABORATOR"
            | "CONTRIBUTOR"
            | "FIRST_TIME_CONTRIBUTOR"
            | "FIRST_TIMER"
            | "MANNEQUIN"
            | "NONE"
    )
}

/// What does not say where it comes from is taken to come from a fork: a pull request, and what another workflow ran
/// on. A comment says nothing of code.
fn comes_from_fork(event: &Event) -> bool {
    let is_of_code = event.kind == EventKind::PullRequest || event.kind.as_str() == "workflow_run";
    event.subject.from_fork.unwrap_or(is_of_code)
}

/// The suffix makes a bot of an account, and never lets one in.
fn is_bot(actor: &Actor) -> bool {
    actor.account_type.as_deref().is_some_and(|it| it.eq_ignore_ascii_case("bot"))
        || actor.login.to_lowercase().ends_with("[bot]")
}

/// Whether that is the account, by whatever it is called: what keeps somebody out takes a name that others can take.
pub(crate) fn is_account(member: &Member, actor: &Actor) -> bool {
    member.is(actor.id, actor.uid.as_deref(), &actor.login)
}

/// The same for what lets somebody in, which takes no such name.
fn is(member: &Member, actor: &Actor) -> bool {
    let login = if actor.is_nickname { "" } else { &actor.login };
    member.is(actor.id, actor.uid.as_deref(), login)
}

fn shown_actor(actor: &Actor) -> String {
    let login = shown(&actor.login);
    match (actor.id, &actor.uid) {
        (Some(id), _) => format!("{login} ({id})"),
        (None, Some(uid)) => format!("{login} ({})", shown(uid)),
        (None, None) => login.to_string(),
    }
}

#[cfg(test)]
#[path = "allow_tests.rs"]
mod tests;
