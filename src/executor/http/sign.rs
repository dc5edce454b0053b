//! Signatures of Standard Webhooks: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::{HeaderName, HeaderValue};
use sha2::Sha256;

/// What a secret begins with, before its base64.
const PREFIX: &str = "whsec_";

/// The key that both sides have.
#[derive(Clone)]
pub struct SigningSecret(Vec<u8>);

impl SigningSecret {
    /// From its text, `whsec_` and base64.
    ///
    /// # Errors
    ///
    /// What is wrong with it, without it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let key = text.strip_prefix(PREFIX).ok_or("it does not begin with `whsec_`")?;
        let key = STANDARD.decode(key).map_err(|_| "what follows `whsec_` is no base64")?;
        // The specification asks for 24 to 64 bytes.
        if !(24..=64).contains(&key.len()) {
            return Err("it has not 24 to 64 bytes");
        }
        Ok(Self(key))
    }

    /// The headers of a message that is sent at that time.
    pub fn headers(
        &self,
        id: &str,
        at_s: i64,
        body: &[u8],
    ) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length");
        mac.update(format!("{id}.{at_s}.").as_bytes());
        mac.update(body);
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        let headers = [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", at_s.to_string()),
            ("webhook-signature", signature),
        ];
        headers.into_iter().filter_map(|(name, value)| {
            Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_is_signed_as_it_says() {
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let headers = secret.headers(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        let headers: Vec<_> =
            headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        let wanted = [
            "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp: 1614265330",
            "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ];
        assert_eq!(headers, wanted);
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_repeated() {
        for text in ["hunter2", "whsec_***", "whsec_c2hvcnQ="] {
            let error = SigningSecret::parse(text).err().unwrap();
            assert!(!error.contains("hunter2") && !error.contains("c2hv"), "{error}");
        }
    }
}
