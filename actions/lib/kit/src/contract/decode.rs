//! Decodes the tree into the declared contract, collecting every mistake on the way. An invalid value is replaced by an
//! empty one, so that the rest can still be checked; a contract with mistakes is never returned.

use super::declared::{Declared, Entries, Plain};
use super::diagnostics::{At, Mistake, Mistakes, SourceSpan, nearest};
use super::template::{Scope, Template, Templated};
use super::text::{Kind, Text, is_not};
use super::tree::{Data, Node, Reading};
use std::marker::PhantomData;

/// Reads the whole contract from its tree.
pub(super) fn decode(root: &Node, mistakes: &mut Mistakes) -> Declared {
    let mut decoder = Decoder {
        mistakes,
        path: Vec::new(),
    };
    Declared::decode(root, &mut decoder).unwrap_or_default()
}

/// The decoder's position, and the mistakes that it has found.
pub(super) struct Decoder<'a> {
    mistakes: &'a mut Mistakes,
    path: Vec<(String, SourceSpan)>,
}

impl Decoder<'_> {
    pub(super) fn wrong<T>(&mut self, mistake: Mistake) -> Option<T> {
        self.mistakes.add(mistake);
        None
    }

    /// The path of what is being read, as in `environments.dev.gate`.
    pub(super) fn name(&self) -> String {
        if self.path.is_empty() {
            return "the contract".to_owned();
        }
        let names: Vec<&str> = self.path.iter().map(|(name, _)| name.as_str()).collect();
        format!("`{}`", names.join("."))
    }

    fn within<T: Decode>(&mut self, key: &str, span: &SourceSpan, node: &Node) -> Option<T> {
        self.path.push((key.to_owned(), span.clone()));
        let value = T::decode(node, self);
        self.path.pop();
        value
    }

    pub(super) fn expected<T>(&mut self, kind: &str, node: &Node) -> Option<T> {
        let found = node.kind();
        // An empty value has no text to point at, so the mistake points at its key.
        let span = match self.path.last() {
            Some((_, key)) if node.span.is_empty() => key.clone(),
            _ => node.span.clone(),
        };
        let mistake = Mistake::new(
            span,
            format!("{} must be {kind}, and is {found}", self.name()),
        );
        let mistake = match (&node.data, kind) {
            (Data::Table(entries), "text")
                if entries.iter().all(|(_, value)| value.kind() == "nothing") =>
            {
                mistake.hint("put text that begins with `{` in quotes: \"{service}\"")
            }
            (Data::Scalar { text, .. }, "text") if !text.is_empty() => {
                mistake.hint(format!("put it in quotes to make it text: \"{text}\""))
            }
            _ if found == "nothing" => mistake.hint("give it a value, or remove the key"),
            _ => mistake,
        };
        self.wrong(mistake)
    }

    pub(super) fn text<'n>(&mut self, node: &'n Node, numbers: bool) -> Option<&'n str> {
        if let Data::Scalar { text, plain } = &node.data {
            match Node::reading(text, *plain) {
                Reading::Text => return Some(text),
                Reading::Number | Reading::Boolean if numbers => return Some(text),
                _ => {}
            }
        }
        self.expected("text", node)
    }

    fn table<'n>(&mut self, node: &'n Node) -> Option<&'n [(Node, Node)]> {
        let Data::Table(entries) = &node.data else {
            return self.expected("a mapping", node);
        };
        for (index, (key, _)) in entries.iter().enumerate() {
            let Data::Scalar { text, .. } = &key.data else {
                self.mistakes.add(Mistake::new(
                    key.span.clone(),
                    format!("a key must be text, and is {}", key.kind()),
                ));
                continue;
            };
            let first = entries[..index].iter().find(|(earlier, _)| {
                matches!(&earlier.data, Data::Scalar { text: earlier, .. } if earlier == text)
            });
            if let Some((first, _)) = first {
                self.mistakes.add(
                    Mistake::new(key.span.clone(), format!("`{text}` is written twice"))
                        .related(first.span.clone(), "first here")
                        .hint("keep one of them"),
                );
            }
        }
        Some(entries)
    }

    pub(super) fn fields<'n>(&mut self, node: &'n Node) -> Option<Fields<'n>> {
        Some(Fields {
            entries: self.table(node)?,
            known: Vec::new(),
            missing: Vec::new(),
        })
    }
}

/// The entries of a mapping whose keys are known; those never asked for are mistakes.
pub(super) struct Fields<'n> {
    entries: &'n [(Node, Node)],
    known: Vec<&'static str>,
    missing: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    fn find(&mut self, key: &'static str) -> Option<&'n (Node, Node)> {
        self.known.push(key);
        self.entries
            .iter()
            .find(|(found, _)| matches!(&found.data, Data::Scalar { text, .. } if text == key))
    }

    pub(super) fn optional<T: Decode>(
        &mut self,
        key: &'static str,
        decoder: &mut Decoder<'_>,
    ) -> Option<T> {
        let (name, value) = self.find(key)?;
        decoder
            .within(key, &name.span, value)
            .or_else(T::unreadable)
    }

    pub(super) fn required<T: Decode + Default>(
        &mut self,
        key: &'static str,
        decoder: &mut Decoder<'_>,
    ) -> T {
        match self.find(key) {
            Some((name, value)) => decoder.within(key, &name.span, value).unwrap_or_default(),
            None => {
                self.missing.push(key);
                T::default()
            }
        }
    }

    /// Reports the keys that are not there and those that should not be. Where one is the other
    /// misspelt, that is one mistake.
    pub(super) fn finish(mut self, decoder: &mut Decoder<'_>) {
        for (key, _) in self.entries {
            let Data::Scalar { text, .. } = &key.data else {
                continue;
            };
            if self.known.contains(&text.as_str()) {
                continue;
            }
            let hint = match nearest(text, self.known.iter().copied()) {
                Some(name) => {
                    self.missing.retain(|missing| *missing != name);
                    format!("did you mean `{name}`?")
                }
                None => format!("here: {}", self.known.join(", ")),
            };
            let message = match decoder.path.is_empty() {
                true => format!("there is no key `{text}`"),
                false => format!("{} has no key `{text}`", decoder.name()),
            };
            decoder
                .mistakes
                .add(Mistake::new(key.span.clone(), message).hint(hint));
        }
        for key in self.missing {
            let span = decoder.path.last().map_or(0..0, |(_, span)| span.clone());
            let message = format!("{} has no `{key}`", decoder.name());
            decoder
                .mistakes
                .add(Mistake::new(span, message).hint(example(key)));
        }
    }
}

/// A type that can be read from a node.
pub(super) trait Decode: Sized {
    /// Reads it; mistakes are in the decoder when there is none.
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self>;

    /// The value that marks one that could not be read, if that must be told apart from a missing value.
    fn unreadable() -> Option<Self> {
        None
    }
}

impl<T: Decode> Decode for At<T> {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        Some(Self {
            value: T::decode(node, decoder)?,
            span: node.span.clone(),
        })
    }

    fn unreadable() -> Option<Self> {
        Some(Self {
            value: T::unreadable()?,
            span: 0..0,
        })
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let Data::List(items) = &node.data else {
            return decoder.expected("a list", node);
        };
        Some(
            items
                .iter()
                .filter_map(|item| T::decode(item, decoder))
                .collect(),
        )
    }
}

impl<K: Kind, V: Decode + Default> Decode for Entries<K, V> {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let mut entries = Vec::new();
        for (key, value) in decoder.table(node)? {
            let Data::Scalar { text, .. } = &key.data else {
                continue;
            };
            let name = Text::<K>::parse(text);
            if name.is_none() {
                decoder.mistakes.add(no_such::<K>(text, &key.span));
            }
            let value = decoder.within(text, &key.span, value).unwrap_or_default();
            let name = At {
                value: name.unwrap_or_default(),
                span: key.span.clone(),
            };
            entries.push((name, value));
        }
        Some(Self(entries))
    }
}

impl<K: Kind> Decode for Text<K> {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let text = decoder.text(node, false)?;
        match Self::parse(text) {
            Some(parsed) => Some(parsed),
            None => decoder.wrong(no_such::<K>(text, &node.span)),
        }
    }
}

fn no_such<K: Kind>(text: &str, span: &SourceSpan) -> Mistake {
    Mistake::new(span.clone(), format!("`{text}` {}", is_not(K::NOUN))).hint(K::RULE)
}

impl Decode for Plain {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        decoder.text(node, true).map(|text| Self(text.to_owned()))
    }
}

impl Decode for u32 {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        match &node.data {
            Data::Scalar { text, plain: true } if !text.starts_with('+') => text.parse().ok(),
            _ => None,
        }
        .or_else(|| decoder.expected("a whole number", node))
    }
}

impl Decode for bool {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        match &node.data {
            Data::Scalar { text, plain: true } => match text.as_str() {
                "true" | "True" | "TRUE" => Some(true),
                "false" | "False" | "FALSE" => Some(false),
                _ => None,
            },
            _ => None,
        }
        .or_else(|| decoder.expected("true or false", node))
    }
}

impl<S: Scope> Decode for Templated<S> {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let text = decoder.text(node, S::NUMBERS)?;
        if text.is_empty() && !S::EMPTY {
            let message = format!("{} is empty", decoder.name());
            return decoder.wrong(Mistake::new(node.span.clone(), message));
        }
        match Template::parse(text, S::PLACEHOLDERS) {
            Ok(template) => Some(Self(template, PhantomData)),
            Err(malformed) => decoder
                .wrong(Mistake::new(node.span.clone(), malformed.message).hint(malformed.hint)),
        }
    }
    fn unreadable() -> Option<Self> {
        Some(Self::default())
    }
}

/// The line to write where `key` is missing.
fn example(key: &str) -> &'static str {
    match key {
        "version" => "add `version: 1`",
        "service" => "add `service: NAME`",
        "build" => "add `build:` with the `account` and `region` of the image repository",
        "environments" => {
            "add `environments:` with at least one, such as `dev: {account: var:DEV_ACCOUNT_ID}`"
        }
        "account" => "add `account:` with twelve digits in quotes, or `var:NAME`",
        "region" => "add `region:`, such as `ca-central-1`",
        "type" => "add `type:`, such as `string` or `cidr`",
        "time-zone" => "add `time-zone:`, such as `America/Toronto`",
        "people" => "add `people:` with the GitHub logins of those who may",
        "from" => "add `from:`, such as `ssm:/{service}/{environment}/NAME`",
        _ => "add it",
    }
}
