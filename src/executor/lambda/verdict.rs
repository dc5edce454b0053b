//! What follows from the answer to an invocation: <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>.
//!
//! A function that failed is a 200 with a header. All other codes of Lambda itself, told by the header with
//! the error's name, mean that the function did not run. Whatever comes from somebody in between says nothing
//! of that.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::super::event::{DispatchError, ExecutionResult};
use super::super::outbound::{Answer, Answered, excerpt};
use super::Invocation;

/// How much of a function's own error is kept.
const ERROR_CHARS_MAX: usize = 4_000;

/// What follows.
pub(super) enum Verdict {
    End(ExecutionResult),
    /// It is queued there.
    Accepted,
    Error(DispatchError),
    /// The function did not run, and may another time.
    Again(String),
    /// The same, because the keys are not good any more.
    OldKeys(String),
    /// The function may run, or have run.
    MayRun(String),
}

/// What follows from what came back; a `Retry-After` counts up to that.
pub(super) fn verdict(
    answered: &Answered,
    invocation: Invocation,
    retry_after_max: Duration,
) -> Verdict {
    let answer = match answered {
        Answered::NotThere(why) => return Verdict::Error(DispatchError::unavailable(why)),
        Answered::Broken(why) => return Verdict::MayRun(why.clone()),
        Answered::Response(answer) => answer,
    };
    match (answer.status.is_success(), invocation) {
        (true, Invocation::Async) => return Verdict::Accepted,
        (true, Invocation::Sync) => return Verdict::End(end(answer)),
        (false, _) => {}
    }
    let status = answer.status;
    let Some(name) = name(answer) else {
        return by_somebody_else(answer);
    };
    let why = format!("Lambda answered {} {name}: {}", status.as_u16(), message(answer));
    match name {
        "TooManyRequestsException" | "ThrottlingException" => {
            let retry_after = answer.retry_after(retry_after_max);
            Verdict::Error(DispatchError::NoCapacity { retry_after })
        }
        // What this job asks for.
        "RequestTooLargeException"
        | "SerializedRequestEntityTooLargeException"
        | "InvalidRequestContentException"
        | "UnsupportedMediaTypeException"
        | "RecursiveInvocationException"
        | "SnapStartException" => Verdict::Error(DispatchError::ExecutionFailed(why)),
        "ExpiredTokenException" | "UnrecognizedClientException" | "InvalidClientTokenId" => {
            Verdict::OldKeys(why)
        }
        // What passes by itself.
        "ServiceException"
        | "ServiceUnavailableException"
        | "ResourceNotReadyException"
        | "ResourceConflictException"
        | "SnapStartNotReadyException"
        | "SnapStartTimeoutException"
        | "EC2ThrottledException"
        | "EC2UnexpectedException"
        | "ENILimitReachedException"
        | "SubnetIPAddressLimitReachedException"
        | "EFSIOException"
        | "EFSMountConnectivityException"
        | "EFSMountTimeoutException"
        | "S3FilesMountConnectivityException"
        | "S3FilesMountTimeoutException" => Verdict::Again(why),
        _ if status == StatusCode::TOO_MANY_REQUESTS => {
            let retry_after = answer.retry_after(retry_after_max);
            Verdict::Error(DispatchError::NoCapacity { retry_after })
        }
        _ if status == StatusCode::INTERNAL_SERVER_ERROR => Verdict::Again(why),
        // The function, its settings, or the right to call it: no job is at fault for that.
        _ => Verdict::Error(DispatchError::unavailable(why)),
    }
}

/// A proxy or a balancer.
fn by_somebody_else(answer: &Answer) -> Verdict {
    let status = answer.status;
    let why = format!("it answered {status}: {}", excerpt(&answer.body));
    match status {
        StatusCode::TOO_MANY_REQUESTS => {
            Verdict::Error(DispatchError::NoCapacity { retry_after: None })
        }
        _ if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
            Verdict::MayRun(why)
        }
        _ => Verdict::Error(DispatchError::unavailable(why)),
    }
}

/// The error's name, if it is one of Lambda's own. Some answers have a URL behind it.
fn name(answer: &Answer) -> Option<&str> {
    let name = answer.header("x-amzn-errortype")?;
    name.split(':').next().map(str::trim).filter(|name| !name.is_empty())
}

fn message(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct Told {
        #[serde(alias = "Message")]
        message: String,
    }
    let told = serde_json::from_slice::<Told>(&answer.body).map(|told| told.message.into_bytes());
    excerpt(told.as_deref().unwrap_or(&answer.body))
}

/// What a function that ran comes to.
fn end(answer: &Answer) -> ExecutionResult {
    if let Some(how) = answer.header("x-amz-function-error") {
        return ExecutionResult::failed(function_error(how, &answer.body));
    }
    if answer.is_cut {
        return ExecutionResult::failed("what the function returned is longer than 6 MB");
    }
    if let Ok(result) = serde_json::from_slice::<ExecutionResult>(&answer.body) {
        return result;
    }
    ExecutionResult::success(outputs(&answer.body))
}

fn function_error(how: &str, body: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Told {
        #[serde(default)]
        error_type: Option<String>,
        error_message: String,
    }
    let what = match serde_json::from_slice::<Told>(body) {
        Ok(Told { error_type: Some(kind), error_message }) => format!("{kind}: {error_message}"),
        Ok(Told { error_type: None, error_message }) => error_message,
        Err(_) => excerpt(body),
    };
    let text = format!("the function failed ({}): {what}", how.to_lowercase());
    text.chars().take(ERROR_CHARS_MAX).collect()
}

/// What a function returned, by name: the fields of an object, or `payload` for anything else. What is no text
/// is JSON.
fn outputs(body: &[u8]) -> BTreeMap<String, String> {
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => {
            fields.into_iter().map(|(name, value)| (name, text(value))).collect()
        }
        Ok(Value::Null) => BTreeMap::new(),
        Ok(other) => [("payload".to_owned(), text(other))].into(),
        Err(_) if body.is_empty() => BTreeMap::new(),
        Err(_) => [("payload".to_owned(), String::from_utf8_lossy(body).into_owned())].into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answered {
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Answered::Response(Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: body.as_bytes().to_vec(),
            is_cut: false,
        })
    }

    /// An error of Lambda's own.
    fn error(status: u16, name: &str) -> Answered {
        let body = r#"{"Type": "User", "Message": "because"}"#;
        answered(status, &[("x-amzn-errortype", name), ("retry-after", "7")], body)
    }

    fn told(answered: &Answered, invocation: Invocation) -> String {
        match verdict(answered, invocation, Duration::from_secs(60)) {
            Verdict::End(it) => format!("{:?} {:?} {:?}", it.status, it.outputs, it.error),
            Verdict::Accepted => "accepted".to_owned(),
            Verdict::Error(error) => format!("{error:?}"),
            Verdict::Again(why) => format!("again: {why}"),
            Verdict::OldKeys(why) => format!("old keys: {why}"),
            Verdict::MayRun(why) => format!("may run: {why}"),
        }
    }

    #[test]
    fn what_a_function_returns_is_told_from_how_it_fails() {
        let failed = [("x-amz-function-error", "Unhandled")];
        let raised =
            r#"{"errorMessage": "no such file", "errorType": "OSError", "stackTrace": []}"#;
        let timed_out = r#"{"errorMessage": "Task timed out after 3.00 seconds"}"#;
        let answers = [
            answered(200, &[], "null"),
            answered(200, &[], r#""done""#),
            answered(200, &[], r#"{"url": "x", "count": 3, "all": [1, 2]}"#),
            answered(200, &[], r#"{"status": "failed", "error": "tests failed"}"#),
            answered(200, &[], "no json"),
            answered(200, &failed, raised),
            answered(200, &failed, timed_out),
            answered(200, &failed, "boom"),
        ];
        let told: Vec<_> = answers.iter().map(|it| told(it, Invocation::Sync)).collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        Completed {} None
        Completed {"payload": "done"} None
        Completed {"all": "[1,2]", "count": "3", "url": "x"} None
        Failed {} Some("tests failed")
        Completed {"payload": "no json"} None
        Failed {} Some("the function failed (unhandled): OSError: no such file")
        Failed {} Some("the function failed (unhandled): Task timed out after 3.00 seconds")
        Failed {} Some("the function failed (unhandled): boom")
        "#);
    }

    #[test]
    fn each_error_of_lambda_has_its_meaning_and_those_of_others_are_told_apart() {
        let answers = [
            answered(202, &[], ""),
            error(429, "TooManyRequestsException"),
            error(500, "ServiceException"),
            error(502, "EC2ThrottledException:http://internal.amazon.com/coral/com.amazonaws/"),
            error(502, "KMSDisabledException"),
            error(409, "ResourceConflictException"),
            error(413, "RequestTooLargeException"),
            error(404, "ResourceNotFoundException"),
            error(403, "AccessDeniedException"),
            error(403, "ExpiredTokenException"),
            answered(502, &[], "<p>bad gateway</p>"),
            answered(504, &[], ""),
            answered(403, &[], "not you"),
            answered(429, &[], ""),
            Answered::NotThere("refused".to_owned()),
            Answered::Broken("no answer in time".to_owned()),
        ];
        let told: Vec<_> = answers.iter().map(|it| told(it, Invocation::Async)).collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        accepted
        NoCapacity { retry_after: Some(7s) }
        again: Lambda answered 500 ServiceException: because
        again: Lambda answered 502 EC2ThrottledException: because
        Unavailable { why: "Lambda answered 502 KMSDisabledException: because", retry_after: None }
        again: Lambda answered 409 ResourceConflictException: because
        ExecutionFailed("Lambda answered 413 RequestTooLargeException: because")
        Unavailable { why: "Lambda answered 404 ResourceNotFoundException: because", retry_after: None }
        Unavailable { why: "Lambda answered 403 AccessDeniedException: because", retry_after: None }
        old keys: Lambda answered 403 ExpiredTokenException: because
        may run: it answered 502 Bad Gateway: <p>bad gateway</p>
        may run: it answered 504 Gateway Timeout: 
        Unavailable { why: "it answered 403 Forbidden: not you", retry_after: None }
        NoCapacity { retry_after: None }
        Unavailable { why: "refused", retry_after: None }
        may run: no answer in time
        "#);
    }
}
