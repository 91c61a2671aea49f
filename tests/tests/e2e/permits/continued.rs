//! `continue.yml`, called by a repository, and the buildspec of that name: both end a deployment that another run began and left at a
//! pause, and record how it ended.

use sandbox::codebuild::chain::{person, store_token};
use sandbox::codebuild::{self, Project, Variable};
use sandbox::demo;
use sandbox::runner::act::{self, Trigger};
use sandbox::runner::export::{Export, export};
use sandbox::runner::story::{AUTHOR, RELEASER, REVIEWER, Story};
use serde_json::{Value, json};

use super::{CONTRACT, Setting};
use crate::chains::{mirrors, state_of};
use crate::support::{TIMEOUT, ends, heavy, instance, wait};

const ENVIRONMENT: &str = "staging";

/// The environment, the repository, and whoever answers from there.
struct Scene {
    setting: Setting,
    story: Story,
    export: Export,
    token: Variable,
    commit: String,
}

impl Scene {
    fn new() -> Self {
        let setting = Setting::new(ENVIRONMENT, "continued");
        let export = export(instance()).unwrap();
        let (story, token, commit) = wait(TIMEOUT, async {
            let world = setting.world;
            let story = Story::begin(instance(), world).await.unwrap();
            let token = store_token(instance(), world, &story).await.unwrap();
            let workflow = include_str!("continue.yml").replace("COMMIT", &export.pin);
            let files = [
                ("delivery.yaml", CONTRACT),
                (".github/workflows/continue.yml", workflow.as_str()),
            ];
            let title = "Continue deployments";
            let commit = story.change(AUTHOR, REVIEWER, title, &files).await;
            (story, token, commit.unwrap())
        });
        Self {
            setting,
            story,
            export,
            token,
            commit,
        }
    }

    /// Puts the digest on record in dev, as of the commit.
    fn comes_from_dev(&self) {
        let dev = Setting::new("dev", "continued-in-dev");
        let (digest, commit) = (&self.setting.digest, &self.commit);
        dev.plant(&json!({"verdict": "healthy", "digest": digest, "commit": commit}));
    }

    /// Begins a deployment that pauses, in a run that ends. Answers the permit's number.
    fn paused(&self) -> u64 {
        let number = self.setting.permit(&json!({"commit": self.commit}));
        let paused = ["is paused at POST_SCALE_UP and waits for an answer"];
        let mut deploy = self.setting.deploy(&number.to_string(), &[]);
        ends(&mut deploy, 8, &paused);
        number
    }

    /// Dispatches `continue.yml` with these inputs. Answers whether it succeeded, and its log.
    fn dispatched(&self, more: &[(&str, &str)]) -> (bool, String) {
        let given = [
            ("environment", ENVIRONMENT),
            ("digest", &self.setting.digest),
            ("commit", &self.commit),
        ];
        let trigger = Trigger::dispatch(REVIEWER, "continue.yml", &[&given, more].concat());
        let (world, hub) = (self.setting.world, &self.story.hub);
        let run =
            async { act::run(instance(), world, hub, &self.export, &trigger, &mut |_| {}).await };
        let ended = wait(TIMEOUT, run).unwrap();
        (ended.success, ended.log.text)
    }

    /// Starts a build of `buildspecs/continue.yml` with these variables.
    fn built(&self, more: &[(&str, &str)]) -> codebuild::Ended {
        let given = [
            ("IMAGE_DIGEST", self.setting.digest.as_str()),
            ("IMAGE_COMMIT", &self.commit),
        ];
        let start = given.iter().chain(more);
        let start = start.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let project = Project::of(
            "continue.yml",
            ENVIRONMENT,
            &person(RELEASER),
            start.collect(),
        );
        let world = self.setting.world;
        let run = async {
            project
                .build_once(instance(), world, &self.token, &mut |_| {})
                .await
        };
        wait(TIMEOUT, run).unwrap()
    }

    /// The newest record and its mirror on GitHub say that the deployment ended so.
    fn ended(&self, verdict: &str, under: Option<u64>, state: &str) {
        let newest = &self.setting.chain()[0];
        assert_eq!(newest["verdict"], verdict, "{newest}");
        assert_eq!(newest["under"], json!(under), "{newest}");
        assert_eq!(newest["commit"], self.commit.as_str(), "{newest}");
        let hash = self.setting.items()[0]["hash"]["S"].clone();
        let mirrors = wait(TIMEOUT, mirrors(self.setting.world, ENVIRONMENT));
        assert_eq!(state_of(&mirrors, newest, hash.as_str().unwrap()), state);
    }

    /// Nothing was written since the deployment began, which still waits.
    fn waits(&self, under: u64) {
        let newest = &self.setting.chain()[0];
        assert_eq!(
            (&newest["verdict"], &newest["under"]),
            (&json!("started"), &json!(under))
        );
        assert!(self.setting.service()["currentServiceDeployment"] != Value::Null);
    }
}

#[test]
fn both_hosts_end_a_paused_deployment_under_its_permit_and_record_it() {
    let _turn = heavy();
    let mut scene = Scene::new();
    scene.comes_from_dev();
    let before = scene.setting.pauses();
    let earlier = scene.setting.service()["taskDefinition"].clone();

    // On GitHub: the hook has to be named, a rollback needs none, and its record voids the permit.
    let first = scene.paused();
    let permit = first.to_string();
    // act may lose what a step that fails said last, so its reason is not looked for.
    assert!(!scene.dispatched(&[("permit", &permit)]).0);
    scene.waits(first);
    let (went_back, log) = scene.dispatched(&[("rollback", "true")]);
    assert!(went_back && log.contains("rolled back"), "{log}");
    scene.ended("rolled_back", None, "failure");
    assert_eq!(scene.setting.service()["taskDefinition"], earlier);

    let second = scene.paused();
    let (permit, hook) = (second.to_string(), scene.setting.hook());
    let (went_on, log) = scene.dispatched(&[("permit", &permit), ("hook", &hook)]);
    let answers = format!("answer hook {hook} at POST_SCALE_UP");
    assert!(went_on && log.contains(&answers), "{log}");
    scene.ended("healthy", Some(second), "success");
    assert!(scene.setting.image().ends_with(&scene.setting.digest));

    // In CodeBuild the same.
    scene.setting.another("continued-again");
    scene.comes_from_dev();
    let third = scene.paused();
    let permit = third.to_string();
    let refused = scene.built(&[("PERMIT", &permit)]);
    assert!(
        !refused.success && refused.log.contains("--hook"),
        "{}",
        refused.log
    );
    scene.waits(third);
    let back = scene.built(&[("ROLLBACK", "true"), ("PERMIT", &permit)]);
    assert!(back.success, "{}", back.log);
    scene.ended("rolled_back", None, "failure");

    let fourth = scene.paused();
    let (permit, hook) = (fourth.to_string(), scene.setting.hook());
    let went_on = scene.built(&[("PERMIT", &permit), ("HOOK", &hook)]);
    assert!(went_on.success, "{}", went_on.log);
    scene.ended("healthy", Some(fourth), "success");
    assert!(scene.setting.image().ends_with(&scene.setting.digest));

    scene.setting.pauses_no_longer(&before);
    wait(TIMEOUT, demo::kept_to_the_rules(instance(), &scene.story)).unwrap();
}
