//! Keys of the agent that looks after a container: on ECS by a path at an address that is always the same,
//! on EKS and elsewhere by a whole URL, with a token that is read anew each time.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>

use std::net::IpAddr;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Url};

use super::{Credentials, Source, Variables, client, document, parse, text};

pub(super) const RELATIVE_URI: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
pub(super) const FULL_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
/// Where the agent of ECS stands.
const AGENT: &str = "http://169.254.170.2";
/// Those of EKS.
const EKS_AGENTS: [&str; 2] = ["169.254.170.23", "fd00:ec2::23"];

pub(super) struct Container {
    url: Url,
    client: Client,
    token: Token,
}

/// Who asks.
enum Token {
    None,
    Text(String),
    File(String),
}

impl Container {
    pub(super) fn new(variables: &Variables<'_>) -> Result<Self, String> {
        let url = match (variables.get(RELATIVE_URI), variables.get(FULL_URI)) {
            (Some(path), _) => parse(&format!("{AGENT}{path}"))?,
            (None, Some(url)) => full(&url)?,
            (None, None) => return Err(format!("neither {RELATIVE_URI} nor {FULL_URI} is set")),
        };
        let file = variables.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(Token::File);
        let token = || variables.get("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Token::Text);
        let token = file.or_else(token).unwrap_or(Token::None);
        let client = client(&url)?;
        Ok(Self { url, client, token })
    }
}

/// A whole URL goes to this machine, to an agent that is known, or is encrypted: the token must not be
/// read on the way.
fn full(url: &str) -> Result<Url, String> {
    let url = parse(url)?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let is_near = |address: IpAddr| {
        let text = address.to_string();
        address.is_loopback() || AGENT.ends_with(&text) || EKS_AGENTS.contains(&&*text)
    };
    let is_allowed = match url.scheme() {
        "https" => true,
        "http" => host == "localhost" || host.parse().is_ok_and(is_near),
        _ => false,
    };
    is_allowed.then_some(url).ok_or_else(|| {
        format!("{FULL_URI} goes to `{host}`, which is neither https nor a container's agent")
    })
}

#[async_trait]
impl Source for Container {
    async fn fetch(&self) -> Result<Credentials, String> {
        let token = match &self.token {
            Token::None => None,
            Token::Text(text) => Some(text.clone()),
            Token::File(path) => {
                let read = tokio::fs::read_to_string(path).await;
                Some(read.map_err(|error| format!("the token file {path}: {error}"))?)
            }
        };
        let mut request = self.client.get(self.url.clone());
        if let Some(token) = token {
            let value = HeaderValue::from_str(token.trim_end());
            let mut value = value.map_err(|_| "the token cannot stand in a header".to_owned())?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        document::read(&text(request, &self.url).await?)
    }
}
