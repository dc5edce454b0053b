//! Rows that this program would never have written.

use super::fixture::{self, Opened, on_both};
use crate::model::{Change, JobId};
use crate::store::connection::Kind;

async fn a_corrupt_row_is_named_by_table_column_and_row(on: Kind) {
    let cases = [
        ("UPDATE job SET state = 9", "table `job`, column `state`, row 5: unknown code 9"),
        ("UPDATE job SET state = 2", "column `lease_token`, row 5: is NULL in state claimed"),
        ("UPDATE job SET attempt = -1", "column `attempt`, row 5: -1 is no count"),
        ("UPDATE workload SET delivery_id = 'x'", "table `workload`, column `delivery_id`, row 1"),
        ("UPDATE runner SET capabilities = '{'", "table `runner`, column `capabilities`, row 4"),
        ("UPDATE class SET requirements = '7'", "table `class`, column `requirements`, row 1"),
        ("UPDATE workload SET begun = 7", "column `begun`, row 1: 7 is neither 0 nor 1"),
    ];
    for (damage, wanted) in cases {
        let mut opened = Opened::new(on).await;
        let changes = [
            Change::ClassInserted(fixture::class(1)),
            Change::WorkloadInserted(fixture::workload(1)),
            fixture::new_job(fixture::job(5, 1), &[]),
            Change::RunnerInserted(fixture::runner(4)),
        ];
        opened.write(&changes).await.unwrap();
        opened.ignore_checks().await;
        opened.raw(damage).await;
        let error = opened.writer.load("test", 9).await.unwrap_err();
        assert!(error.to_string().contains(wanted), "{damage}: {error}");
        assert!(!error.is_data());
    }
}

async fn a_read_of_a_corrupt_row_names_it_too(on: Kind) {
    let mut opened = Opened::new(on).await;
    opened.write(&[fixture::new_job(fixture::job(5, 1), &[])]).await.unwrap();
    opened.raw("UPDATE job_spec SET spec = 'no'").await;
    let error = opened.store.job_spec(JobId(5)).await.unwrap_err();
    assert!(error.to_string().contains("table `job_spec`, column `spec`, row 5"), "{error}");
    // A workload is not there at all.
    let error = opened.store.job_context(JobId(5)).await.unwrap_err();
    assert!(error.to_string().contains("job 5 refers to it"), "{error}");
}

on_both!(a_corrupt_row_is_named_by_table_column_and_row, a_read_of_a_corrupt_row_names_it_too,);
