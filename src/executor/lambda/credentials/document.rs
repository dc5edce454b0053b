//! Keys as the container's agent and the metadata service write them.

use serde::Deserialize;

use super::{Credentials, time};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    /// Of the metadata service: `Success`, or what is wrong.
    code: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    token: Option<String>,
    expiration: Option<String>,
}

/// Reads a document. No error repeats what was in it.
pub(super) fn read(text: &str) -> Result<Credentials, String> {
    let document: Document = serde_json::from_str(text)
        .map_err(|error| format!("its answer is no JSON at column {}", error.column()))?;
    let Document { code, access_key_id, secret_access_key, token, expiration } = document;
    if let Some(code) = code.filter(|code| code != "Success") {
        return Err(format!("it says `{code}`"));
    }
    let need =
        |value: Option<String>, name: &str| value.ok_or_else(|| format!("it says no {name}"));
    let id = need(access_key_id, "AccessKeyId")?;
    let secret = need(secret_access_key, "SecretAccessKey")?;
    let ends_at_ms = expiration.as_deref().map(time).transpose()?;
    Ok(Credentials { id, secret, session: token, ends_at_ms })
}
