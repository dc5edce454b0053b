//! What an executor of Lambda is told, and what follows from that: where the function is called, and how much
//! it can be told.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Url;

use super::credentials::LambdaCredentials;

/// How the function is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invocation {
    /// `RequestResponse`: the answer is the end.
    Sync,
    /// `Event`: the function calls back.
    Async,
}

impl Invocation {
    pub(super) fn as_header(self) -> &'static str {
        match self {
            Self::Sync => "RequestResponse",
            Self::Async => "Event",
        }
    }

    /// The most that a payload may have: 6 MB and 1 MB, with 1,024 KB each, by
    /// <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html> and
    /// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
    fn payload_bytes_max(self) -> usize {
        match self {
            Self::Sync => 6 << 20,
            Self::Async => 1 << 20,
        }
    }
}

/// What an executor of this kind is told.
#[derive(Clone)]
pub struct LambdaOptions {
    /// Name or ARN of the function.
    pub function: String,
    /// Which version or alias of it.
    pub qualifier: Option<String>,
    /// Where it lives; `None` for what its ARN or `AWS_REGION` says.
    pub region: Option<String>,
    /// Where Lambda is called; `None` for the region's own address.
    pub endpoint: Option<Url>,
    /// How the function is called.
    pub invocation: Invocation,
    /// Where the keys come from that requests are signed with.
    pub credentials: LambdaCredentials,
    /// Whether the event has the job's whole context in it, so that nobody has to ask for it.
    pub inline_context: bool,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// The function's own timeout: how long an answer is waited for, and how long a function may run on of
    /// which nobody hears any more.
    pub function_timeout: Duration,
    /// What a call may take beside that: the way there, and the start of an environment.
    pub margin: Duration,
    /// Whether addresses of private networks, and this machine's, may be called.
    pub private_addresses: bool,
    /// How often a request is made for one attempt, where the function certainly did not run.
    pub tries_max: u32,
    /// How long the first of these rests; doubled with each.
    pub backoff: Duration,
    /// The longest that a `Retry-After` is taken for.
    pub retry_after_max: Duration,
    /// Of a function that calls back: how long it may be silent before the work counts as lost. `None`: as
    /// long as the job may run.
    pub heartbeat: Option<Duration>,
    /// How many jobs it has at once.
    pub max_concurrent: u64,
    /// Where this server is called back.
    pub callback_base: String,
    /// The variables of the environment that begin with `AWS_`.
    pub variables: BTreeMap<String, String>,
}

/// Where the function lives, by the options, its ARN, and the environment.
pub(super) fn region(options: &LambdaOptions) -> Option<String> {
    let of_arn = || {
        let mut parts = options.function.strip_prefix("arn:")?.split(':');
        parts.nth(2).filter(|region| !region.is_empty()).map(str::to_owned)
    };
    let variable = |name: &str| options.variables.get(name).filter(|it| !it.is_empty()).cloned();
    let region = options.region.clone().or_else(of_arn).or_else(|| variable("AWS_REGION"));
    region.or_else(|| variable("AWS_DEFAULT_REGION"))
}

/// Where the function is invoked.
pub(super) fn url(options: &LambdaOptions, region: &str) -> Result<Url, String> {
    let variable = |name: &str| options.variables.get(name).map(String::as_str);
    let set = options.endpoint.as_ref().map(Url::as_str);
    let set = set.or_else(|| variable("AWS_ENDPOINT_URL_LAMBDA"));
    let set = set.or_else(|| variable("AWS_ENDPOINT_URL")).map(str::to_owned);
    let base = set.unwrap_or_else(|| regional("lambda", region));
    // As the signature has it: whatever is no plain letter is escaped.
    let function: String = form_urlencoded::byte_serialize(options.function.as_bytes()).collect();
    let text =
        format!("{}/2015-03-31/functions/{function}/invocations", base.trim_end_matches('/'));
    let mut url: Url = text.parse().map_err(|error| format!("`{base}`: {error}"))?;
    if let Some(qualifier) = &options.qualifier {
        url.query_pairs_mut().append_pair("Qualifier", qualifier);
    }
    Ok(url)
}

/// The address of a service in a region.
pub(super) fn regional(service: &str, region: &str) -> String {
    let of_china = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://{service}.{region}.amazonaws.com{of_china}")
}

/// What is wrong with a payload of so many bytes.
pub(super) fn too_large(bytes: usize, options: &LambdaOptions) -> Option<String> {
    let most = options.invocation.payload_bytes_max();
    let hint = match options.inline_context {
        true => "; set `inline_context = false`, and let the function ask for the context",
        false => "",
    };
    let how = options.invocation.as_header();
    (bytes > most).then(|| {
        format!("the payload has {bytes} bytes, and an invocation ({how}) at most {most}{hint}")
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn options(function: &str, variables: &[(&str, &str)]) -> LambdaOptions {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        LambdaOptions {
            function: function.to_owned(),
            qualifier: None,
            region: None,
            endpoint: None,
            invocation: Invocation::Sync,
            credentials: LambdaCredentials::keys("AKIDEXAMPLE", "secret"),
            inline_context: true,
            connect_timeout: Duration::from_secs(1),
            function_timeout: Duration::from_secs(60),
            margin: Duration::from_secs(20),
            private_addresses: true,
            tries_max: 3,
            backoff: Duration::from_millis(1),
            retry_after_max: Duration::from_secs(60),
            heartbeat: None,
            max_concurrent: 1,
            callback_base: "http://yard".to_owned(),
            variables: variables.iter().map(owned).collect(),
        }
    }

    fn shown(options: &LambdaOptions) -> String {
        let region = region(options).unwrap_or_default();
        url(options, &region).unwrap().to_string()
    }

    #[test]
    fn a_function_is_found_by_its_name_or_its_arn_in_its_region() {
        let home = [("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "us-east-2")];
        let path = "/2015-03-31/functions/build/invocations";
        assert_eq!(
            shown(&options("build", &home)),
            format!("https://lambda.eu-west-1.amazonaws.com{path}")
        );
        let arn = options("arn:aws-cn:lambda:cn-north-1:123456789012:function:build", &home);
        assert_eq!(
            shown(&arn),
            "https://lambda.cn-north-1.amazonaws.com.cn/2015-03-31/functions/\
             arn%3Aaws-cn%3Alambda%3Acn-north-1%3A123456789012%3Afunction%3Abuild/invocations"
        );
        let elsewhere = [("AWS_ENDPOINT_URL", "http://stand-in:4566/")];
        let named = LambdaOptions {
            qualifier: Some("$LATEST".to_owned()),
            region: Some("us-east-1".to_owned()),
            ..options("build", &elsewhere)
        };
        assert_eq!(shown(&named), format!("http://stand-in:4566{path}?Qualifier=%24LATEST"));
        let told = LambdaOptions { endpoint: Some("http://told/x".parse().unwrap()), ..named };
        assert_eq!(shown(&told), format!("http://told/x{path}?Qualifier=%24LATEST"));
        assert_eq!(region(&options("build", &[])), None);
    }

    #[test]
    fn what_is_too_large_is_told_before_the_call() {
        let sync = options("build", &[]);
        assert_eq!(too_large(6 << 20, &sync), None);
        let told = too_large((6 << 20) + 1, &sync).unwrap();
        assert!(told.contains("6291457 bytes") && told.contains("inline_context"), "{told}");
        let queued = LambdaOptions { invocation: Invocation::Async, ..sync };
        assert_eq!(too_large(1 << 20, &queued), None);
        assert!(too_large((1 << 20) + 1, &queued).is_some());
    }
}
