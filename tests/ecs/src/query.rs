//! The AWS query protocol: a form decoded into JSON by the service model, and JSON written as XML by it.

use serde_json::{Map, Value};

use crate::model::{Kind, Model};

/// Decodes `a=b&c=d` into pairs.
pub(crate) fn pairs(body: &str) -> Vec<(String, String)> {
    body.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Builds the input of an operation from the form's pairs, or names the parameter that does not belong.
pub(crate) fn input(
    model: &Model,
    shape: &str,
    pairs: &[(String, String)],
) -> Result<Value, String> {
    let mut root = Value::Object(Map::new());
    for (name, text) in pairs {
        let path: Vec<&str> = name.split('.').collect();
        insert(model, shape, &mut root, &path, text).map_err(|()| name.clone())?;
    }
    Ok(root)
}

fn insert(
    model: &Model,
    shape: &str,
    slot: &mut Value,
    path: &[&str],
    text: &str,
) -> Result<(), ()> {
    let shape = model.shapes.get(shape).ok_or(())?;
    match (shape.kind, path) {
        (Kind::Structure, [name, rest @ ..]) => {
            let member = shape.members.get(*name).ok_or(())?;
            let inner = slot.as_object_mut().ok_or(())?.entry(*name);
            let inner = inner.or_insert_with(|| empty(model, &member.shape));
            insert(model, &member.shape, inner, rest, text)
        }
        (Kind::List, ["member", index, rest @ ..]) => {
            let member = &shape.member.as_ref().ok_or(())?.shape;
            let index: usize = index.parse().map_err(|_| ())?;
            let items = slot.as_array_mut().ok_or(())?;
            // AWS numbers list members from 1 without gaps.
            if index == 0 || index > items.len() + 1 {
                return Err(());
            }
            if index > items.len() {
                items.push(empty(model, member));
            }
            insert(
                model,
                member,
                items.get_mut(index - 1).ok_or(())?,
                rest,
                text,
            )
        }
        // A map is sent as `Name.entry.N.key` and `Name.entry.N.value`, the key first.
        (Kind::Map, ["entry", index, part]) => {
            let entries = slot.as_object_mut().ok_or(())?;
            let index: usize = index.parse().map_err(|_| ())?;
            match *part {
                "key" if index == entries.len() + 1 => {
                    entries.insert(text.to_owned(), Value::Null);
                }
                "value" if index == entries.len() => {
                    let (_, value) = entries.iter_mut().next_back().ok_or(())?;
                    *value = Value::String(text.to_owned());
                }
                _ => return Err(()),
            }
            Ok(())
        }
        // A list that is present and empty is sent as `Name=`.
        (Kind::List, []) if text.is_empty() => Ok(()),
        (Kind::Structure | Kind::List | Kind::Map, _) => Err(()),
        (kind, []) => {
            *slot = scalar(kind, text);
            Ok(())
        }
        _ => Err(()),
    }
}

fn empty(model: &Model, shape: &str) -> Value {
    match model.shapes.get(shape).map(|shape| shape.kind) {
        Some(Kind::Structure | Kind::Map) => Value::Object(Map::new()),
        Some(Kind::List) => Value::Array(Vec::new()),
        _ => Value::Null,
    }
}

/// A text that is not of its kind stays a text, so that the check against the model names it.
fn scalar(kind: Kind, text: &str) -> Value {
    let typed = match kind {
        Kind::Integer | Kind::Long => text.parse::<i64>().ok().map(Value::from),
        Kind::Float | Kind::Double => text.parse::<f64>().ok().map(Value::from),
        Kind::Boolean => text.parse::<bool>().ok().map(Value::from),
        _ => None,
    };
    typed.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Writes a checked answer as the XML of a query service.
pub(crate) fn answer(
    namespace: &str,
    operation: &str,
    wrapper: &str,
    value: &Value,
    id: &str,
) -> String {
    let mut xml = format!("<{operation}Response xmlns=\"{namespace}\"><{wrapper}>");
    write_value(&mut xml, value);
    xml.push_str(&format!(
        "</{wrapper}><ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{operation}Response>"
    ));
    xml
}

/// Writes the answer of an operation that answers nothing.
pub(crate) fn empty_answer(namespace: &str, operation: &str, id: &str) -> String {
    format!(
        "<{operation}Response xmlns=\"{namespace}\"><ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>\
         </{operation}Response>"
    )
}

/// Writes an error as the XML of a query service.
pub(crate) fn error(namespace: &str, status: u16, code: &str, message: &str, id: &str) -> String {
    let side = if status < 500 { "Sender" } else { "Receiver" };
    format!(
        "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{side}</Type><Code>{}</Code><Message>{}</Message></Error>\
         <RequestId>{id}</RequestId></ErrorResponse>",
        escape(code),
        escape(message)
    )
}

fn write_value(xml: &mut String, value: &Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                xml.push_str(&format!("<{name}>"));
                write_value(xml, member);
                xml.push_str(&format!("</{name}>"));
            }
        }
        Value::Array(items) => {
            for item in items {
                xml.push_str("<member>");
                write_value(xml, item);
                xml.push_str("</member>");
            }
        }
        Value::String(text) => xml.push_str(&escape(text)),
        Value::Null => {}
        other => xml.push_str(&other.to_string()),
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}
