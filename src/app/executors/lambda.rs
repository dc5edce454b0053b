//! From the configuration to an executor that invokes a Lambda function.

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::{ExecutorConfig, LambdaExecutorConfig};
use crate::executor::DurableExecutor;
use crate::webhook::Secret;

#[cfg(not(feature = "lambda"))]
pub(super) fn executor(
    _: &ExecutorConfig,
    _: &LambdaExecutorConfig,
    _: Option<&Secret>,
    _: &str,
    _: &Arc<dyn Clock>,
) -> Result<Arc<dyn DurableExecutor>, String> {
    let why = "this program was built without it: build it with the cargo feature `lambda`";
    Err(why.to_owned())
}

/// The executor, whose functions call back at `base`.
#[cfg(feature = "lambda")]
pub(super) fn executor(
    executor: &ExecutorConfig,
    lambda: &LambdaExecutorConfig,
    secret: Option<&Secret>,
    base: &str,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn DurableExecutor>, String> {
    use crate::app::millis;
    use crate::config::LambdaInvocation;
    use crate::executor::{Invocation, LambdaExecutor, LambdaOptions};

    let endpoint = lambda.endpoint.as_deref().map(str::parse).transpose();
    let options = LambdaOptions {
        function: lambda.function.clone(),
        qualifier: lambda.qualifier.clone(),
        region: lambda.region.clone(),
        endpoint: endpoint.map_err(|error| format!("its endpoint: {error}"))?,
        invocation: match lambda.invocation {
            LambdaInvocation::Sync => Invocation::Sync,
            LambdaInvocation::Async => Invocation::Async,
        },
        credentials: credentials(lambda, secret)?,
        inline_context: lambda.inline_context,
        connect_timeout: millis(lambda.connect_timeout_ms),
        function_timeout: millis(lambda.function_timeout_ms),
        margin: MARGIN,
        private_addresses: lambda.private_addresses,
        tries_max: lambda.tries_max,
        backoff: millis(lambda.backoff_ms),
        retry_after_max: millis(lambda.retry_after_max_ms),
        heartbeat: lambda.heartbeat_ms.map(millis),
        max_concurrent: executor.max_concurrent.into(),
        callback_base: base.to_owned(),
        variables: variables(),
    };
    let made = LambdaExecutor::new(&*executor.name, options, Arc::clone(clock));
    Ok(Arc::new(made.map_err(|error| error.to_string())?))
}

/// What a call may take beside the function's own time.
#[cfg(feature = "lambda")]
const MARGIN: std::time::Duration = std::time::Duration::from_secs(20);

#[cfg(feature = "lambda")]
fn credentials(
    lambda: &LambdaExecutorConfig,
    secret: Option<&Secret>,
) -> Result<crate::executor::LambdaCredentials, String> {
    use crate::config::LambdaCredentialsConfig as From;
    use crate::executor::LambdaCredentials as To;

    Ok(match &lambda.credentials {
        From::Auto => To::Auto,
        From::Environment => To::Environment,
        From::WebIdentity => To::WebIdentity,
        From::Container => To::Container,
        From::Instance => To::Instance,
        From::Keys { id, .. } => To::keys(id, super::text(secret)?),
    })
}

/// The variables that AWS's own programs read; one that is no text is none of them.
#[cfg(feature = "lambda")]
fn variables() -> std::collections::BTreeMap<String, String> {
    let all = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok().filter(|name| name.starts_with("AWS_"))?;
        Some((name, value.into_string().ok()?))
    });
    all.collect()
}
