//! Executors, and who makes runners: what is read, and what is refused with its line.

use super::tenancy_tests::{read, refusal};
use super::{BreakerConfig, LambdaCredentialsConfig, LambdaInvocation, SecretRef};

#[test]
fn everything_that_an_executor_of_lambda_can_say_is_read_and_can_be_read_again() {
    let text = r#"
[[executor]]
name = "functions"
[executor.lambda]
function = "arn:aws:lambda:eu-west-1:123456789012:function:build"
qualifier = "$LATEST"
invocation = "async"
credentials = { keys = { id = "AKID", secret = { env = "KEY" } } }
heartbeat_ms = 5000
[executor.breaker]
failures_max = 2
[[executor]]
name = "others"
[executor.lambda]
function = "test"
credentials = "web_identity"
"#;
    let config = read(text).unwrap();
    let [first, second] = &config.executors[..] else { panic!("two") };
    let lambda = first.lambda.as_ref().unwrap();
    assert_eq!((lambda.invocation, lambda.function_timeout_ms), (LambdaInvocation::Async, 900_000));
    let secret = SecretRef::Env("KEY".to_owned());
    let keys = LambdaCredentialsConfig::Keys { id: "AKID".to_owned(), secret };
    assert_eq!(lambda.credentials, keys);
    assert_eq!(first.breaker, BreakerConfig { failures_max: 2, ..BreakerConfig::default() });
    let other = second.lambda.as_ref().unwrap();
    assert_eq!(other.credentials, LambdaCredentialsConfig::WebIdentity);
    assert_eq!(second.breaker, BreakerConfig::default());
    assert_eq!(read(&config.effective()).unwrap().executors, config.executors);
    let secrets = config.load_secrets(|name| Some(format!("the text of {name}"))).unwrap();
    assert_eq!(secrets.executors["functions"].bytes(), b"the text of KEY");
}

#[test]
fn what_is_no_executor_is_refused_with_its_line() {
    let text = r#"
[[executor]]
name = "none"
[[executor]]
name = "both"
[executor.http]
url = "https://farm.example/run"
[executor.lambda]
function = "build"
[[executor]]
name = "odd"
[executor.lambda]
function = "build/it"
qualifier = ""
region = "Europe, west"
endpoint = "lambda.local"
[executor.breaker]
open_ms = 5000
open_ms_max = 1000
"#;
    insta::assert_snapshot!(refusal(text), @r"
    d.toml:2:1: `executor.http`: the executor `none` says not what it is
      hint: write `[executor.http]` with a `url`, or another kind, below it
    d.toml:4:1: `executor.lambda`: the executor `both` is http and lambda
      hint: write two of them
    d.toml:10:1: `executor.lambda.function`: `build/it` is no name of a function, and no ARN of one
      hint: write `my-function`, or its ARN
    d.toml:10:1: `executor.lambda.qualifier`: `` is no version and no alias
      hint: write a number, `$LATEST`, or an alias
    d.toml:10:1: `executor.lambda.region`: `Europe, west` is no region
      hint: write `eu-west-1`
    d.toml:10:1: `executor.lambda.endpoint`: `lambda.local` is no URL
      hint: write `https://HOST`
    d.toml:10:1: `executor.breaker.open_ms`: 5000 is more than open_ms_max 1000
      hint: raise open_ms_max, or lower this one
    ");
    let of_breaker =
        "[[executor]]\nname = 'a'\nhttp = { url = 'https://a.b' }\nbreaker = { open_ms = 0 }";
    let refused = refusal(of_breaker);
    assert!(refused.contains("0 is out of range"), "{refused}");
    let of_lambda = "[[executor]]\nname = 'a'\nlambda = { function = 'a', invocation = 'later' }";
    let refused = refusal(of_lambda);
    assert!(refused.contains("later") && refused.contains("async"), "{refused}");
}

#[test]
fn a_provisioner_over_http_is_read_with_its_secret_and_refused_with_its_line() {
    let text = r#"
[[provisioner]]
name = "farm"
server_url = "https://yard.example"
[provisioner.http]
url = "https://farm.example/runners"
auth = { basic = { user = "yard", password = { env = "FARM" } } }
"#;
    let config = read(text).unwrap();
    let http = config.provisioners[0].http.as_ref().unwrap();
    assert_eq!((http.timeout_ms, http.connect_timeout_ms), (30_000, 2_000));
    assert_eq!(read(&config.effective()).unwrap().provisioners, config.provisioners);
    let secrets = config.load_secrets(|name| Some(format!("the text of {name}"))).unwrap();
    assert_eq!(secrets.provisioners["farm"].bytes(), b"the text of FARM");
    let text = r#"
[[provisioner]]
name = "farm"
[provisioner.http]
url = "me:hunter2@farm"
[[provisioner]]
name = "both"
process = {}
http = { url = "https://farm.example" }
"#;
    insta::assert_snapshot!(refusal(text), @r"
    d.toml:2:1: `provisioner.http.url`: `farm` is no URL
      hint: write `https://HOST/PATH`
    d.toml:6:1: `provisioner.name`: the provisioner `both` says not what it is
      hint: write one of `[provisioner.process]`, `[provisioner.http]`, `[provisioner.container]`, `[provisioner.kubernetes]` below it
    ");
}
