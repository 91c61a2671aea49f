//! Shared parts of the image step's tests: a job of a world's first environment, and images made without a build.

use std::path::PathBuf;
use std::process::Output;

use sandbox::runner::story::unproven;
use sandbox::world::World;
use sandbox::world::aws::Aws;
use sandbox::world::runner::without_lock_tables;
use serde_json::{Value, json};

use crate::gateway;
use crate::job::Job;
use crate::support::{TIMEOUT, instance, log, wait, world};

const CONTRACT: &str = include_str!("../../../docs/examples/storefront/delivery.yaml");
const TARGET: &str = "AmazonEC2ContainerRegistry_V20150921";

/// A repository with one image that no step made.
pub(crate) const THERE: &str = "placeholder";

/// A world with a job in its first environment's stage, beside the contract.
pub(crate) struct Setting {
    pub(crate) world: World,
    pub(crate) job: Job,
    /// The build account's administrator.
    pub(crate) aws: Aws,
}

impl Setting {
    /// Beside a contract that names neither a key nor an anchor.
    pub(crate) fn new(name: &str) -> Self {
        Self::beside(name, &unproven(CONTRACT))
    }

    /// Beside the contract as it is, whose key signs each image.
    pub(crate) fn signing(name: &str) -> Self {
        Self::beside(name, CONTRACT)
    }

    fn beside(purpose: &str, contract: &str) -> Self {
        let world = wait(TIMEOUT, world(purpose));
        let (keys, aws) = wait(TIMEOUT, async {
            let keys = world.codebuild_session(instance(), "dev", "e2e").await;
            let aws = world.administrator(instance(), &world.build).await;
            world.placeholder(instance()).await.unwrap();
            world.first_stage_publishes(instance()).await.unwrap();
            world.publishes_anywhere(instance()).await.unwrap();
            (keys.unwrap(), aws.unwrap())
        });
        let mut variables = world.variables(instance());
        variables.extend(world.repository_variables());
        variables.extend(world.environment_variables(world.environment("dev").unwrap()));
        variables.extend(keys.variables());
        let repository = &world.repository;
        let workflow = format!("{repository}/.github/workflows/deliver.yml@refs/heads/main");
        for (name, value) in [
            ("GITHUB_REPOSITORY", repository.as_str()),
            ("GITHUB_WORKFLOW_REF", &workflow),
            ("GITHUB_EVENT_NAME", "push"),
            ("GITHUB_RUN_ID", "7"),
        ] {
            variables.insert(name.to_owned(), value.to_owned());
        }
        let job = Job::new(without_lock_tables(variables));
        std::fs::write(job.file("delivery.yaml"), contract).unwrap();
        Self { world, job, aws }
    }

    /// Runs the step, and expects its exit code.
    pub(crate) fn image(&self, arguments: &[&str], exit: i32) -> Output {
        let output = self
            .job
            .run(&mut self.job.command("slipway-image", arguments));
        let shown = format!(
            "{arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            log(&output)
        );
        assert_eq!(output.status.code(), Some(exit), "{shown}");
        output
    }

    /// As [`Self::image`], with what `--json` prints.
    pub(crate) fn json(&self, arguments: &[&str], exit: i32) -> Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        let output = self.image(&all, exit);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)))
    }

    /// A file of the job.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.job.file(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    /// An ECR call of the administrator; an error is its code.
    pub(crate) fn ecr(&self, operation: &str, input: &Value) -> Result<Value, String> {
        let target = format!("{TARGET}.{operation}");
        let answer = wait(TIMEOUT, self.aws.json("ecr", &target, input)).unwrap();
        answer.map_err(|refused| refused.body)
    }

    /// The digest of the image that is there from the beginning, and its manifest.
    pub(crate) fn first(&self) -> (String, Value) {
        let images = self
            .ecr("ListImages", &json!({"repositoryName": THERE}))
            .unwrap();
        let digest = images["imageIds"][0]["imageDigest"].as_str().unwrap();
        let input = json!({"repositoryName": THERE, "imageIds": [{"imageDigest": digest}]});
        let answer = self.ecr("BatchGetImage", &input).unwrap();
        let text = answer["images"][0]["imageManifest"].as_str().unwrap();
        (digest.to_owned(), serde_json::from_str(text).unwrap())
    }

    /// Puts a manifest into the repository that is there; answers its digest.
    pub(crate) fn put(&self, manifest: &Value, tag: Option<&str>) -> String {
        let kind = manifest["mediaType"].as_str().unwrap();
        let mut input = json!({
            "repositoryName": THERE,
            "imageManifest": manifest.to_string(),
            "imageManifestMediaType": kind,
        });
        if let Some(tag) = tag {
            input["imageTag"] = json!(tag);
        }
        let answer = self.ecr("PutImage", &input).unwrap();
        answer["image"]["imageId"]["imageDigest"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Another image of the same layers.
    pub(crate) fn another(&self, name: &str, tag: Option<&str>) -> String {
        let (_, mut manifest) = self.first();
        manifest["annotations"] = json!({"name": name});
        self.put(&manifest, tag)
    }

    /// Tells the gateway something over its control interface.
    pub(crate) fn tell(&self, path: &str, body: &Value) {
        gateway::tell(path, body);
    }
}
