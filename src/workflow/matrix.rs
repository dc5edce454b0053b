//! The combinations of a matrix.
//!
//! GitHub's rules:
//! <https://docs.github.com/en/actions/how-tos/write-workflows/choose-what-workflows-do/run-job-variations>
//! and <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstrategymatrixinclude>.
//! What these leave open is as in its planner, which is public (`WorkflowParser/Conversion/MatrixBuilder.cs` and
//! `JobNameBuilder.cs` of <https://github.com/actions/runner>): values are compared as `==` of expressions does, keys
//! without regard to case, and names have the first hundred characters.

use serde_json::{Map, Value};

use crate::expression::{equals, is_name, text_of};

/// The most jobs that one matrix may become; GitHub's limit.
pub(super) const LEGS_MAX: usize = 256;
/// The longest name of a job of a matrix, in characters, but for what tells equal ones apart.
const NAME_CHARS_MAX: usize = 100;
const VALUE_CHARS_MIN: usize = 23;
/// The most keys of a matrix, and of one entry of `include` or `exclude`.
const KEYS_MAX: usize = 256;

/// The values of a matrix, in the order in which they are written.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Axes {
    pub(super) values: Vec<(String, Vec<Value>)>,
    pub(super) include: Vec<Map<String, Value>>,
    pub(super) exclude: Vec<Map<String, Value>>,
}

/// One combination.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Leg {
    /// The context `matrix`.
    pub(super) matrix: Map<String, Value>,
    /// What its job is called: `build (linux, 3)`. No other leg has this name.
    pub(super) name: String,
}

impl Axes {
    /// Reads what an expression gave for the whole of a matrix.
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        let Value::Object(entries) = value else {
            return Err(format!("{} is no matrix: a mapping of names to lists", shape(value)));
        };
        let mut axes = Self::default();
        for (key, value) in entries {
            axes.add(key, value)?;
        }
        Ok(axes)
    }

    /// Adds what stands under a key of a matrix.
    pub(super) fn add(&mut self, key: &str, value: &Value) -> Result<(), String> {
        match key {
            "include" => self.include = maps(key, value)?,
            "exclude" => self.exclude = maps(key, value)?,
            _ => {
                let Value::Array(values) = value else {
                    return Err(format!("{key}: {} is no list of values", shape(value)));
                };
                if values.is_empty() {
                    return Err(format!("{key}: the list is empty"));
                }
                if self.values.len() == KEYS_MAX {
                    return Err(format!("{key}: more than {KEYS_MAX} keys"));
                }
                if let Some((known, _)) = self.values.iter().find(|(known, _)| is_name(known, key))
                {
                    return Err(format!("{key}: the key is there already, as `{known}`"));
                }
                self.values.push((key.to_owned(), values.clone()));
            }
        }
        Ok(())
    }

    /// All combinations, in GitHub's order: the first key changes slowest, what `include` adds comes last. `job` is
    /// the id of the job whose they are.
    pub(super) fn legs(&self, job: &str) -> Result<Vec<Leg>, String> {
        let product = self.values.iter().try_fold(1_usize, |all, (_, values)| {
            all.checked_mul(values.len()).filter(|all| *all <= 64 * LEGS_MAX)
        });
        let Some(product) = product else { return Err(too_many("more")) };
        let product = if self.values.is_empty() { 0 } else { product };
        self.check_excludes()?;
        let own = (0..product).map(|number| self.combination(number));
        let is_left =
            |leg: &Map<String, Value>| !self.exclude.iter().any(|exclude| holds_all(leg, exclude));
        let own: Vec<_> = own.filter(is_left).collect();
        let mut legs = own.clone();
        let mut names: Vec<_> = own.iter().map(|leg| name_of(job, leg)).collect();
        for include in &self.include {
            let (wanted, more): (Vec<_>, Vec<_>) =
                include.iter().partition(|(key, _)| self.has_key(key));
            let mut added = false;
            for (leg, own) in legs.iter_mut().zip(&own) {
                if wanted.iter().all(|(key, value)| holds(member(own, key), value)) {
                    more.iter().for_each(|(key, value)| set(leg, key, value));
                    added = true;
                }
            }
            if !added {
                // Not looked at by the next ones: these extend combinations alone.
                let entries = wanted.into_iter().chain(more);
                let row = entries.map(|(key, value)| (key.clone(), value.clone())).collect();
                names.push(name_of(job, &row));
                legs.push(row);
            }
        }
        match legs.len() {
            0 => Err("no combination is left".to_owned()),
            many if many > LEGS_MAX => Err(too_many(&many.to_string())),
            _ => Ok(told_apart(legs, names)),
        }
    }

    fn has_key(&self, key: &str) -> bool {
        self.values.iter().any(|(known, _)| is_name(known, key))
    }

    /// A key that the matrix does not have is a mistake: nothing would be excluded by it.
    fn check_excludes(&self) -> Result<(), String> {
        for (at, exclude) in self.exclude.iter().enumerate() {
            if let Some(key) = exclude.keys().find(|key| !self.has_key(key)) {
                return Err(format!("exclude[{at}]: `{key}` is no key of the matrix"));
            }
        }
        Ok(())
    }

    /// The combination of that number.
    fn combination(&self, mut number: usize) -> Map<String, Value> {
        let mut entries = Vec::with_capacity(self.values.len());
        for (key, values) in self.values.iter().rev() {
            entries.push((key.clone(), values[number % values.len()].clone()));
            number /= values.len();
        }
        entries.into_iter().rev().collect()
    }
}

/// Gives each leg a name that no other has.
fn told_apart(legs: Vec<Map<String, Value>>, names: Vec<String>) -> Vec<Leg> {
    let mut seen = std::collections::HashSet::new();
    let named = legs.into_iter().zip(names).map(|(matrix, base)| {
        let (mut name, mut number) = (base.clone(), 2);
        while !seen.insert(name.clone()) {
            name = format!("{base} #{number}");
            number += 1;
        }
        Leg { matrix, name }
    });
    named.collect()
}

fn too_many(many: &str) -> String {
    format!("{many} combinations, at most {LEGS_MAX}")
}

/// Whether a combination has all entries of an `exclude`, which may name some of its keys alone.
fn holds_all(leg: &Map<String, Value>, part: &Map<String, Value>) -> bool {
    part.iter().all(|(key, value)| holds(member(leg, key), value))
}

/// Whether a value is `part`, as expressions compare them; of a mapping or a list `part` may say some entries alone.
/// What is not there is null.
fn holds(value: Option<&Value>, part: &Value) -> bool {
    match part {
        Value::Object(part) => part.iter().all(|(key, part)| {
            holds(value.and_then(Value::as_object).and_then(|it| member(it, key)), part)
        }),
        Value::Array(part) => {
            part.iter().enumerate().all(|(at, part)| holds(value.and_then(|it| it.get(at)), part))
        }
        part => equals(value.unwrap_or(&Value::Null), part),
    }
}

/// What stands under a key, whatever its case.
fn member<'m>(map: &'m Map<String, Value>, key: &str) -> Option<&'m Value> {
    map.get(key).or_else(|| map.iter().find(|(own, _)| is_name(own, key)).map(|(_, it)| it))
}

/// Sets what stands under a key, whatever its case.
fn set(map: &mut Map<String, Value>, key: &str, value: &Value) {
    match map.iter_mut().find(|(own, _)| is_name(own, key)) {
        Some((_, own)) => own.clone_from(value),
        None => drop(map.insert(key.to_owned(), value.clone())),
    }
}

fn maps(key: &str, value: &Value) -> Result<Vec<Map<String, Value>>, String> {
    let Value::Array(items) = value else {
        return Err(format!("{key}: {} is no list of mappings", shape(value)));
    };
    let map = |(at, item): (usize, &Value)| match item {
        Value::Object(map) if map.len() > KEYS_MAX => {
            Err(format!("{key}[{at}]: {} keys, at most {KEYS_MAX}", map.len()))
        }
        Value::Object(map) if !map.is_empty() => Ok(map.clone()),
        other => Err(format!("{key}[{at}]: {} is no mapping with entries", shape(other))),
    };
    items.iter().enumerate().map(map).collect()
}

fn shape(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// What a job of these values is called: `build (linux, 3)`. Empty ones tell nothing.
fn name_of(job: &str, values: &Map<String, Value>) -> String {
    let mut texts = Vec::new();
    values.values().for_each(|value| scalars(value, &mut texts));
    texts.retain(|text| !text.is_empty());
    let name = match texts.is_empty() {
        true => job.to_owned(),
        false => format!("{job} ({})", texts.join(", ")),
    };
    let name = name.replace(|c: char| c.is_control(), " ");
    // Something of the values is told behind the longest id.
    let most = NAME_CHARS_MAX.max(job.chars().count() + VALUE_CHARS_MIN);
    if name.chars().count() <= most {
        return name;
    }
    name.chars().take(most - 3).chain("...".chars()).collect()
}

fn scalars(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| scalars(item, texts)),
        Value::Object(entries) => entries.values().for_each(|value| scalars(value, texts)),
        other => texts.push(text_of(other)),
    }
}

#[cfg(test)]
#[path = "matrix_tests.rs"]
mod tests;
