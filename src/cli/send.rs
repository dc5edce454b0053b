//! `send`: post a file as GitHub would, signature and all.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::deliveries::verdicts;
use super::list::joined;
use super::outlook;
use super::table::{fields, page};
use crate::api::wire::DeliveryAccepted;
use crate::clock::{Clock, OsEntropy, SystemClock, uuid_v7};
use crate::webhook::{Secret, sign};

/// What to send, and the secret to sign it with.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("secret").required(true))]
pub struct SendArgs {
    /// The body: a file with JSON
    file: PathBuf,
    /// The kind of event: push, pull_request, ...
    #[arg(long, value_name = "EVENT")]
    event: String,
    /// The configured source that it is sent to
    #[arg(long, value_name = "NAME", default_value = "github")]
    source: String,
    /// The environment variable with the secret
    #[arg(long, value_name = "NAME", group = "secret")]
    secret_env: Option<String>,
    /// The file with the secret
    #[arg(long, value_name = "FILE", group = "secret")]
    secret_file: Option<PathBuf>,
    /// The delivery's id; a new one when absent. The same id twice is one delivery
    #[arg(long, value_name = "ID")]
    delivery: Option<String>,
}

/// A delivery as GitHub sends it.
#[derive(Clone, Debug)]
pub struct SignedDelivery {
    /// Event, delivery id, content type and signature:
    /// <https://docs.github.com/webhooks/webhook-events-and-payloads#delivery-headers>.
    pub headers: HeaderMap,
    /// What was signed.
    pub body: Vec<u8>,
}

/// Signs a JSON body as GitHub does: HMAC-SHA256 over the raw bytes,
/// <https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries>.
///
/// # Errors
/// The event's kind or the delivery's id cannot stand in a header.
pub fn sign_like_github(
    body: Vec<u8>,
    event: &str,
    delivery: &str,
    secret: &Secret,
) -> Result<SignedDelivery, CliError> {
    let signature = sign(secret, &body);
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &str| {
        let value = HeaderValue::from_str(value).map_err(|_| unusable(name))?;
        headers.insert(HeaderName::from_static(name), value);
        Ok::<_, CliError>(())
    };
    set("content-type", "application/json")?;
    set("x-github-event", event)?;
    set("x-github-delivery", delivery)?;
    set("x-hub-signature-256", &signature)?;
    Ok(SignedDelivery { headers, body })
}

fn unusable(what: &str) -> CliError {
    CliError::Usage {
        message: format!("the value of {what} has characters that no header has"),
        hint: "event kinds look like `pull_request`, delivery ids like a UUID".to_owned(),
    }
}

pub(super) async fn run(
    args: SendArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|source| CliError::File { path: path.clone(), source })
    };
    let secret = match (&args.secret_env, &args.secret_file) {
        (Some(name), _) => variable(name)?,
        (None, Some(path)) => read(path)?,
        // Clap asks for one of the two.
        (None, None) => Vec::new(),
    };
    // As the server does, so that both may read the same file.
    let secret = Secret::from_text(&secret).map_err(|error| CliError::Usage {
        message: error.to_string(),
        hint: "the secret is the one that the server has for the source".to_owned(),
    })?;
    let secret = &secret.secret;
    let new_id = || uuid_v7(SystemClock::new().now(), &mut OsEntropy).to_string();
    let id = args.delivery.unwrap_or_else(new_id);
    let signed = sign_like_github(read(&args.file)?, &args.event, &id, secret)?;
    let answer = client.post_hook(&["hooks", &args.source], signed.headers, signed.body).await?;
    console.show(&answer, |delivery, _| accepted(delivery))
}

fn variable(name: &str) -> Result<Vec<u8>, CliError> {
    let value = std::env::var(name).map_err(|_| CliError::Usage {
        message: format!("the environment variable {name} is not set"),
        hint: format!("set it to the secret of the source: {name}=... dispatchyard send ..."),
    })?;
    Ok(value.into_bytes())
}

/// What became of a delivery, and where to look next.
pub(super) fn accepted(delivery: &DeliveryAccepted) -> String {
    let glance = fields([
        ("delivery", delivery.delivery_id.to_string()),
        ("state", delivery.state.clone()),
        ("duplicate", if delivery.duplicate { "yes" } else { "no" }.to_owned()),
        ("workloads", joined(&delivery.workloads)),
    ]);
    let next = match delivery.workloads.first() {
        Some(id) => format!("next: dispatchyard workloads {id}"),
        None => format!("next: dispatchyard deliveries {}", delivery.delivery_id),
    };
    page([glance, verdicts(&delivery.triggers), outlook::table(&delivery.outlooks), next])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_githubs_own_example() {
        // The test values of GitHub's page on validating deliveries.
        let body = b"Hello, World!".to_vec();
        let signed = sign_like_github(
            body,
            "push",
            "1",
            &Secret::new(b"It's a Secret to Everybody").unwrap(),
        )
        .unwrap();
        assert_eq!(
            signed.headers["x-hub-signature-256"],
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
        assert_eq!(signed.headers["x-github-event"], "push");
    }

    #[test]
    fn an_event_that_no_header_can_carry_is_refused() {
        let error =
            sign_like_github(Vec::new(), "pu\nsh", "1", &Secret::new(b"s").unwrap()).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("x-github-event"));
    }
}
