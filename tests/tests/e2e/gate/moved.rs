//! The contract that judges is the one at the path of the contract that judged before, unless it says itself that it was moved.

use serde_json::{Value, json};

use super::evidence::{instead, lied};
use super::{ALLOWED, Ended, Gate, digest};
use crate::support::now;

const HERE: &str = "delivery.yaml";
const THERE: &str = "shop/delivery.yaml";

impl Gate {
    /// The contract of the folder at another path, with this at its end.
    fn also_there(&self, more: &str) {
        let folder = self.folder.path();
        let text = std::fs::read_to_string(folder.join(HERE)).unwrap();
        std::fs::create_dir_all(folder.join("shop")).unwrap();
        std::fs::write(folder.join(THERE), format!("{text}{more}")).unwrap();
    }

    /// The step by the contract at this path.
    fn by(&self, path: &str, arguments: &[&str]) -> Ended {
        self.run("linus", &[arguments, &["--contract", path]].concat())
    }

    /// The newest record of production.
    fn newest(&self) -> Value {
        self.chain().pop().unwrap().0
    }
}

#[test]
fn a_contract_at_another_path_judges_only_if_it_says_that_it_was_moved() {
    let gate = Gate::new("moved");
    let fix = digest('2');
    gate.plant("staging", &[gate.healthy(&fix, 1)]);
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    gate.declare("");
    gate.anchor();
    let grant = ["grant", "--digest", &fix];
    // Nothing was judged yet, so any path is free.
    gate.by(HERE, &grant).is(0, &[ALLOWED]);
    assert_eq!(gate.newest()["contract_path"], HERE);
    gate.also_there("");
    let planted = [
        "production is judged by the contract delivery.yaml, so shop/delivery.yaml does not judge it",
        "have `moved-from: delivery.yaml` reviewed in shop/delivery.yaml",
    ];
    let back = ["grant", "--rollback", "--digest", &digest('1')];
    for verb in [&grant[..], &["check", "--digest", &fix], &back] {
        gate.by(THERE, verb).is(3, &planted);
    }
    assert_eq!(gate.chain().len(), 2);

    gate.also_there("moved-from: delivery.yaml\n");
    let moved = gate.by(THERE, &grant);
    moved.is(0, &[ALLOWED]);
    assert_eq!(gate.newest()["contract_path"], THERE);
    let former =
        "production is judged by the contract shop/delivery.yaml, so delivery.yaml does not";
    gate.by(HERE, &grant).is(3, &[former]);

    gate.begin(moved.permit(), "linus", None, &now());
    let (permit, commit) = (moved.permit().to_string(), gate.commits[1].clone());
    let failed = [
        "record",
        "--digest",
        &fix,
        "--commit",
        &commit,
        "--verdict",
        "failed",
    ];
    let closes = [&failed[..], &["--permit", &permit]].concat();
    let other = "it was judged by the contract shop/delivery.yaml, and this one is delivery.yaml";
    gate.by(HERE, &closes).is(3, &[other]);
    gate.by(THERE, &closes).is(0, &[]);
    assert_eq!(gate.newest()["contract_path"], THERE);
    // A failure that nobody permitted is recorded, and makes nobody the judge.
    gate.by(HERE, &failed).is(0, &[]);
    assert_eq!(gate.newest()["contract_path"], THERE);
    gate.by(HERE, &grant).is(3, &[former]);

    let all = json!({"permits": 2, "followed": 2, "left": [], "otherwise": []});
    let online = gate.by(THERE, &["verify"]);
    online.is(0, &[]);
    assert_eq!(online.json["decisions"], all, "{}", online.text);
    let (export, evidence) = gate.exported("moved");
    gate.verified(&export, &evidence).is(0, &[]);
    assert_eq!(gate.second(&export, &evidence)["faults"], json!([]));
    // The evidence of the second permit, as somebody with the key could have written it.
    for (from, to, why) in [
        (
            r#""path":"shop/delivery.yaml""#,
            r#""path":"delivery.yaml""#,
            "of another contract_path",
        ),
        (
            r"moved-from: delivery.yaml\n",
            r"moved-from: other.yaml\n",
            "of another contract",
        ),
    ] {
        let forged = lied(&export, &evidence, 3, instead(from, to));
        let found = gate.verified(&forged, &evidence);
        found.is(3, &["does not follow from its evidence", why]);
        let second = gate.second(&forged, &evidence);
        assert_eq!(second["faults"], json!([["decision-differs", 3]]), "{why}");
    }
}
