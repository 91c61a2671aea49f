//! Taking over resources that exist: they join the stack as they are, and nothing of them changes.
//! Source: AWS CloudFormation User Guide, "Import AWS resources into a CloudFormation stack" and "Stack status codes".

use super::{At, Plan, Work};
use crate::handlers::{self, Actual};
use crate::ids;
use crate::state::Resource;

/// Takes resources over, each by its physical ID. Where one is not there, the stack is what it was.
pub(crate) async fn import(work: Work, plan: Plan, imports: Vec<(String, String)>) {
    work.note("UPDATE_STACK");
    let before = work.with(|stack| {
        stack.updated = Some(ids::now());
        Some(stack.before())
    });
    work.status("IMPORT_IN_PROGRESS", Some("User Initiated".to_owned()));
    work.with(|stack| {
        stack.template = Some(plan.template.clone());
        stack.description.clone_from(&plan.template.description);
        stack.parameters.clone_from(&plan.inputs.parameters);
        stack.tags.clone_from(&plan.tags);
        stack.capabilities.clone_from(&plan.capabilities);
    });
    let mut failed = Vec::new();
    for (id, physical) in &imports {
        if work.take_over(&plan, id, physical).await.is_err() {
            failed.push(id.clone());
        }
    }
    let outputs = match failed.is_empty() {
        true => work.outputs(&plan),
        false => Err(super::failed_to("import", &failed)),
    };
    match outputs {
        Ok(outputs) => {
            work.with(|stack| stack.outputs = outputs);
            work.status("IMPORT_COMPLETE", None);
        }
        Err(reason) => {
            work.status("IMPORT_ROLLBACK_IN_PROGRESS", Some(reason));
            if let Some(before) = before {
                work.with(|stack| {
                    stack.template.clone_from(&before.template);
                    stack.description.clone_from(&before.description);
                    stack.parameters.clone_from(&before.parameters);
                    stack.tags.clone_from(&before.tags);
                    stack.capabilities.clone_from(&before.capabilities);
                    stack.resources.clone_from(&before.resources);
                });
            }
            work.status("IMPORT_ROLLBACK_COMPLETE", None);
        }
    }
}

impl Work {
    async fn take_over(&self, plan: &Plan, id: &str, physical: &str) -> Result<(), ()> {
        let Some(declared) = plan.template.resource(id) else {
            return Err(());
        };
        let at = |status, reason| At {
            kind: &declared.kind,
            physical,
            status,
            reason,
            shown: None,
        };
        let begun = "Resource import started.".to_owned();
        self.resource(id, &at("IMPORT_IN_PROGRESS", Some(begun)));
        match self.found(plan, id, physical).await {
            Ok(resource) => {
                self.with(|stack| stack.resources.push((id.to_owned(), resource)));
                let done = "Resource import completed.".to_owned();
                self.resource(id, &at("IMPORT_COMPLETE", Some(done)));
                Ok(())
            }
            Err(reason) => {
                self.resource(id, &at("IMPORT_FAILED", Some(reason)));
                Err(())
            }
        }
    }

    /// The resource as the stack will have it: what the template says of it, with what its service says.
    async fn found(&self, plan: &Plan, id: &str, physical: &str) -> Result<Resource, String> {
        let declared = plan.template.resource(id).ok_or_else(String::new)?;
        let [properties, _] = self.properties(plan, id)?;
        let desk = self.desk(id);
        let kind = &declared.kind;
        let actual = handlers::read(&desk, kind, physical).await;
        if actual.map_err(|failure| failure.reason())? == Actual::Gone {
            return Err(format!(
                "Resource of type '{kind}' with identifier '{physical}' was not found."
            ));
        }
        // The change from a thing to itself changes nothing, and answers its attributes.
        let made = handlers::update(&desk, kind, physical, &properties, &properties).await;
        let made = made.map_err(|failure| failure.reason())?;
        Ok(Resource {
            declared: declared.clone(),
            physical: made.physical,
            attributes: made.attributes,
            properties,
            status: "IMPORT_IN_PROGRESS",
            reason: None,
            changed: ids::now(),
            drift: None,
        })
    }
}
