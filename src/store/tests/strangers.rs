//! Jobs of strangers that an older program stored, whose classes do not say so.

use std::sync::Arc;

use super::fixture::{self, Opened, on_both};
use crate::model::{Change, ClassId, Job, JobSpec, Marks, Trust, TrustLevel};
use crate::store::connection::Kind;

/// The part of the migration that looks after them.
fn mends(on: Kind) -> &'static str {
    let text = match on {
        Kind::Sqlite => include_str!("../../../migrations/sqlite/0014_succession.sql"),
        Kind::Postgres => include_str!("../../../migrations/postgres/0015_succession.sql"),
    };
    let (_, mends) = text.split_once("-- Jobs of strangers").unwrap();
    mends.split_once('\n').unwrap().1
}

fn job(id: i64, class_id: i64, level: TrustLevel) -> Change {
    let Change::JobInserted { job, spec, edges } = fixture::new_job(fixture::job(id, 1), &[])
    else {
        unreachable!()
    };
    let job = Job { class_id: ClassId(class_id), ..job };
    let spec = Arc::new(JobSpec { trust: Trust::new(level, "so"), ..(*spec).clone() });
    Change::JobInserted { job, spec, edges }
}

async fn a_stored_job_of_a_stranger_gets_the_class_that_says_so(on: Kind) {
    use TrustLevel::{Trusted, Unknown, Untrusted};
    let mut opened = Opened::new(on).await;
    let mut changes = vec![Change::WorkloadInserted(fixture::workload(1))];
    for id in [7, 8] {
        let mut class = fixture::class(id);
        class.requirements.labels.push(format!("l{id}").into());
        changes.push(Change::ClassInserted(class));
    }
    let all = [(1, 7, Trusted), (2, 7, Untrusted), (3, 8, Unknown), (4, 8, Trusted)];
    changes.extend(all.map(|(id, class, level)| job(id, class, level)));
    opened.write(&changes).await.unwrap();
    opened.raw("UPDATE leader SET next_class = 20").await;
    // Twice: what was mended is left alone.
    for _ in 0..2 {
        opened.raw(mends(on)).await;
        let snapshot = opened.load().await;
        let classes: Vec<_> = snapshot.jobs.iter().map(|job| (job.id.0, job.class_id.0)).collect();
        assert_eq!(classes, [(1, 7), (2, 20), (3, 21), (4, 8)]);
        assert_eq!(snapshot.marks, Marks { next_class: 22, ..snapshot.marks });
        let of = |id: i64| {
            let class = snapshot.classes.iter().find(|it| it.id == ClassId(id)).unwrap();
            (class.requirements.untrusted, class.requirements.labels.len())
        };
        assert_eq!([7, 20, 8, 21].map(of), [(false, 2), (true, 2), (false, 2), (true, 2)]);
    }
}

on_both!(a_stored_job_of_a_stranger_gets_the_class_that_says_so);
