//! Lambda's actions. A call with a qualifier is about the function's ARN with that qualifier; aliases and versions are made and
//! changed by permissions on the function itself.
//! Source: Service Authorization Reference, "AWS Lambda"; AWS Lambda Developer Guide, "Fine-tuning the Resources and Conditions
//! sections of policies".

use super::{Need, Scene, account_of};

pub(super) fn needs(scene: &Scene<'_>) -> Option<Vec<Need>> {
    let function = |action: &str, qualified: bool| {
        let arn = arn(scene, qualified)?;
        let owner = account_of(&arn)?;
        let mut need = scene.need(action, arn);
        need.owner = owner;
        Some(need)
    };
    let operation = scene.operation();
    let role = scene.text("Role");
    let passed = role.map(|role| scene.pass_role(role, "lambda.amazonaws.com"));
    Some(match operation {
        "ListFunctions" | "GetAccountSettings" => vec![scene.same("*")],
        "CreateFunction" | "UpdateFunctionConfiguration" => {
            let own = function(operation, false)?;
            std::iter::once(own).chain(passed).collect()
        }
        "UpdateFunctionCode"
        | "PublishVersion"
        | "ListVersionsByFunction"
        | "CreateAlias"
        | "GetAlias"
        | "UpdateAlias"
        | "DeleteAlias"
        | "ListAliases" => vec![function(operation, false)?],
        "Invoke" => vec![function("InvokeFunction", true)?],
        "GetFunction"
        | "GetFunctionConfiguration"
        | "DeleteFunction"
        | "AddPermission"
        | "RemovePermission"
        | "GetPolicy"
        | "GetProvisionedConcurrencyConfig"
        | "PutProvisionedConcurrencyConfig"
        | "DeleteProvisionedConcurrencyConfig" => vec![function(operation, true)?],
        "ListTags" | "TagResource" | "UntagResource" => {
            let arn = scene.text("Resource")?;
            let mut need = scene.same(arn);
            need.owner = account_of(arn)?;
            vec![need]
        }
        _ => return None,
    })
}

/// The ARN of the call's function, which it names by name or ARN.
fn arn(scene: &Scene<'_>, qualified: bool) -> Option<String> {
    let given = scene.text("FunctionName")?;
    let (place, rest) = match given.rsplit_once("function:") {
        Some((place, rest)) if place.starts_with("arn:") => (Some(place), rest),
        Some((_, rest)) => (None, rest),
        None => (None, given),
    };
    let (name, inside) = rest.split_once(':').unwrap_or((rest, ""));
    let qualifier = scene.text("Qualifier").unwrap_or(inside);
    let arn = match place {
        Some(place) => format!("{place}function:{name}"),
        None => scene.arn(&format!("function:{name}")),
    };
    Some(match qualifier {
        _ if !qualified => arn,
        "" => arn,
        qualifier => format!("{arn}:{qualifier}"),
    })
}
