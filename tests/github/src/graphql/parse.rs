//! Reads a GraphQL query into selections with its variables filled in and its fragments unfolded.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// One entry of a selection set.
#[derive(Debug, Clone)]
pub(crate) enum Selection {
    Field(Field),
    /// `... on TYPE { … }`, or a fragment put in place.
    On(Option<String>, Vec<Selection>),
}

#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(super) alias: String,
    pub(super) name: String,
    pub(super) arguments: BTreeMap<String, Value>,
    /// The same arguments as they stand in the query.
    pub(super) written: BTreeMap<String, Written>,
    pub(super) selections: Vec<Selection>,
}

/// How an argument stands in the query, which says more than its value: an enum's member is not text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Written {
    Null,
    Truth,
    Number,
    Text,
    Word,
    List(Vec<Written>),
    /// A variable, and the type it was declared with; one with a default is never null.
    Variable(String),
}

/// The values of the declared variables, and their types.
#[derive(Default)]
struct Variables {
    values: Map<String, Value>,
    kinds: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Number(String),
    Symbol(char),
    Dots,
}

/// The selections of the one query to run.
pub(super) fn operation(
    source: &str,
    wanted: Option<&str>,
    variables: &Map<String, Value>,
) -> Result<Vec<Selection>, String> {
    let tokens = tokens(source)?;
    let mut fragments = BTreeMap::new();
    let mut operations = Vec::new();
    let none = Variables::default();
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        variables: &none,
        fragments: None,
    };
    // Fragments may stand after their use: the first pass finds where each begins.
    while parser.at < tokens.len() {
        let start = parser.at;
        if parser.keyword("fragment") {
            let name = parser.name()?;
            fragments.insert(name, start);
        } else {
            operations.push(start);
        }
        parser.skip_definition()?;
    }
    let mut found = None;
    for start in operations {
        let mut parser = Parser {
            tokens: &tokens,
            at: start,
            variables: &none,
            fragments: Some(&fragments),
        };
        let (name, declared) = parser.operation_head()?;
        if wanted.is_some() && wanted != name.as_deref() {
            continue;
        }
        if found.is_some() {
            return Err("An operation name is required".to_owned());
        }
        let filled = declared_variables(declared, variables)?;
        let mut parser = Parser {
            tokens: &tokens,
            at: parser.at,
            variables: &filled,
            fragments: Some(&fragments),
        };
        found = Some(parser.selections(0)?);
    }
    found.ok_or_else(|| "No operation to run".to_owned())
}

/// Declared variables with their values; what is required and missing, or given and not declared as GitHub types it, fails.
fn declared_variables(
    declared: Vec<(String, String, Option<Value>)>,
    given: &Map<String, Value>,
) -> Result<Variables, String> {
    let mut out = Variables::default();
    for (name, mut kind, default) in declared {
        let defaulted = default.as_ref().is_some_and(|default| !default.is_null());
        let value = given.get(&name).cloned().or(default).unwrap_or(Value::Null);
        let required = kind.ends_with('!');
        let fits = match kind.trim_end_matches('!') {
            "Int" => value.is_i64() || value.is_u64(),
            "String" | "ID" | "GitObjectID" => value.is_string(),
            "Boolean" => value.is_boolean(),
            list if list.starts_with('[') => value.is_array(),
            _ => true,
        };
        if (value.is_null() && required) || (!value.is_null() && !fits) {
            return Err(format!(
                "Variable ${name} of type {kind} was provided invalid value"
            ));
        }
        if defaulted && !required {
            kind.push('!');
        }
        out.values.insert(name.clone(), value);
        out.kinds.insert(name, kind);
    }
    Ok(out)
}

fn tokens(source: &str) -> Result<Vec<Token>, String> {
    let mut out = Vec::new();
    let mut rest = source;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',' || c == '\u{feff}');
        let Some(first) = rest.chars().next() else {
            return Ok(out);
        };
        if first == '#' {
            rest = rest.split_once('\n').map_or("", |(_, tail)| tail);
        } else if let Some(tail) = rest.strip_prefix("...") {
            out.push(Token::Dots);
            rest = tail;
        } else if first == '"' {
            let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let text = stream
                .next()
                .and_then(Result::ok)
                .ok_or("Parse error on string")?;
            rest = &rest[stream.byte_offset()..];
            out.push(Token::Text(text));
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            out.push(Token::Name(rest[..end].to_owned()));
            rest = &rest[end..];
        } else if first.is_ascii_digit() || first == '-' {
            let end = rest[1..]
                .find(|c: char| !c.is_ascii_digit())
                .map_or(rest.len(), |end| end + 1);
            out.push(Token::Number(rest[..end].to_owned()));
            rest = &rest[end..];
        } else if "{}()[]:!$=@|&".contains(first) {
            out.push(Token::Symbol(first));
            rest = &rest[1..];
        } else {
            return Err(format!("Parse error on {first:?}"));
        }
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    variables: &'a Variables,
    fragments: Option<&'a BTreeMap<String, usize>>,
}

/// How deep fragments may stand in one another, which also ends cycles.
const DEPTH: usize = 25;

impl Parser<'_> {
    fn error(&self) -> String {
        match self.tokens.get(self.at) {
            Some(token) => format!("Parse error on {token:?}"),
            None => "Parse error: unexpected end of document".to_owned(),
        }
    }

    fn symbol(&mut self, symbol: char) -> bool {
        let found = self.tokens.get(self.at) == Some(&Token::Symbol(symbol));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: char) -> Result<(), String> {
        if self.symbol(symbol) {
            Ok(())
        } else {
            Err(self.error())
        }
    }

    fn keyword(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Name(name)) if name == word);
        self.at += usize::from(found);
        found
    }

    fn name(&mut self) -> Result<String, String> {
        match self.tokens.get(self.at) {
            Some(Token::Name(name)) => {
                self.at += 1;
                Ok(name.clone())
            }
            _ => Err(self.error()),
        }
    }

    /// Steps over everything up to the end of the definition's outermost braces.
    fn skip_definition(&mut self) -> Result<(), String> {
        let mut depth = 0_usize;
        while let Some(token) = self.tokens.get(self.at) {
            self.at += 1;
            match token {
                Token::Symbol('{') => depth += 1,
                Token::Symbol('}') if depth <= 1 => return Ok(()),
                Token::Symbol('}') => depth -= 1,
                _ => {}
            }
        }
        Err(self.error())
    }

    #[expect(
        clippy::type_complexity,
        reason = "a name and what it declares, used once"
    )]
    fn operation_head(
        &mut self,
    ) -> Result<(Option<String>, Vec<(String, String, Option<Value>)>), String> {
        if self.tokens.get(self.at) == Some(&Token::Symbol('{')) {
            return Ok((None, Vec::new()));
        }
        if !self.keyword("query") {
            return Err("the stand-in answers queries only".to_owned());
        }
        let name = self.name().ok();
        let mut declared = Vec::new();
        if self.symbol('(') {
            while !self.symbol(')') {
                self.expect('$')?;
                let name = self.name()?;
                self.expect(':')?;
                let kind = self.kind()?;
                let default = if self.symbol('=') {
                    Some(self.value()?.0)
                } else {
                    None
                };
                declared.push((name, kind, default));
            }
        }
        Ok((name, declared))
    }

    fn kind(&mut self) -> Result<String, String> {
        let mut kind = if self.symbol('[') {
            let inner = self.kind()?;
            self.expect(']')?;
            format!("[{inner}]")
        } else {
            self.name()?
        };
        if self.symbol('!') {
            kind.push('!');
        }
        Ok(kind)
    }

    fn value(&mut self) -> Result<(Value, Written), String> {
        let token = self
            .tokens
            .get(self.at)
            .cloned()
            .ok_or_else(|| self.error())?;
        self.at += 1;
        match token {
            Token::Text(text) => Ok((json!(text), Written::Text)),
            Token::Number(text) => text
                .parse::<i64>()
                .map(|number| (json!(number), Written::Number))
                .map_err(|_| format!("Parse error on {text}")),
            Token::Name(word) => Ok(match word.as_str() {
                "true" => (json!(true), Written::Truth),
                "false" => (json!(false), Written::Truth),
                "null" => (Value::Null, Written::Null),
                _ => (json!(word), Written::Word),
            }),
            Token::Symbol('[') => {
                let (mut all, mut written) = (Vec::new(), Vec::new());
                while !self.symbol(']') {
                    let (value, form) = self.value()?;
                    all.push(value);
                    written.push(form);
                }
                Ok((Value::Array(all), Written::List(written)))
            }
            Token::Symbol('$') => {
                let name = self.name()?;
                let (values, kinds) = (&self.variables.values, &self.variables.kinds);
                values
                    .get(&name)
                    .zip(kinds.get(&name))
                    .map(|(value, kind)| (value.clone(), Written::Variable(kind.clone())))
                    .ok_or_else(|| format!("Variable ${name} is used but not declared"))
            }
            _ => {
                self.at -= 1;
                Err(self.error())
            }
        }
    }

    fn selections(&mut self, depth: usize) -> Result<Vec<Selection>, String> {
        self.expect('{')?;
        let mut all = Vec::new();
        while !self.symbol('}') {
            all.push(self.selection(depth)?);
        }
        Ok(all)
    }

    fn selection(&mut self, depth: usize) -> Result<Selection, String> {
        if self.tokens.get(self.at) == Some(&Token::Dots) {
            self.at += 1;
            if self.keyword("on") {
                let on = self.name()?;
                return Ok(Selection::On(Some(on), self.selections(depth)?));
            }
            if self.tokens.get(self.at) == Some(&Token::Symbol('{')) {
                return Ok(Selection::On(None, self.selections(depth)?));
            }
            return self.spread(depth);
        }
        let first = self.name()?;
        let (alias, name) = if self.symbol(':') {
            (first, self.name()?)
        } else {
            (first.clone(), first)
        };
        let (mut arguments, mut written) = (BTreeMap::new(), BTreeMap::new());
        if self.symbol('(') {
            while !self.symbol(')') {
                let argument = self.name()?;
                self.expect(':')?;
                let (value, form) = self.value()?;
                arguments.insert(argument.clone(), value);
                written.insert(argument, form);
            }
        }
        if self.tokens.get(self.at) == Some(&Token::Symbol('@')) {
            return Err("the stand-in does not implement directives".to_owned());
        }
        let selections = if self.tokens.get(self.at) == Some(&Token::Symbol('{')) {
            self.selections(depth)?
        } else {
            Vec::new()
        };
        Ok(Selection::Field(Field {
            alias,
            name,
            arguments,
            written,
            selections,
        }))
    }

    fn spread(&mut self, depth: usize) -> Result<Selection, String> {
        let name = self.name()?;
        let missing = || format!("Fragment {name} was used, but not defined");
        let start = self
            .fragments
            .and_then(|all| all.get(&name))
            .ok_or_else(missing)?;
        if depth >= DEPTH {
            return Err(format!("Fragment {name} contains an infinite loop"));
        }
        let mut parser = Parser {
            tokens: self.tokens,
            at: *start,
            variables: self.variables,
            fragments: self.fragments,
        };
        parser.keyword("fragment");
        parser.name()?;
        if !parser.keyword("on") {
            return Err(parser.error());
        }
        let on = parser.name()?;
        Ok(Selection::On(Some(on), parser.selections(depth + 1)?))
    }
}
