//! `instances`: the servers that share the database.

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::list::or_dash;
use super::table::{page, rows};
use super::time::age;
use crate::api::wire::{InstanceView, List};

pub(super) async fn run(client: &Client, console: &mut Console) -> Result<(), CliError> {
    let answer = client.get(&["instances"], &[]).await?;
    console.show(&answer, table)
}

fn table(list: &List<InstanceView>, now_ms: i64) -> String {
    let lines = list.items.iter().map(|it| {
        let config = it.config_hash.as_deref().map(|hash| {
            let short = hash.get(..8).unwrap_or(hash);
            if it.differs { format!("{short} (differs)") } else { short.to_owned() }
        });
        vec![
            it.name.clone(),
            it.role.clone(),
            or_dash(it.advertised_url.clone()),
            it.version.clone(),
            or_dash(config),
            or_dash(it.started_at_ms.map(|at| age(now_ms, at))),
            format!("{} ms ago", it.silent_ms),
        ]
    });
    let header = ["INSTANCE", "ROLE", "ADDRESS", "VERSION", "CONFIGURATION", "AGE", "SEEN"];
    let differ = list.items.iter().any(|it| it.differs && it.role != "gone");
    let hint = match differ {
        true => {
            "instances that differ decide differently once they lead: give all the same \
                 configuration and version"
        }
        false => "",
    };
    page([rows(&header, lines, "no instances"), hint.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_show_who_leads_and_who_differs() {
        let one = InstanceView {
            name: "yard-1".to_owned(),
            role: "leader".to_owned(),
            advertised_url: Some("http://10.0.0.7:7878".to_owned()),
            version: "0.1.0".to_owned(),
            config_hash: Some("0123456789abcdef".to_owned()),
            differs: false,
            started_at_ms: Some(0),
            silent_ms: 120,
        };
        let other = InstanceView {
            name: "yard-2".to_owned(),
            role: "standby".to_owned(),
            advertised_url: None,
            config_hash: Some("fedcba9876543210".to_owned()),
            differs: true,
            ..one.clone()
        };
        let list = List { items: vec![one, other], next_before: None };
        insta::assert_snapshot!(table(&list, 60_000), @r#"
        INSTANCE  ROLE     ADDRESS               VERSION  CONFIGURATION       AGE  SEEN
        yard-1    leader   http://10.0.0.7:7878  0.1.0    01234567            60s  120 ms ago
        yard-2    standby  -                     0.1.0    fedcba98 (differs)  60s  120 ms ago

        instances that differ decide differently once they lead: give all the same configuration and version
        "#);
    }
}
