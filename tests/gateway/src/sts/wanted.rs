//! The request of a call that opens a session: the role, how long, with which tags and within which policies.
//! Source: STS API Reference, "AssumeRole"; IAM User Guide, "Pass session tags in AWS STS".

use time::{Duration, OffsetDateTime};

use super::{required, validation};
use crate::Gateway;
use crate::condition::Context;
use crate::error::AwsError;
use crate::iam::Role;
use crate::identity::{Credentials, Principal};
use crate::jwt::Token;
use crate::text::strings;
use crate::text::value;

/// The claim in which a token brings session tags along (IAM User Guide, "Passing session tags using
/// AssumeRoleWithWebIdentity").
const TAGS_CLAIM: &str = "https://aws.amazon.com/tags";

/// The parameters of every call that opens a role's session.
pub(super) struct Wanted {
    pub(super) arn: String,
    pub(super) account: String,
    name: String,
    session: String,
    pub(super) seconds: Option<i64>,
    external_id: Option<String>,
    /// The session tags that are asked for.
    pub(super) tags: Vec<(String, String)>,
    /// The keys of those that sessions opened from this one inherit.
    transitive: Vec<String>,
    /// The caller's own transitive tags.
    pub(super) inherited: Vec<(String, String)>,
    /// The session policies, which limit the session.
    pub(super) policies: Vec<String>,
}

impl Wanted {
    pub(super) fn read(form: &[(String, String)]) -> Result<Self, AwsError> {
        let arn = required(form, "RoleArn")?.to_owned();
        let parsed = arn
            .strip_prefix("arn:aws:iam::")
            .and_then(|rest| rest.split_once(":role/"));
        let (account, path) = parsed.ok_or_else(|| validation(&format!("{arn} is invalid")))?;
        let session = required(form, "RoleSessionName")?.to_owned();
        let legal = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        if !(2..=64).contains(&session.len()) || !session.chars().all(legal) {
            return Err(validation(&format!(
                "1 validation error detected: Value '{session}' at 'roleSessionName' failed to satisfy constraint: \
                 Member must satisfy regular expression pattern: [\\w+=,.@-]*, length 2 to 64"
            )));
        }
        let seconds = match value(form, "DurationSeconds") {
            None => None,
            Some(text) => Some(
                text.parse()
                    .map_err(|_| validation("DurationSeconds is not a number"))?,
            ),
        };
        if seconds.is_some_and(|seconds: i64| !(900..=43200).contains(&seconds)) {
            return Err(validation(
                "1 validation error detected: Value at 'durationSeconds' failed to satisfy constraint: \
                 Member must have value between 900 and 43200",
            ));
        }
        Ok(Self {
            account: account.to_owned(),
            name: path.rsplit('/').next().unwrap_or(path).to_owned(),
            arn,
            session,
            seconds,
            external_id: value(form, "ExternalId").map(str::to_owned),
            tags: Vec::new(),
            transitive: Vec::new(),
            inherited: Vec::new(),
            policies: Vec::new(),
        })
    }

    /// Takes the tags of `AssumeRole`'s parameters.
    pub(super) fn tagged_by_form(&mut self, form: &[(String, String)]) -> Result<(), AwsError> {
        self.tags = (1..=50)
            .map_while(|n| {
                let key = value(form, &format!("Tags.member.{n}.Key"))?;
                let value = value(form, &format!("Tags.member.{n}.Value")).unwrap_or_default();
                Some((key.to_owned(), value.to_owned()))
            })
            .collect();
        self.transitive = (1..=50)
            .map_while(|n| value(form, &format!("TransitiveTagKeys.member.{n}")))
            .map(str::to_owned)
            .collect();
        self.check_tags()
    }

    /// Takes the tags of a web identity's token.
    pub(super) fn tagged_by(&mut self, token: &Token) -> Result<(), AwsError> {
        let Some(claim) = token.claims.get(TAGS_CLAIM) else {
            return Ok(());
        };
        let tags = claim["principal_tags"].as_object().into_iter().flatten();
        self.tags = tags
            .map(|(key, values)| {
                (
                    key.clone(),
                    strings(values).into_iter().next().unwrap_or_default(),
                )
            })
            .collect();
        self.transitive = match &claim["transitive_tag_keys"] {
            serde_json::Value::Null => Vec::new(),
            keys => strings(keys),
        };
        self.check_tags()
    }

    fn check_tags(&self) -> Result<(), AwsError> {
        let legal = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c);
        for (key, value) in &self.tags {
            let fits = (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256;
            if !fits || !key.chars().chain(value.chars()).all(legal) || key.starts_with("aws:") {
                return Err(validation(&format!(
                    "1 validation error detected: the tag '{key}' failed to satisfy constraint"
                )));
            }
        }
        let tagged = |key: &String| self.tags.iter().any(|(own, _)| own == key);
        match self.transitive.iter().find(|key| !tagged(key)) {
            Some(key) => Err(invalid(&format!(
                "The specified transitive tag key {key} must be included in the requested tags."
            ))),
            None => Ok(()),
        }
    }

    /// Takes over the caller's transitive tags, which nobody can set anew further down the chain.
    pub(super) fn inherit(&mut self, caller: &Principal) -> Result<(), AwsError> {
        let passes = |key: &str| {
            caller
                .transitive
                .iter()
                .any(|own| own.eq_ignore_ascii_case(key))
        };
        if self.tags.iter().any(|(key, _)| passes(key)) {
            return Err(invalid(
                "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.",
            ));
        }
        let own = caller.tags.iter().filter(|(key, _)| passes(key));
        self.inherited = own.cloned().collect();
        Ok(())
    }

    /// The role, if one exists under exactly this ARN (the path counts).
    pub(super) async fn role(&self, gateway: &Gateway) -> Result<Option<Role>, AwsError> {
        Ok(crate::iam::role(gateway, &self.account, &self.name)
            .await?
            .filter(|role| role.arn == self.arn))
    }

    pub(super) fn context(&self, context: &mut Context) {
        context.set("sts:RoleSessionName", vec![self.session.clone()]);
        if let Some(id) = &self.external_id {
            context.set("sts:ExternalId", vec![id.clone()]);
        }
        for (key, value) in &self.tags {
            context.set(&format!("aws:RequestTag/{key}"), vec![value.clone()]);
        }
        if !self.tags.is_empty() {
            context.set(
                "aws:TagKeys",
                self.tags.iter().map(|(key, _)| key.clone()).collect(),
            );
        }
        if !self.transitive.is_empty() {
            context.set("sts:TransitiveTagKeys", self.transitive.clone());
        }
        context.set(
            "aws:CurrentTime",
            vec![crate::rfc3339(OffsetDateTime::now_utc())],
        );
    }

    pub(super) fn open(
        &self,
        gateway: &Gateway,
        role: &Role,
        limit: i64,
    ) -> Result<Credentials, AwsError> {
        let seconds = self.seconds.unwrap_or(3600);
        if seconds > role.longest_session {
            return Err(validation(
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            ));
        }
        // A session's own tag counts where the role has one of that key too.
        let mut tags = self.inherited.clone();
        tags.extend(self.tags.iter().cloned());
        let mut transitive: Vec<String> =
            self.inherited.iter().map(|(key, _)| key.clone()).collect();
        transitive.extend(self.transitive.iter().cloned());
        for (key, value) in &role.tags {
            if !tags.iter().any(|(own, _)| own.eq_ignore_ascii_case(key)) {
                tags.push((key.clone(), value.clone()));
            }
        }
        let principal = Principal {
            account: self.account.clone(),
            arn: format!(
                "arn:aws:sts::{}:assumed-role/{}/{}",
                self.account, self.name, self.session
            ),
            role: Some(self.arn.clone()),
            session: Some(self.session.clone()),
            user_id: format!("{}:{}", role.id, self.session),
            tags,
            transitive,
            policies: self.policies.clone(),
        };
        Ok(gateway
            .identities
            .issue(principal, Some(Duration::seconds(seconds.min(limit)))))
    }
}

/// The policies that a session is opened with: one as text, the others by ARN.
pub(super) async fn session_policies(
    gateway: &Gateway,
    account: &str,
    form: &[(String, String)],
) -> Result<Vec<String>, AwsError> {
    let mut texts: Vec<String> = value(form, "Policy")
        .map(str::to_owned)
        .into_iter()
        .collect();
    if texts
        .iter()
        .any(|text| serde_json::from_str::<serde_json::Value>(text).is_err())
    {
        return Err(AwsError::new(
            400,
            "MalformedPolicyDocument",
            "The policy is not in the valid JSON format.",
        ));
    }
    for n in 1..=10 {
        let Some(arn) = value(form, &format!("PolicyArns.member.{n}.arn")) else {
            break;
        };
        let text = crate::access::stored::managed(gateway, account, arn).await?;
        // A policy that is not there permits nothing.
        texts.push(text.unwrap_or_default());
    }
    Ok(texts)
}

fn invalid(message: &str) -> AwsError {
    AwsError::new(400, "InvalidParameterValue", message)
}
