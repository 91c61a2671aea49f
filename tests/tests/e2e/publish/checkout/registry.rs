//! The traces of a publication in the registry and in the record of calls, and the conditions it finds there.

use super::*;
use crate::gateway;

/// A registry's answer is a manifest of one of these.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json";

impl Checkout {
    /// The digest that a tag names, as ECR's API has it.
    pub(in super::super) fn tagged(&self, tag: &str) -> Option<String> {
        let input = json!({"repositoryName": REPOSITORY, "imageIds": [{"imageTag": tag}]});
        let answer = self.setting.ecr("DescribeImages", &input).ok()?;
        Some(
            answer["imageDetails"][0]["imageDigest"]
                .as_str()?
                .to_owned(),
        )
    }

    /// The repository's tags.
    pub(in super::super) fn tags(&self) -> Vec<String> {
        let input = json!({"repositoryName": REPOSITORY, "filter": {"tagStatus": "TAGGED"}});
        let Ok(answer) = self.setting.ecr("ListImages", &input) else {
            return Vec::new();
        };
        let ids = answer["imageIds"].as_array().unwrap();
        ids.iter()
            .map(|id| id["imageTag"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The manifest of an image that ECR's API names so.
    pub(in super::super) fn manifest(&self, id: &Value) -> Value {
        let input = json!({"repositoryName": REPOSITORY, "imageIds": [id]});
        let answer = self.setting.ecr("BatchGetImage", &input).unwrap();
        let text = answer["images"][0]["imageManifest"].as_str().unwrap();
        serde_json::from_str(text).unwrap()
    }

    /// How each layer of what was published is compressed, by its media type's end.
    pub(in super::super) fn layers(&self, published: &Value) -> Vec<String> {
        let manifest = self.manifest(&json!({"imageDigest": published["digest"]}));
        let layers = manifest["layers"].as_array().unwrap();
        layers
            .iter()
            .map(|layer| {
                let kind = layer["mediaType"].as_str().unwrap();
                kind.rsplit('+').next().unwrap().to_owned()
            })
            .collect()
    }

    /// The calls of the world after number `since`, and the newest number of all.
    pub(in super::super) fn calls(&self, since: u64) -> (u64, Vec<Value>) {
        let url = format!(
            "{}/_sandbox/calls?since={since}&world={}",
            instance().url(port::GATEWAY),
            self.setting.world.name
        );
        let answer: Value = wait(TIMEOUT, async {
            let http = sandbox::world::http_client().unwrap();
            http.get(url).send().await.unwrap().json().await.unwrap()
        });
        let calls = answer["calls"].as_array().unwrap().clone();
        let newest = calls
            .last()
            .map_or(since, |call| call["seq"].as_u64().unwrap());
        (newest, calls)
    }

    pub(in super::super) fn newest_call(&self) -> u64 {
        self.calls(0).0
    }

    /// The operations since then that changed something.
    pub(in super::super) fn changes_since(&self, since: u64) -> Vec<String> {
        const LOOKS: [&str; 6] = ["Get", "Describe", "List", "Batch", "Query", "Assume"];
        let (_, calls) = self.calls(since);
        calls
            .iter()
            .map(|call| call["operation"].as_str().unwrap().to_owned())
            .filter(|name| !LOOKS.iter().any(|look| name.starts_with(look)) && name != "Ping")
            .collect()
    }

    /// A role of another account that this world's first stage may take.
    pub(in super::super) fn receiver(&self, account: &Account) -> String {
        let world = &self.setting.world;
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{}:role/slipway-codebuild-dev", world.build.id)},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }]})
        .to_string();
        wait(TIMEOUT, async {
            let aws = world.administrator(instance(), account).await.unwrap();
            let parameters = [
                ("RoleName", "slipway-receive"),
                ("AssumeRolePolicyDocument", trust.as_str()),
            ];
            let made = aws
                .query("iam", "2010-05-08", "CreateRole", &parameters)
                .await;
            made.unwrap().unwrap();
            let role = format!("arn:aws:iam::{}:role/slipway-receive", account.id);
            let images = format!("arn:aws:ecr:*:{}:repository/*", account.id);
            permit(
                &aws,
                "slipway-receive",
                &[("ecr:*", &images), ("ecr:GetAuthorizationToken", "*")],
            )
            .await;
            let stage = "slipway-codebuild-dev";
            permit(&self.setting.aws, stage, &[("sts:AssumeRole", &role)]).await;
            role
        })
    }

    pub(in super::super) fn clear_faults(&self, account: &Account) {
        gateway::clear_faults(&account.id);
    }

    /// The faults that still wait for a call of the build account to strike.
    pub(in super::super) fn faults(&self) -> Vec<Value> {
        gateway::waiting_faults(&self.setting.world.build.id)
    }

    /// The host of an account's registry.
    pub(in super::super) fn registry(&self, account: &Account, region: &str) -> String {
        let url = format!("{}/_sandbox/registry", instance().url(port::GATEWAY));
        let body = json!({"account": account.id, "region": region});
        let answer: Value = wait(TIMEOUT, async {
            let http = sandbox::world::http_client().unwrap();
            let sent = http.post(url).json(&body).send().await.unwrap();
            sent.json().await.unwrap()
        });
        answer["host"].as_str().unwrap().to_owned()
    }

    /// The digest of a tag, as the registry itself has it. `account`: whose, if not the build account's.
    pub(in super::super) fn head(
        &self,
        host: &str,
        tag: &str,
        account: Option<&Account>,
    ) -> Option<String> {
        wait(TIMEOUT, async {
            let world = &self.setting.world;
            let aws = match account {
                Some(account) => world.administrator(instance(), account).await.unwrap(),
                None => self.setting.aws.clone(),
            };
            let target = format!("{ECR}.GetAuthorizationToken");
            let answer = aws.json("ecr", &target, &json!({})).await.unwrap().unwrap();
            let token = answer["authorizationData"][0]["authorizationToken"]
                .as_str()
                .unwrap();
            let http = sandbox::world::http_client().unwrap();
            let head = http
                .head(format!("http://{host}/v2/{REPOSITORY}/manifests/{tag}"))
                .header("authorization", format!("Basic {token}"))
                .header("accept", MANIFESTS);
            let answer = head.send().await.unwrap();
            let digest = answer.headers().get("docker-content-digest")?;
            answer
                .status()
                .is_success()
                .then(|| digest.to_str().unwrap().to_owned())
        })
    }

    /// The registry's status for a pull without a token.
    pub(in super::super) fn anonymous_pull(&self) -> u16 {
        let url = format!(
            "http://{}/v2/{THERE}/manifests/base",
            self.setting.world.registry
        );
        wait(TIMEOUT, async {
            let http = sandbox::world::http_client().unwrap();
            http.get(url).send().await.unwrap().status().as_u16()
        })
    }
}

/// Permits a role of somebody's account further actions, each on one kind of resource.
async fn permit(aws: &Aws, role: &str, may: &[(&str, &str)]) {
    let statements: Vec<Value> = may
        .iter()
        .map(
            |(action, resource)| json!({"Effect": "Allow", "Action": action, "Resource": resource}),
        )
        .collect();
    let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let parameters = [
        ("RoleName", role),
        ("PolicyName", "receive"),
        ("PolicyDocument", document.as_str()),
    ];
    let put = aws.query("iam", "2010-05-08", "PutRolePolicy", &parameters);
    put.await.unwrap().unwrap();
}
