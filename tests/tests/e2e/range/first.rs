//! The range of a first promotion, before anything was healthy in the environment.

use sandbox::runner::story::AUTHOR;
use serde_json::json;

use super::Scene;

impl Scene {
    /// The contract, whose gate does not say where a first promotion begins.
    fn without_since(&self) {
        self.contract("", "");
        let file = self.setting.job.file("delivery.yaml");
        let first = self.git(&["rev-list", "--max-parents=0", "main"]);
        let text = std::fs::read_to_string(&file).unwrap();
        let since = format!(", since: '{first}'");
        assert!(text.contains(&since), "{text}");
        std::fs::write(&file, text.replace(&since, "")).unwrap();
    }

    /// The contract, whose gate begins at a commit.
    fn since(&self, commit: &str) {
        self.without_since();
        let file = self.setting.job.file("delivery.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let gate = "gate: { approvals: 1";
        let text = text.replacen(gate, &format!("{gate}, since: \"{commit}\""), 1);
        std::fs::write(&file, text).unwrap();
    }
}

#[test]
fn a_first_promotion_is_examined_from_the_branchs_first_commit() {
    let scene = Scene::new("first");
    scene.without_since();
    let tip = scene.change("one", "merge");
    let answer = scene.check(&tip);
    answer.passes();
    let fact = answer.rule("range")["fact"].as_str().unwrap();
    assert!(fact.contains("since the branch's first one"), "{fact}");
    // Years ago somebody pushed, and nobody reviewed it.
    let direct = scene.push(AUTHOR, "main", "direct.txt", &json!({}));
    let tip = scene.change("two", "squash");
    let answer = scene.check(&tip);
    answer.refused("range", "fail", &direct[..7]);
    let next = answer.rule("range")["next"].as_str().unwrap();
    assert!(next.contains(&format!("since: \"{direct}\"")), "{next}");
    scene.since(&direct);
    scene.check(&tip).passes();
    scene.no_violations();
}

#[test]
fn a_first_promotion_of_an_old_repository_asks_where_to_begin() {
    let scene = Scene::new("first-old");
    scene.import("main", 510, 1_690_000_000);
    let before = scene.git(&["rev-parse", "main"]);
    let tip = scene.change("one", "merge");
    scene.without_since();
    let answer = scene.check(&tip);
    answer.refused("range", "unknown", "more than 500 commits");
    let next = answer.rule("range")["next"].as_str().unwrap();
    assert!(next.contains(&format!("since: \"{before}\"")), "{next}");
    scene.since(&before);
    scene.check(&tip).passes();
}
