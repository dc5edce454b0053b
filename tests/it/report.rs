//! Reports, histories and metrics of a server that has done some work.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use dispatchyard::api::wire::{
    HistoryView, QueueView, ReportRow, ReportView, SlaFigures, StatusView,
};
use dispatchyard::app::AppOptions;
use dispatchyard::clock::{Clock, SystemClock};
use dispatchyard::model::{JobStateKind, Now};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::command::run;
use crate::support::fake_runner::{job_with, registration};
use crate::support::home::{ADMIN_TOKEN, REGISTRATION_TOKEN, token};
use crate::support::sse::Stream;
use crate::support::{FakeRunner, Server, Setup, on_both, until};

const TENANTS: &str = r#"
[tenants.acme]
[agent_pools.fast]
cost_per_hour = 720000
"#;

fn with_tenants(setup: Setup) -> Setup {
    let of = |tenant: &str| format!("tenant = \"{tenant}\"");
    setup.patient().tokens().more(TENANTS).token("acme-ops", "operator", &of("acme")).token(
        "default-ops",
        "operator",
        &of("default"),
    )
}

fn row<'a>(rows: &'a Option<Vec<ReportRow>>, name: Option<&str>) -> &'a ReportRow {
    let rows = rows.as_ref().unwrap();
    rows.iter().find(|row| row.name.as_deref() == name).unwrap_or_else(|| panic!("{rows:?}"))
}

async fn a_report_counts_what_ended_by_tenant_pool_and_trigger(setup: Setup) {
    let server = Server::start(&with_tenants(setup)).await;
    let admin = server.api.with_token(ADMIN_TOKEN);
    let acme = server.api.with_token(token("acme-ops"));
    let default = server.api.with_token(token("default-ops"));
    let mut hello = registration("r", &["x", "self-hosted"], 2);
    hello["pool"] = "fast".into();
    let registrar = server.api.with_token(REGISTRATION_TOKEN);
    let runner = FakeRunner::with_request(&registrar, hello).await;

    // acme: one fails and is tried again, one is late, and one is skipped for the failure.
    let in_pool = |name: &str, mut more: Value| {
        more["pool"] = "fast".into();
        job_with(name, more)
    };
    let jobs = json!([
        in_pool("tried", json!({ "max_retries": 1 })),
        in_pool("late", json!({ "max_wait": "1ms" })),
        in_pool("after", json!({ "needs": ["tried"] })),
    ]);
    let (_, ids) = acme.submit(jobs).await;
    until("the jobs have waited for a while", async || {
        let queue: QueueView = acme.get("/queue").await;
        (queue.metrics.oldest_job_age_seconds > 0.005).then_some(())
    })
    .await;
    let mut given = Vec::new();
    while given.len() < 2 {
        given.extend(runner.ask(json!({ "wait_ms": 20_000 })).await.jobs);
    }
    for job in &given {
        runner.start(job).await;
    }
    let of = |name: &str| given.iter().find(|job| job.name == name).unwrap();
    runner.fail(of("tried")).await;
    runner.complete(of("late")).await;
    let again = runner.begin().await;
    runner.fail(&again).await;
    acme.job_is(ids[2], JobStateKind::Skipped).await;
    let history: HistoryView = acme.get(&format!("/jobs/{}/records", ids[2])).await;
    let told: Vec<_> = history.items.iter().map(|record| record.name.as_str()).collect();
    assert_eq!(told, ["job.queued", "job.skipped"]);
    // The default tenant: what a trigger starts, in its first job.
    let delivered = server.hook().push("d-1").await;
    assert_eq!(delivered.workloads.len(), 1);
    let other = default.submit(json!([in_pool("other", json!({}))])).await;
    let others = runner.begin().await;
    assert_eq!(others.job_id, other.1[0]);
    runner.complete(&others).await;

    let report: ReportView = admin.get("/report").await;
    assert!(report.complete && report.covers_since_ms == report.since_ms);
    let total = &report.total;
    let ends = (total.jobs_ended, total.completed, total.failed, total.skipped);
    assert_eq!(ends, (4, 2, 1, 1), "{report:?}");
    assert_eq!(total.retries, [("failed".to_owned(), 1)].into());
    assert_eq!((total.attempts, total.run_ms.count), (4, 4));
    assert_eq!(total.sla, SlaFigures { jobs: 1, met: 0, share: Some(0.0) });
    let own = &row(&report.tenants, Some("acme")).figures;
    assert_eq!((own.jobs_ended, own.failure_share), (3, Some(0.5)));
    assert_eq!(row(&report.tenants, Some("default")).figures.completed, 1);
    let fast = &row(&report.pools, Some("fast")).figures;
    assert_eq!(fast.jobs_ended, 3);
    // A millisecond of one of the two slots costs a tenth of a unit of the currency.
    let cost = fast.runner_minutes * 60_000.0 * 100_000.0;
    assert!((fast.cost_micros as f64 - cost).abs() <= 1.0, "{fast:?}");
    assert_eq!(row(&report.pools, None).figures.skipped, 1);
    assert_eq!(row(&report.triggers, None).figures.jobs_ended, 4);

    // Who is limited to a tenant sees its own.
    let own: ReportView = acme.get("/report?by=tenant").await;
    assert_eq!(own.total.jobs_ended, 3);
    assert_eq!(own.tenants.as_ref().map(Vec::len), Some(1));
    assert!(own.pools.is_none() && own.triggers.is_none());

    // A name that is no longer configured is still shown.
    let home = server.stop().await;
    let file = home.config_file();
    let text = std::fs::read_to_string(&file).unwrap();
    let without = text.replace("[tenants.acme]", "[tenants.new]").replace("\"acme\"", "\"new\"");
    std::fs::write(&file, without).unwrap();
    let server = Server::again(home).await;
    let admin = server.api.with_token(ADMIN_TOKEN);
    let report: ReportView = admin.get("/report?by=tenant").await;
    assert_eq!(row(&report.tenants, Some("acme")).figures.jobs_ended, 3);

    // Bad questions are told apart from empty answers.
    for (query, why) in [
        ("since_ms=banana", "since_ms"),
        ("since_ms=5&until_ms=5", "is not before until_ms"),
        ("since_ms=0", "report_days_max"),
        ("by=colour", "by"),
        ("since=7d", "since"),
    ] {
        let answer = admin.ask(Method::GET, &format!("/report?{query}"), None).await;
        assert_eq!(answer.problem().0, 400, "{query}");
        assert!(answer.text.contains(why), "{query}: {}", answer.text);
    }
    let file = server.home.file("admin-token");
    let cli = |line: &'static str| {
        let words = ["--server", server.api.base(), "--token-file", file.to_str().unwrap()];
        run(words.into_iter().chain(line.split(' ')).map(str::to_owned).collect::<Vec<_>>())
    };
    let said = cli("report --since 1d").await;
    assert_eq!(said.code(), 0, "{said:?}");
    assert!(said.out.contains("acme") && said.out.contains("(no runner)"), "{}", said.out);
    for line in ["report --since banana", "report --since 1h --until 2h", "report --since 400d"] {
        let said = cli(line).await;
        assert_ne!(said.code(), 0, "{line}: {said:?}");
    }
}

/// A clock on which time flies whenever somebody looks.
struct Flying(SystemClock, AtomicI64);

impl Clock for Flying {
    fn now(&self) -> Now {
        let now = self.0.now();
        Now { mono_ms: now.mono_ms + self.1.fetch_add(2, Ordering::Relaxed), ..now }
    }
}

#[tokio::test]
async fn a_report_that_has_no_time_says_what_it_covers() {
    let clock = Arc::new(Flying(SystemClock::new(), AtomicI64::new(0)));
    let options = AppOptions { clock, ..AppOptions::default() };
    let server = Server::with(&Setup::default().patient().limit("report_ms_max", 1), options).await;
    let report: ReportView = server.api.get("/report").await;
    assert!(!report.complete);
    assert_eq!(report.covers_since_ms, report.until_ms);
}

#[tokio::test]
async fn the_history_of_a_job_is_read_and_followed() {
    let server = Server::start(&Setup::default().patient()).await;
    let runner = FakeRunner::with_slots(&server.api, "r", &["x"], 2).await;
    let (_, ids) = server.api.submit(json!([job_with("a", json!({ "max_retries": 1 }))])).await;
    let mut stream = Stream::open(&server.api, &format!("/stream?job={}", ids[0]), None).await;
    server.api.submit(json!([job_with("b", json!({ "max_retries": 0 }))])).await;
    let mut given = Vec::new();
    while given.len() < 2 {
        given.extend(runner.ask(json!({ "wait_ms": 20_000 })).await.jobs);
    }
    for job in &given {
        runner.start(job).await;
        runner.fail(job).await;
    }
    let again = runner.begin().await;
    runner.complete(&again).await;

    let followed = stream.up_to("job.completed").await;
    let told: Vec<_> = followed.iter().map(|event| event.event.as_str()).collect();
    let tried = ["job.assigned", "job.started", "job.requeued", "job.assigned", "job.started"];
    assert_eq!(told, [&tried[..], &["job.completed"]].concat());

    let history: HistoryView = server.api.get(&format!("/jobs/{}/records", ids[0])).await;
    let told: Vec<_> = history.items.iter().map(|record| record.name.as_str()).collect();
    assert_eq!(told, [&["job.queued"], &tried[..], &["job.completed"]].concat());
    assert!(history.items.iter().all(|record| record.job_id == Some(ids[0])));
    let job = server.api.job(ids[0]).await;
    let attempts: Vec<_> = job.attempts.iter().map(|it| (&*it.pool, it.ran_ms.is_some())).collect();
    assert_eq!(attempts, [("default", true), ("default", true)]);
    for path in ["/jobs/999/records", "/stream?job=999", "/stream?workload=999"] {
        assert_eq!(server.api.ask(Method::GET, path, None).await.status, 404, "{path}");
    }
    let answer = server.api.ask(Method::GET, "/stream?job=a", None).await;
    assert_eq!(answer.problem().0, 400);
}

async fn metrics_and_views_show_the_queue_by_pool_and_level(setup: Setup) {
    let setup = setup.patient().more(TENANTS).scheduler("unschedulable_after_ms", 0);
    let server = Server::start(&setup).await;
    let runner = FakeRunner::with_slots(&server.api, "r", &["x"], 2).await;
    server.api.submit(json!([job_with("a", json!({ "max_wait": "1ms" }))])).await;
    let fast = job_with("b", json!({ "pool": "fast", "priority": "high" }));
    let (_, fast) = server.api.submit(json!([fast])).await;
    server.api.job_is_marked(fast[0]).await;
    until("the first has waited for a while", async || {
        let queue: QueueView = server.api.get("/queue").await;
        (queue.metrics.oldest_job_age_seconds > 0.005).then_some(())
    })
    .await;
    let assignment = runner.begin().await;
    runner.complete(&assignment).await;
    // The queue has to have an age that is no longer zero.
    let scraped = until("the scrape shows it all", async || {
        let answer = server.api.request(Method::GET, "/metrics").send().await.ok()?;
        let text = answer.text().await.ok()?;
        let oldest = r#"dispatchyard_queue_oldest_seconds{pool="fast",priority="high"} 0."#;
        text.contains(oldest).then_some(text)
    })
    .await;
    for line in [
        r#"queue_jobs{pool="fast",priority="high"} 1"#,
        r#"queue_jobs{pool="default",priority="normal"} 0"#,
        r#"job_wait_seconds_count{pool="default",priority="normal"} 1"#,
        r#"job_run_seconds_count{pool="default"} 1"#,
        r#"assignments_total{pool="default",outcome="offered"} 1"#,
        r#"assignments_total{pool="default",outcome="started"} 1"#,
        r#"sla_misses_total{pool="default",tenant="default",promise="max_wait"} 1"#,
        r#"unschedulable_jobs 1"#,
        r#"pool_slots{pool="default"} 2"#,
        r#"pool_runners{pool="fast",state="online"} 0"#,
        r#"tenant_jobs{tenant="default",state="waiting"} 1"#,
        r#"tenant_work_ratio{tenant="acme"} 0.0"#,
    ] {
        assert!(scraped.contains(&format!("dispatchyard_{line}\n")), "no `{line}` in {scraped}");
    }
    let queue: QueueView = server.api.get("/queue").await;
    let pools: Vec<_> =
        queue.pools.iter().map(|pool| (&*pool.name, pool.metrics.high_jobs)).collect();
    assert_eq!(pools, [("default", 0), ("fast", 1)]);
    let status: StatusView = server.api.get("/status").await;
    assert_eq!((status.queue.total_jobs, status.queue_size), (1, 1));
    let waiting = |name: &str| {
        let pool = status.pools.iter().find(|pool| pool.name == name).unwrap();
        pool.queue.as_ref().unwrap().total_jobs
    };
    assert_eq!((waiting("default"), waiting("fast")), (0, 1));
    assert!(server.api.runner(runner.id).await.utilization.busy_share <= 1.0);
}

on_both!(
    a_report_counts_what_ended_by_tenant_pool_and_trigger,
    metrics_and_views_show_the_queue_by_pool_and_level,
);
