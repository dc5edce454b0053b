//! What must be looked up before an event can be decided, and what is said of its source.

use std::fmt;

use super::{Lookup, Rules, SourceReport};
use crate::event::Event;
use crate::model::Member;
use crate::trigger::{Allow, Said, Standing};

/// How much of a name people are shown.
const SHOWN_CHARS_MAX: usize = 100;

/// What is said of a source, beside its triggers.
#[derive(Clone, Debug, Default)]
pub struct SourceRules {
    /// Where the workflow files are in its repositories, if they count.
    pub folder: Option<String>,
    /// Who may start these; everybody without it.
    pub allow: Option<Allow>,
    /// Whether its forge can be asked what somebody may do.
    pub has_forge: bool,
    /// Accounts of our own, whose events start nothing.
    pub own: Vec<Member>,
    /// What its forge is told of the work that its events start.
    pub report: Option<SourceReport>,
}

/// What must be looked up before an event can be decided; one of them at least.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Needs {
    /// The workflow files of its repository.
    pub files: Option<Lookup>,
    /// What its sender may do there.
    pub account: Option<Account>,
}

/// An account of a forge, and the repository with which it has to do.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Account {
    /// `owner/name`.
    pub repository: String,
    /// The forge's number of the account.
    pub number: i64,
    /// Its login when the event came.
    pub login: String,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| -> String { text.chars().take(SHOWN_CHARS_MAX).collect() };
        let (login, repository) = (shown(&self.login), shown(&self.repository));
        write!(f, "the permission of {login:?} ({}) for {repository:?}", self.number)
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.files, &self.account) {
            (Some(files), Some(account)) => write!(f, "{files}, and {account}"),
            (Some(files), None) => files.fmt(f),
            (None, Some(account)) => account.fmt(f),
            (None, None) => f.write_str("nothing"),
        }
    }
}

impl Needs {
    /// All that may be looked up of an event.
    pub fn of(event: &Event, rules: &Rules) -> Self {
        let source = rules.sources.get(&event.source);
        let has_files = source.is_some_and(|it| it.folder.is_some());
        let files = has_files.then(|| Lookup::of(event)).flatten();
        let account = Account::of(event).filter(|_| source.is_some_and(|it| it.has_forge));
        let of_files = source.and_then(|it| it.allow.as_ref()).filter(|_| files.is_some());
        let asks = |allow: &Allow| allow.judge(event, &Standing::NotAsked) == Said::Ask;
        let is_asked = || {
            let wants = |rule: &&super::rules::Rule| {
                let allow = rule.trigger.allow.as_ref();
                allow.is_some_and(|it| it.asks() && asks(it)) && rule.trigger.decide(event).matched
            };
            of_files.is_some_and(|it| it.asks() && asks(it))
                || rules.rules.iter().any(|it| wants(&it))
        };
        Self { files, account: account.filter(|_| is_asked()) }
    }

    /// Whether that is all.
    pub fn is_nothing(&self) -> bool {
        self.files.is_none() && self.account.is_none()
    }
}

impl Account {
    fn of(event: &Event) -> Option<Self> {
        let (repository, actor) = (event.repository.as_ref()?, event.actor.as_ref()?);
        let (repository, login) = (repository.full_name.clone(), actor.login.clone());
        Some(Self { repository, number: actor.id?, login })
    }
}

/// What is known of the sender where nobody is, or can be, asked.
pub(super) fn unasked(event: &Event, rules: &Rules) -> Standing {
    let has_forge = rules.sources.get(&event.source).is_some_and(|it| it.has_forge);
    match Account::of(event) {
        None => {
            Standing::Unknown("the event names no repository, or no account by its number".into())
        }
        Some(_) if !has_forge => {
            let source: String = event.source.chars().take(SHOWN_CHARS_MAX).collect();
            Standing::Unknown(format!("the source {source:?} has no `[source.forge]` to ask"))
        }
        Some(_) => Standing::NotAsked,
    }
}

/// Why an event is held: who caused it, what it is about, and who wants to be asked.
pub(super) fn held(event: &Event, trigger: &str) -> String {
    let shown = |text: &str| -> String { text.chars().take(SHOWN_CHARS_MAX).collect() };
    let who = match &event.actor {
        Some(actor) => match actor.id {
            Some(id) => format!("{:?} ({id})", shown(&actor.login)),
            None => format!("{:?}", shown(&actor.login)),
        },
        None => "nobody that the event names".to_owned(),
    };
    let subject = &event.subject;
    let what = match (subject.number, &event.git_ref) {
        (Some(number), _) => format!(" of #{number}"),
        (None, Some(git_ref)) => format!(" of {:?}", shown(git_ref.as_data())),
        (None, None) => String::new(),
    };
    let at = event.sha.as_ref().map(|sha| format!(" at {}", shown(sha))).unwrap_or_default();
    let (kind, trust) = (shown(event.kind.as_str()), &event.trust.reason);
    format!(
        "waits for approval: the trigger `{trigger}` asks for it; {kind:?}{what}{at} by {who}; {trust}"
    )
}
