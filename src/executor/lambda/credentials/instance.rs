//! Keys of the role of a machine, from its metadata service, version 2: a token first, then the role's
//! name, then its keys. <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html>

use async_trait::async_trait;
use reqwest::{Client, Url};

use super::{Credentials, Source, Variables, client, document, parse, text};

/// Where the service stands.
const SERVICE: &str = "http://169.254.169.254";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// How long a token is good: one is used for two requests.
const TOKEN_SECONDS: &str = "60";

pub(super) struct Instance {
    base: Url,
    client: Client,
}

impl Instance {
    pub(super) fn new(variables: &Variables<'_>) -> Result<Self, String> {
        let disabled = variables.get("AWS_EC2_METADATA_DISABLED");
        if disabled.is_some_and(|it| it.eq_ignore_ascii_case("true")) {
            let why = "there are none in the environment, and AWS_EC2_METADATA_DISABLED is set";
            return Err(why.to_owned());
        }
        let base = variables.get("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        let base = parse(base.as_deref().unwrap_or(SERVICE))?;
        let client = client(&base)?;
        Ok(Self { base, client })
    }

    fn at(&self, path: &str) -> Result<Url, String> {
        self.base.join(path).map_err(|error| format!("`{path}`: {error}"))
    }

    async fn get(&self, path: &str, token: &str) -> Result<String, String> {
        let url = self.at(path)?;
        let request = self.client.get(url.clone()).header("x-aws-ec2-metadata-token", token);
        text(request, &url).await
    }
}

#[async_trait]
impl Source for Instance {
    async fn fetch(&self) -> Result<Credentials, String> {
        let url = self.at("/latest/api/token")?;
        let request = self.client.put(url.clone());
        let request = request.header("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS);
        let token = text(request, &url).await?;
        let roles = self.get(ROLES, &token).await?;
        let role = roles.lines().next().map(str::trim).filter(|role| !role.is_empty());
        let role = role.ok_or_else(|| "the machine has no role".to_owned())?;
        document::read(&self.get(&format!("{ROLES}{role}"), &token).await?)
    }
}
