//! From a text to the tree of an expression.
//!
//! Precedence, from what binds tightest: `.` `[]` `()`, `!`, `< <= > >=`, `== !=`, `&&`, `||`. Literals have no
//! properties. Nesting is bounded by [`DEPTH_MAX`], so no text makes the parser, or whoever walks the tree, go
//! deeper than that.

use super::error::ParseError;
use super::names::{self, Function};
use super::node::{Comparison, Key, Literal, Node};
use super::words::start_of;
use super::{DEPTH_MAX, EXPRESSION_BYTES_MAX, Expression};

/// Reads an expression, and tells how deep its tree is.
pub(super) fn parse(text: &str) -> Result<(Expression, usize), ParseError> {
    if text.len() > EXPRESSION_BYTES_MAX {
        let message = format!(
            "an expression of {} bytes is too long, at most {EXPRESSION_BYTES_MAX}",
            text.len()
        );
        return Err(ParseError::new(0, message));
    }
    let mut parser = Parser { text, at: 0, nested: 0, slots: 0 };
    let Part { node, depth } = parser.any()?;
    match parser.peek() {
        None => Ok((Expression { root: node, slots: parser.slots }, depth)),
        Some(_) => Err(parser.unexpected()),
    }
}

/// A part, and how deep its tree is.
struct Part {
    node: Node,
    depth: usize,
}

pub(super) struct Parser<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
    /// How many parentheses, brackets and `!` are open.
    nested: usize,
    slots: usize,
}

impl<'t> Parser<'t> {
    fn any(&mut self) -> Result<Part, ParseError> {
        self.chain("||", Self::all, Node::Any, |node| match node {
            Node::Any(parts) => Ok(parts),
            other => Err(other),
        })
    }

    fn all(&mut self) -> Result<Part, ParseError> {
        self.chain("&&", Self::equality, Node::All, |node| match node {
            Node::All(parts) => Ok(parts),
            other => Err(other),
        })
    }

    /// Parts with a sign between them, as one node without another of its kind in it.
    fn chain(
        &mut self,
        sign: &str,
        part: fn(&mut Self) -> Result<Part, ParseError>,
        node: fn(Vec<Node>) -> Node,
        flat: fn(Node) -> Result<Vec<Node>, Node>,
    ) -> Result<Part, ParseError> {
        let first = part(self)?;
        if !self.take(sign) {
            return Ok(first);
        }
        let (mut parts, mut depth) = (Vec::new(), 0);
        let mut next = first;
        loop {
            depth = depth.max(next.depth);
            match flat(next.node) {
                Ok(inner) => parts.extend(inner),
                Err(other) => parts.push(other),
            }
            // The first sign is taken already, and each further one here.
            next = part(self)?;
            if !self.take(sign) {
                break;
            }
        }
        depth = depth.max(next.depth);
        match flat(next.node) {
            Ok(inner) => parts.extend(inner),
            Err(other) => parts.push(other),
        }
        self.part(node(parts), depth)
    }

    fn equality(&mut self) -> Result<Part, ParseError> {
        let mut left = self.relation()?;
        loop {
            let how = match () {
                () if self.take("==") => Comparison::Equal,
                () if self.take("!=") => Comparison::NotEqual,
                () => return Ok(left),
            };
            let right = self.relation()?;
            left = self.compared(how, left, right)?;
        }
    }

    fn relation(&mut self) -> Result<Part, ParseError> {
        let mut left = self.unary()?;
        loop {
            let how = match () {
                () if self.take("<=") => Comparison::LessOrEqual,
                () if self.take(">=") => Comparison::GreaterOrEqual,
                () if self.take("<") => Comparison::Less,
                () if self.take(">") => Comparison::Greater,
                () => return Ok(left),
            };
            let right = self.unary()?;
            left = self.compared(how, left, right)?;
        }
    }

    fn compared(&self, how: Comparison, left: Part, right: Part) -> Result<Part, ParseError> {
        let depth = left.depth.max(right.depth);
        self.part(Node::Compare(how, Box::new(left.node), Box::new(right.node)), depth)
    }

    fn unary(&mut self) -> Result<Part, ParseError> {
        if self.peek() != Some('!') {
            return self.postfix();
        }
        self.at += 1;
        let of = self.nest(Self::unary)?;
        self.part(Node::Not(Box::new(of.node)), of.depth)
    }

    fn postfix(&mut self) -> Result<Part, ParseError> {
        let mut of = self.primary()?;
        let grouped = self.text[..self.at].ends_with(')');
        loop {
            let from = self.at;
            let key = match self.peek() {
                Some('.') => self.property()?,
                Some('[') => self.subscript()?,
                _ => return Ok(of),
            };
            if matches!(of.node, Node::Literal(_)) && !grouped {
                self.at = from;
                return Err(self.unexpected());
            }
            let (key, depth) = key;
            let node = Node::Index(Box::new(of.node), key);
            of = self.part(node, of.depth.max(depth))?;
        }
    }

    /// `.name` or `.*`.
    fn property(&mut self) -> Result<(Key, usize), ParseError> {
        self.at += 1;
        match self.peek() {
            Some('*') => {
                self.at += 1;
                Ok((Key::Each, 0))
            }
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                Ok((Key::Name(self.word().into()), 0))
            }
            _ => Err(ParseError::new(self.at, "a name or `*` belongs behind `.`")
                .hint("write other names in brackets, as `['a name']`")),
        }
    }

    /// `[..]`.
    fn subscript(&mut self) -> Result<(Key, usize), ParseError> {
        let open = self.at;
        self.at += 1;
        let key = if self.take("*") {
            (Key::Each, 0)
        } else {
            let of = self.nest(Self::any)?;
            match of.node {
                Node::Literal(Literal::Text(name)) => (Key::Name(name), 0),
                other => (Key::Computed(Box::new(other)), of.depth),
            }
        };
        self.close(open, ']')?;
        Ok(key)
    }

    fn primary(&mut self) -> Result<Part, ParseError> {
        let literal = |literal| Ok(Part { node: Node::Literal(literal), depth: 1 });
        match self.peek() {
            None => Err(ParseError::new(self.at, "the expression ends where a value belongs")),
            Some('(') => {
                let open = self.at;
                self.at += 1;
                let inner = self.nest(Self::any)?;
                self.close(open, ')')?;
                Ok(inner)
            }
            Some('\'') => literal(Literal::Text(self.string()?)),
            Some('0'..='9' | '-' | '+' | '.') => literal(Literal::Number(self.number()?)),
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                let at = self.at;
                match self.word() {
                    "null" => literal(Literal::Null),
                    "true" => literal(Literal::Bool(true)),
                    "false" => literal(Literal::Bool(false)),
                    "NaN" => literal(Literal::Number(f64::NAN)),
                    "Infinity" => literal(Literal::Number(f64::INFINITY)),
                    name if self.peek() == Some('(') => self.call(name, at),
                    name => context(name, at),
                }
            }
            Some(_) => Err(self.unexpected()),
        }
    }

    fn call(&mut self, name: &str, at: usize) -> Result<Part, ParseError> {
        let function = Function::of(name).ok_or_else(|| unknown_function(name, at))?;
        let open = self.at;
        self.at += 1;
        let (mut arguments, mut depth) = (Vec::new(), 0);
        if self.peek() != Some(')') {
            loop {
                let argument = self.nest(Self::any)?;
                depth = depth.max(argument.depth);
                arguments.push(argument.node);
                if !self.take(",") {
                    break;
                }
            }
        }
        self.close(open, ')')?;
        if let Some(fault) = function.fault(arguments.len()) {
            return Err(ParseError::new(at, fault));
        }
        let node = match (function, arguments.pop()) {
            (Function::FromJson, Some(of)) => {
                self.slots += 1;
                Node::FromJson(self.slots - 1, Box::new(of))
            }
            (function, last) => {
                arguments.extend(last);
                Node::Call(function, arguments)
            }
        };
        self.part(node, depth)
    }

    /// Reads what stands one level deeper.
    fn nest(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Part, ParseError>,
    ) -> Result<Part, ParseError> {
        self.nested += 1;
        if self.nested > DEPTH_MAX {
            return Err(self.too_deep());
        }
        let part = read(self);
        self.nested -= 1;
        part
    }

    /// A node over parts of a depth.
    fn part(&self, node: Node, depth: usize) -> Result<Part, ParseError> {
        if depth >= DEPTH_MAX {
            return Err(self.too_deep());
        }
        Ok(Part { node, depth: depth + 1 })
    }

    fn too_deep(&self) -> ParseError {
        too_deep(self.at)
    }

    fn close(&mut self, open: usize, sign: char) -> Result<(), ParseError> {
        match self.peek() {
            Some(c) if c == sign => {
                self.at += 1;
                Ok(())
            }
            None => {
                let opened = if sign == ')' { '(' } else { '[' };
                Err(ParseError::new(open, format!("`{opened}` is not closed by `{sign}`")))
            }
            Some(_) => Err(self.unexpected()),
        }
    }
}

pub(super) fn too_deep(at: usize) -> ParseError {
    let message = format!("the expression is nested more than {DEPTH_MAX} levels deep");
    ParseError::new(at, message)
}

fn context(name: &str, at: usize) -> Result<Part, ParseError> {
    if let Some(name) = names::context(name) {
        return Ok(Part { node: Node::Context(name), depth: 1 });
    }
    let error = ParseError::new(at, format!("unknown context `{}`", start_of(name)));
    let functions = Function::ALL.iter().map(|it| it.name());
    if let Some(function) = Function::of(name) {
        return Err(error.hint(format!("to call the function, write `{}(..)`", function.name())));
    }
    let literals = ["true", "false", "null", "NaN", "Infinity"];
    let known = names::CONTEXTS.iter().copied().chain(literals);
    Err(match names::nearest(name, known.chain(functions)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!(
            "known are {}; a text stands in single quotes",
            names::CONTEXTS.join(", ")
        )),
    })
}

fn unknown_function(name: &str, at: usize) -> ParseError {
    let error = ParseError::new(at, format!("unknown function `{}`", start_of(name)));
    let known = || Function::ALL.iter().map(|it| it.name());
    match names::nearest(name, known()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("known are {}", known().collect::<Vec<_>>().join(", "))),
    }
}
