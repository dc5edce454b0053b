//! Keys that are there from the start, and stay: of the environment's variables, or of the configuration.

use async_trait::async_trait;

use super::{Credentials, Source, Variables};

pub(super) struct Environment(pub(super) Credentials);

impl Environment {
    pub(super) fn new(variables: &Variables<'_>) -> Result<Self, String> {
        let id = variables.need("AWS_ACCESS_KEY_ID")?;
        let secret = variables.need("AWS_SECRET_ACCESS_KEY")?;
        let session = variables.get("AWS_SESSION_TOKEN");
        Ok(Self(Credentials { id, secret, session, ends_at_ms: None }))
    }
}

#[async_trait]
impl Source for Environment {
    async fn fetch(&self) -> Result<Credentials, String> {
        Ok(self.0.clone())
    }
}
