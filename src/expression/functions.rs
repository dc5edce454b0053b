//! What the functions do:
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#functions>.

use std::borrow::Cow;

use super::error::EvalError;
use super::evaluate::Machine;
use super::json;
use super::names::Function;
use super::node::Node;
use super::value::{self, Kind, Val};

pub(super) fn call<'e>(
    machine: &Machine<'e>,
    function: Function,
    arguments: &'e [Node],
) -> Result<Val<'e>, EvalError> {
    if function.is_status() {
        return status(machine, function).map(Val::Bool);
    }
    if function == Function::Case {
        return case(machine, arguments);
    }
    let mut values = Vec::with_capacity(arguments.len());
    for argument in arguments {
        values.push(machine.run(argument)?);
    }
    Ok(match (function, values.as_slice()) {
        (Function::Contains, [of, item]) => Val::Bool(contains(machine, of, item)?),
        (Function::StartsWith, [of, start]) => {
            Val::Bool(both(machine, of, start)?.is_some_and(|(of, it)| of.starts_with(&it)))
        }
        (Function::EndsWith, [of, end]) => {
            Val::Bool(both(machine, of, end)?.is_some_and(|(of, it)| of.ends_with(&it)))
        }
        (Function::Format, [pattern, values @ ..]) => made(format(machine, pattern, values)?),
        (Function::Join, [of, rest @ ..]) => made(join(machine, of, rest.first())?),
        (Function::ToJson, [of]) => made(json::written(of, machine.fuel)?),
        (Function::HashFiles, patterns) => made(hash_files(machine, patterns)?),
        // The parser has counted the arguments.
        _ => return Err(EvalError::argument(function, "wrong number of arguments")),
    })
}

fn made<'e>(text: String) -> Val<'e> {
    Val::Text(Cow::Owned(text))
}

fn status(machine: &Machine<'_>, function: Function) -> Result<bool, EvalError> {
    let status = machine.scope.status.ok_or(EvalError::NoStatus(function.name()))?;
    Ok(match function {
        Function::Success => status.success,
        Function::Failure => status.failure,
        Function::Cancelled => status.cancelled,
        _ => true,
    })
}

/// Only the value that is chosen is evaluated.
fn case<'e>(machine: &Machine<'e>, arguments: &'e [Node]) -> Result<Val<'e>, EvalError> {
    let mut pairs = arguments.chunks_exact(2);
    for pair in pairs.by_ref() {
        let condition = machine.run(&pair[0])?;
        match condition.kind() {
            Kind::Bool(true) => return machine.run(&pair[1]),
            Kind::Bool(false) => {}
            kind => {
                let kind = name_of(kind);
                let message = format!("a condition is {kind} where true or false belongs");
                return Err(EvalError::argument(Function::Case, message));
            }
        }
    }
    pairs.remainder().first().map_or(Ok(Val::Null), |node| machine.run(node))
}

fn name_of(kind: Kind<'_>) -> &'static str {
    match kind {
        Kind::Null => "null",
        Kind::Bool(_) => "a boolean",
        Kind::Number(_) => "a number",
        Kind::Text(_) => "a text",
        Kind::List => "a list",
        Kind::Object => "an object",
    }
}

fn contains(machine: &Machine<'_>, of: &Val<'_>, item: &Val<'_>) -> Result<bool, EvalError> {
    let Some(elements) = of.elements() else {
        return Ok(both(machine, of, item)?.is_some_and(|(of, item)| of.contains(&item)));
    };
    for element in elements {
        machine.pay_for(value::kind_of(element))?;
        if Val::Json(element).equals(item) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Both as texts without regard to case, unless one of them is a list or an object, which has no text.
fn both(
    machine: &Machine<'_>,
    one: &Val<'_>,
    other: &Val<'_>,
) -> Result<Option<(String, String)>, EvalError> {
    let collection = |value: &Val<'_>| matches!(value.kind(), Kind::List | Kind::Object);
    if collection(one) || collection(other) {
        return Ok(None);
    }
    let (one, other) = (machine.text(one)?, machine.text(other)?);
    Ok(Some((value::folded(&one).collect(), value::folded(&other).collect())))
}

fn join(
    machine: &Machine<'_>,
    of: &Val<'_>,
    separator: Option<&Val<'_>>,
) -> Result<String, EvalError> {
    let Some(elements) = of.elements() else {
        // An object has nothing to join.
        return match of.kind() {
            Kind::Object => Ok(String::new()),
            _ => Ok(machine.text(of)?.into_owned()),
        };
    };
    let separator = match separator.map(Val::kind) {
        None | Some(Kind::List | Kind::Object) => Cow::Borrowed(","),
        Some(kind) => value::text(kind),
    };
    let mut joined = String::new();
    for (at, element) in elements.into_iter().enumerate() {
        if at > 0 {
            machine.fuel.take(separator.len())?;
            joined.push_str(&separator);
        }
        joined.push_str(&machine.text(&Val::Json(element))?);
    }
    Ok(joined)
}

fn hash_files(machine: &Machine<'_>, patterns: &[Val<'_>]) -> Result<String, EvalError> {
    let hash = machine.scope.hash_files.ok_or(EvalError::NoFiles)?;
    let mut texts = Vec::with_capacity(patterns.len());
    for pattern in patterns {
        texts.push(machine.text(pattern)?.into_owned());
    }
    hash(&texts).map_err(EvalError::Files)
}

/// `{0}` is the first value, `{{` and `}}` are braces.
fn format(
    machine: &Machine<'_>,
    pattern: &Val<'_>,
    values: &[Val<'_>],
) -> Result<String, EvalError> {
    let pattern = machine.text(pattern)?;
    let mut out = String::with_capacity(pattern.len());
    let mut rest: &str = &pattern;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        out.push_str(before);
        if let Some(behind) = brace.strip_prefix("{{") {
            out.push('{');
            rest = behind;
        } else if let Some(behind) = brace.strip_prefix("}}") {
            out.push('}');
            rest = behind;
        } else {
            let (place, behind) = placeholder(brace)?;
            let value = values.get(place).ok_or_else(|| {
                let many = values.len();
                wrong(format!(
                    "`{{{place}}}` stands for a value that is not given; there are {many}"
                ))
            })?;
            out.push_str(&machine.text(value)?);
            rest = behind;
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// The number in `{0}`, and what comes behind.
fn placeholder(brace: &str) -> Result<(usize, &str), EvalError> {
    let inner = brace.strip_prefix('{').and_then(|it| it.split_once('}'));
    let (number, behind) = inner.ok_or_else(|| {
        wrong("a single brace; write `{{` or `}}` for the character itself".to_owned())
    })?;
    let digits = !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit());
    let place = if digits { number.parse::<u8>().ok() } else { None };
    let place = place.ok_or_else(|| {
        let shown: String = number.chars().take(40).collect();
        wrong(format!("`{{{shown}}}` is not the number of a value, 0 to 255"))
    })?;
    Ok((usize::from(place), behind))
}

fn wrong(message: String) -> EvalError {
    EvalError::argument(Function::Format, message)
}
