//! The combinations of a matrix.
//!
//! GitHub's rules:
//! <https://docs.github.com/en/actions/how-tos/write-workflows/choose-what-workflows-do/run-job-variations>
//! and <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstrategymatrixinclude>.

use serde_json::{Map, Value};

/// The most jobs that one matrix may become; GitHub's limit.
pub(super) const LEGS_MAX: usize = 256;
/// The longest name of one leg, in bytes, without its job's id.
const SUFFIX_BYTES_MAX: usize = 120;

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
    /// What tells it from the others: `(linux, 3)`.
    pub(super) suffix: String,
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
                self.values.push((key.to_owned(), values.clone()));
            }
        }
        Ok(())
    }

    /// All combinations, in GitHub's order: the first key changes slowest, what `include` adds comes last.
    pub(super) fn legs(&self) -> Result<Vec<Leg>, String> {
        let product = self.values.iter().try_fold(1_usize, |all, (_, values)| {
            all.checked_mul(values.len()).filter(|all| *all <= 64 * LEGS_MAX)
        });
        let Some(product) = product else { return Err(too_many("more")) };
        let product = if self.values.is_empty() { 0 } else { product };
        let mut legs: Vec<Map<String, Value>> =
            (0..product).map(|number| self.combination(number)).collect();
        legs.retain(|leg| !self.exclude.iter().any(|exclude| holds_all(leg, exclude)));
        let originals: Vec<Map<String, Value>> = legs.clone();
        for include in &self.include {
            let mut added = false;
            for (leg, original) in legs.iter_mut().zip(&originals) {
                if include.iter().all(|(key, value)| original.get(key).is_none_or(|it| it == value))
                {
                    leg.extend(include.clone());
                    added = true;
                }
            }
            if !added {
                legs.push(include.clone());
            }
        }
        match legs.len() {
            0 => Err("no combination is left".to_owned()),
            many if many > LEGS_MAX => Err(too_many(&many.to_string())),
            _ => Ok(self.named(legs)),
        }
    }

    /// The combination of that number.
    fn combination(&self, mut number: usize) -> Map<String, Value> {
        let mut leg = Map::new();
        for (key, values) in self.values.iter().rev() {
            leg.insert(key.clone(), values[number % values.len()].clone());
            number /= values.len();
        }
        leg
    }

    /// Gives each a name that no other has.
    fn named(&self, legs: Vec<Map<String, Value>>) -> Vec<Leg> {
        let mut named: Vec<Leg> = Vec::with_capacity(legs.len());
        let mut seen = std::collections::HashSet::new();
        for matrix in legs {
            let own = self.values.iter().filter_map(|(key, _)| matrix.get(key));
            let is_extra = |key: &String| !self.values.iter().any(|(known, _)| known == key);
            let extra = matrix.iter().filter(|(key, _)| is_extra(key)).map(|(_, value)| value);
            // What `include` adds to a combination tells nothing apart that its own values do not.
            let shown: Vec<&Value> = if self.values.is_empty() || !holds_any(&matrix, &self.values)
            {
                extra.collect()
            } else {
                own.collect()
            };
            let base = suffix(&shown);
            let mut name = base.clone();
            let mut number = 2;
            while !seen.insert(name.clone()) {
                name = format!("{base} #{number}");
                number += 1;
            }
            named.push(Leg { matrix, suffix: name });
        }
        named
    }
}

fn too_many(many: &str) -> String {
    format!("{many} combinations, at most {LEGS_MAX}")
}

fn holds_any(leg: &Map<String, Value>, values: &[(String, Vec<Value>)]) -> bool {
    values.iter().any(|(key, _)| leg.contains_key(key))
}

/// Whether a combination has all entries of an `exclude`, which may name some of its keys alone.
fn holds_all(leg: &Map<String, Value>, part: &Map<String, Value>) -> bool {
    part.iter().all(|(key, value)| leg.get(key).is_some_and(|own| contains(own, value)))
}

/// Whether a value is `part`; of a mapping `part` may say some entries alone.
fn contains(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::Object(value), Value::Object(part)) => holds_all(value, part),
        _ => value == part,
    }
}

fn maps(key: &str, value: &Value) -> Result<Vec<Map<String, Value>>, String> {
    let Value::Array(items) = value else {
        return Err(format!("{key}: {} is no list of mappings", shape(value)));
    };
    let map = |(at, item): (usize, &Value)| match item {
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

/// What stands behind a job's id: `(linux, 3)`.
fn suffix(values: &[&Value]) -> String {
    let mut texts = Vec::new();
    values.iter().for_each(|value| scalars(value, &mut texts));
    let mut text = texts.join(", ").replace(|c: char| c.is_control(), " ");
    if text.len() > SUFFIX_BYTES_MAX {
        let end = (0..=SUFFIX_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    format!("({text})")
}

fn scalars(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| scalars(item, texts)),
        Value::Object(entries) => entries.values().for_each(|value| scalars(value, texts)),
        other => texts.push(crate::expression::text_of(other)),
    }
}

#[cfg(test)]
#[path = "matrix_tests.rs"]
mod tests;
