//! What an expression looks at.

use std::collections::BTreeSet;

use super::names::Function;
use super::node::{Key, Literal, Node};
use super::value;

/// What an expression looks at, whether or not it gets there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Uses {
    /// Paths of contexts, in lower case and with dots, like `github.event.issue.title`. `*` stands for what
    /// is all of something, or computed, or has a dot or star in its name.
    pub paths: BTreeSet<String>,
    /// Whether it calls `success`, `failure`, `always` or `cancelled`.
    pub status: bool,
    /// Whether it calls `hashFiles`.
    pub hash_files: bool,
}

impl Uses {
    /// Whether it looks at anything of a context.
    pub fn context(&self, name: &str) -> bool {
        let root = |path: &String| path.split('.').next().is_some_and(|it| it == name);
        self.paths.iter().any(root)
    }

    /// Takes in what another one looks at.
    pub fn merge(&mut self, other: Self) {
        self.paths.extend(other.paths);
        self.status |= other.status;
        self.hash_files |= other.hash_files;
    }
}

pub(super) fn collect(node: &Node, uses: &mut Uses) {
    match node {
        Node::Literal(_) => {}
        Node::Context(name) => {
            uses.paths.insert((*name).to_owned());
        }
        Node::Index(of, key) => {
            match path(node) {
                Some(path) => {
                    uses.paths.insert(path);
                    keys(of, uses);
                }
                None => collect(of, uses),
            }
            computed(key, uses);
        }
        Node::Not(of) | Node::FromJson(_, of) => collect(of, uses),
        Node::Compare(_, left, right) => {
            collect(left, uses);
            collect(right, uses);
        }
        Node::All(parts) | Node::Any(parts) => parts.iter().for_each(|it| collect(it, uses)),
        Node::Call(function, arguments) => {
            uses.status |= function.is_status();
            uses.hash_files |= *function == Function::HashFiles;
            arguments.iter().for_each(|it| collect(it, uses));
        }
    }
}

/// What the keys on the way of a path look at.
fn keys(node: &Node, uses: &mut Uses) {
    if let Node::Index(of, key) = node {
        keys(of, uses);
        computed(key, uses);
    }
}

fn computed(key: &Key, uses: &mut Uses) {
    if let Key::Computed(node) = key {
        collect(node, uses);
    }
}

/// The path of what begins with a context.
fn path(node: &Node) -> Option<String> {
    match node {
        Node::Context(name) => Some((*name).to_owned()),
        Node::Index(of, key) => {
            let mut path = path(of)?;
            path.push('.');
            match key {
                Key::Name(name) if !name.is_empty() && !name.contains(['.', '*']) => {
                    path.push_str(&name.to_lowercase());
                }
                Key::Computed(of) => match &**of {
                    Node::Literal(Literal::Number(number)) if *number >= 0.0 => {
                        path.push_str(&value::text(value::Kind::Number(number.floor())));
                    }
                    _ => path.push('*'),
                },
                Key::Name(_) | Key::Each => path.push('*'),
            }
            Some(path)
        }
        _ => None,
    }
}

/// See [`super::Expression::is_plain`].
pub(super) fn is_plain(node: &Node, plain: &dyn Fn(&str) -> bool) -> bool {
    let all = |nodes: &[Node]| nodes.iter().all(|node| is_plain(node, plain));
    match node {
        Node::Literal(_) | Node::Not(_) | Node::Compare(..) => true,
        Node::Context(_) | Node::Index(..) => path(node).is_some_and(|path| plain(&path)),
        // What stops a chain of `&&` early is false, zero or empty.
        Node::All(parts) => parts.last().is_some_and(|last| is_plain(last, plain)),
        Node::Any(parts) => all(parts),
        Node::FromJson(_, of) => is_plain(of, plain),
        Node::Call(function, arguments) => match function {
            Function::Contains | Function::StartsWith | Function::EndsWith => true,
            Function::Success | Function::Failure | Function::Always | Function::Cancelled => true,
            Function::Format | Function::Join | Function::ToJson => all(arguments),
            Function::Case => arguments.iter().enumerate().all(|(at, argument)| {
                let condition = at % 2 == 0 && at + 1 < arguments.len();
                condition || is_plain(argument, plain)
            }),
            Function::HashFiles | Function::FromJson => false,
        },
    }
}
