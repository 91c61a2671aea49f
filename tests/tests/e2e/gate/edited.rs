//! A contract that somebody edits at a terminal, where no run says which commit it is of.

use super::approvals::asking;
use super::{ALLOWED, Gate, digest, ended};

#[test]
fn at_a_terminal_an_edited_contract_judges_nothing() {
    let gate = Gate::new("gate-edited");
    let fix = digest('2');
    gate.plant("staging", &[gate.healthy(&fix, 1)]);
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    gate.declare(", soak: 9999d");
    gate.contract_on_branch();
    // The same person may act as the permit role, and writes another gate into the folder.
    gate.declare("");
    let edited = |arguments: &[&str]| ended(&mut gate.command("linus", arguments));
    let not_the_branchs = [
        "delivery.yaml, as it judged here",
        "is not the one in",
        "judge by the contract of main",
    ];
    for verb in [
        &["grant", "--digest", &fix][..],
        &["check", "--digest", &fix],
        &["grant", "--rollback", "--digest", &digest('1')],
    ] {
        let refused = edited(verb);
        refused.is(3, &not_the_branchs);
        assert_eq!(refused.refusing(), ["policy"], "{}", refused.text);
    }
    assert_eq!(gate.chain().len(), 1, "nothing was granted");
    // Reviewed and merged, it judges.
    gate.run("linus", &["check", "--digest", &fix]).is(
        0,
        &[
            ALLOWED,
            "the newest commit of main, whose delivery.yaml judged",
        ],
    );
}

/// Answers are written by whoever may act as the permit role, who could name themselves in the folder's file.
#[test]
fn at_a_terminal_nobody_answers_by_an_edited_contract() {
    let gate = asking("gate-answered");
    let approve = ", approve: {count: 1, people: [grace]}";
    gate.declare(approve);
    let asked = gate.run("linus", &["request", "--reason", "the new prices"]);
    asked.is(0, &[]);
    gate.declare(", approve: {count: 1, people: [grace, eve]}");
    let because = ["--request", "2", "--reason", "not on a Friday"];
    for verb in ["approve", "reject", "withdraw"] {
        let arguments = [&[verb][..], &because].concat();
        let refused = ended(&mut gate.command("eve", &arguments));
        let not_the_branchs = ["is not the one of main", "judge by the contract of main"];
        refused.is(3, &not_the_branchs);
    }
    assert_eq!(gate.chain().len(), 2, "nothing was answered");
    // Where GitHub does not answer, the answer is recorded and says what was not compared.
    gate.declare(approve);
    let alone = gate.without_github("grace", &["approve", "--request", "2"]);
    alone.is(0, &["was not compared with main"]);
    assert_eq!(alone.json["contract"]["compared"], false, "{}", alone.text);
}
