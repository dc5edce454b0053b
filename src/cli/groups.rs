//! `groups`: concurrency groups, with who is in and who waits.

use clap::Args;

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::list::joined;
use super::resources::further;
use super::table::{page, rows};
use crate::api::wire::{Glance, GroupMember, GroupView};

/// Which groups.
#[derive(Clone, Debug, Args)]
pub struct GroupsArgs {
    /// The most rows to show
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

pub(super) async fn run(
    args: GroupsArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let limit = args.limit.map(|limit| ("limit", limit.to_string()));
    let answer = client.get(&["groups"], limit.as_slice()).await?;
    console.show(&answer, |glance, _| table(glance))
}

fn table(glance: &Glance<GroupView>) -> String {
    let lines = glance.items.iter().map(|group| {
        vec![
            group.key.clone(),
            group.tenant.clone(),
            format!("{} of {}", group.holders.len(), group.limit),
            names(&group.holders, group.holders.len() as u64),
            names(&group.waiting, group.waiting_total),
        ]
    });
    let header = ["GROUP", "TENANT", "IN", "HOLDERS", "WAITING"];
    page([rows(&header, lines, "nobody is in a concurrency group"), further(glance)])
}

fn names(members: &[GroupMember], total: u64) -> String {
    let names = joined(members.iter().map(|member| &member.name));
    match total.saturating_sub(members.len() as u64) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::WorkloadId;

    #[test]
    fn a_group_shows_who_is_in_and_the_first_that_wait() {
        let member = |id: i64| GroupMember {
            workload_id: WorkloadId(id),
            job_id: None,
            name: format!("ci (workload {id})"),
        };
        let group = GroupView {
            key: "deploy".to_owned(),
            tenant: "acme".to_owned(),
            limit: 1,
            holders: vec![member(1)],
            waiting: vec![member(2)],
            waiting_total: 3,
        };
        insta::assert_snapshot!(table(&Glance { items: vec![group], total: 1 }), @r#"
        GROUP   TENANT  IN      HOLDERS          WAITING
        deploy  acme    1 of 1  ci (workload 1)  ci (workload 2) and 2 more
        "#);
    }
}
