//! The plan of a pull request, which is a comment and nothing that could be applied.

use sandbox::runner::hub::Run;
use sandbox::runner::story::{AUTHOR, Story};
use serde_json::json;

use super::super::{CODE, DEADLINE, Governed, SECRET};
use super::everything_written;
use crate::job::Job;
use crate::support::{TIMEOUT, comments, instance, log, wait, world};

/// A pull request, and a run that may comment on it.
async fn proposed() -> (Story, u64, Run) {
    let world = world("comment").await;
    let story = Story::begin(instance(), &world).await.unwrap();
    let files = [("infra/more.tf", "# more\n")];
    let number = story.propose(AUTHOR, "More of it", &files).await.unwrap();
    let workflow = "on: pull_request\njobs:\n  plan:\n    runs-on: ubuntu-latest\n    permissions: {pull-requests: write, contents: read}\n    steps: [{run: 'true'}]\n";
    let path = ".github/workflows/plan.yml";
    let run = json!({
        "workflow": path, "event": "pull_request", "actor": AUTHOR, "pull": number,
        "workflows": {(path): workflow},
    });
    let run = story.hub.start(&run).await.unwrap();
    (story, number, run)
}

/// A pull request's run: nothing but the role `read`, nobody's lock, nothing to apply, and one comment that is changed.
#[test]
fn a_pull_request_gets_a_read_only_plan_in_one_comment() {
    let (story, number, run) = wait(TIMEOUT, proposed());
    let state = Governed::new("comment");
    let main = state.job("shop.example");
    let plan = state.planned(&main);
    state.run_json(&main, &["apply", "--plan", &plan]);

    let reference = format!("refs/pull/{number}/merge");
    let id = run.run_id.to_string();
    let of_pull = |domain: &str| {
        state.job_with(
            domain,
            &[
                ("GITHUB_REPOSITORY", &story.hub.repository),
                ("GITHUB_RUN_ID", &id),
                ("GITHUB_JOB", "plan"),
                ("GITHUB_EVENT_NAME", "pull_request"),
                ("GITHUB_REF", &reference),
                ("INPUT_GITHUB-TOKEN", &run.token),
            ],
        )
    };
    let comments = || wait(DEADLINE, comments(&story.hub, number));
    let job = of_pull("new.example");
    // Somebody else holds the lock for all that time, and is not disturbed.
    let holder = state.job("shop.example");
    let lock = holder.run(&mut state.step(&holder, &["lock"]));
    assert!(lock.status.success(), "{}", log(&lock));
    let held = state.lock();
    let plan = || {
        let ended = job.run(&mut state.step(&job, &["plan"]));
        assert!(ended.status.success(), "{}", log(&ended));
        assert_eq!(state.lock(), held);
        everything_written(&job, &ended)
    };
    let output = plan();
    assert!(output.contains("and without the lock"), "{output}");
    assert!(output.contains(":assumed-role/slipway-read/"), "{output}");
    assert!(
        output.contains("plan-id<<") && !output.contains("valid until"),
        "{output}"
    );
    let first = comments();
    assert_eq!(first.len(), 1, "{first:?}");
    for piece in [
        "### Plan: 1 to replace, 1 to change",
        "-/+ terraform_data.database",
        "cannot be applied",
    ] {
        assert!(first[0].contains(piece), "no {piece} in\n{}", first[0]);
    }
    plan();
    assert_eq!(comments(), first, "the same plan is the same comment");

    let job = of_pull("shop.example");
    let ended = job.run(&mut state.step(&job, &["plan"]));
    assert!(ended.status.success(), "{}", log(&ended));
    let now = comments();
    assert_eq!(now.len(), 1, "{now:?}");
    assert!(now[0].contains("### Plan: no changes"), "{}", now[0]);
    assert!(!first[0].contains(SECRET) && !now[0].contains(SECRET));

    a_long_plan_is_cut(&state, &of_pull("shop.example"), &comments);
    nothing_can_be_applied(&state, &of_pull);
    let unlock = serde_json::to_value(&held).unwrap()["Info"]["S"].clone();
    let info: serde_json::Value = serde_json::from_str(unlock.as_str().unwrap()).unwrap();
    state.ends(
        &holder,
        &["unlock", "--lock-id", info["ID"].as_str().unwrap()],
        0,
    );
}

/// A long plan is cut where GitHub ends, and says where the rest is.
fn a_long_plan_is_cut(state: &Governed, job: &Job, comments: &dyn Fn() -> Vec<String>) {
    let many = format!("{CODE}\nresource \"terraform_data\" \"many\" {{\n  count = 3000\n}}\n");
    std::fs::write(job.file("infra/main.tf"), many).unwrap();
    let ended = job.run(&mut state.step(job, &["plan"]));
    assert!(ended.status.success(), "{}", log(&ended));
    let now = comments();
    assert_eq!(now.len(), 1, "{now:?}");
    assert!(
        (50_000..=65_536).contains(&now[0].len()),
        "{}",
        now[0].len()
    );
    assert!(now[0].contains("more lines not shown**: the run has them all: https://github.com/"));
    assert!(job.read("summary").contains("terraform_data.many[2999]"));
}

/// A job that may not comment says so, and has its plan all the same; none can apply.
fn nothing_can_be_applied(state: &Governed, of_pull: &dyn Fn(&str) -> Job) {
    let job = of_pull("shop.example");
    let mut step = state.step(&job, &["plan"]);
    step.env("INPUT_GITHUB-TOKEN", "ghs_unknown");
    let ended = job.run(&mut step);
    assert!(ended.status.success(), "{}", log(&ended));
    assert!(
        log(&ended).contains("gets no comment with the plan"),
        "{}",
        log(&ended)
    );

    let job = of_pull("shop.example");
    let plan = "0".repeat(64);
    let ended = job.run(&mut state.step(&job, &["apply", "--plan", &plan]));
    assert_eq!(ended.status.code(), Some(3), "{}", log(&ended));
}
