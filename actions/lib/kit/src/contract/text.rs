//! Names and other short texts of the contract. Each kind is one regular expression, which both
//! the decoder and the JSON Schema use, so that an editor and a run say the same.

use regex_lite::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::marker::PhantomData;

/// A kind of text.
pub(super) trait Kind {
    /// The pattern that the text must match, in the common subset of ECMA-262 and regex-lite.
    const PATTERN: &'static str;
    /// The noun for messages: "`X` is not a …".
    const NOUN: &'static str;
    /// The rule in words.
    const RULE: &'static str;
}

/// Text of one kind.
#[derive(Debug, Clone)]
pub(super) struct Text<K>(pub(super) String, PhantomData<K>);

impl<K> Default for Text<K> {
    fn default() -> Self {
        Self(String::new(), PhantomData)
    }
}

impl<K: Kind> Text<K> {
    pub(super) fn parse(text: &str) -> Option<Self> {
        matches(K::PATTERN, text).then(|| Self(text.to_owned(), PhantomData))
    }
}

impl<K: Kind> JsonSchema for Text<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        K::NOUN.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": K::PATTERN })
    }
}

/// The end of a sentence: "is not a NOUN".
pub(super) fn is_not(noun: &str) -> String {
    let article = match noun.starts_with(['a', 'e', 'i', 'o', 'E']) {
        true => "an",
        false => "a",
    };
    format!("is not {article} {noun}")
}

/// Returns whether `text` matches `pattern`, one of this module's own.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    Regex::new(pattern).is_ok_and(|regex| regex.is_match(text))
}

macro_rules! kinds {
    ($($name:ident: $noun:literal, $rule:literal, $pattern:literal;)*) => {$(
        #[derive(Debug, Clone, Default)]
        pub(super) struct $name;

        impl Kind for $name {
            const PATTERN: &'static str = $pattern;
            const NOUN: &'static str = $noun;
            const RULE: &'static str = $rule;
        }
    )*
    #[cfg(test)]
    const PATTERNS: &[&str] = &[$($pattern),*];
    };
}

kinds! {
    ServiceName: "service name",
        "lower-case letters, digits and hyphens, beginning with a letter, at most 40",
        "^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$";
    EnvironmentName: "environment name",
        "lower-case letters, digits and hyphens, beginning with a letter, at most 20",
        "^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$";
    VariableName: "variable name",
        "letters, digits and underscores, not beginning with a digit",
        "^[A-Za-z_][A-Za-z0-9_]*$";
    RelativePath: "relative path",
        "a path from the contract's folder, such as `infra` or `.`",
        "^[^/\\\\].*$";
    RepositoryPath: "path in the repository",
        "a path from the repository's root, such as `services/shop/delivery.yaml`",
        "^[^/\\\\].*$";
    Platform: "platform",
        "operating system and architecture, such as `linux/arm64`",
        "^[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?$";
    Branch: "branch name",
        "a branch without `refs/heads/`, such as `main`",
        "^[A-Za-z0-9_][A-Za-z0-9_./-]*$";
    CheckName: "check name",
        "the name of a check run, such as `test`, or `name@app-id`",
        "^[^ ](.*[^ ])?$";
    WorkflowPath: "workflow file",
        "a path such as `.github/workflows/promote.yml`",
        "^\\.github/workflows/[^/]+\\.ya?ml$";
    ProjectName: "CodeBuild project",
        "its name: letters, digits, hyphens and underscores, 2 to 150",
        "^[A-Za-z0-9][A-Za-z0-9_-]{1,149}$";
    AccessKeyId: "access key ID",
        "`AKIA` and 12 to 124 capital letters and digits",
        "^AKIA[A-Z0-9]{12,124}$";
    Login: "GitHub login",
        "letters, digits and hyphens, at most 39, with `[bot]` for an app",
        "^[A-Za-z0-9]([A-Za-z0-9-]{0,37}[A-Za-z0-9])?(\\[bot\\])?$";
    Principal: "principal in AWS",
        "the whole ARN, as `aws sts get-caller-identity --query Arn` prints it: `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`",
        "^arn:aws(-cn|-eusc|-us-gov|-iso|-iso-b|-iso-e|-iso-f)?:(sts::[0-9]{12}:assumed-role/[A-Za-z0-9_+=,.@-]{1,64}/[A-Za-z0-9_+=,.@-]{2,64}|iam::[0-9]{12}:user/([!-.0-~]+/)*[A-Za-z0-9_+=,.@-]{1,64})$";
    Span: "duration",
        "days, hours, minutes and seconds, such as `2h` or `1h30m`",
        "^([0-9]{1,4}d([0-9]{1,4}h)?([0-9]{1,4}m)?([0-9]{1,4}s)?|[0-9]{1,4}h([0-9]{1,4}m)?([0-9]{1,4}s)?|[0-9]{1,4}m([0-9]{1,4}s)?|[0-9]{1,4}s)$";
    TimeOfDay: "time of day",
        "hours and minutes from `00:00` to `24:00`, in quotes",
        "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$";
    Day: "day",
        "year, month and day, such as `2026-12-24`",
        "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$";
    TimeZone: "time zone",
        "a name of the IANA time zone database, such as `America/Toronto` or `UTC`",
        "^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$";
    Calendar: "change calendar",
        "the name or the ARN of an SSM document of the type ChangeCalendar",
        "^(arn:aws[a-z-]*:ssm:[a-z0-9-]+:[0-9]{12}:document/)?[A-Za-z0-9_.-]{3,128}$";
    Reason: "reason",
        "one line of text",
        "^[^ ](.*[^ ])?$";
    Approver: "GitHub login or a team",
        "a login, or a team as `organization/team`",
        "^[A-Za-z0-9]([A-Za-z0-9-]{0,37}[A-Za-z0-9])?((\\[bot\\])?|/[a-z0-9_-]{1,100})$";
    Repository: "repository on GitHub",
        "owner and name, such as `acme/approvals`",
        "^[A-Za-z0-9]([A-Za-z0-9-]{0,37}[A-Za-z0-9])?/[A-Za-z0-9_.-]{1,100}$";
    Notify: "way to notify people of a request",
        "`issue`, or `sns:NAME` with the name of a topic in the build account",
        "^(issue|sns:[A-Za-z0-9_-]{1,256})$";
    AccountNumber: "number of a GitHub account",
        "the `id` that `gh api users/LOGIN` prints",
        "^[1-9][0-9]{0,9}$";
    Email: "e-mail address",
        "the address of a commit's author or committer",
        "^[^@ ]+@[^@ ]+$";
    CommitHash: "commit",
        "the full hash of a commit, 40 or 64 hexadecimal digits",
        "^([0-9a-f]{40}|[0-9a-f]{64})$";
    Dependency: "source of a provider or a module",
        "as the code names it, without version and query, such as `hashicorp/aws` or `terraform-aws-modules/vpc/aws`",
        "^[^ ?]+$";
    ParameterName: "parameter of a template",
        "letters and digits, at most 255",
        "^[A-Za-z0-9]{1,255}$";
    TagKey: "key of a tag",
        "letters, digits, spaces and `_.:/=+@-`, at most 128",
        "^[A-Za-z0-9 _.:/=+@-]{1,128}$";
    Pattern: "regular expression",
        "a regular expression that the whole value must match",
        "^.+$";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one_and_is_anchored() {
        for pattern in PATTERNS {
            assert!(Regex::new(pattern).is_ok(), "{pattern}");
            assert!(
                pattern.starts_with('^') && pattern.ends_with('$'),
                "{pattern}"
            );
        }
    }

    #[test]
    fn names_that_break_other_names_are_none() {
        for good in ["a", "storefront", "a1", "front-end"] {
            assert!(Text::<ServiceName>::parse(good).is_some(), "{good}");
        }
        for bad in ["", "1a", "a_b", "A", "a-", "-a", "a b"] {
            assert!(Text::<ServiceName>::parse(bad).is_none(), "{bad}");
        }
    }
}
