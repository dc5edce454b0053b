//! Reading a section, or a list of tables, so that one mistake does not hide the next.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::entry::{self, Entry, EntryValue};
use super::overlay::Variable;
use super::{ConfigError, ConfigErrors, ConfigFile, Origin, hints, keys, unit};

/// A section that is there once, every key of which has a default.
pub(super) trait Section: DeserializeOwned + Default {
    /// Its name in the file.
    const NAME: &'static str;
}

/// What is known while a file is read.
pub(super) struct Reading<'a> {
    pub(super) file: &'a ConfigFile,
    pub(super) errors: Vec<ConfigError>,
    /// Who set the keys that are not at their default, by `section.key`.
    pub(super) origins: BTreeMap<String, Origin>,
}

impl Reading<'_> {
    /// Reads one section from its table and the variables that are about it. Keys that are wrong
    /// are reported and left at their default.
    pub(super) fn section<'i, T: Section>(
        &mut self,
        table: Option<Spanned<DeValue<'i>>>,
        variables: &'i [Variable],
    ) -> T {
        let in_file = table.map_or_else(Vec::new, |table| self.table_entries(T::NAME, table));
        let allowed = keys::of::<T>();
        let mut entries = self.canonical(T::NAME, T::NAME, in_file, allowed);
        entries.retain(|_, entry| self.accepts::<T>(T::NAME, entry));
        let mine = variables.iter().filter(|it| it.section == T::NAME);
        let from_variables = mine.map(|it| {
            let text = it.text_entry();
            if entry::read::<T>([text.clone()]).is_ok() { text } else { it.entry() }
        });
        for (key, entry) in self.canonical(T::NAME, T::NAME, from_variables.collect(), allowed) {
            if self.accepts::<T>(T::NAME, &entry) {
                entries.insert(key, entry);
            }
        }
        for entry in entries.values() {
            self.origins.insert(format!("{}.{}", T::NAME, entry.key), entry.origin.clone());
        }
        // Each entry was read alone before, so together they are good.
        entry::read(entries.into_values()).unwrap_or_default()
    }

    /// Reads a list of tables, `[[name]]`, each with the span of its table. A table that is wrong
    /// is reported and left out.
    pub(super) fn list<T: DeserializeOwned>(
        &mut self,
        name: &str,
        value: Option<Spanned<DeValue<'_>>>,
    ) -> Vec<Spanned<T>> {
        let Some(value) = value else { return Vec::new() };
        let span = value.span();
        let DeValue::Array(tables) = value.into_inner() else {
            let origin = Origin::File(self.file.place(span.start));
            let error = ConfigError::new(origin, name, "this section can be there several times");
            self.errors.push(error.hint(format!("write `[[{name}]]`")));
            return Vec::new();
        };
        tables.into_iter().filter_map(|table| self.table(name, name, table)).collect()
    }

    /// Reads tables with names, `[section.NAME]`. One that is wrong is reported and left out.
    pub(super) fn named<T: DeserializeOwned>(
        &mut self,
        section: &str,
        value: Option<Spanned<DeValue<'_>>>,
        check_name: fn(&str) -> Result<(), String>,
    ) -> BTreeMap<String, T> {
        let mut found = BTreeMap::new();
        for (label, Entry { key: name, value, origin }) in
            self.named_entries(section, value, check_name)
        {
            self.origins.insert(label.clone(), origin);
            let EntryValue::Toml(table) = value else { continue };
            if let Some(table) = self.table(section, &label, table) {
                found.insert(name, table.into_inner());
            }
        }
        found
    }

    /// The entries of a section whose keys are names, each with what errors call it. One with a name
    /// that cannot be is reported and left out.
    fn named_entries<'i>(
        &mut self,
        section: &str,
        value: Option<Spanned<DeValue<'i>>>,
        check_name: fn(&str) -> Result<(), String>,
    ) -> Vec<(String, Entry<'i>)> {
        let entries = value.map_or_else(Vec::new, |value| self.table_entries(section, value));
        let mut named = Vec::with_capacity(entries.len());
        for entry in entries {
            let label = format!("{section}.{}", entry.key);
            match check_name(&entry.key) {
                Ok(()) => named.push((label, entry)),
                Err(why) => self.errors.push(ConfigError::new(entry.origin, label, why)),
            }
        }
        named
    }

    /// Reads a section whose keys are names that the file makes up, each with one value.
    pub(super) fn values<'i, T: serde::Deserialize<'i>>(
        &mut self,
        section: &str,
        value: Option<Spanned<DeValue<'i>>>,
        check_name: fn(&str) -> Result<(), String>,
    ) -> BTreeMap<String, T> {
        let mut found = BTreeMap::new();
        for (label, Entry { key: name, value, origin }) in
            self.named_entries(section, value, check_name)
        {
            match T::deserialize(value) {
                Ok(value) => drop(found.insert(name, value)),
                Err(error) => {
                    let at = error.span().map(|span| Origin::File(self.file.place(span.start)));
                    let error = ConfigError::new(at.unwrap_or(origin), label, message(&error));
                    self.errors.push(error);
                }
            }
        }
        found
    }

    /// Who set a key, or the nearest that is there of what it is part of.
    pub(super) fn origin(&self, key: &str) -> Origin {
        let mut part = key;
        loop {
            match (self.origins.get(part), part.rsplit_once('.')) {
                (Some(origin), _) => return origin.clone(),
                (None, Some((whole, _))) => part = whole,
                (None, None) => return Origin::File(self.file.place(0)),
            }
        }
    }

    /// `section` is what hints know it by, `label` what errors call it.
    fn table<T: DeserializeOwned>(
        &mut self,
        section: &str,
        label: &str,
        table: Spanned<DeValue<'_>>,
    ) -> Option<Spanned<T>> {
        let span = table.span();
        let errors_before = self.errors.len();
        let entries = self.table_entries(label, table);
        let entries = self.canonical(section, label, entries, keys::of::<T>());
        for entry in entries.values() {
            self.accepts::<T>(label, entry);
            // Tables of a list have no names by which their keys could be told apart.
            if section != label {
                self.origins.insert(format!("{label}.{}", entry.key), entry.origin.clone());
            }
        }
        // What was refused is left out of the entries: reading the rest would blame it twice.
        (self.errors.len() == errors_before).then_some(())?;
        let value = entry::read(entries.into_values()).map_err(|error| {
            let at = error.span().map_or(span.start, |span| span.start);
            self.errors.push(ConfigError::at(self.file.place(at), label, message(&error)));
        });
        value.ok().map(|value| Spanned::new(span, value))
    }

    fn table_entries<'i>(&mut self, name: &str, table: Spanned<DeValue<'i>>) -> Vec<Entry<'i>> {
        let start = table.span().start;
        match table.into_inner() {
            DeValue::Table(table) => Entry::of_table(self.file, table),
            other => {
                let message = format!("expected a table, found {}", other.type_str());
                let error = ConfigError::at(self.file.place(start), name, message);
                self.errors.push(error.hint(format!("write `[{name}]` on a line of its own")));
                Vec::new()
            }
        }
    }

    /// Entries under the keys of the section's type. What has no such key, or has it twice, is
    /// reported and left out.
    fn canonical<'i>(
        &mut self,
        section: &str,
        label: &str,
        entries: Vec<Entry<'i>>,
        allowed: &[&str],
    ) -> BTreeMap<String, Entry<'i>> {
        let mut kept: BTreeMap<String, Entry<'i>> = BTreeMap::new();
        for entry in entries {
            let (written, origin) = (entry.key.clone(), entry.origin.clone());
            let fail = |message: String| {
                ConfigError::new(origin.clone(), format!("{label}.{written}"), message)
            };
            match unit::canonical(label, entry, allowed) {
                Err(error) => self.errors.push(error),
                Ok(entry) if !allowed.is_empty() && !allowed.contains(&entry.key.as_str()) => {
                    let mut error = fail(format!("unknown key, allowed: {}", allowed.join(", ")));
                    error.hint = hints::for_key(section, &written, allowed);
                    self.errors.push(error);
                }
                Ok(entry) => {
                    if let Some(other) = kept.get(&entry.key) {
                        let text = format!("the same time is set at {}", other.origin);
                        self.errors.push(fail(text).hint("keep one of the two"));
                    } else {
                        kept.insert(entry.key.clone(), entry);
                    }
                }
            }
        }
        kept
    }

    /// Whether the section's type takes the entry; reports it otherwise. That other keys are
    /// missing beside it is not the entry's fault.
    fn accepts<T: DeserializeOwned>(&mut self, section: &str, entry: &Entry<'_>) -> bool {
        let Err(error) = entry::read::<T>([entry.clone()]) else { return true };
        if error.message().starts_with("missing field") {
            return true;
        }
        let origin = match (&entry.origin, error.span()) {
            (Origin::File(_), Some(span)) => Origin::File(self.file.place(span.start)),
            (origin, _) => origin.clone(),
        };
        let key = format!("{section}.{}", entry.key);
        self.errors.push(ConfigError::new(origin, key, message(&error)));
        false
    }
}

/// The message alone: the full text quotes a line of the file, which may hold a secret.
pub(super) fn message(error: &Error) -> String {
    error.message().replace('\n', ", ")
}

/// The parsed file.
///
/// # Errors
/// Each thing that is not TOML.
pub(super) fn parse(file: &ConfigFile) -> Result<DeTable<'_>, ConfigErrors> {
    let (table, errors) = DeTable::parse_recoverable(file.text());
    let place = |error: &Error| file.place(error.span().map_or(0, |span| span.start));
    let errors = errors.iter().map(|error| ConfigError::at(place(error), "", message(error)));
    ConfigErrors::check(errors.collect())?;
    Ok(table.into_inner())
}
