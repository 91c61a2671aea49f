//! Reads workflow files and works out a run's jobs: inputs, called workflows, permissions, environments.
//!
//! Rules from GitHub's "Workflow syntax" and "Reusing workflow configurations"; what GitHub refuses at start-up is an
//! `Err` with GitHub's wording.

use serde_json::{Map, Value, json};

use super::expression::{Context, display};
use super::{Job, Permissions};

/// Levels of workflows calling workflows that GitHub allows.
const DEPTH: usize = 10;

/// Where the text of a workflow comes from.
pub(crate) trait Files {
    /// The file a `uses:` names, with `OWNER/NAME/PATH@REF` and the commit it stands in.
    fn called(&self, uses: &str) -> Result<Called, String>;
}

/// A reusable workflow's file.
pub(crate) struct Called {
    pub(crate) text: String,
    pub(crate) reference: String,
    pub(crate) sha: String,
}

/// A run's name and its jobs.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) jobs: Vec<Job>,
}

struct Walk<'a> {
    files: &'a dyn Files,
    jobs: Vec<Job>,
}

struct Scope<'a> {
    workflow: &'a Value,
    /// The workflow's name, else its path.
    name: String,
    context: Context,
    /// The calling job's permissions and shown name.
    caller: Option<(&'a Permissions, &'a str)>,
    called: Option<(&'a str, &'a str)>,
    depth: usize,
}

/// Works out the jobs of the workflow at `path`, started by `event` with `context.inputs`.
pub(crate) fn plan(
    path: &str,
    text: &str,
    event: &str,
    mut context: Context,
    files: &dyn Files,
) -> Result<Plan, String> {
    let workflow = read(path, text)?;
    let trigger =
        trigger(&workflow, event).ok_or_else(|| format!("{path} has no {event} trigger"))?;
    if event == "workflow_dispatch" {
        context.inputs = inputs(trigger.get("inputs"), context.inputs)?;
    }
    let name = workflow["name"].as_str().unwrap_or(path).to_owned();
    let mut walk = Walk {
        files,
        jobs: Vec::new(),
    };
    walk.workflow(&Scope {
        workflow: &workflow,
        name: name.clone(),
        context,
        caller: None,
        called: None,
        depth: 1,
    })?;
    Ok(Plan {
        name,
        jobs: walk.jobs,
    })
}

fn read(path: &str, text: &str) -> Result<Value, String> {
    let workflow: Value =
        serde_yaml::from_str(text).map_err(|error| format!("{path} is not YAML: {error}"))?;
    if workflow["jobs"].as_object().is_none_or(Map::is_empty) {
        return Err(format!("{path} has no jobs"));
    }
    Ok(workflow)
}

/// The value under `on:` for an event, in any of its three forms.
fn trigger(workflow: &Value, event: &str) -> Option<Value> {
    match &workflow["on"] {
        Value::String(one) => (one == event).then_some(Value::Null),
        Value::Array(all) => all.iter().any(|one| one == event).then_some(Value::Null),
        Value::Object(all) => all.get(event).cloned(),
        _ => None,
    }
}

/// Declared inputs with what was given or their defaults; what is not declared or missing is refused.
fn inputs(
    declared: Option<&Value>,
    given: Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    let none = Map::new();
    let declared = declared.and_then(Value::as_object).unwrap_or(&none);
    if let Some(unexpected) = given.keys().find(|name| !declared.contains_key(*name)) {
        return Err(format!("Unexpected inputs provided: [\"{unexpected}\"]"));
    }
    let mut out = Map::new();
    for (name, input) in declared {
        let value = match given.get(name) {
            Some(value) => value.clone(),
            None if input["required"] == true && input["default"].is_null() => {
                return Err(format!("Required input '{name}' not provided"));
            }
            None => match (&input["default"], input["type"].as_str()) {
                (Value::Null, Some("boolean")) => json!(false),
                (Value::Null, _) => json!(""),
                (default, _) => default.clone(),
            },
        };
        let allowed = input["options"]
            .as_array()
            .filter(|_| input["type"] == "choice");
        if allowed.is_some_and(|options| !options.contains(&value)) {
            return Err(format!(
                "Provided value '{}' for input '{name}' not in the list of allowed values",
                display(&value)
            ));
        }
        out.insert(name.clone(), value);
    }
    Ok(out)
}

impl Walk<'_> {
    fn workflow(&mut self, scope: &Scope<'_>) -> Result<(), String> {
        for (key, job) in scope.workflow["jobs"].as_object().into_iter().flatten() {
            self.job(scope, key, job)?;
        }
        Ok(())
    }

    fn job(&mut self, scope: &Scope<'_>, key: &str, job: &Value) -> Result<(), String> {
        let declared = job
            .get("permissions")
            .or_else(|| scope.workflow.get("permissions"))
            .map(Permissions::parse)
            .transpose()?;
        let own_name = match job["name"].as_str() {
            // A name may depend on the matrix; it only labels, so an unresolved one stays as it is written.
            Some(name) => scope
                .context
                .resolve(name)
                .map_or_else(|_| name.to_owned(), |value| display(&value)),
            None => key.to_owned(),
        };
        let (permissions, name) = match scope.caller {
            None => (declared.unwrap_or_else(Permissions::restricted), own_name),
            Some((allowed, caller)) => {
                let permissions = declared.unwrap_or_else(|| allowed.clone());
                if let Some((scope_name, wanted, given)) = permissions.exceeds(allowed) {
                    return Err(format!(
                        "Error calling workflow '{}'. The nested job '{key}' is requesting '{scope_name}: {}', but is only allowed '{scope_name}: {}'.",
                        scope
                            .called
                            .map_or(scope.name.as_str(), |(reference, _)| reference),
                        wanted.word(),
                        given.word()
                    ));
                }
                (permissions, format!("{caller} / {own_name}"))
            }
        };
        match job["uses"].as_str() {
            Some(uses) => self.call(scope, job, uses, &permissions, &name),
            None => self.leaf(scope, key, job, permissions, name),
        }
    }

    fn call(
        &mut self,
        scope: &Scope<'_>,
        job: &Value,
        uses: &str,
        permissions: &Permissions,
        name: &str,
    ) -> Result<(), String> {
        if scope.depth >= DEPTH {
            return Err(format!(
                "{uses}: workflows call one another more than {DEPTH} levels deep"
            ));
        }
        let called = self.files.called(uses)?;
        let workflow = read(uses, &called.text)?;
        let trigger = trigger(&workflow, "workflow_call")
            .ok_or_else(|| format!("{uses} has no workflow_call trigger"))?;
        let mut given = Map::new();
        for (input, value) in job["with"].as_object().into_iter().flatten() {
            let value = match value {
                // An input that only a finished job can give is left open: it fails where an environment needs it.
                Value::String(text) => scope.context.resolve(text).unwrap_or_else(|_| json!(text)),
                other => other.clone(),
            };
            given.insert(input.clone(), value);
        }
        let context = Context {
            inputs: inputs(trigger.get("inputs"), given)?,
            ..scope.context.clone()
        };
        let own = workflow["name"].as_str().unwrap_or(uses).to_owned();
        self.workflow(&Scope {
            workflow: &workflow,
            name: own,
            context,
            caller: Some((permissions, name)),
            called: Some((&called.reference, &called.sha)),
            depth: scope.depth + 1,
        })
    }

    fn leaf(
        &mut self,
        scope: &Scope<'_>,
        key: &str,
        job: &Value,
        permissions: Permissions,
        name: String,
    ) -> Result<(), String> {
        let environment = match &job["environment"] {
            Value::String(text) => Some(text.as_str()),
            Value::Object(fields) => Some(
                fields
                    .get("name")
                    .and_then(Value::as_str)
                    .ok_or_else(|| format!("job '{key}': environment has no name"))?,
            ),
            _ => None,
        };
        let environment = environment
            .map(|text| scope.context.resolve(text))
            .transpose()
            .map_err(|error| format!("job '{key}': environment: {error}"))?
            .map(|value| display(&value))
            // An environment that resolves to nothing is none, as on GitHub.
            .filter(|name| !name.is_empty());
        if environment
            .as_deref()
            .is_some_and(|name| name.contains("${{"))
        {
            return Err(format!(
                "job '{key}': the stand-in cannot resolve its environment {environment:?}"
            ));
        }
        let labels = match &job["runs-on"] {
            Value::String(label) => vec![label.clone()],
            Value::Array(all) => all
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            _ => return Err(format!("job '{key}' has neither runs-on nor uses")),
        };
        self.jobs.push(Job {
            id: 0,
            key: key.to_owned(),
            name,
            workflow: scope.name.clone(),
            permissions,
            environment,
            deploys: job["environment"]["deployment"] != false,
            workflow_ref: scope.called.map(|(reference, _)| reference.to_owned()),
            workflow_sha: scope.called.map(|(_, sha)| sha.to_owned()),
            labels,
            status: "queued",
            conclusion: None,
            started_at: None,
            completed_at: None,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Access;
    use super::*;

    struct One(&'static str);

    impl Files for One {
        fn called(&self, uses: &str) -> Result<Called, String> {
            Ok(Called {
                text: self.0.to_owned(),
                reference: uses.to_owned(),
                sha: "c".repeat(40),
            })
        }
    }

    const CALLER: &str = "
name: Promote
on: {workflow_dispatch: {inputs: {environment: {type: string, required: true}}}}
permissions: {}
jobs:
  go:
    permissions: {contents: read, id-token: write}
    uses: acme/flows/.github/workflows/x.yml@v1
    with: {environment: \"${{ inputs.environment }}\"}
  plain: {runs-on: ubuntu-latest}
";

    fn context() -> Context {
        let mut context = Context::default();
        context
            .inputs
            .insert("environment".into(), json!("production"));
        context
    }

    #[test]
    fn a_called_job_has_the_callers_permissions_and_inputs() {
        let called = "on: {workflow_call: {inputs: {environment: {type: string}}}}\njobs: {deploy: {runs-on: x, environment: \"${{ inputs.environment }}\"}}";
        let plan = plan(
            "p.yml",
            CALLER,
            "workflow_dispatch",
            context(),
            &One(called),
        )
        .unwrap();
        let [deploy, plain] = &plan.jobs[..] else {
            panic!("{plan:?}")
        };
        assert_eq!(
            (deploy.name.as_str(), deploy.environment.as_deref()),
            ("go / deploy", Some("production"))
        );
        assert_eq!(deploy.permissions.of("id-token"), Access::Write);
        assert_eq!(plain.permissions.of("contents"), Access::None);
    }

    #[test]
    fn a_called_job_cannot_ask_for_more_than_its_caller_has() {
        let called =
            "on: workflow_call\npermissions: {deployments: write}\njobs: {deploy: {runs-on: x}}";
        let caller = CALLER.replace(
            "    with: {environment: \"${{ inputs.environment }}\"}\n",
            "",
        );
        let error = plan(
            "p.yml",
            &caller,
            "workflow_dispatch",
            context(),
            &One(called),
        )
        .unwrap_err();
        assert!(error.contains("'deploy' is requesting 'deployments: write', but is only allowed 'deployments: none'"), "{error}");
    }

    #[test]
    fn inputs_are_checked_as_a_dispatch_is() {
        let error =
            |context| plan("p.yml", CALLER, "workflow_dispatch", context, &One("")).unwrap_err();
        assert!(error(Context::default()).contains("Required input 'environment' not provided"));
        let mut more = context();
        more.inputs.insert("other".into(), json!("x"));
        assert!(error(more).contains("Unexpected inputs provided: [\"other\"]"));
        assert!(
            plan("p.yml", CALLER, "push", context(), &One(""))
                .unwrap_err()
                .contains("no push trigger")
        );
    }
}
