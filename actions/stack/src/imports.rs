//! The resources that a plan takes over, and the way in which CloudFormation finds them. Pure.

use crate::seen::{Identifiers, Template};
use kit::error::{Error, Result};
use std::collections::BTreeMap;

/// A resource as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) logical_id: String,
    /// Its identifier: a value, or NAME=VALUE, separated by commas.
    pub(crate) text: String,
}

/// A resource as CloudFormation finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) logical_id: String,
    pub(crate) kind: String,
    pub(crate) identifier: BTreeMap<String, String>,
}

/// Reads the arguments.
///
/// # Errors
/// There are none, or one has no identifier, or is given twice (exit 2).
pub(crate) fn given(lines: &[String]) -> Result<Vec<Wanted>> {
    let mut found: Vec<Wanted> = Vec::new();
    for line in lines.iter().filter(|line| !line.trim().is_empty()) {
        let parts = line.split_once('=');
        let parts = parts.map(|(id, text)| (id.trim(), text.trim()));
        let Some((id, text)) = parts.filter(|(id, text)| !id.is_empty() && !text.is_empty()) else {
            return Err(Error::usage(format!("--resource {line} has no identifier"))
                .hint("write --resource LOGICAL-ID=IDENTIFIER"));
        };
        if found.iter().any(|it| it.logical_id == id) {
            return Err(Error::usage(format!("--resource {id} is given twice")));
        }
        found.push(Wanted {
            logical_id: id.to_owned(),
            text: text.to_owned(),
        });
    }
    match found.is_empty() {
        true => Err(Error::usage("--resource is missing")
            .hint("name each resource to take over: --resource LOGICAL-ID=IDENTIFIER")),
        false => Ok(found),
    }
}

/// The resources with the properties that identify them, by the schemas of their types.
///
/// # Errors
/// The template does not have one, its type cannot be taken over, or its identifier does not fit (exit 2).
pub(crate) fn identified(
    template: &Template,
    wanted: &[Wanted],
) -> std::result::Result<Vec<Import>, Box<Error>> {
    let one = |Wanted { logical_id, text }: &Wanted| {
        let Some(Identifiers { kind, names }) = template.identifiers.get(logical_id) else {
            let message = format!(
                "the template has no resource `{logical_id}` of a type that CloudFormation can take over"
            );
            return Err(Box::new(Error::usage(message).hint(
                "its types: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resource-import-supported-resources.html",
            )));
        };
        match identifier(names, text) {
            Some(identifier) => Ok(Import {
                logical_id: logical_id.clone(),
                kind: kind.clone(),
                identifier,
            }),
            None => {
                let form: Vec<String> = names.iter().map(|name| format!("{name}=VALUE")).collect();
                let message = format!("`{text}` does not identify {logical_id} ({kind})");
                Err(Box::new(Error::usage(message).hint(format!(
                    "write --resource {logical_id}={}",
                    form.join(",")
                ))))
            }
        }
    };
    wanted.iter().map(one).collect()
}

/// The identifier by property. A value may contain commas and equals signs, so each part begins with the name of a property.
fn identifier(names: &[String], text: &str) -> Option<BTreeMap<String, String>> {
    if let [only] = names {
        let value = text.strip_prefix(&format!("{only}=")).unwrap_or(text);
        return Some([(only.clone(), value.to_owned())].into());
    }
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut last: Option<String> = None;
    for part in text.split(',') {
        let named = part
            .split_once('=')
            .filter(|(name, _)| names.iter().any(|known| known == name));
        match (named, &last) {
            (Some((name, value)), _) => {
                let name = name.to_owned();
                if found.insert(name.clone(), value.to_owned()).is_some() {
                    return None;
                }
                last = Some(name);
            }
            (None, Some(name)) => {
                let value = found.get_mut(name)?;
                value.push(',');
                value.push_str(part);
            }
            (None, None) => return None,
        }
    }
    let whole = names
        .iter()
        .all(|name| found.get(name).is_some_and(|it| !it.is_empty()));
    whole.then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::Exit;

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn an_identifier_is_read_by_the_names_of_its_properties() {
        for (properties, text, wanted) in [
            (
                &["QueueUrl"][..],
                "https://sqs/1/a?b=c,d",
                Some(vec![("QueueUrl", "https://sqs/1/a?b=c,d")]),
            ),
            (
                &["QueueUrl"],
                "QueueUrl=https://sqs/1/a",
                Some(vec![("QueueUrl", "https://sqs/1/a")]),
            ),
            (
                &["ApiId", "RouteId"],
                "RouteId=r,ApiId=a,b",
                Some(vec![("ApiId", "a,b"), ("RouteId", "r")]),
            ),
            (
                &["ApiId", "RouteId"],
                "ApiId=a,x=y,RouteId=r",
                Some(vec![("ApiId", "a,x=y"), ("RouteId", "r")]),
            ),
            (&["ApiId", "RouteId"], "ApiId=a", None),
            (&["ApiId", "RouteId"], "ApiId=a,RouteId=", None),
            (&["ApiId", "RouteId"], "a,b", None),
            (&["ApiId", "RouteId"], "ApiId=a,ApiId=b,RouteId=r", None),
            (&[], "a", None),
        ] {
            let found = identifier(&names(properties), text);
            let wanted = wanted.map(|pairs| {
                let pairs = pairs.into_iter();
                pairs
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect()
            });
            assert_eq!(found, wanted, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_taken_over_is_named() {
        let template = Template {
            identifiers: [(
                "Queue".to_owned(),
                Identifiers {
                    kind: "AWS::SQS::Queue".to_owned(),
                    names: names(&["QueueUrl"]),
                },
            )]
            .into(),
            ..Template::default()
        };
        let wanted = given(&names(&["Queue=https://sqs/1/a", ""])).unwrap();
        let found = identified(&template, &wanted).unwrap();
        assert_eq!(found[0].kind, "AWS::SQS::Queue");
        let wanted = given(&names(&["Topic=arn"])).unwrap();
        let error = identified(&template, &wanted).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.to_string().contains("no resource `Topic`"), "{error}");
        for (lines, piece) in [
            (&[][..], "--resource is missing"),
            (&["Queue"], "has no identifier"),
            (&["Queue="], "has no identifier"),
            (&["=https://sqs/1/a"], "has no identifier"),
            (&["Queue=a", "Queue=b"], "given twice"),
        ] {
            let error = given(&names(lines)).unwrap_err();
            assert!(error.to_string().contains(piece), "{error}");
        }
    }
}
