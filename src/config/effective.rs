//! The configuration as it is in force, each key with who set it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::section::Section;
use super::{Config, Origin, keys};

impl Config {
    /// The sections in which this differs from what it was, but for those about events and callers: sources,
    /// triggers, teams and `[access]`.
    pub fn sections_changed_since(&self, before: &Self) -> Vec<String> {
        let table = |config: &Self| toml::Table::try_from(config).unwrap_or_default();
        let (now, before) = (table(self), table(before));
        let names: BTreeSet<_> = now.keys().chain(before.keys()).collect();
        let others = names
            .into_iter()
            .filter(|name| !["source", "access", "teams"].contains(&name.as_str()));
        others
            .filter(|name| now.get(*name) != before.get(*name))
            .map(|name| format!("[{name}]"))
            .collect()
    }

    /// Every key with its value as TOML; those that are not at their default say who set them.
    ///
    /// Secrets are references here as everywhere. The result is itself a valid configuration,
    /// but for the triggers, of which only the names are told.
    pub fn effective(&self) -> String {
        let mut text = String::new();
        self.section(&mut text, &self.server);
        self.section(&mut text, &self.database);
        self.section(&mut text, &self.instances);
        self.section(&mut text, &self.scheduler);
        self.section(&mut text, &self.limits);
        self.section(&mut text, &self.retention);
        self.section(&mut text, &self.reports);
        self.section(&mut text, &self.access);
        self.named(&mut text, "tenants", &self.tenants);
        self.named(&mut text, "agent_pools", &self.pools);
        if !self.skills.is_empty() {
            text.push_str("[skill_mapping]\n");
            for (skill, pools) in &self.skills {
                let pools = toml::Value::from(pools.clone());
                let _ = writeln!(text, "{} = {pools}", key(skill));
            }
            text.push('\n');
        }
        if !self.teams.is_empty() {
            text.push_str("[teams]\n");
            for (team, members) in &self.teams {
                let members = toml::Value::try_from(members).unwrap_or(toml::Value::Array(vec![]));
                let _ = writeln!(text, "{} = {members}", key(team));
            }
            text.push('\n');
        }
        self.named(&mut text, "resources", &self.resources);
        for source in &self.sources {
            let lines: Vec<_> = lines(source).into_iter().map(|(_, line)| line).collect();
            let _ = write!(text, "[[source]]\n{}\n\n", lines.join("\n"));
        }
        for executor in &self.executors {
            // Its kind is a table of its own, so it is written in one line.
            let lines: Vec<_> = lines(executor).into_iter().map(|(_, line)| line).collect();
            let _ = write!(text, "[[executor]]\n{}\n\n", lines.join("\n"));
        }
        for provisioner in &self.provisioners {
            let lines: Vec<_> = lines(provisioner).into_iter().map(|(_, line)| line).collect();
            let _ = write!(text, "[[provisioner]]\n{}\n\n", lines.join("\n"));
        }
        for route in &self.routes {
            let lines: Vec<_> = lines(route).into_iter().map(|(_, line)| line).collect();
            let _ = write!(text, "[[route]]\n{}\n\n", lines.join("\n"));
        }
        for trigger in &self.triggers {
            let place = self.place(trigger.span().start);
            let _ = writeln!(text, "# trigger `{}` of {place}", trigger.get_ref().name.get_ref());
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }

    fn section<T: Section + Serialize>(&self, text: &mut String, section: &T) {
        let _ = writeln!(text, "[{}]", T::NAME);
        self.keys(text, T::NAME, section);
    }

    fn named<T: Serialize + DeserializeOwned>(
        &self,
        text: &mut String,
        section: &str,
        tables: &BTreeMap<String, T>,
    ) {
        for (name, table) in tables {
            let _ = writeln!(text, "[{section}.{}]", key(name));
            self.keys(text, &format!("{section}.{name}"), table);
        }
    }

    fn keys<T: Serialize + DeserializeOwned>(&self, text: &mut String, label: &str, table: &T) {
        for (key, line) in lines(table) {
            let _ = match self.origins.get(&format!("{label}.{key}")) {
                Some(Origin::File(place)) => writeln!(text, "{line} # {place}"),
                Some(origin) => writeln!(text, "{line} # {origin}"),
                None => writeln!(text, "{line}"),
            };
        }
        text.push('\n');
    }
}

/// A name as a key: in quotes where TOML needs them.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.chars().all(bare) { name.to_owned() } else { toml::Value::from(name).to_string() }
}

/// Each key that has a value, with its line, in the order of the type.
fn lines<T: Serialize + DeserializeOwned>(section: &T) -> Vec<(&'static str, String)> {
    // The types of this room are structs of plain values: TOML can say all of them.
    let table = toml::Table::try_from(section).unwrap_or_default();
    let line = |key: &&'static str| table.get(*key).map(|value| (*key, format!("{key} = {value}")));
    keys::of::<T>().iter().filter_map(line).collect()
}
