//! The key of an App of GitHub, and the short-lived token that it signs.
//!
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app>

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use crate::webhook::Secret;

/// GitHub's clock may be behind ours.
const CLOCKS_APART_S: i64 = 60;
/// GitHub takes ten minutes at most.
const VALID_S: i64 = 540;

/// Why a key cannot be one. None of it is repeated.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AppKeyError {
    /// It has another form.
    #[error(
        "it is no private key in PEM, as GitHub gives it: it begins with `-----BEGIN RSA PRIVATE KEY-----`"
    )]
    NoPem,
    /// It is of another kind, or damaged.
    #[error("it is no RSA key that can sign: {0}")]
    NoRsa(String),
    /// It does not sign.
    #[error("the key does not sign")]
    Unusable,
}

/// An App, and the key that it signs with.
pub struct AppKey {
    app_id: u64,
    key: RsaKeyPair,
}

impl AppKey {
    /// Of that App; the key is PEM of PKCS#1 or PKCS#8.
    ///
    /// # Errors
    /// [`AppKeyError`].
    pub fn new(app_id: u64, pem: &Secret) -> Result<Self, AppKeyError> {
        let der = PrivateKeyDer::from_pem_slice(pem.bytes()).map_err(|_| AppKeyError::NoPem)?;
        let key = match &der {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return Err(AppKeyError::NoRsa("it is of another kind".to_owned())),
        };
        let key = key.map_err(|error| AppKeyError::NoRsa(error.to_string()))?;
        Ok(Self { app_id, key })
    }

    /// The token of the App itself, from now on for some minutes.
    ///
    /// # Errors
    /// [`AppKeyError::Unusable`].
    pub fn token(&self, now_ms: i64) -> Result<String, AppKeyError> {
        let now_s = now_ms.div_euclid(1_000);
        let header = json!({ "alg": "RS256", "typ": "JWT" }).to_string();
        let claims = json!({
            "iat": now_s - CLOCKS_APART_S,
            "exp": now_s + VALID_S,
            "iss": self.app_id.to_string(),
        });
        let text = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let signed = format!("{}.{}", text(&header), text(&claims.to_string()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| AppKeyError::Unusable)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl std::fmt::Debug for AppKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AppKey({})", self.app_id)
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    const PKCS1: &[u8] = include_bytes!("../../fixtures/app/pkcs1.pem");
    const PKCS8: &[u8] = include_bytes!("../../fixtures/app/pkcs8.pem");

    #[test]
    fn a_token_of_either_form_of_the_key_is_signed_by_it() {
        for pem in [PKCS1, PKCS8] {
            let app = AppKey::new(4_711, &Secret::new(pem).unwrap()).unwrap();
            let token = app.token(1_700_000_000_123).unwrap();
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let public =
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, app.key.public().as_ref());
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            public.verify(signed.as_bytes(), &signature).unwrap();
            let mut other = signed.to_owned();
            other.push('x');
            assert!(public.verify(other.as_bytes(), &signature).is_err());
            let read = |part: &str| {
                let json = URL_SAFE_NO_PAD.decode(part).unwrap();
                serde_json::from_slice::<serde_json::Value>(&json).unwrap()
            };
            let (header, claims) = signed.split_once('.').unwrap();
            assert_eq!(read(header), json!({ "alg": "RS256", "typ": "JWT" }));
            let wanted = json!({ "iat": 1_699_999_940, "exp": 1_700_000_540, "iss": "4711" });
            assert_eq!(read(claims), wanted);
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_repeated() {
        let refused = |text: &[u8]| AppKey::new(1, &Secret::new(text).unwrap()).err().unwrap();
        assert_eq!(refused(b"hunter2"), AppKeyError::NoPem);
        let cut = [&PKCS1[..200], b"\n-----END RSA PRIVATE KEY-----\n"].concat();
        let told = refused(&cut).to_string();
        assert!(!told.contains("MII"), "{told}");
        let app = AppKey::new(7, &Secret::new(PKCS1).unwrap()).unwrap();
        assert_eq!(format!("{app:?}"), "AppKey(7)");
    }
}
