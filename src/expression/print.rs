//! The canonical form of an expression.

use std::fmt::{self, Write as _};

use super::node::{Comparison, Key, Literal, Node, is_name};

/// How tightly a node binds: what binds less than its place asks for stands in parentheses.
fn binding(node: &Node) -> u8 {
    match node {
        Node::Any(_) => 1,
        Node::All(_) => 2,
        Node::Compare(Comparison::Equal | Comparison::NotEqual, ..) => 3,
        Node::Compare(..) => 4,
        Node::Not(_) => 5,
        Node::Literal(_) => 6,
        Node::Context(_) | Node::Index(..) | Node::Call(..) | Node::FromJson(..) => 7,
    }
}

pub(super) fn node(node: &Node, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match node {
        Node::Literal(it) => literal(it, f),
        Node::Context(name) => f.write_str(name),
        Node::Index(of, key) => {
            at_least(7, of, f)?;
            index(key, f)
        }
        Node::Not(of) => {
            f.write_char('!')?;
            at_least(5, of, f)
        }
        Node::Compare(how, left, right) => {
            let own = binding(node);
            at_least(own, left, f)?;
            write!(f, " {} ", how.sign())?;
            at_least(own + 1, right, f)
        }
        Node::All(parts) => between(" && ", 3, parts, f),
        Node::Any(parts) => between(" || ", 2, parts, f),
        Node::Call(function, arguments) => {
            write!(f, "{}(", function.name())?;
            between(", ", 1, arguments, f)?;
            f.write_char(')')
        }
        Node::FromJson(_, of) => {
            f.write_str("fromJSON(")?;
            at_least(1, of, f)?;
            f.write_char(')')
        }
    }
}

fn at_least(least: u8, inner: &Node, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if binding(inner) >= least {
        return node(inner, f);
    }
    f.write_char('(')?;
    node(inner, f)?;
    f.write_char(')')
}

fn between(sign: &str, least: u8, parts: &[Node], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(sign)?;
        }
        at_least(least, part, f)?;
    }
    Ok(())
}

fn index(key: &Key, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match key {
        Key::Each => f.write_str(".*"),
        Key::Name(name) if is_name(name) => write!(f, ".{name}"),
        Key::Name(name) => {
            f.write_char('[')?;
            text(name, f)?;
            f.write_char(']')
        }
        Key::Computed(of) => {
            f.write_char('[')?;
            node(of, f)?;
            f.write_char(']')
        }
    }
}

fn literal(literal: &Literal, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match literal {
        Literal::Null => f.write_str("null"),
        Literal::Bool(value) => write!(f, "{value}"),
        Literal::Text(value) => text(value, f),
        Literal::Number(number) if number.is_nan() => f.write_str("NaN"),
        Literal::Number(number) if number.is_infinite() => {
            f.write_str(if *number < 0.0 { "-Infinity" } else { "Infinity" })
        }
        // All of its digits, and not over more text than it was.
        Literal::Number(number) => {
            let (plain, short) = (format!("{number}"), format!("{number:e}"));
            f.write_str(if plain.len() <= short.len() { &plain } else { &short })
        }
    }
}

fn text(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('\'')?;
    for (at, part) in text.split('\'').enumerate() {
        if at > 0 {
            f.write_str("''")?;
        }
        f.write_str(part)?;
    }
    f.write_char('\'')
}
