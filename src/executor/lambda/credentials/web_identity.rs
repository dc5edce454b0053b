//! Keys for the token of an identity, as Kubernetes gives it to a service account: exchanged at STS.
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};

use super::super::options::regional;
use super::{Credentials, Source, Variables, client, parse, text, time};
use crate::clock::Clock;

pub(super) struct WebIdentity {
    url: Url,
    client: Client,
    /// Its file: a new token is written there before the old one ends.
    token_file: String,
    role: String,
    session: Option<String>,
    clock: Arc<dyn Clock>,
}

impl WebIdentity {
    pub(super) fn new(
        variables: &Variables<'_>,
        region: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let set =
            variables.get("AWS_ENDPOINT_URL_STS").or_else(|| variables.get("AWS_ENDPOINT_URL"));
        let url = parse(&set.unwrap_or_else(|| regional("sts", region)))?;
        Ok(Self {
            client: client(&url)?,
            url,
            token_file: variables.need("AWS_WEB_IDENTITY_TOKEN_FILE")?,
            role: variables.need("AWS_ROLE_ARN")?,
            session: variables.get("AWS_ROLE_SESSION_NAME"),
            clock,
        })
    }
}

#[async_trait]
impl Source for WebIdentity {
    async fn fetch(&self) -> Result<Credentials, String> {
        let file = &self.token_file;
        let token = tokio::fs::read_to_string(file).await;
        let token = token.map_err(|error| format!("the token file {file}: {error}"))?;
        let session = self.session.clone();
        let session =
            session.unwrap_or_else(|| format!("dispatchyard-{}", self.clock.now().wall_ms));
        let form: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", "AssumeRoleWithWebIdentity")
            .append_pair("Version", "2011-06-15")
            .append_pair("RoleArn", &self.role)
            .append_pair("RoleSessionName", &session)
            .append_pair("WebIdentityToken", token.trim_end())
            .finish();
        let request = self.client.post(self.url.clone());
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        read(&text(request, &self.url).await?)
    }
}

/// Reads the answer. It is XML of a form that does not change, and none of the values that are wanted has a
/// letter in it that XML would escape: for four of them no parser is brought in.
fn read(xml: &str) -> Result<Credentials, String> {
    let need = |name: &str| {
        let value = element(xml, name).filter(|value| !value.is_empty());
        value.ok_or_else(|| format!("its answer has no {name}"))
    };
    let text = |name| need(name).map(str::to_owned);
    Ok(Credentials {
        id: text("AccessKeyId")?,
        secret: text("SecretAccessKey")?,
        session: Some(text("SessionToken")?),
        ends_at_ms: Some(time(need("Expiration")?)?),
    })
}

fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, behind) = xml.split_once(&format!("<{name}>"))?;
    behind.split_once(&format!("</{name}>")).map(|(value, _)| value.trim())
}
