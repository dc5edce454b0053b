//! Bodies, paths and queries of requests, with our own words when they are wrong.

use std::borrow::Cow;

use axum::body::{Body, Bytes};
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use super::state::AppState;
use crate::model::json_without_nul;

/// A JSON body.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<AppState> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let read = async {
            let (parts, body) = request.into_parts();
            let bytes =
                Bytes::from_request(Request::from_parts(parts.clone(), body), state).await?;
            let request = Request::from_parts(parts, Body::from(cleaned(bytes)));
            axum::Json::from_request(request, state).await
        };
        match read.await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(refusal(&rejection, state)),
        }
    }
}

/// A body without U+0000 in its texts, before anybody has read them.
fn cleaned(bytes: Bytes) -> Bytes {
    // What is not UTF-8 is no JSON, and refused by who reads it.
    match std::str::from_utf8(&bytes).map(json_without_nul) {
        Ok(Cow::Owned(clean)) => clean.into(),
        Ok(Cow::Borrowed(_)) | Err(_) => bytes,
    }
}

/// A JSON body that may be absent, for actions whose every field has a default.
#[derive(Debug)]
pub(super) struct JsonOrEmpty<T>(pub(super) T);

impl<T: DeserializeOwned + Default> FromRequest<AppState> for JsonOrEmpty<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| ApiError::BadRequest(rejection.body_text()))?;
        let bytes = cleaned(bytes);
        if bytes.trim_ascii().is_empty() {
            return Ok(Self(T::default()));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            ApiError::BadRequest(format!("the body is not what is expected: {error}"))
        })
    }
}

fn refusal(rejection: &JsonRejection, state: &AppState) -> ApiError {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge {
            limit: "api_body_bytes_max",
            max: state.limits.api_body_bytes_max as u64,
        },
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            ApiError::UnsupportedMediaType("send `Content-Type: application/json`".into())
        }
        _ => ApiError::BadRequest(rejection.body_text()),
    }
}

/// One value out of the path.
#[derive(Debug)]
pub(super) struct Id<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let path: Result<Path<T>, PathRejection> = Path::from_request_parts(parts, state).await;
        path.map(|Path(value)| Self(value))
            .map_err(|rejection| ApiError::BadRequest(rejection.body_text()))
    }
}

/// The query of the address.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<AppState> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let query: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        query
            .map(|Query(value)| Self(value))
            .map_err(|rejection| ApiError::BadRequest(rejection.body_text()))
    }
}
