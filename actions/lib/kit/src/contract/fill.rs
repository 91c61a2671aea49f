//! Filling in single values: text with placeholders, references and defaults, each checked for
//! its shape.

use super::declared::EnvironmentKey;
use super::diagnostics::{At, Mistake, Mistakes, SourceSpan};
use super::template::{InAccount, InRegion, Piece, Placeholder, Template, Templated};
use super::text::{is_not, matches};
use super::vars::Vars;
use crate::aws::{AccountId, KmsKey, Region, RoleArn};
use std::str::FromStr;

const ROLE_NAME: &str = "^([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,64}$";

/// Fills in the values of one environment. `own` values differ by environment, and so do the
/// variables they come from; what all environments share has one variable.
pub(super) struct Filler<'a> {
    service: &'a str,
    name: &'a EnvironmentKey,
    /// `None` while the file alone is looked at: then a reference has no value, which is not a
    /// mistake.
    vars: Option<&'a Vars<'a>>,
    pub(super) mistakes: &'a mut Mistakes,
    pub(super) account: Option<String>,
    pub(super) region: Option<String>,
}

/// A value and where it comes from.
pub(super) struct Value {
    pub(super) text: String,
    pub(super) span: SourceSpan,
    /// The variable it was found in.
    variable: Option<String>,
}

impl<'a> Filler<'a> {
    pub(super) fn new(
        service: &'a str,
        name: &'a EnvironmentKey,
        vars: Option<&'a Vars<'a>>,
        mistakes: &'a mut Mistakes,
    ) -> Self {
        Self {
            service,
            name,
            vars,
            mistakes,
            account: None,
            region: None,
        }
    }

    pub(super) fn environment(&self) -> &'a str {
        &self.name.value.0
    }

    pub(super) fn account(
        &mut self,
        template: &At<Templated<InAccount>>,
        own: bool,
    ) -> Option<AccountId> {
        let value = self.value(template, own)?;
        self.parsed(
            &value,
            "is not an account ID",
            "an account ID has twelve digits; leading zeros count",
        )
    }

    pub(super) fn region(
        &mut self,
        template: &At<Templated<InRegion>>,
        own: bool,
    ) -> Option<Region> {
        let value = self.value(template, own)?;
        self.parsed(
            &value,
            "is not a region",
            "a region's name looks like `ca-central-1`",
        )
    }

    fn parsed<T: FromStr>(&mut self, value: &Value, wrong: &str, hint: &str) -> Option<T> {
        let parsed = value.text.parse().ok();
        if parsed.is_none() {
            self.mistakes
                .add(Mistake::new(value.span.clone(), value.message(wrong)).hint(hint));
        }
        parsed
    }

    /// A role's ARN, from its name or as it is given. It must be in the account and the partition it is for.
    pub(super) fn role(
        &mut self,
        role: Option<Value>,
        account: Option<&AccountId>,
        region: Option<&Region>,
    ) -> Option<RoleArn> {
        let role = role?;
        // Not parsed yet: text that begins like an ARN and is not one is reported as a wrong ARN.
        if !role.text.starts_with("arn:") {
            let name = self.checked(Some(role), ROLE_NAME, "role name")?;
            return RoleArn::new(region?.partition(), account?, &name).ok();
        }
        let arn: RoleArn = self.parsed(
            &role,
            "is not the ARN of a role",
            "a role's ARN looks like arn:aws:iam::123456789012:role/NAME; its name alone is enough",
        )?;
        let account = account?;
        let (message, hint) = if arn.account() != account {
            (
                format!("this role is not in account {account}"),
                "a role's name is enough: its account is known".to_owned(),
            )
        } else if let Some(region) = region
            && arn.partition() != region.partition()
        {
            (
                format!(
                    "this role is in partition {}, and {region} in {}",
                    arn.partition(),
                    region.partition()
                ),
                "a role's name is enough: its partition is known".to_owned(),
            )
        } else {
            return Some(arn);
        };
        self.mistakes
            .add(Mistake::new(role.span.clone(), message).hint(hint));
        None
    }

    /// A key of KMS. An ARN must be in the account and the region it is for.
    pub(super) fn key<S>(
        &mut self,
        key: &At<Templated<S>>,
        account: Option<&AccountId>,
        region: Option<&Region>,
    ) -> Option<KmsKey> {
        let value = self.value(key, false)?;
        let key: KmsKey = self.parsed(
            &value,
            "is not the alias or ARN of a KMS key",
            "write alias/NAME, or the ARN; list them: aws kms list-aliases",
        )?;
        let (Some((key_account, key_region)), Some(account), Some(region)) =
            (key.location(), account, region)
        else {
            return Some(key);
        };
        if key_account == account && key_region == region {
            return Some(key);
        }
        let message = format!("this key is not in account {account} and region {region}");
        self.mistakes.add(
            Mistake::new(value.span.clone(), message)
                .hint("a key's alias is enough: its account and region are known"),
        );
        None
    }

    /// A value that has no default.
    pub(super) fn given<S>(&mut self, template: &At<Templated<S>>, own: bool) -> Option<Value> {
        self.value(template, own)
    }

    /// A value of this environment's that has neither a default nor a rule.
    pub(super) fn given_text<S>(&mut self, template: &At<Templated<S>>) -> Option<String> {
        self.value(template, true).map(|value| value.text)
    }

    pub(super) fn checked(
        &mut self,
        value: Option<Value>,
        pattern: &str,
        noun: &str,
    ) -> Option<String> {
        let value = value?;
        if matches(pattern, &value.text) {
            return Some(value.text);
        }
        self.mistakes.add(
            Mistake::new(value.span.clone(), value.message(&is_not(noun)))
                .hint(format!("it must match {pattern}")),
        );
        None
    }

    /// The value given, else the default, which then belongs to the environment as a whole.
    pub(super) fn text<S>(
        &mut self,
        given: Option<&At<Templated<S>>>,
        default: &str,
        key: &str,
        own: bool,
    ) -> Option<Value> {
        if let Some(given) = given {
            return self.value(given, own);
        }
        let template = Template::parse(default, &Placeholder::ALL).ok()?;
        if let (Template::Variable(name), Some(vars)) = (&template, self.vars)
            && vars.get(name, Some(self.environment())).is_none()
        {
            let message = format!("`{key}` is not given, and `{name}` is not set");
            let hint = vars.hint(name, Some(self.environment()));
            self.mistakes
                .add(Mistake::new(self.name.span.clone(), message).hint(hint));
            return None;
        }
        self.filled(&template, &self.name.span.clone(), own)
    }

    /// A variable of this environment's, if it is set.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let value = self.vars?.get(name, Some(self.environment()))?;
        Some(value.to_string())
    }

    fn value<S>(&mut self, template: &At<Templated<S>>, own: bool) -> Option<Value> {
        let value = self.look(template, own);
        if value.is_none() {
            self.unset(template, own);
        }
        value
    }

    pub(super) fn look<S>(&self, template: &At<Templated<S>>, own: bool) -> Option<Value> {
        self.filled(&template.value.0, &template.span, own)
    }

    /// `own` values differ by environment, and so do their variables.
    fn filled(&self, template: &Template, span: &SourceSpan, own: bool) -> Option<Value> {
        let (text, variable) = match template {
            Template::Variable(name) => {
                (self.vars?.get(name, self.suffix(own))?, Some(name.clone()))
            }
            Template::Text(pieces) => (self.pieces(pieces)?, None),
            Template::Unreadable => return None,
        };
        Some(Value {
            text,
            span: span.clone(),
            variable,
        })
    }

    pub(super) fn pieces(&self, pieces: &[Piece]) -> Option<String> {
        let mut text = String::new();
        for piece in pieces {
            let known = match piece {
                Piece::Literal(literal) => literal.as_str(),
                Piece::Placeholder(Placeholder::Service) => self.service,
                Piece::Placeholder(Placeholder::Environment) => self.environment(),
                Piece::Placeholder(Placeholder::Account) => self.account.as_deref()?,
                Piece::Placeholder(Placeholder::Region) => self.region.as_deref()?,
            };
            // A name that could not be read is empty, and what it would make means nothing.
            if known.is_empty() {
                return None;
            }
            text.push_str(known);
        }
        Some(text)
    }

    pub(super) fn unset<S>(&mut self, template: &At<Templated<S>>, own: bool) {
        if let (Template::Variable(name), Some(vars)) = (&template.value.0, self.vars) {
            let hint = vars.hint(name, self.suffix(own));
            self.mistakes.add(
                Mistake::new(template.span.clone(), format!("`{name}` is not set")).hint(hint),
            );
        }
    }

    fn suffix(&self, own: bool) -> Option<&'a str> {
        own.then_some(self.environment())
    }
}

impl Value {
    /// A sentence about the value that names the variable it comes from.
    pub(super) fn message(&self, predicate: &str) -> String {
        match &self.variable {
            Some(name) => format!("`{}` in `{name}` {predicate}", self.text),
            None => format!("`{}` {predicate}", self.text),
        }
    }
}
