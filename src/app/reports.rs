//! From the configuration to who tells others outside, and by whose right.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::AppError;
use super::millis;
use crate::clock::Clock;
use crate::config::{ChatApi, Config, Secrets, SourceConfig};
use crate::executor::SigningSecret;
use crate::forge::{AppKey, ForgeKind};
use crate::intake::SourceReport;
use crate::report::{
    Callbacks, Chat, ChatKind, ChatOptions, Connections, Forge, ForgeAuth, ForgeOptions,
    ReportOptions,
};
use crate::webhook::{Provider, Secret};

/// How long a text in a comment of a forge may be, in UTF-16 units: GitHub takes 65,536 characters, and what keeps a text
/// from calling anybody makes it longer.
const COMMENT_UNITS_MAX: u32 = 40_000;

/// What the forge, or the chat, of a source is told.
pub(super) fn rule(source: &SourceConfig) -> Option<SourceReport> {
    if let Some(chat) = source.chat.as_ref().map(toml::Spanned::get_ref) {
        let units_max = kind(chat.api(source)).units_max();
        return Some(SourceReport {
            statuses: false,
            checks: false,
            comments: None,
            context: "".into(),
            sessions: chat.sessions.told().map(|on| (on, units_max)),
        });
    }
    let report = source.report.as_ref()?.get_ref();
    Some(SourceReport {
        statuses: report.has_statuses(),
        checks: report.checks,
        comments: report.comments.phases(),
        context: report.context.as_str().into(),
        sessions: report.sessions.told().map(|on| (on, COMMENT_UNITS_MAX)),
    })
}

/// How.
pub(super) fn options(config: &Config, installation: &str) -> ReportOptions {
    let reports = &config.reports;
    let base = reports.public_url.as_deref().map(|url| url.trim_end_matches('/'));
    ReportOptions {
        installation: installation.into(),
        public_url: base.map(Into::into),
        backoff_ms: reports.backoff_ms,
        backoff_max_ms: reports.backoff_max_ms,
        tries_max: reports.tries_max,
        give_up_after_ms: reports.give_up_after_ms,
        refresh: millis(reports.refresh_ms),
        timeout_ms: reports.timeout_ms,
        at_once_max: reports.at_once_max,
    }
}

/// By whose right.
pub(super) fn connections(
    config: &Config,
    secrets: &Secrets,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<Connections>, AppError> {
    let mut forges = BTreeMap::new();
    for source in &config.sources {
        let (name, Some(report)) = (&source.name, &source.report) else { continue };
        let report = report.get_ref();
        let wrong = |why: String| AppError::Reports { what: format!("source `{name}`"), why };
        let auth = match (report.app_id, secrets.report_keys.get(name)) {
            (Some(app_id), Some(key)) => {
                let key = AppKey::new(app_id, key);
                ForgeAuth::App(Box::new(
                    key.map_err(|error| wrong(format!("`private_key`: {error}")))?,
                ))
            }
            _ => match secrets.report_tokens.get(name) {
                Some(token) => ForgeAuth::Token(token.clone()),
                None => return Err(wrong("it has no `token`".to_owned())),
            },
        };
        let api_url = report.api_url(source).unwrap_or_default();
        let options = ForgeOptions {
            kind: match source.kind {
                Provider::Gitea | Provider::Forgejo => ForgeKind::Gitea,
                Provider::Gitlab => ForgeKind::Gitlab,
                _ => ForgeKind::Github,
            },
            api_url: api_url.parse().map_err(|_| wrong("`api_url` is no URL".to_owned()))?,
            auth,
            timeout: millis(config.reports.timeout_ms),
        };
        let forge = Forge::new(options, Arc::clone(clock));
        let forge = forge.map_err(|error| wrong(error.to_string()))?;
        forges.insert(name.clone(), Arc::new(forge));
    }
    let chats = chats(config, secrets, clock)?;
    let callbacks =
        secrets.callback.as_ref().map(|secret| callbacks(config, secret)).transpose()?;
    Ok(Arc::new(Connections { forges, chats, callbacks: callbacks.map(Arc::new) }))
}

fn kind(api: ChatApi) -> ChatKind {
    match api {
        ChatApi::Slack => ChatKind::Slack,
        ChatApi::Discord => ChatKind::Discord,
        ChatApi::Telegram => ChatKind::Telegram,
        ChatApi::Mattermost => ChatKind::Mattermost,
        ChatApi::Generic => ChatKind::Generic,
    }
}

fn chats(
    config: &Config,
    secrets: &Secrets,
    clock: &Arc<dyn Clock>,
) -> Result<BTreeMap<String, Arc<Chat>>, AppError> {
    let mut chats = BTreeMap::new();
    for source in &config.sources {
        let Some(chat) = source.chat.as_ref().map(toml::Spanned::get_ref) else { continue };
        let name = &source.name;
        let wrong =
            |why: String| AppError::Reports { what: format!("the chat of source `{name}`"), why };
        let token = secrets.chats.get(name);
        let api_url = chat.url(source).unwrap_or_default().parse();
        let options = ChatOptions {
            kind: kind(chat.api(source)),
            api_url: api_url.map_err(|_| wrong("`api_url` is no URL".to_owned()))?,
            token: token.cloned().ok_or_else(|| wrong("it has no `token`".to_owned()))?,
            timeout: millis(config.reports.timeout_ms),
        };
        let chat = Chat::new(&options, Arc::clone(clock));
        let chat = chat.map_err(|error| wrong(error.to_string()))?;
        chats.insert(name.clone(), Arc::new(chat));
    }
    Ok(chats)
}

fn callbacks(config: &Config, secret: &Secret) -> Result<Callbacks, AppError> {
    let text = std::str::from_utf8(secret.bytes()).map_err(|_| "it is no text");
    let secret = text.and_then(SigningSecret::parse).map_err(|why| AppError::Reports {
        what: "`callback_secret`".to_owned(),
        why: why.to_owned(),
    })?;
    Ok(Callbacks {
        secret,
        timeout: millis(config.reports.timeout_ms),
        private_addresses: config.reports.private_addresses,
    })
}
