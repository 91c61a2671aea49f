//! The serverless example in two regions: a wave that is halted, the wave that ends it, and a note that is written in one region and read
//! in the other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::fault::{Context, Fault, Result};
use crate::instance::{Instance, port};
use crate::runner::base;
use crate::runner::git::git;
use crate::runner::vault::{CANADA, IRELAND, application, parameters};
use crate::say::{data, heading, note};
use crate::world::aws::Aws;
use crate::world::runner::Variables;
use crate::world::{World, http_client};

const INFRASTRUCTURE: &str = "docs/examples/vault/infra";
const STACK: &str = "2010-05-15";

/// The example in a world of its own.
struct Vault<'a> {
    instance: &'a Instance,
    world: World,
    /// The administrator of the account.
    aws: Aws,
    folder: PathBuf,
    variables: Variables,
    /// The role of the stacks.
    role: String,
}

/// Deploys the example and shows what its regions answer.
pub(super) async fn run(instance: &Instance) -> Result<()> {
    heading("vault: a serverless service in two regions, one after the other");
    let name = format!("vault-{}", &uuid::Uuid::new_v4().simple().to_string()[..6]);
    let _in_use = World::replace_earlier(instance, "vault-", &name).await?;
    let vault = Vault::begin(instance, &name).await?;
    let digest = vault.publish().await?;
    let key = vault.shared().await?;
    let settings = format!(
        ", regions: [{CANADA}, {IRELAND}], capabilities: [CAPABILITY_NAMED_IAM], \
         parameters: {{Environment: dev, Digest: \"{digest}\", SharedKeyArn: \"{key}\"}}"
    );
    vault.contract("regions", "vault", "region", &settings)?;
    note("Ireland's replica of the key is made to fail:");
    vault.fail().await?;
    let halted = vault.apply("regions", 5).await?;
    let details = &halted["details"];
    let applied = details["applied"].as_array().into_iter().flatten();
    shown(applied.chain([&details["failed"]]).collect())?;
    vault.delete(IRELAND).await?;
    note("the same again, without the failure:");
    let done = vault.apply("regions", 0).await?;
    shown(done["regions"].as_array().into_iter().flatten().collect())?;
    vault.answers(&done).await
}

/// One line a region: what became of its stack.
fn shown(regions: Vec<&Value>) -> Result<()> {
    if regions.len() != 2 {
        return Err(Fault::new(format!("slipway-stack answered {regions:?}")));
    }
    let text = |value: &Value, other: &str| value.as_str().unwrap_or(other).to_owned();
    let rows: Vec<Vec<String>> = regions
        .into_iter()
        .map(|one| {
            let result = text(&one["result"], "failed");
            vec![text(&one["region"], "-"), result, text(&one["status"], "-")]
        })
        .collect();
    let header = ["region", "result", "stack"];
    data(kit::report::text_table(&header, &rows).trim_end());
    Ok(())
}

impl<'a> Vault<'a> {
    async fn begin(instance: &'a Instance, name: &str) -> Result<Self> {
        let world = World::create(instance, name).await?;
        let dev = world.environment("dev")?.clone();
        let aws = world.administrator(instance, &dev.account).await?;
        let role = world.has_stacks(instance, &dev).await?;
        world.expects_vault(instance, &dev).await?;
        world.first_stage_publishes(instance).await?;
        world.publishes_anywhere(instance).await?;
        parameters(instance, &world, &aws).await?;
        let session = world.codebuild_session(instance, "dev", "vault").await?;
        let mut variables = world.variables(instance);
        variables.extend(world.repository_variables());
        variables.extend(world.environment_variables(&dev));
        variables.extend(session.variables());
        let folder = instance.dir.join("worlds").join(name).join("vault");
        Ok(Self {
            instance,
            world,
            aws,
            folder,
            variables,
            role,
        })
    }

    /// A folder with a contract and the template of one of the example's stacks.
    fn contract(&self, folder: &str, stack: &str, template: &str, settings: &str) -> Result<()> {
        let folder = self.folder.join(folder);
        std::fs::create_dir_all(&folder).context("making a checkout")?;
        let dev = self.world.environment("dev")?;
        let contract = format!(
            "version: 1\nservice: storefront\nbuild: {{account: var:BUILD_ACCOUNT_ID, region: {}}}\n\
             environments:\n  dev: {{account: var:DEV_ACCOUNT_ID}}\n\
             stack: {{name: {}-{stack}, template: stack.yaml, role: {}{settings}}}\n",
            self.world.region,
            dev.cluster(&self.world.service),
            self.role
        );
        std::fs::write(folder.join("delivery.yaml"), contract).context("writing a contract")?;
        let source = self.instance.checkout.join(INFRASTRUCTURE);
        let source = source.join(template).join("template.yaml");
        std::fs::copy(source, folder.join("stack.yaml")).context("copying a template")?;
        Ok(())
    }

    /// Runs a step that ends with this exit code; answers what it says as JSON.
    async fn step(&self, binary: &str, folder: &Path, words: &[&str], exit: i32) -> Result<Value> {
        let output = Command::new(self.instance.built().join(binary))
            .args(words)
            .args(["--environment", "dev", "--json"])
            .current_dir(folder)
            .env_clear()
            .envs(&self.variables)
            .output()
            .await
            .context(format!("starting {binary}"))?;
        if output.status.code() != Some(exit) {
            return Err(Fault::new(format!(
                "{binary} {} ended with {:?} and not {exit}: {}",
                words.join(" "),
                output.status.code(),
                String::from_utf8_lossy(&output.stderr).trim()
            )));
        }
        serde_json::from_slice(&output.stdout).context(format!("reading what {binary} said"))
    }

    /// Publishes the image of all four functions to both regions; answers the digest.
    async fn publish(&self) -> Result<String> {
        let folder = self.folder.join("image");
        application(self.instance, &folder.join("app"))?;
        self.contract("image", "image", "shared", "")?;
        git(&folder, &["init", "--quiet"]).await?;
        git(&folder, &["add", "--force", "app"]).await?;
        let author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"];
        let commit = [&author[..], &["commit", "--quiet", "--message", "vault"]].concat();
        git(&folder, &commit).await?;
        let commit = git(&folder, &["rev-parse", "HEAD"]).await?;
        let argument = format!("LAMBDA_IMAGE={}", base::lambda_image(self.instance).await?);
        let words = [
            "publish",
            "--commit",
            &commit,
            "--repository",
            "vault",
            "--context",
            "app",
            "--file",
            "app/Dockerfile",
            "--build-arg",
            &argument,
            "--to",
            IRELAND,
        ];
        let published = self.step("slipway-image", &folder, &words, 0).await?;
        let digest = published["digest"].as_str().unwrap_or_default().to_owned();
        note(&format!("published {digest} to {CANADA} and {IRELAND}"));
        Ok(digest)
    }

    /// What both regions share; answers the ARN of the key.
    async fn shared(&self) -> Result<String> {
        self.contract(
            "shared",
            "vault-shared",
            "shared",
            ", parameters: {Environment: dev}",
        )?;
        let applied = self.apply("shared", 0).await?;
        let key = applied["outputs"]["KeyArn"].as_str();
        note("the key and the table are there, with a replica of the table in Ireland");
        key.map(str::to_owned)
            .ok_or_else(|| Fault::new(format!("the shared stack named no key: {applied}")))
    }

    /// Plans and applies.
    async fn apply(&self, folder: &str, exit: i32) -> Result<Value> {
        let folder = self.folder.join(folder);
        let planned = self.step("slipway-stack", &folder, &["plan"], 0).await?;
        let plan = planned["plan_id"].as_str().unwrap_or_default();
        let words = ["apply", "--plan", plan];
        self.step("slipway-stack", &folder, &words, exit).await
    }

    fn stack(&self) -> Result<String> {
        let dev = self.world.environment("dev")?;
        Ok(format!("{}-vault", dev.cluster(&self.world.service)))
    }

    async fn fail(&self) -> Result<()> {
        let fault = json!({
            "account": self.world.environment("dev")?.account.id, "stack": self.stack()?,
            "resource": "KeyReplica", "operation": "create", "reason": "the demo lets it fail",
        });
        let url = format!("{}/_sandbox/stacks", self.instance.url(port::GATEWAY));
        let answer = http_client()?.post(&url).json(&fault).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        answer.context(format!("asking {url}")).map(drop)
    }

    /// A stack that never worked can only be deleted.
    async fn delete(&self, region: &str) -> Result<()> {
        let aws = self.aws.in_region(region);
        let name = self.stack()?;
        let named = [("StackName", name.as_str())];
        let asked = aws
            .query("cloudformation", STACK, "DeleteStack", &named)
            .await?;
        asked.map_err(|refused| Fault::new(refused.body))?;
        for _ in 0..300 {
            let found = aws
                .query("cloudformation", STACK, "DescribeStacks", &named)
                .await?;
            if found.is_err() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(Fault::new(format!("{name} in {region} was not deleted")))
    }

    /// Writes a note in Canada and reads it in Ireland.
    async fn answers(&self, done: &Value) -> Result<()> {
        let url = |region: &str| {
            let regions = done["regions"].as_array().into_iter().flatten();
            let mut of = regions.filter(|one| one["region"] == region);
            let url = of.next().and_then(|one| one["outputs"]["Url"].as_str());
            url.map(str::to_owned)
                .ok_or_else(|| Fault::new(format!("{region} has no address: {done}")))
        };
        let (canada, ireland) = (url(CANADA)?, url(IRELAND)?);
        let call = |url: &str, region: &str| self.aws.in_region(region).at(url);
        let text = json!("written in Canada");
        let path = "/notes/demo";
        let put = call(&canada, CANADA)
            .rest("execute-api", "PUT", path, Some(&text))
            .await?;
        put.map_err(|refused| Fault::new(refused.body))?;
        let read = call(&ireland, IRELAND)
            .rest("execute-api", "GET", path, None)
            .await?;
        let read = read.map_err(|refused| Fault::new(refused.body))?;
        if read != text {
            return Err(Fault::new(format!("Ireland answers {read}")));
        }
        data(&format!("PUT {canada}{path}, GET {ireland}{path}: {read}"));
        Ok(())
    }
}
