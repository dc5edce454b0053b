//! `strategy`: how many jobs one job becomes, and what they share.

use serde_json::{Map, Value as Json};
use serde_saphyr::Location;

use super::matrix::{Axes, Leg};
use super::place::Place;
use super::read::{Fields, Reader};
use super::text::{Setting, TEXT_BYTES_MAX, Text};
use super::yaml::{Node, Value, json};
use crate::expression::{Scope, Template, Uses};

/// The strategy of a job.
#[derive(Clone, PartialEq, Debug)]
pub struct Strategy {
    matrix: Matrix,
    fail_fast: Option<Setting<bool>>,
    max_parallel: Option<Setting<u32>>,
}

/// A matrix as it is written.
#[derive(Clone, PartialEq, Debug)]
enum Matrix {
    /// Nothing: the job stays one.
    None,
    /// An expression gives all of it.
    Whole(Text),
    /// Key by key; texts in the values may hold expressions.
    Keys { keys: Vec<(String, Json)>, path: String },
}

/// What a strategy means once its expressions are filled in.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Laid {
    /// Its combinations; `None` without a matrix.
    pub(super) legs: Option<Vec<Leg>>,
    /// Whether the first that fails cancels the others; GitHub's default is yes.
    pub(super) fail_fast: bool,
    /// How many run at once.
    pub(super) max_parallel: Option<u32>,
}

impl Strategy {
    /// Takes the strategy out of a job.
    pub(super) fn read(job: &mut Fields, reader: &mut Reader<'_>) -> Option<Self> {
        let (node, path) = job.take("strategy")?;
        let mut own = reader.map(node, &path)?;
        let matrix = match own.take("matrix") {
            None => Some(Matrix::None),
            Some((node, path)) => matrix(node, &path, reader),
        };
        let place = Place::Strategy;
        let fail_fast = own.take("fail-fast").and_then(|(it, at)| reader.truth(it, &at, place));
        let max_parallel = own
            .take("max-parallel")
            .and_then(|(it, at)| reader.count(it, &at, place, max_parallel_fault));
        own.finish(reader, &[]);
        Some(Self { matrix: matrix?, fail_fast, max_parallel })
    }

    /// What its expressions use.
    pub(super) fn uses(&self) -> Uses {
        let mut uses = Uses::default();
        match &self.matrix {
            Matrix::None => {}
            Matrix::Whole(text) => uses.merge(text.uses()),
            Matrix::Keys { keys, .. } => keys.iter().for_each(|(_, value)| used(value, &mut uses)),
        }
        let texts = [
            self.fail_fast.as_ref().and_then(Setting::text),
            self.max_parallel.as_ref().and_then(Setting::text),
        ];
        texts.into_iter().flatten().for_each(|text| uses.merge(text.uses()));
        uses
    }

    /// Fills in what it says, for the job with that id.
    pub(super) fn lay(&self, job: &str, scope: &Scope<'_>) -> Result<Laid, String> {
        let axes = match &self.matrix {
            Matrix::None => None,
            Matrix::Whole(text) => {
                let axes = Axes::read(&text.value(scope)?);
                Some(axes.map_err(|fault| format!("{}: {fault}", text.path()))?)
            }
            Matrix::Keys { keys, path } => {
                let mut axes = Axes::default();
                for (key, value) in keys {
                    let value =
                        filled(value, scope).map_err(|fault| format!("{path}.{key}: {fault}"))?;
                    axes.add(key, &value).map_err(|fault| format!("{path}.{fault}"))?;
                }
                Some(axes)
            }
        };
        let legs = axes
            .map(|axes| axes.legs(job))
            .transpose()
            .map_err(|fault| format!("matrix: {fault}"))?;
        let fail_fast =
            self.fail_fast.as_ref().map(|it| it.get(scope)).transpose()?.unwrap_or(true);
        let max_parallel =
            self.max_parallel.as_ref().map(|it| it.get(scope, max_parallel_fault)).transpose()?;
        Ok(Laid { legs, fail_fast, max_parallel })
    }
}

fn max_parallel_fault(many: u32) -> Option<String> {
    (many == 0).then(|| "0 lets nothing run".to_owned())
}

fn matrix(node: Node, path: &str, reader: &mut Reader<'_>) -> Option<Matrix> {
    if matches!(node.value, Value::Text(_)) {
        let text = reader.text_at(node, path, Place::Strategy, TEXT_BYTES_MAX)?;
        return Some(Matrix::Whole(text));
    }
    let at = node.referenced;
    let fields = reader.map(node, path)?;
    if fields.entries.is_empty() {
        reader.fault(at, path, "the matrix is empty");
        return None;
    }
    let mut keys = Vec::with_capacity(fields.entries.len());
    let places: Vec<_> =
        fields.entries.iter().map(|(key, _)| (key.value.clone(), key.referenced)).collect();
    for (key, node) in fields.entries {
        let path = format!("{path}.{}", key.value);
        check(&node, &path, reader);
        keys.push((key.value, json(&node)));
    }
    let matrix = Matrix::Keys { keys, path: path.to_owned() };
    // What holds no expression is wrong now or never.
    if let Matrix::Keys { keys, .. } = &matrix
        && !keys.iter().any(|(_, value)| has_expression(value))
    {
        let axes: Result<Axes, String> =
            keys.iter().try_fold(Axes::default(), |mut axes, (key, value)| {
                axes.add(key, value).map(|()| axes)
            });
        if let Err(fault) = axes.and_then(|axes| axes.legs("").map(drop)) {
            // What is wrong with one key begins with it.
            let of = |(key, _): &&(String, Location)| {
                fault.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with([':', '[']))
            };
            let at = places.iter().find(of).map_or(at, |(_, place)| *place);
            reader.fault(at, path, fault);
            return None;
        }
    }
    Some(matrix)
}

/// Checks the expressions in a value of a matrix.
fn check(node: &Node, path: &str, reader: &mut Reader<'_>) {
    match &node.value {
        Value::Text(text) => drop(reader.template(text, node, path, Place::Strategy)),
        Value::List(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(at, it)| check(it, &format!("{path}[{at}]"), reader));
        }
        Value::Map(entries) => {
            for (key, value) in entries {
                check(value, &format!("{path}.{}", key.value), reader);
            }
        }
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {}
    }
}

fn used(value: &Json, uses: &mut Uses) {
    match value {
        Json::String(text) => {
            Template::parse(text).into_iter().for_each(|template| uses.merge(template.uses()));
        }
        Json::Array(items) => items.iter().for_each(|item| used(item, uses)),
        Json::Object(entries) => entries.values().for_each(|value| used(value, uses)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

fn has_expression(value: &Json) -> bool {
    match value {
        Json::String(text) => text.contains("${{"),
        Json::Array(items) => items.iter().any(has_expression),
        Json::Object(entries) => entries.values().any(has_expression),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

/// A value with its expressions filled in.
fn filled(value: &Json, scope: &Scope<'_>) -> Result<Json, String> {
    Ok(match value {
        Json::String(text) if text.contains("${{") => {
            let template = Template::parse(text).map_err(|error| error.to_string())?;
            template.value(scope).map_err(|error| error.to_string())?
        }
        Json::Array(items) => {
            Json::Array(items.iter().map(|item| filled(item, scope)).collect::<Result<_, _>>()?)
        }
        Json::Object(entries) => {
            let entry = |(key, value): (&String, &Json)| Ok((key.clone(), filled(value, scope)?));
            Json::Object(entries.iter().map(entry).collect::<Result<Map<_, _>, String>>()?)
        }
        other => other.clone(),
    })
}
