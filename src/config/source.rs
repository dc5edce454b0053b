//! `[[source]]`: an origin of deliveries.

use axum::http::HeaderName;
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize, Serializer};
use toml::Spanned;

use super::backfill::{self, BackfillConfig};
use super::chat::{self, SourceChatConfig};
use super::forge::{self, ForgeConfig};
use super::report::{self, SourceReportConfig};
use super::repository_workflows::RepositoryWorkflowsConfig;
use super::secret::{self, SecretRef};
use super::section::Reading;
use super::source_map::SourceMapConfig;
use super::{ConfigError, name};
use crate::model::Member;
use crate::webhook::{Encoding, Provider, Reader, Scheme, SignatureRule};

/// One `[[source]]`: what is posted to `/hooks/{name}`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// `name`: the last part of its address; letters, digits, `-` and `_`. No default.
    #[serde(deserialize_with = "own_name")]
    pub name: String,
    /// `kind`: who sends, and with it how deliveries are signed and read: `github`, `gitea`,
    /// `forgejo`, `gitlab`, `bitbucket`, `standard_webhooks`, `hmac`, `slack`, `discord`,
    /// `telegram` or `mattermost`. Default `github`.
    #[serde(default, deserialize_with = "by_name", serialize_with = "as_name")]
    pub kind: Provider,
    /// `secrets`: where the secrets are, any of which may have signed a delivery; of `discord` the
    /// public keys. Default none, which needs `insecure = true`.
    #[serde(default, deserialize_with = "secret::references")]
    pub secrets: Vec<SecretRef>,
    /// `insecure`: accept deliveries that nobody signed. Default false.
    #[serde(default)]
    pub insecure: bool,
    /// `trusted_bots`: logins or numbers of the bots whose events may start trusted work. Default
    /// none.
    #[serde(default)]
    pub trusted_bots: Vec<String>,
    /// `own_identity`: accounts of our own, by number or login: their events start nothing. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own_identity: Vec<Member>,
    /// `tenant`: whose deliveries these are, and whose work they start where a trigger does not
    /// say. Default `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Spanned<String>>,
    /// `backfill`: how deliveries that never arrived are asked for again. Of the kind
    /// `github`. Default not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backfill: Option<Spanned<BackfillConfig>>,
    /// `forge`: how its forge is asked what somebody may do. Of the kinds `github`, `gitea`, `forgejo` and `gitlab`.
    /// Default as `workflows` says, or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forge: Option<Spanned<ForgeConfig>>,
    /// `workflows`: how the workflow files of the repositories themselves are read. Of the kinds `github`,
    /// `gitea`, `forgejo` and `gitlab`. Default not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflows: Option<Spanned<RepositoryWorkflowsConfig>>,
    /// `report`: what the forge is told of the work that its events start. Of the same kinds. Default nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Spanned<SourceReportConfig>>,
    /// `chat`: how sessions answer in the chat. Of the kinds `slack`, `discord`, `telegram`, `mattermost`, `hmac` and
    /// `standard_webhooks`. Default not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<Spanned<SourceChatConfig>>,
    /// `scheme`: how deliveries are signed, where the kind has several ways: `gitlab` (a secret
    /// token, the default) or `gitlab_signing` (a signing token) of the kind `gitlab`.
    #[serde(
        default,
        deserialize_with = "spanned_scheme",
        serialize_with = "as_scheme",
        skip_serializing_if = "Option::is_none"
    )]
    pub scheme: Option<Spanned<Scheme>>,
    /// `timestamp_tolerance_s`: how far a signed time may be from ours, in seconds, of kinds that
    /// sign one: `slack`, `standard_webhooks`, and `gitlab` with signing tokens. Default 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp_tolerance_s: Option<Spanned<ToleranceS>>,
    /// `signature_header`: the header with the code. Of the kind `hmac`. Default `X-Signature`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_header: Option<Spanned<HeaderText>>,
    /// `signature_encoding`: how the code is written, `hex` or `base64`. Of the kind `hmac`. Default
    /// `hex`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_encoding: Option<Spanned<EncodingName>>,
    /// `signature_prefix`: what stands before the code, as `sha256=`. Of the kind `hmac`. Default
    /// nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_prefix: Option<Spanned<String>>,
    /// `event_header`: the header with the event's kind. Of the kind `hmac`. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_header: Option<Spanned<HeaderText>>,
    /// `delivery_header`: the header with the delivery's id. Of the kind `hmac`. Default none: a
    /// body is known by its hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_header: Option<Spanned<HeaderText>>,
    /// `map`: where the fields of an event are. Of the kinds `hmac` and `standard_webhooks`. Default
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<Spanned<SourceMapConfig>>,
}

/// A header's name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct HeaderText(String);

impl TryFrom<String> for HeaderText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match HeaderName::try_from(&text) {
            Ok(_) => Ok(Self(text)),
            Err(_) => Err(format!("`{text}` is not the name of a header")),
        }
    }
}

impl HeaderText {
    fn name(&self) -> HeaderName {
        // It was one when it was read.
        HeaderName::try_from(&self.0).unwrap_or(HeaderName::from_static("x-signature"))
    }
}

/// Seconds, 1 to 3600.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct ToleranceS(i64);

impl TryFrom<i64> for ToleranceS {
    type Error = String;

    fn try_from(seconds: i64) -> Result<Self, String> {
        if (1..=3_600).contains(&seconds) {
            return Ok(Self(seconds));
        }
        Err(format!("{seconds} is not from 1 to 3600 seconds: what is older may be a repeated one"))
    }
}

/// How a code is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncodingName {
    /// Lower-case hex digits.
    Hex,
    /// Base64 with padding.
    Base64,
}

impl SourceConfig {
    /// How its deliveries are signed.
    pub fn signature_rule(&self) -> SignatureRule {
        let scheme = self.scheme.as_ref().map_or(self.kind.scheme(), |it| *it.get_ref());
        let mut rule = SignatureRule::from(scheme);
        if self.kind == Provider::Forgejo {
            rule.header = HeaderName::from_static("x-forgejo-signature");
        }
        if let Some(header) = &self.signature_header {
            rule.header = header.get_ref().name();
        }
        if let Some(prefix) = &self.signature_prefix {
            rule.prefix = prefix.get_ref().as_str().into();
        }
        if let Some(encoding) = &self.signature_encoding {
            rule.encoding = match encoding.get_ref() {
                EncodingName::Hex => Encoding::Hex,
                EncodingName::Base64 => Encoding::Base64,
            };
        }
        if let Some(tolerance) = &self.timestamp_tolerance_s {
            rule.timestamp_tolerance_s = tolerance.get_ref().0;
        }
        rule
    }

    /// How its payloads are read.
    pub fn reader(&self) -> Reader {
        let header = |it: &Option<Spanned<HeaderText>>| it.as_ref().map(|it| it.get_ref().name());
        Reader {
            provider: self.kind,
            trusted_bots: self.trusted_bots.clone(),
            event_header: header(&self.event_header),
            delivery_header: header(&self.delivery_header),
            map: self.map.as_ref().map(|map| map.get_ref().fields()).unwrap_or_default(),
        }
    }
}

/// Reports the keys that the source's kind does not have.
pub(super) fn check(source: &SourceConfig, reading: &mut Reading<'_>) {
    let start = |it: Option<std::ops::Range<usize>>| it.map(|span| span.start);
    let (kind, is_hmac) = (source.kind, source.kind == Provider::Hmac);
    let scheme = source.scheme.as_ref().map(|it| *it.get_ref());
    let is_mapped = is_hmac || kind == Provider::StandardWebhooks;
    let has_scheme = scheme.is_none_or(|scheme| {
        scheme == kind.scheme() || (kind, scheme) == (Provider::Gitlab, Scheme::GitlabSigning)
    });
    let signs_time = scheme.filter(|_| has_scheme).unwrap_or(kind.scheme()).needs_time();
    let hmac = "it is for `kind = \"hmac\"`";
    let keys = [
        (
            "scheme",
            source.scheme.as_ref().map(Spanned::span),
            has_scheme,
            "its kind has one way of signing, or it is not of its kind",
        ),
        (
            "timestamp_tolerance_s",
            source.timestamp_tolerance_s.as_ref().map(Spanned::span),
            signs_time,
            "no time is signed",
        ),
        ("signature_header", source.signature_header.as_ref().map(Spanned::span), is_hmac, hmac),
        (
            "signature_encoding",
            source.signature_encoding.as_ref().map(Spanned::span),
            is_hmac,
            hmac,
        ),
        ("signature_prefix", source.signature_prefix.as_ref().map(Spanned::span), is_hmac, hmac),
        ("event_header", source.event_header.as_ref().map(Spanned::span), is_hmac, hmac),
        ("delivery_header", source.delivery_header.as_ref().map(Spanned::span), is_hmac, hmac),
        (
            "map",
            source.map.as_ref().map(Spanned::span),
            is_mapped,
            "it is for `kind = \"hmac\"` and `kind = \"standard_webhooks\"`",
        ),
        (
            "backfill",
            source.backfill.as_ref().map(Spanned::span),
            kind == Provider::Github,
            "GitHub alone keeps a list of deliveries that can be asked for again",
        ),
        (
            "forge",
            source.forge.as_ref().map(Spanned::span),
            RepositoryWorkflowsConfig::is_for(kind),
            "forges are GitHub, Gitea, Forgejo and GitLab",
        ),
        (
            "workflows",
            source.workflows.as_ref().map(Spanned::span),
            RepositoryWorkflowsConfig::is_for(kind),
            "files are read from repositories at GitHub, Gitea, Forgejo and GitLab",
        ),
        (
            "report",
            source.report.as_ref().map(Spanned::span),
            RepositoryWorkflowsConfig::is_for(kind),
            "reports are for GitHub, Gitea, Forgejo and GitLab",
        ),
        (
            "chat",
            source.chat.as_ref().map(Spanned::span),
            chat::is_for(kind),
            "nothing is said in chats there",
        ),
    ];
    for (key, span, fits, why) in keys {
        let Some(at) = start(span).filter(|_| !fits) else { continue };
        let message =
            format!("the source `{}` of the kind `{kind}` has no `{key}`: {why}", source.name);
        let place = reading.file.place(at);
        reading.errors.push(ConfigError::at(place, format!("source.{key}"), message));
    }
    if let Some(backfill) = source.backfill.as_ref().filter(|_| kind == Provider::Github) {
        backfill::check(source, backfill.span().start, reading);
    }
    if let Some(report) = source.report.as_ref().filter(|_| RepositoryWorkflowsConfig::is_for(kind))
    {
        report::check(source, report.span().start, reading);
    }
    chat::check(source, reading);
    forge::check(source, reading);
}

/// Origins that every server has: events by the API, runs by hand, and its own clock.
pub(super) const BUILT_IN: [&str; 3] = ["api", "cli", "schedule"];

/// It becomes part of an address, a metric's label and a key of the database.
fn own_name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let name = String::deserialize(from)?;
    name::plain(&name).map_err(D::Error::custom)?;
    if BUILT_IN.contains(&name.as_str()) {
        return Err(D::Error::custom(format!("the name `{name}` is taken by a built-in source")));
    }
    Ok(name)
}

fn by_name<'de, D: Deserializer<'de>>(from: D) -> Result<Provider, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

fn as_name<S: Serializer>(kind: &Provider, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(kind.as_str())
}

fn spanned_scheme<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Spanned<Scheme>>, D::Error> {
    let name = Spanned::<String>::deserialize(from)?;
    let scheme = name.get_ref().parse().map_err(D::Error::custom)?;
    Ok(Some(Spanned::new(name.span(), scheme)))
}

fn as_scheme<S: Serializer>(scheme: &Option<Spanned<Scheme>>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(scheme.as_ref().map_or("", |it| it.get_ref().as_str()))
}
