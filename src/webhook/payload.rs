//! The third stage: the JSON text inside a verified body.

use std::borrow::Cow;

use super::signature::{Verification, Verified};
use crate::event::inputs::InputsError;

/// Why a verified body cannot be understood. The delivery is stored as `failed` with this reason
/// and answered 400: whoever can sign is worth an explanation.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// Bytes that are no UTF-8, in the body or in the form's field.
    #[error("the body is not UTF-8 (first wrong byte at {at})")]
    NotUtf8 {
        /// Offset of the first wrong byte.
        at: usize,
    },
    /// A form without the field that carries the JSON.
    #[error(
        "the form has no field `payload`: set the content type `application/json` at the forge"
    )]
    NoPayloadField,
    /// Not JSON, or nested deeper than the reader goes.
    #[error("the payload is not usable JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but not an object.
    #[error("the payload is JSON, but not an object")]
    NotAnObject,
    /// Inputs of a dispatch pass a limit.
    #[error(transparent)]
    Inputs(#[from] InputsError),
}

/// How the JSON lies in the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Encoding {
    /// It is the body.
    Json,
    /// It is the field `payload` of a form.
    Form,
    /// It is the field `payload` of a form, or the form's fields are its own.
    Fields,
}

/// The JSON text of a verified body.
#[derive(Clone, Debug)]
pub struct Payload<'b> {
    text: Cow<'b, str>,
    how: Verification,
}

impl<'b> Payload<'b> {
    pub(super) fn read(verified: &Verified<'b>, encoding: Encoding) -> Result<Self, PayloadError> {
        let text = match encoding {
            Encoding::Json => Cow::Borrowed(utf8(verified.body())?),
            Encoding::Form | Encoding::Fields if is_json(verified.body()) => {
                return Err(PayloadError::NoPayloadField);
            }
            Encoding::Form => form_field(verified.body()).ok_or(PayloadError::NoPayloadField)?,
            Encoding::Fields => {
                form_field(verified.body()).unwrap_or_else(|| as_json(verified.body()).into())
            }
        };
        Ok(Self { text, how: verified.how() })
    }

    /// The JSON text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How the body was checked.
    pub fn how(&self) -> Verification {
        self.how
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, PayloadError> {
    std::str::from_utf8(bytes).map_err(|error| PayloadError::NotUtf8 { at: error.valid_up_to() })
}

/// The JSON in a delivery's body that was verified and stored, whether it came as such or in a form.
pub fn stored_json(body: &[u8]) -> Option<serde_json::Value> {
    if is_json(body) {
        return serde_json::from_slice(body).ok();
    }
    serde_json::from_str(&form_field(body)?).ok()
}

/// Whether it is JSON that is called a form. That it is one is said in a header that nobody signs, and a text in the JSON
/// that somebody wrote could be the form.
fn is_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// The field `payload`, if it is the first one and the only one of its name.
fn form_field(body: &[u8]) -> Option<Cow<'_, str>> {
    let mut fields = form_urlencoded::parse(body);
    let (name, value) = fields.next()?;
    (name == "payload" && fields.all(|(name, _)| name != "payload")).then_some(value)
}

/// A form as an object of texts; of a field that is there twice the first.
fn as_json(body: &[u8]) -> String {
    let mut object = serde_json::Map::new();
    for (name, value) in form_urlencoded::parse(body) {
        object.entry(name).or_insert_with(|| value.into());
    }
    serde_json::Value::Object(object).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::{SourceAuth, verify};
    use axum::http::HeaderMap;

    #[test]
    fn a_stored_body_is_json_or_the_field_of_a_form() {
        let told = Some(serde_json::json!({ "a": 1 }));
        assert_eq!(stored_json(br#" {"a":1}"#), told);
        assert_eq!(stored_json(b"payload=%7B%22a%22%3A1%7D"), told);
        assert_eq!(stored_json(b"nothing"), None);
    }

    fn read(body: &[u8], encoding: Encoding) -> Result<String, PayloadError> {
        let verified = verify(&HeaderMap::new(), body, &SourceAuth::Insecure, None).unwrap();
        Payload::read(&verified, encoding).map(|payload| payload.text().to_owned())
    }

    #[test]
    fn json_is_the_body_itself_without_a_copy() {
        let verified = verify(&HeaderMap::new(), b"{}", &SourceAuth::Insecure, None).unwrap();
        let payload = Payload::read(&verified, Encoding::Json).unwrap();
        assert!(matches!(payload.text, Cow::Borrowed("{}")));
    }

    #[test]
    fn a_form_carries_the_json_in_its_payload_field() {
        let form = b"payload=%7B%22a%22%3A%22b+c%26%C3%A9%22%7D&more=1";
        assert_eq!(read(form, Encoding::Form).unwrap(), "{\"a\":\"b c&é\"}");
    }

    #[test]
    fn what_somebody_wrote_in_a_signed_body_is_no_field_of_a_form() {
        for body in [
            &br#"{"comment":"&payload=%7B%22ref%22%3A1%7D&"}"#[..],
            b" [\"&payload=1\"]",
            b"a=1&payload=%7B%7D",
            b"payload=%7B%7D&payload=1",
        ] {
            let error = read(body, Encoding::Form);
            assert!(matches!(error, Err(PayloadError::NoPayloadField)), "{error:?}");
        }
        let error = read(br#"{"text":"&command=/deploy&"}"#, Encoding::Fields);
        assert!(matches!(error, Err(PayloadError::NoPayloadField)), "{error:?}");
    }

    #[test]
    fn a_form_without_the_field_says_what_to_set() {
        for form in [&b""[..], b"{}", b"Payload=%7B%7D"] {
            assert!(matches!(read(form, Encoding::Form), Err(PayloadError::NoPayloadField)));
        }
    }

    #[test]
    fn a_form_of_ones_own_fields_is_an_object_of_texts() {
        let form = b"command=%2Fdeploy&text=a+b&text=c";
        assert_eq!(read(form, Encoding::Fields).unwrap(), r#"{"command":"/deploy","text":"a b"}"#);
        assert_eq!(read(b"payload=%7B%7D&a=b", Encoding::Fields).unwrap(), "{}");
    }

    #[test]
    fn bytes_that_are_no_text_are_located() {
        let error = read(b"{\"a\":\"\xff\"}", Encoding::Json).unwrap_err();
        assert!(matches!(error, PayloadError::NotUtf8 { at: 6 }));
    }
}
