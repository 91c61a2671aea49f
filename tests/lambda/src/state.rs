//! Functions with their versions and aliases, in memory.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Scope;

/// Everything in all accounts and regions.
#[derive(Default)]
pub(crate) struct World {
    places: BTreeMap<Scope, BTreeMap<String, Function>>,
}

impl World {
    pub(crate) fn place(&mut self, scope: &Scope) -> &mut BTreeMap<String, Function> {
        self.places.entry(scope.clone()).or_default()
    }
}

/// One function.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) latest: Revision,
    pub(crate) versions: BTreeMap<u64, Revision>,
    /// The number of the next version. A number is not given twice.
    pub(crate) next: u64,
    pub(crate) aliases: BTreeMap<String, Alias>,
    /// The statements of its policies, by qualifier; the empty one is the function's own.
    pub(crate) policies: BTreeMap<String, Vec<Value>>,
    pub(crate) tags: Map<String, Value>,
}

/// Code and configuration: `$LATEST`, or a published version.
#[derive(Clone)]
pub(crate) struct Revision {
    /// The members of a configuration that a user sets, as they are answered.
    pub(crate) settings: Map<String, Value>,
    /// The image by digest, `HOST/NAME@DIGEST`.
    pub(crate) image: String,
    /// The image as it was asked for.
    pub(crate) asked: String,
    pub(crate) modified: String,
    /// When the update, or the publishing, is over.
    pub(crate) ready: Instant,
    /// The revision's ID while an update is in progress, and after it: Lambda changes it once more (aws/aws-sdk#377).
    pub(crate) ids: [String; 2],
}

/// An alias of a function.
pub(crate) struct Alias {
    pub(crate) version: String,
    pub(crate) description: String,
    pub(crate) weights: Map<String, Value>,
    pub(crate) id: String,
    pub(crate) provisioned: Option<Provisioned>,
    /// Where provisioned concurrency moves to another version: the version before, and until when it still serves. The
    /// weights that Lambda then shows are its own (hashicorp/terraform-provider-aws#48116).
    pub(crate) moving: Option<(String, Instant)>,
}

/// Provisioned concurrency of an alias.
pub(crate) struct Provisioned {
    pub(crate) requested: i64,
    pub(crate) ready: Instant,
    pub(crate) modified: String,
}

impl Revision {
    pub(crate) fn new(
        settings: Map<String, Value>,
        image: String,
        asked: String,
        takes: Duration,
    ) -> Self {
        let mut revision = Self {
            settings,
            image,
            asked,
            modified: String::new(),
            ready: Instant::now(),
            ids: [id(), id()],
        };
        revision.touch(takes);
        revision
    }

    /// Notes a change, which is over after `takes`.
    pub(crate) fn touch(&mut self, takes: Duration) {
        self.ready = Instant::now() + takes;
        self.modified = now();
        self.ids = [id(), id()];
    }

    pub(crate) fn is_ready(&self) -> bool {
        Instant::now() >= self.ready
    }

    /// Its ID now.
    pub(crate) fn id(&self) -> &str {
        &self.ids[usize::from(self.is_ready())]
    }

    /// The hash of its code; of an image it is the digest's.
    pub(crate) fn sha256(&self) -> &str {
        self.image.rsplit_once("sha256:").map_or("", |(_, hex)| hex)
    }
}

impl Alias {
    /// The alias as it is answered.
    pub(crate) fn answer(&self, arn: &str, name: &str) -> Value {
        let mut answer = json!({
            "AliasArn": format!("{arn}:{name}"),
            "Name": name,
            "FunctionVersion": self.version,
            "Description": self.description,
            "RevisionId": self.id,
        });
        let weights = match self.moves_from() {
            Some(before) => Map::from_iter([(before.to_owned(), json!(1.0))]),
            None => self.weights.clone(),
        };
        if !weights.is_empty() {
            answer["RoutingConfig"] = json!({"AdditionalVersionWeights": weights});
        }
        answer
    }

    /// The version that still serves while provisioned concurrency moves.
    pub(crate) fn moves_from(&self) -> Option<&str> {
        let (before, until) = self.moving.as_ref()?;
        (Instant::now() < *until).then_some(before)
    }
}

impl Function {
    pub(crate) fn arn(&self, scope: &Scope) -> String {
        let Scope { account, region } = scope;
        format!("arn:aws:lambda:{region}:{account}:function:{}", self.name)
    }

    /// The version that a qualifier means: `$LATEST`, a number, or an alias' name.
    pub(crate) fn version(&self, qualifier: &str) -> Option<String> {
        match qualifier {
            "" | "$LATEST" => Some("$LATEST".to_owned()),
            name => match self.aliases.get(name) {
                Some(alias) => Some(alias.version.clone()),
                None => self.revision(name).map(|_| name.to_owned()),
            },
        }
    }

    /// The revision behind a version.
    pub(crate) fn revision(&self, version: &str) -> Option<&Revision> {
        match version {
            "$LATEST" => Some(&self.latest),
            number => self.versions.get(&number.parse().ok()?),
        }
    }

    /// The configuration of a version, as it is answered; its ARN names the qualifier that was asked for.
    pub(crate) fn configuration(&self, scope: &Scope, version: &str, qualifier: &str) -> Value {
        let Some(revision) = self.revision(version) else {
            return Value::Null;
        };
        let mut arn = self.arn(scope);
        if !qualifier.is_empty() {
            arn.push_str(&format!(":{qualifier}"));
        }
        let mut members = revision.settings.clone();
        let ready = revision.is_ready();
        let latest = version == "$LATEST";
        let (state, update) = match (ready, latest) {
            (true, _) => ("Active", "Successful"),
            // The code that runs goes on while the update is in progress.
            (false, true) => ("Active", "InProgress"),
            (false, false) => ("Pending", "InProgress"),
        };
        let own = json!({
            "FunctionName": self.name,
            "FunctionArn": arn,
            "Version": version,
            "CodeSha256": revision.sha256(),
            "CodeSize": 0,
            "LastModified": revision.modified,
            "RevisionId": revision.id(),
            "PackageType": "Image",
            "State": state,
            "LastUpdateStatus": update,
        });
        if state == "Pending" {
            members.insert("StateReasonCode".to_owned(), json!("Creating"));
            members.insert(
                "StateReason".to_owned(),
                json!("The function is being created."),
            );
        }
        members.extend(own.as_object().cloned().unwrap_or_default());
        Value::Object(members)
    }
}

/// A new revision ID.
pub(crate) fn id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Now, as Lambda writes it.
pub(crate) fn now() -> String {
    let now = OffsetDateTime::now_utc();
    let now = now.replace_nanosecond(0).unwrap_or(now);
    now.format(&Rfc3339).unwrap_or_default()
}
