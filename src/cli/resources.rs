//! `resources`: named, counted things, with who holds which unit.

use clap::Args;

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::list::or_dash;
use super::table::{fields, page, rows};
use super::time::age;
use crate::api::wire::{Glance, HeldUnit, ResourceView};

/// Which resources.
#[derive(Clone, Debug, Args)]
pub struct ResourcesArgs {
    /// One resource, with all its units
    name: Option<String>,
    /// The most rows to show
    #[arg(long, value_name = "N", conflicts_with = "name")]
    limit: Option<u32>,
}

pub(super) async fn run(
    args: ResourcesArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    if let Some(name) = args.name {
        let answer = client.get(&["resources", &name], &[]).await?;
        return console.show(&answer, detail);
    }
    let limit = args.limit.map(|limit| ("limit", limit.to_string()));
    let answer = client.get(&["resources"], limit.as_slice()).await?;
    console.show(&answer, |glance, _| many(glance))
}

fn many(glance: &Glance<ResourceView>) -> String {
    let lines = glance.items.iter().map(|it| {
        vec![
            it.name.clone(),
            format!("{} of {}", it.held.len(), it.units),
            it.waiting.to_string(),
            next(it),
        ]
    });
    let header = ["RESOURCE", "HELD", "WAITING", "KEPT FOR"];
    let nothing = "no resources: name them in [resources] of the server's configuration";
    page([rows(&header, lines, nothing), further(glance)])
}

/// How many are not shown.
pub(super) fn further<T>(glance: &Glance<T>) -> String {
    match glance.total.saturating_sub(glance.items.len() as u64) {
        0 => String::new(),
        more => format!("{more} more: ask with --limit"),
    }
}

fn next(resource: &ResourceView) -> String {
    match resource.reserved_for {
        Some(job) => format!("job {job}"),
        None if resource.reserved => "another tenant's job".to_owned(),
        None => "-".to_owned(),
    }
}

fn detail(resource: &ResourceView, now_ms: i64) -> String {
    let glance = fields([
        ("resource", resource.name.clone()),
        ("units", resource.units.to_string()),
        ("held", resource.held.len().to_string()),
        ("waiting", resource.waiting.to_string()),
        ("next kept for", next(resource)),
    ]);
    let lines = resource.held.iter().map(|unit| line(unit, now_ms));
    let header = ["UNIT", "JOB", "NAME", "WORKLOAD", "RUNNER", "HELD FOR"];
    page([glance, rows(&header, lines, "")])
}

fn line(unit: &HeldUnit, now_ms: i64) -> Vec<String> {
    let since = age(now_ms, unit.since_ms);
    let Some(holder) = &unit.holder else {
        let another = ["-", "another tenant's", "-", "-"].map(str::to_owned);
        return [vec![unit.index.to_string()], another.to_vec(), vec![since]].concat();
    };
    vec![
        unit.index.to_string(),
        holder.job_id.to_string(),
        holder.job.clone(),
        format!("{} ({})", holder.workload, holder.workload_id),
        or_dash(holder.runner_id),
        since,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::Holder;
    use crate::model::{JobId, RunnerId, WorkloadId};

    #[test]
    fn units_show_their_holders_and_hide_another_tenants() {
        let holder = Holder {
            job_id: JobId(7),
            job: "build".to_owned(),
            workload_id: WorkloadId(3),
            workload: "ci".to_owned(),
            runner_id: Some(RunnerId(1)),
        };
        let resource = ResourceView {
            name: "licence".to_owned(),
            units: 3,
            held: vec![
                HeldUnit { index: 0, since_ms: 0, holder: Some(holder) },
                HeldUnit { index: 2, since_ms: 4_000, holder: None },
            ],
            waiting: 4,
            reserved: true,
            reserved_for: Some(JobId(9)),
        };
        insta::assert_snapshot!(detail(&resource, 5_000), @r#"
        resource       licence
        units          3
        held           2
        waiting        4
        next kept for  job 9

        UNIT  JOB  NAME              WORKLOAD  RUNNER  HELD FOR
        0     7    build             ci (3)    1       5s
        2     -    another tenant's  -         -       1s
        "#);
        let hidden = ResourceView { reserved_for: None, ..resource };
        insta::assert_snapshot!(many(&Glance { items: vec![hidden], total: 2 }), @r#"
        RESOURCE  HELD    WAITING  KEPT FOR
        licence   2 of 3  4        another tenant's job

        1 more: ask with --limit
        "#);
    }
}
