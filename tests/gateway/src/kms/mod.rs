//! KMS: keys on P-256 that sign, symmetric keys that encrypt, also in several regions, their policies and aliases. Requests and
//! answers fit AWS's own model. The key's policy decides each call, and may leave the decision to the identity policies of an
//! account.
//! Source: AWS KMS API Reference; AWS KMS Developer Guide, "Key policies" and "Condition keys".

mod cipher;
mod ecdsa;
mod encrypting;
mod keys;
mod manage;
mod regions;
mod signing;

pub(crate) use keys::Keys;

use serde_json::Value;
use standin_ecs::drop_null_members;

use crate::Gateway;
use crate::access::{self, Own, Policies, Request};
use crate::answer::Answer;
use crate::call::Call;
use crate::condition::Context;
use crate::error::AwsError;
use crate::fitting::fitting;
use crate::identity::Principal;
use keys::{At, Key};

/// The one algorithm of keys on P-256.
const ALGORITHM: &str = "ECDSA_SHA_256";

/// A call that was read, and who makes it.
struct Desk<'a> {
    gateway: &'a Gateway,
    call: &'a Call,
    principal: &'a Principal,
    policies: Policies,
    /// Where the caller is.
    at: At,
    input: Value,
}

/// Answers one KMS call.
pub(crate) async fn handle(
    gateway: &Gateway,
    call: &Call,
    principal: &Principal,
) -> Result<Answer, AwsError> {
    let mut input = call.json();
    drop_null_members(&mut input);
    let desk = Desk {
        gateway,
        call,
        principal,
        policies: access::stored::policies(gateway, principal).await?,
        at: At {
            account: principal.account.clone(),
            region: call.region.clone(),
        },
        input,
    };
    let operation = call.operation.as_str();
    let work: fn(&Desk<'_>) -> Result<Value, AwsError> = match operation {
        "CreateKey" => manage::create,
        "DescribeKey" => manage::describe,
        "CreateAlias" => manage::create_alias,
        "ListAliases" => manage::list_aliases,
        "GetKeyPolicy" => manage::get_policy,
        "PutKeyPolicy" => manage::put_policy,
        "EnableKey" | "DisableKey" | "CancelKeyDeletion" | "ScheduleKeyDeletion" => {
            manage::change_state
        }
        "GetPublicKey" => signing::public_key,
        "Sign" => signing::sign,
        "Verify" => signing::verify,
        "Encrypt" => encrypting::encrypt,
        "Decrypt" => encrypting::decrypt,
        "ReplicateKey" => regions::replicate,
        "EnableKeyRotation" | "DisableKeyRotation" => regions::rotate,
        "GetKeyRotationStatus" => regions::rotation,
        _ => {
            return Err(AwsError::unimplemented(
                call.protocol,
                "kms",
                operation,
                "gateway",
            ));
        }
    };
    if let Some(fault) = gateway.kms.input_faults(operation, &desk.input).first() {
        return Err(validation(format!("1 validation error detected: {fault}")));
    }
    let output = match work(&desk) {
        // Every operation has these beside the errors that the model lists (KMS API Reference, "Common Errors").
        Err(error) if ["AccessDeniedException", "ValidationException"].contains(&&*error.code) => {
            return Err(error);
        }
        output => output,
    };
    // The model names no output of operations that answer nothing.
    let silent = matches!(&output, Ok(output) if output.is_null());
    if silent {
        return Ok(Answer::empty());
    }
    fitting(&gateway.kms, operation, output).map(|output| Answer::json(&output))
}

impl Desk<'_> {
    fn text(&self, member: &str) -> &str {
        self.input[member].as_str().unwrap_or_default()
    }

    /// The key that `KeyId` means, if the caller may use it for this operation.
    fn key(&self) -> Result<Key, AwsError> {
        self.key_with(|_| {})
    }

    /// The same, with condition keys of the operation.
    fn key_with(&self, more: impl FnOnce(&mut Context)) -> Result<Key, AwsError> {
        let (key, alias) = self.gateway.keys.find(&self.at, self.text("KeyId"))?;
        self.may(&key, alias, more)?;
        Ok(key)
    }

    /// Checks that the caller may do this to a key.
    fn may(
        &self,
        key: &Key,
        alias: Option<String>,
        more: impl FnOnce(&mut Context),
    ) -> Result<(), AwsError> {
        let mut context = access::context(self.principal);
        context.set("kms:CallerAccount", vec![self.principal.account.clone()]);
        context.set("kms:KeySpec", vec![key.spec().to_owned()]);
        context.set("kms:KeyUsage", vec![key.usage().to_owned()]);
        context.set("kms:KeyOrigin", vec!["AWS_KMS".to_owned()]);
        if !key.aliases.is_empty() {
            context.set("kms:ResourceAliases", key.aliases.clone());
        }
        context.set_some("kms:RequestAlias", alias);
        more(&mut context);
        let (arn, owner) = (key.arn(), &key.at.account);
        self.decide(&arn, owner, &context, Own::Required(&key.policy))
    }

    /// Checks that the caller's own policies permit an action that no key decides.
    fn may_here(&self, resource: &str) -> Result<(), AwsError> {
        let context = access::context(self.principal);
        self.decide(resource, &self.at.account, &context, Own::None)
    }

    fn decide(
        &self,
        resource: &str,
        owner: &str,
        context: &Context,
        own: Own<'_>,
    ) -> Result<(), AwsError> {
        let action = format!("kms:{}", self.call.operation);
        let request = Request {
            requester: &access::requester(self.principal),
            action: &action,
            resource,
            owner,
            context,
        };
        access::evaluate(&request, &self.policies, own).map_err(|refusal| {
            let message = refusal.message(&self.principal.arn, &action, resource);
            AwsError::new(400, "AccessDeniedException", message)
        })
    }
}

fn validation(message: impl Into<String>) -> AwsError {
    AwsError::new(400, "ValidationException", message)
}
