//! Routes, as people meet them: rules decide about submitted jobs, say which of them would, and count.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::command::cli;
use crate::support::fake_runner::job;
use crate::support::home::{ADMIN_TOKEN, token};
use crate::support::{Server, Setup};

const ROUTES: &str = r#"
[tenants.acme]
[agent_pools.fast]
[[route]]
name = "others"
match = "acme::**"
priority = "low"
[[route]]
name = "training"
match = "default::workflow::ml::**"
pools = ["fast"]
labels = ["gpu"]
running_max = 2
"#;

#[tokio::test]
async fn a_rule_decides_about_jobs_says_so_and_counts_them() {
    let server = Server::start(&Setup::default().more(ROUTES)).await;
    let body = json!({ "name": "train", "namespace": "ml", "jobs": [job("a"), job("b")] });
    let made: Value = server.api.done("/workloads", body).await;
    let id = made["workload_id"].as_i64().unwrap();
    let workload: Value = server.api.get(&format!("/workloads/{id}")).await;
    let job_id = workload["jobs"][0]["id"].as_i64().unwrap();
    let detail: Value = server.api.get(&format!("/jobs/{job_id}")).await;
    assert_eq!(detail["pools"], json!(["fast"]), "{detail}");
    assert_eq!(detail["requirements"]["labels"], json!(["gpu", "x"]));
    assert_eq!(detail["terms"]["namespace"], "ml");
    server.api.submit(json!([job("a")])).await;

    let routes: Value = server.api.get("/routes").await;
    let counts =
        (&routes["items"][0]["jobs"], &routes["items"][1]["jobs"], &routes["default_jobs"]);
    assert_eq!(counts, (&json!(0), &json!(2), &json!(1)), "{routes}");
    let said = cli(&server, "routes").await;
    assert!(said.out.contains("pools fast; labels gpu; at most 2 at once"), "{said:?}");
    let said = cli(&server, "try route default::workflow::ml::train::a").await;
    for words in ["training (default::workflow::ml::**)", "others", "`acme` finds no place in it"] {
        assert!(said.out.contains(words), "no `{words}` in {said:?}");
    }
    let said = cli(&server, "try route default::agent::x::a").await;
    assert!(said.out.contains("the default: no route matches"), "{said:?}");
    let said = cli(&server, "try route build").await;
    assert!(said.code() != 0 && said.err.contains("has 1 segments"), "{said:?}");
}

#[tokio::test]
async fn a_tenant_sees_the_rules_about_its_own_jobs() {
    let setup =
        Setup::default().tokens().more(ROUTES).token("acme-viewer", "viewer", "tenant = \"acme\"");
    let server = Server::start(&setup).await;
    let names = async |secret: &str| -> Vec<String> {
        let routes: Value = server.api.with_token(secret).get("/routes").await;
        let items = routes["items"].as_array().unwrap();
        items.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(ADMIN_TOKEN).await, ["others", "training"]);
    let secret = token("acme-viewer");
    assert_eq!(names(&secret).await, ["others"]);
    let acme = server.api.with_token(&secret);
    let own: Value = acme.get("/routes/try?name=acme::workflow::a::b").await;
    assert_eq!(own["route"]["name"], "others");
    let other = acme.ask(Method::GET, "/routes/try?name=default::workflow::a::b", None).await;
    assert_eq!(other.problem().0, 404);
}

#[tokio::test]
async fn a_namespace_with_an_empty_name_is_refused() {
    let server = Server::start(&Setup::default()).await;
    let body = json!({ "name": "w", "namespace": "ml::", "jobs": [job("a")] });
    let answer = server.api.post("/workloads", body).await;
    let text = answer.json::<Value>().to_string();
    assert!(answer.problem().0 == 422 && text.contains("namespace"), "{text}");
}
