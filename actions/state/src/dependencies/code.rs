//! The dependencies of one module's code: the modules that it calls and the providers that it uses. Pure.
//! Source: terraform `internal/configs/{module_call,provider_requirements,resource}.go`.

use super::unreadable::Unreadable;
use crate::block::Value;
use crate::block::json::{self, each};
use crate::block::tokens::{Token, Tokens};
use kit::lockfile;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// A call of a module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ModuleCall {
    pub(super) source: Option<Value>,
    pub(super) version: Option<Value>,
    /// Its location.
    pub(super) at: String,
}

/// The code of one module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Code {
    /// The calls of modules, by their names.
    pub(super) calls: BTreeMap<String, ModuleCall>,
    /// The declared sources of providers, by their local names.
    sources: BTreeMap<String, Value>,
    /// Local names of providers that are declared or used, with the first place.
    used: BTreeMap<String, String>,
}

/// An attribute: the tokens of its value, and its line.
type Attributes = BTreeMap<String, (Vec<Token>, usize)>;

impl Code {
    /// Adds a file of HCL, which is shown as `name`.
    ///
    /// # Errors
    /// It cannot be read as HCL, or not for certain.
    pub(super) fn add_hcl(&mut self, text: &str, name: &str) -> Result<(), Unreadable> {
        let mut tokens = Tokens::of(text);
        let mut labels: Vec<String> = Vec::new();
        while let Some((token, line)) = tokens.take() {
            match token {
                Token::Word(word) | Token::Text(Some(word)) => labels.push(word),
                Token::Mark('{') => {
                    let at = format!("{name}:{line}");
                    self.block(&labels, &mut tokens, at);
                    labels.clear();
                }
                Token::Mark('[' | '(') => tokens.skip(),
                Token::Mark('}' | ']' | ')') => {
                    let at = format!("{name}:{line}");
                    return Err(Unreadable::Unopened { at });
                }
                _ => labels.clear(),
            }
        }
        if let Some(line) = tokens.unclear() {
            let at = format!("{name}:{line}");
            return Err(Unreadable::Ambiguous { at });
        }
        match tokens.is_cut_off() {
            true => Err(Unreadable::CutOff {
                name: name.to_owned(),
            }),
            false => Ok(()),
        }
    }

    /// A block at the top of a file, after its opening brace.
    fn block(&mut self, labels: &[String], tokens: &mut Tokens<'_>, at: String) {
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        match labels.as_slice() {
            ["module", name] => {
                let found = attributes(tokens, false);
                let value = |name: &str| found.get(name).map(|(parts, _)| Value::of(parts));
                self.call(name, value("source"), value("version"), at);
            }
            ["terraform"] => self.terraform(tokens, &at),
            ["provider", name] => {
                tokens.skip();
                self.uses(name, at);
            }
            [
                "resource" | "data" | "ephemeral" | "action" | "list",
                kind,
                _,
            ] => {
                let found = attributes(tokens, false);
                let named = found.get("provider").and_then(|(parts, _)| parts.first());
                match named {
                    Some(Token::Word(name) | Token::Text(Some(name))) => self.uses(local(name), at),
                    _ => self.uses(of_kind(kind), at),
                }
            }
            _ => tokens.skip(),
        }
    }

    /// The inside of a block `terraform`.
    fn terraform(&mut self, tokens: &mut Tokens<'_>, at: &str) {
        let mut labels: Vec<String> = Vec::new();
        while let Some((token, _)) = tokens.take() {
            match token {
                Token::Word(word) | Token::Text(Some(word)) => labels.push(word),
                Token::Mark('{') => {
                    if labels == ["required_providers"] {
                        self.required(tokens, at);
                    } else {
                        tokens.skip();
                    }
                    labels.clear();
                }
                Token::Mark('[' | '(') => tokens.skip(),
                Token::Mark('}') => return,
                _ => labels.clear(),
            }
        }
        tokens.cut_off();
    }

    /// The inside of a block `required_providers`.
    fn required(&mut self, tokens: &mut Tokens<'_>, at: &str) {
        while let Some((token, _)) = tokens.take() {
            let name = match token {
                Token::Mark('}') => return,
                Token::Word(name) | Token::Text(Some(name)) => name,
                _ => continue,
            };
            tokens.take();
            if tokens.peek() == Some(&Token::Mark('{')) {
                tokens.take();
                let found = attributes(tokens, true);
                let source = found.get("source").map(|(parts, _)| Value::of(parts));
                self.requires(&name, source, at);
            } else {
                // The form of old: the version alone. Anything else may name a source.
                let source = match tokens.parts(false).as_slice() {
                    [Token::Text(Some(_))] => None,
                    _ => Some(Value::Expression),
                };
                self.requires(&name, source, at);
            }
        }
        tokens.cut_off();
    }

    /// Adds a file of Terraform's JSON, which is shown as `name`.
    ///
    /// # Errors
    /// It is not JSON.
    pub(super) fn add_json(&mut self, text: &str, name: &str) -> Result<(), Unreadable> {
        let not_json = |source| Unreadable::NotJson {
            name: name.to_owned(),
            source,
        };
        let json: Json = serde_json::from_str(text).map_err(not_json)?;
        // The tool reads each of several members of one name.
        if let Some(member) = json::twice(text).map_err(not_json)? {
            let name = name.to_owned();
            return Err(Unreadable::MemberTwice { name, member });
        }
        for (call, body) in labelled(&json["module"]) {
            let value = |key: &str| body.get(key).map(json_value);
            self.call(call, value("source"), value("version"), name.to_owned());
        }
        for terraform in each(&json["terraform"]) {
            for (provider, declared) in labelled(&terraform["required_providers"]) {
                self.requires(provider, declared.get("source").map(json_value), name);
            }
        }
        for (provider, _) in labelled(&json["provider"]) {
            self.uses(provider, name.to_owned());
        }
        for block in ["resource", "data", "ephemeral", "action", "list"] {
            for (kind, all) in labelled(&json[block]) {
                for (_, body) in labelled(all) {
                    match body["provider"].as_str() {
                        Some(provider) => self.uses(local(provider), name.to_owned()),
                        None => self.uses(of_kind(kind), name.to_owned()),
                    }
                }
            }
        }
        Ok(())
    }

    /// An override file's block replaces only what it names.
    fn call(&mut self, name: &str, source: Option<Value>, version: Option<Value>, at: String) {
        let call = self.calls.entry(name.to_owned()).or_default();
        call.source = source.or(call.source.take());
        call.version = version.or(call.version.take());
        call.at = at;
    }

    fn requires(&mut self, name: &str, source: Option<Value>, at: &str) {
        self.uses(name, at.to_owned());
        if let Some(source) = source {
            self.sources.insert(name.to_owned(), source);
        }
    }

    fn uses(&mut self, name: &str, at: String) {
        self.used.entry(name.to_owned()).or_insert(at);
    }

    /// The providers that have to be installed, by their sources, with a place that needs each.
    ///
    /// # Errors
    /// A source that cannot be read.
    pub(super) fn providers(&self) -> Result<BTreeMap<String, String>, Unreadable> {
        let mut providers = BTreeMap::new();
        for (name, at) in &self.used {
            let source = match self.sources.get(name) {
                Some(Value::Literal(source)) => source,
                Some(Value::Expression) => {
                    return Err(Unreadable::ProviderSource {
                        provider: name.clone(),
                        at: at.clone(),
                    });
                }
                // The provider of `terraform_data` and `terraform_remote_state` is built in.
                _ if name == "terraform" => continue,
                Some(Value::Null) | None => name,
            };
            if let Some(source) = lockfile::source(source) {
                providers.insert(source, at.clone());
            }
        }
        Ok(providers)
    }
}

/// The attributes of a body or of an object, up to its closing brace.
fn attributes(tokens: &mut Tokens<'_>, object: bool) -> Attributes {
    let mut found = Attributes::new();
    while let Some((token, line)) = tokens.take() {
        let name = match token {
            Token::Mark('}') => return found,
            Token::Word(name) | Token::Text(Some(name)) => name,
            Token::Newline | Token::Mark(',') => continue,
            other => {
                // The key of an object may be an expression, such as `("source")`.
                if object {
                    tokens.doubt(line);
                }
                if matches!(other, Token::Mark('{' | '[' | '(')) {
                    tokens.skip();
                }
                continue;
            }
        };
        if matches!(tokens.peek(), Some(Token::Mark('=' | ':'))) {
            tokens.take();
            let parts = tokens.parts(object);
            found.insert(name, (parts, line));
        } else if object {
            tokens.doubt(line);
        }
    }
    tokens.cut_off();
    found
}

/// The local name of a provider in `NAME` or `NAME.ALIAS`.
fn local(reference: &str) -> &str {
    reference.split('.').next().unwrap_or_default()
}

/// The local name of the provider that resources of a type have by themselves.
fn of_kind(kind: &str) -> &str {
    kind.split('_').next().unwrap_or_default()
}

/// The members of objects, each of which may be in a list.
fn labelled(value: &Json) -> impl Iterator<Item = (&str, &Json)> {
    let objects = each(value).filter_map(Json::as_object).flatten();
    let members =
        objects.flat_map(|(name, value)| each(value).map(move |one| (name.as_str(), one)));
    // A comment.
    members.filter(|(name, _)| *name != "//")
}

fn json_value(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::String(text) if text.contains("${") || text.contains("%{") => Value::Expression,
        Json::String(text) => Value::Literal(text.clone()),
        other if other.is_number() => Value::Literal(other.to_string()),
        _ => Value::Expression,
    }
}

#[cfg(test)]
mod generated;

#[cfg(test)]
mod tests {
    use super::*;

    /// The calls as `NAME SOURCE VERSION AT`, and the providers as `SOURCE AT`.
    fn shown(code: &Code) -> (Vec<String>, Vec<String>) {
        let value = |value: &Option<Value>| match value {
            Some(Value::Literal(text)) => text.clone(),
            Some(Value::Null) => "null".to_owned(),
            Some(Value::Expression) => "?".to_owned(),
            None => "-".to_owned(),
        };
        let calls = code.calls.iter().map(|(name, call)| {
            format!(
                "{name} {} {} {}",
                value(&call.source),
                value(&call.version),
                call.at
            )
        });
        let providers = code.providers().unwrap();
        let providers = providers
            .iter()
            .map(|(source, at)| format!("{source} {at}"));
        (calls.collect(), providers.collect())
    }

    fn hcl(text: &str) -> Code {
        let mut code = Code::default();
        code.add_hcl(text, "main.tf").unwrap();
        code
    }

    #[test]
    fn calls_and_providers_are_read_as_people_write_them() {
        let code = hcl(r#"
terraform {
  required_version = ">= 1.9"
  required_providers {
    acme  = { source = "acme/it", version = "~> 1.0", configuration_aliases = [acme.a] }
    cloud = {
      version = ">= 2" # the source is the default one
      "source" : "registry.terraform.io/Acme/Cloud"
    }
    old = "~> 3.0"
  }
  backend "s3" {}
}

provider "random" {}

module "vpc" { # the network
  source  = "terraform-aws-modules/vpc/aws"
  version = "5.1.2"
  tags = { source = "not this one" }
  nested {
    version = "nor this"
  }
}
module "moved" {
  source = "${path.module}/x"
}
module near {
  source = "./near"
}
resource "aws_instance" "web" {}
resource "google_it" "web" {
  provider = google-beta.west
}
data "terraform_remote_state" "x" {}
resource "terraform_data" "y" {}
locals {
  text = <<-EOT
    module "no" { source = "x/y/z" }
  EOT
  module = { source = "x" }
}
"#);
        let (calls, providers) = shown(&code);
        assert_eq!(
            calls,
            [
                "moved ? - main.tf:25",
                "near ./near - main.tf:28",
                "vpc terraform-aws-modules/vpc/aws 5.1.2 main.tf:17"
            ]
        );
        assert_eq!(
            providers,
            [
                "acme/cloud main.tf:2",
                "acme/it main.tf:2",
                "hashicorp/aws main.tf:31",
                "hashicorp/google-beta main.tf:32",
                "hashicorp/old main.tf:2",
                "hashicorp/random main.tf:15"
            ]
        );
    }

    #[test]
    fn json_says_the_same() {
        let text = r#"{
            "//": "made by a program",
            "terraform": {"required_providers": {"acme": {"source": "acme/it"}, "old": "~> 1"}},
            "provider": {"random": [{}]},
            "module": [{"vpc": {"source": "a/b/c", "version": "1.0.0"}}, {"//": "x", "far": {"source": "${x}"}}],
            "resource": {"aws_instance": {"web": {}, "beta": {"provider": "other.west"}}},
            "data": {"terraform_remote_state": {"x": {}}}
        }"#;
        let mut code = Code::default();
        code.add_json(text, "cdk.tf.json").unwrap();
        let (calls, providers) = shown(&code);
        assert_eq!(
            calls,
            ["far ? - cdk.tf.json", "vpc a/b/c 1.0.0 cdk.tf.json"]
        );
        let sources: Vec<&str> = providers
            .iter()
            .filter_map(|it| it.split(' ').next())
            .collect();
        assert_eq!(
            sources,
            [
                "acme/it",
                "hashicorp/aws",
                "hashicorp/old",
                "hashicorp/other",
                "hashicorp/random"
            ]
        );
        assert!(
            code.add_json("{", "x")
                .unwrap_err()
                .to_string()
                .contains("x is not JSON")
        );
    }

    #[test]
    fn an_override_replaces_what_it_names() {
        let mut code = hcl("module \"a\" {\n source = \"a/b/c\"\n version = \"1.0.0\"\n}\n");
        code.add_hcl("module \"a\" {\n version = \"~> 2\"\n}\n", "override.tf")
            .unwrap();
        assert_eq!(shown(&code).0, ["a a/b/c ~> 2 override.tf:1"]);
    }

    #[test]
    fn unreadable_hcl_is_an_error() {
        for text in [
            "module \"a\" {",
            "terraform {",
            "terraform {\n required_providers {",
            "x = \"a",
            "/* x",
            "x = <<EOT\nabc",
            "}",
            "x = [\"a\"",
        ] {
            assert!(Code::default().add_hcl(text, "x").is_err(), "{text}");
        }
        // The tool reads these differently from a parser that only looks for quotes and braces.
        for text in [
            "x = <<EOT \na\nEOT\n",
            "x = <<\"EOT\"\na\nEOT\n",
            "x = \"\\uD800\"\n",
            "x = \"\\u12\"\n",
            "x = \"a\nb\"\n",
            "module a\u{301} {\n source = \"x\"\n}\n",
            "terraform {\n required_providers {\n a = { (\"source\") = \"b/c\" }\n }\n}\n",
            "terraform {\n required_providers {\n a = { \"s${\"ource\"}\" = \"b/c\" }\n }\n}\n",
            "terraform {\n required_providers {\n a = { for k, v in {} : k => v }\n }\n}\n",
        ] {
            let error = Code::default().add_hcl(text, "x").unwrap_err();
            assert!(
                matches!(error, Unreadable::Ambiguous { .. }),
                "{text}: {error}"
            );
        }
        let deep = format!("x = \"{}", "${\"".repeat(100_000));
        assert!(Code::default().add_hcl(&deep, "x").is_err());
        for text in [
            r#"{"module": {"a": {"source": "./a"}}, "module": {"b": {"source": "x/y/z"}}}"#,
            r#"{"module": {"a": {"source": "./a", "source": "x/y/z"}}}"#,
        ] {
            let error = Code::default().add_json(text, "x").unwrap_err();
            assert!(matches!(error, Unreadable::MemberTwice { .. }), "{error}");
        }
        let code = hcl("terraform {\n required_providers {\n a = ({ source = \"b/c\" })\n }\n}");
        assert!(code.providers().is_err());
        let code = hcl("terraform {\n required_providers {\n a = { source = var.x }\n }\n}");
        assert!(code.providers().is_err());
        let text = "terraform {\n required_providers {\n a = { source = \"b\" }\n }\n}\nmodule \"x\" {\n source = \"./${y(\"z\")}\"\n}\nx = <<E\nE\n";
        for cut in 0..text.len() {
            let _ = Code::default().add_hcl(&text[..cut], "x");
        }
    }
}
