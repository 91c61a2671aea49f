//! The part of GitHub's expressions that environments and inputs need: contexts, literals, `==`, `!=`, `!`, `&&`, `||`.
//!
//! Anything outside that part is an error, never an empty string, so that no job is given a wrong environment.

use serde_json::{Map, Value, json};

/// The contexts that expressions may refer to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Context {
    pub(crate) inputs: Map<String, Value>,
    pub(crate) vars: Map<String, Value>,
    pub(crate) github: Map<String, Value>,
}

impl Context {
    /// Replaces each `${{ … }}` of a text; a text that is one expression keeps its value's type.
    pub(crate) fn resolve(&self, text: &str) -> Result<Value, String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${{") {
            let end = rest[start..]
                .find("}}")
                .ok_or_else(|| format!("unclosed expression in {text:?}"))?
                + start;
            let value = self.evaluate(&rest[start + 3..end])?;
            if start == 0 && end + 2 == rest.len() && out.is_empty() {
                return Ok(value);
            }
            out.push_str(&rest[..start]);
            out.push_str(&display(&value));
            rest = &rest[end + 2..];
        }
        out.push_str(rest);
        Ok(Value::String(out))
    }

    fn evaluate(&self, source: &str) -> Result<Value, String> {
        let mut parser = Parser {
            tokens: tokens(source)?,
            at: 0,
            context: self,
            source,
        };
        let value = parser.or()?;
        if parser.at == parser.tokens.len() {
            Ok(value)
        } else {
            Err(parser.unsupported())
        }
    }

    fn lookup(&self, path: &str) -> Result<Value, String> {
        let find = |map: &Map<String, Value>, name: &str| {
            map.iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map_or(Value::Null, |(_, value)| value.clone())
        };
        let parts: Vec<&str> = path.split('.').collect();
        match parts[..] {
            ["true"] => Ok(json!(true)),
            ["false"] => Ok(json!(false)),
            ["null"] => Ok(Value::Null),
            ["inputs", name] | ["github", "event", "inputs", name] => Ok(find(&self.inputs, name)),
            ["vars", name] => Ok(find(&self.vars, name)),
            ["github", name] if self.github.contains_key(name) => Ok(find(&self.github, name)),
            _ => Err(format!("the stand-in cannot resolve {path:?}")),
        }
    }
}

/// A value as GitHub writes it into text.
pub(crate) fn display(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::String(text) => !text.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        _ => true,
    }
}

/// GitHub compares text without regard to case.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one.eq_ignore_ascii_case(other),
        _ => one == other,
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Symbol(&'static str),
    Text(String),
    Path(String),
}

fn tokens(source: &str) -> Result<Vec<Token>, String> {
    let mut out = Vec::new();
    let mut rest = source.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some(symbol) = ["==", "!=", "&&", "||", "!", "(", ")"]
            .into_iter()
            .find(|symbol| rest.starts_with(symbol))
        {
            out.push(Token::Symbol(symbol));
            rest = &rest[symbol.len()..];
        } else if first == '\'' {
            let mut text = String::new();
            let mut tail = &rest[1..];
            loop {
                let end = tail
                    .find('\'')
                    .ok_or_else(|| format!("unclosed string in {source:?}"))?;
                text.push_str(&tail[..end]);
                tail = &tail[end + 1..];
                let Some(more) = tail.strip_prefix('\'') else {
                    break;
                };
                text.push('\'');
                tail = more;
            }
            out.push(Token::Text(text));
            rest = tail;
        } else {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')))
                .unwrap_or(rest.len());
            if end == 0 {
                return Err(format!(
                    "the stand-in does not understand {source:?} at {rest:?}"
                ));
            }
            out.push(Token::Path(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Ok(out)
}

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    context: &'a Context,
    source: &'a str,
}

impl Parser<'_> {
    fn unsupported(&self) -> String {
        format!("the stand-in does not understand {:?}", self.source.trim())
    }

    fn take(&mut self, symbol: &'static str) -> bool {
        let found = self.tokens.get(self.at) == Some(&Token::Symbol(symbol));
        self.at += usize::from(found);
        found
    }

    fn or(&mut self) -> Result<Value, String> {
        let mut value = self.and()?;
        while self.take("||") {
            let right = self.and()?;
            if !truthy(&value) {
                value = right;
            }
        }
        Ok(value)
    }

    fn and(&mut self) -> Result<Value, String> {
        let mut value = self.comparison()?;
        while self.take("&&") {
            let right = self.comparison()?;
            if truthy(&value) {
                value = right;
            }
        }
        Ok(value)
    }

    fn comparison(&mut self) -> Result<Value, String> {
        let left = self.unary()?;
        if self.take("==") {
            return Ok(json!(equal(&left, &self.unary()?)));
        }
        if self.take("!=") {
            return Ok(json!(!equal(&left, &self.unary()?)));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Value, String> {
        if self.take("!") {
            return Ok(json!(!truthy(&self.unary()?)));
        }
        if self.take("(") {
            let value = self.or()?;
            return if self.take(")") {
                Ok(value)
            } else {
                Err(self.unsupported())
            };
        }
        let token = self
            .tokens
            .get(self.at)
            .cloned()
            .ok_or_else(|| self.unsupported())?;
        self.at += 1;
        match token {
            Token::Text(text) => Ok(Value::String(text)),
            Token::Path(path) => self.context.lookup(&path),
            Token::Symbol(_) => Err(self.unsupported()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        let mut context = Context::default();
        context
            .inputs
            .insert("environment".into(), json!("staging"));
        context.inputs.insert("dry-run".into(), json!(false));
        context.github.insert("ref_name".into(), json!("main"));
        context
    }

    #[test]
    fn expressions_resolve_or_fail_loudly() {
        let context = context();
        let text = |source: &str| context.resolve(source).map(|value| display(&value));
        assert_eq!(text("${{ inputs.environment }}"), Ok("staging".into()));
        assert_eq!(
            text("${{ github.event.inputs.environment }}-x"),
            Ok("staging-x".into())
        );
        assert_eq!(
            text("${{ github.ref_name == 'Main' && 'dev' || 'none' }}"),
            Ok("dev".into())
        );
        assert_eq!(text("${{ inputs.absent || 'it''s' }}"), Ok("it's".into()));
        assert_eq!(text("${{ !inputs.dry-run }}"), Ok("true".into()));
        assert_eq!(text("plain"), Ok("plain".into()));
        assert!(text("${{ needs.build.outputs.environment }}").is_err());
        assert!(text("${{ format('{0}', inputs.environment) }}").is_err());
    }
}
