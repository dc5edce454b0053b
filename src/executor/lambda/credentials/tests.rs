//! Each source against a stand-in on loopback, and when keys are fetched again.

use std::sync::Mutex;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::*;
use crate::clock::ManualClock;
use crate::model::Now;

/// The time of all these tests: 2026-01-01T00:00:00Z.
const NOW_MS: i64 = 1_767_225_600_000;

/// A request as the stand-in has it: method and path, headers, body.
type Asked = (String, axum::http::HeaderMap, String);

/// Answers by method and path, and keeps what it was asked.
#[derive(Clone, Default)]
struct StandIn {
    answers: Arc<BTreeMap<&'static str, (u16, String)>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl StandIn {
    async fn start(answers: &[(&'static str, u16, &str)]) -> (Self, String) {
        let answers =
            answers.iter().map(|(what, status, body)| (*what, (*status, (*body).to_owned())));
        let it = Self { answers: Arc::new(answers.collect()), ..Self::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(answer).with_state(it.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (it, base)
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(State(it): State<StandIn>, request: Request) -> Response {
    let what = format!("{} {}", request.method(), request.uri().path());
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    it.asked.lock().unwrap().push((what.clone(), parts.headers, body));
    let (status, body) = it.answers.get(&*what).cloned().unwrap_or((404, String::new()));
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Now { mono_ms: 0, wall_ms: NOW_MS }))
}

fn keeper(choice: &LambdaCredentials, variables: &[(&str, &str)]) -> Result<Keeper, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Keeper::new(choice, &variables.iter().map(owned).collect(), "eu-west-1", clock())
}

async fn fetched(variables: &[(&str, &str)]) -> Result<Credentials, String> {
    keeper(&LambdaCredentials::Auto, variables)?.get().await
}

/// Keys as agents write them.
fn document(id: &str, end: &str) -> String {
    format!(
        r#"{{"Code": "Success", "AccessKeyId": "{id}", "SecretAccessKey": "s", "Token": "t", "Expiration": "{end}"}}"#
    )
}

#[tokio::test]
async fn the_environment_has_keys() {
    let variables = [("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "s")];
    let keys = fetched(&variables).await.unwrap();
    assert_eq!((keys.id.as_str(), keys.secret.as_str()), ("AKID", "s"));
    assert_eq!((keys.session.as_deref(), keys.ends_at_ms), (None, None));
    let error = fetched(&variables[..1]).await.unwrap_err();
    assert_eq!(error, "AWS_SECRET_ACCESS_KEY is not set");
}

#[tokio::test]
async fn a_container_asks_its_agent_with_a_token_that_is_read_each_time() {
    let good = document("AKID", "2026-01-01T06:00:00Z");
    let (agent, base) = StandIn::start(&[("GET /role", 200, &good)]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "first\n").unwrap();
    let uri = format!("{base}/role");
    let variables = [
        (container::FULL_URI, uri.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "less"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.to_str().unwrap()),
    ];
    let keeper = keeper(&LambdaCredentials::Auto, &variables).unwrap();
    let keys = keeper.get().await.unwrap();
    assert_eq!((keys.id.as_str(), keys.session.as_deref()), ("AKID", Some("t")));
    std::fs::write(&file, "second").unwrap();
    keeper.get().await.unwrap();
    assert_eq!(agent.asked().len(), 1, "they are kept while they are good");
    keeper.forget().await;
    keeper.get().await.unwrap();
    let tokens: Vec<_> = agent.asked().iter().map(|it| it.1["authorization"].clone()).collect();
    assert_eq!(tokens, ["first", "second"]);
    // A token must not be read on the way.
    for url in ["http://example.com/role", "http://10.0.0.1/role", "ftp://localhost/"] {
        assert!(full_is_refused(url), "{url}");
    }
    for url in ["https://example.com/", "http://[::1]/", "http://169.254.170.23/v1/credentials"] {
        assert!(!full_is_refused(url), "{url}");
    }
}

fn full_is_refused(url: &str) -> bool {
    keeper(&LambdaCredentials::Container, &[(container::FULL_URI, url)]).is_err()
}

#[tokio::test]
async fn an_identity_gets_keys_for_its_token() {
    let xml = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
               <SessionToken>t+/=</SessionToken><SecretAccessKey>s</SecretAccessKey>\
               <Expiration>2026-01-01T01:00:00Z</Expiration><AccessKeyId>ASIA</AccessKeyId>\
               </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
    let (sts, base) = StandIn::start(&[("POST /", 200, xml)]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "ey.J.w\n").unwrap();
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/ci"),
        ("AWS_ENDPOINT_URL_STS", base.as_str()),
    ];
    let keys = fetched(&variables).await.unwrap();
    assert_eq!((keys.id.as_str(), keys.session.as_deref()), ("ASIA", Some("t+/=")));
    assert_eq!(keys.ends_at_ms, Some(NOW_MS + 3_600_000));
    let form = sts.asked().remove(0).2;
    assert_eq!(
        form,
        format!(
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&\
             RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fci&\
             RoleSessionName=dispatchyard-{NOW_MS}&WebIdentityToken=ey.J.w"
        )
    );
    let (_, refusing) = StandIn::start(&[("POST /", 403, "<Code>AccessDenied</Code>")]).await;
    let refused = [variables[0], variables[1], ("AWS_ENDPOINT_URL_STS", refusing.as_str())];
    let error = fetched(&refused).await.unwrap_err();
    assert!(error.contains("403") && error.contains("AccessDenied"), "{error}");
    assert!(!error.contains("ey.J.w"), "{error}");
}

#[tokio::test]
async fn a_machine_asks_its_metadata_service_with_a_session() {
    let good = document("AKID", "2026-01-01T06:00:00Z");
    let role = "/latest/meta-data/iam/security-credentials/";
    let (service, base) = StandIn::start(&[
        ("PUT /latest/api/token", 200, "session"),
        ("GET /latest/meta-data/iam/security-credentials/", 200, "ci\n"),
        ("GET /latest/meta-data/iam/security-credentials/ci", 200, &good),
    ])
    .await;
    let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", base.as_str())];
    assert_eq!(fetched(&variables).await.unwrap().id, "AKID");
    let asked = service.asked();
    assert_eq!(asked[0].1["x-aws-ec2-metadata-token-ttl-seconds"], "60");
    assert_eq!((&asked[1].0, &asked[2].0), (&format!("GET {role}"), &format!("GET {role}ci")));
    assert!(asked[1..].iter().all(|it| it.1["x-aws-ec2-metadata-token"] == "session"));
    let disabled = [("AWS_EC2_METADATA_DISABLED", "true")];
    assert!(fetched(&disabled).await.is_err());
    // A machine without a role, and one whose role is broken.
    let (_, bare) = StandIn::start(&[("PUT /latest/api/token", 200, "session")]).await;
    let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", bare.as_str())];
    assert!(fetched(&variables).await.unwrap_err().contains("404"));
    let broken = r#"{"Code": "AssumeRoleUnauthorizedAccess", "Message": "m"}"#;
    let read = super::document::read(broken).unwrap_err();
    assert_eq!(read, "it says `AssumeRoleUnauthorizedAccess`");
    assert!(
        super::document::read("{\"AccessKeyId\": \"AKID").is_err_and(|it| !it.contains("AKID"))
    );
}

#[test]
fn the_first_that_the_environment_speaks_of_is_taken() {
    let chosen = |names: &[&str]| {
        let all = names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect();
        match Variables(&all).choose() {
            LambdaCredentials::Environment => "environment",
            LambdaCredentials::WebIdentity => "web_identity",
            LambdaCredentials::Container => "container",
            _ => "instance",
        }
    };
    let all = ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", container::RELATIVE_URI];
    assert_eq!(chosen(&all), "environment");
    assert_eq!(chosen(&all[1..]), "web_identity");
    assert_eq!(chosen(&all[2..]), "container");
    assert_eq!(chosen(&[container::FULL_URI]), "container");
    assert_eq!(chosen(&[]), "instance");
}

/// Gives keys as it is told to.
#[derive(Default)]
struct Giver {
    gives: Mutex<Option<(&'static str, i64)>>,
    asked: Mutex<usize>,
}

#[async_trait]
impl Source for Arc<Giver> {
    async fn fetch(&self) -> Result<Credentials, String> {
        *self.asked.lock().unwrap() += 1;
        let (id, end_ms) = self.gives.lock().unwrap().ok_or("nobody there")?;
        let (id, secret) = (id.to_owned(), "s".to_owned());
        Ok(Credentials { id, secret, session: None, ends_at_ms: Some(end_ms) })
    }
}

#[tokio::test]
async fn keys_are_fetched_again_before_they_end_and_used_while_that_fails() {
    let (giver, clock) = (Arc::new(Giver::default()), clock());
    let keeper = Keeper::of(Box::new(Arc::clone(&giver)), clock.clone());
    let gives = |what| *giver.gives.lock().unwrap() = what;
    let id = async || keeper.get().await.map(|keys| keys.id);
    let asked = || *giver.asked.lock().unwrap();
    assert_eq!(id().await.unwrap_err(), "its credentials: nobody there");
    gives(Some(("first", NOW_MS + 3_600_000)));
    assert_eq!(
        (id().await.unwrap(), id().await.unwrap(), asked()),
        ("first".into(), "first".into(), 2)
    );
    // Five minutes before their end.
    clock.advance(3_300_001);
    gives(None);
    assert_eq!(
        (id().await.unwrap(), id().await.unwrap(), asked()),
        ("first".into(), "first".into(), 3)
    );
    clock.advance(ASK_AGAIN_MS);
    gives(Some(("second", NOW_MS + 7_200_000)));
    assert_eq!((id().await.unwrap(), asked()), ("second".into(), 4));
    // Nobody gave others, and these have ended.
    gives(None);
    clock.advance(3_900_000);
    assert!(id().await.is_err());
    gives(Some(("old", NOW_MS)));
    assert_eq!(id().await.unwrap_err(), "its credentials: they have ended already");
}
