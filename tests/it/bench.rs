//! `bench`: small measurements give figures that make sense, and odd arguments are refused.

use dispatchyard::bench::{CoreReport, LifecycleReport};
use dispatchyard::cli::bench::{FleetReport, HttpReport, SessionsReport};
use serde::de::DeserializeOwned;

use crate::support::command::{Said, run};

async fn bench(line: &str) -> Said {
    run(["bench"].into_iter().chain(line.split(' '))).await
}

/// Measures below a folder of its own.
async fn measured<T: DeserializeOwned>(line: &str) -> T {
    let folder = tempfile::tempdir().unwrap();
    let words = ["-o", "json", "bench"].into_iter().chain(line.split(' '));
    let said = run(words.chain(["--dir", folder.path().to_str().unwrap()])).await;
    assert_eq!(said.code(), 0, "{said:?}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "what was made for it is gone: {left:?}");
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

#[tokio::test]
async fn a_small_core_is_measured_as_a_table_and_as_json() {
    let line = "core --jobs 500 --runners 40 --classes 10 --tenants 5 --decisions 20 --rounds 1";
    let table = bench(line).await;
    assert_eq!(table.code(), 0, "{table:?}");
    for words in
        ["500 waiting, 40 registered", "heartbeats/s", "complete -> next assignment", "P99 US"]
    {
        assert!(table.out.contains(words), "no `{words}` in {}", table.out);
    }
    let json = bench(&format!("{line} -o json")).await.json();
    let report: CoreReport = serde_json::from_value(json).unwrap();
    assert_eq!((report.size.jobs, report.rounds, report.decisions.len()), (500, 1, 8));
    assert!(report.decisions.iter().all(|it| it.decisions > 0 && it.p50_us <= it.max_us));
}

#[tokio::test]
async fn lifecycles_are_measured_in_a_folder_that_goes_away() {
    let report: LifecycleReport =
        measured("lifecycle --clients 2,4 --lifecycles 2 --rounds 2").await;
    let counted: Vec<_> = report.rows.iter().map(|row| (row.clients, row.lifecycles)).collect();
    assert_eq!(counted, [(2, 8), (4, 16)]);
}

#[tokio::test]
async fn webhooks_are_measured_to_the_runners_of_a_server_of_its_own() {
    let line = "http --rate 20 --seconds 1 --runners 2 --connections 2";
    let report: HttpReport = measured(line).await;
    let became = [report.not_accepted, report.undecided, report.lost];
    assert_eq!((report.deliveries, became, report.refused), (20, [0; 3], 0), "{report:?}");
    assert!(report.to_runner_ms.p50 > 0.0 && report.accepted_per_s > 0.0, "{report:?}");
    assert!(report.commands_per_transaction > 0.0, "{report:?}");
}

#[tokio::test]
async fn a_fleet_loses_no_job_though_runners_die() {
    let line = "fleet --runners 10 --leases 40 --run-ms 200 --seconds 2 --deaths-percent 100 \
                --lease-ms 3000";
    let report: FleetReport = measured(line).await;
    assert!(report.deaths >= 1 && report.submitted > 40, "{report:?}");
    assert_eq!((report.completed, report.completed_twice), (report.submitted, 0), "{report:?}");
}

#[tokio::test]
async fn an_agents_waits_are_measured_with_a_real_runner() {
    let report: SessionsReport = measured("sessions --rounds 2").await;
    let ranges = [report.comment_to_agent_ms, report.message_to_agent_ms];
    assert!(ranges.iter().all(|it| 0.0 < it.min && it.min <= it.median), "{report:?}");
    assert_eq!(report.rounds, 2);
}

#[tokio::test]
async fn odd_arguments_are_refused_with_what_to_type_instead() {
    for (line, word) in [
        ("core --jobs 0", "--jobs"),
        ("core --runners 5 --classes 6", "5 runners cannot serve 6 classes"),
        ("lifecycle --clients 0", "--clients"),
        ("lifecycle --dir /no/such/folder", "/no/such/folder"),
        ("http --rate 0", "--rate"),
        ("http --large-percent 101", "--large-percent"),
        ("http --running-server", "--secret-file"),
        ("http --pool fast", "--running-server"),
        ("sessions --rounds 0", "--rounds"),
        ("fleet --runners 9 --leases 8", "8 leases are fewer than 9 runners"),
        ("everything", "everything"),
    ] {
        let said = bench(line).await;
        assert_eq!(said.code(), 2, "{line}: {said:?}");
        assert!(said.err.contains(word), "{line}: no `{word}` in {}", said.err);
    }
    let nobody = bench("fleet --running-server --server http://127.0.0.1:1").await;
    assert!(nobody.code() == 2 && nobody.err.contains("http://127.0.0.1:1"), "{nobody:?}");
}
