//! The test of the real binary that shows each rule of the gate alone at work, and the one that refuses each attack known from other
//! products.

use std::path::Path;

use super::Gate;

/// A rule, or an attack, with the file of its test in this folder's parent and the test's name.
type Shown = (&'static str, &'static str, &'static str);

/// For each rule a test in which it alone refuses, in its own words; `provenance` is examined first, whatever else refuses.
const RULES: &[Shown] = &[
    (
        "provenance",
        "publish/proof.rs",
        "an_image_of_another_tool_is_promoted_only_where_the_contract_says_so",
    ),
    (
        "digest",
        "gate/times.rs",
        "a_digest_that_failed_again_in_staging_does_not_go_on",
    ),
    (
        "branch",
        "gate/permit.rs",
        "a_branch_that_was_set_back_since_a_permit_promotes_nothing",
    ),
    (
        "pull request",
        "range/attacks.rs",
        "a_commit_that_the_contract_accepts_is_not_promoted_by_itself",
    ),
    (
        "range",
        "range/first.rs",
        "a_first_promotion_is_examined_from_the_branchs_first_commit",
    ),
    (
        "merge",
        "range/sides.rs",
        "a_merge_that_takes_one_side_whole_is_named",
    ),
    (
        "approvals",
        "range/contributors.rs",
        "an_approval_by_a_contributor_does_not_count",
    ),
    (
        "checks",
        "range/checks.rs",
        "a_check_counts_only_once_it_succeeded",
    ),
    (
        "promoter",
        "range/attacks.rs",
        "a_run_that_no_person_started_from_the_branch_does_not_promote",
    ),
    (
        "separation",
        "range/contributors.rs",
        "persons_count_and_not_accounts",
    ),
    (
        "run",
        "range/attacks.rs",
        "a_run_that_no_person_started_from_the_branch_does_not_promote",
    ),
    (
        "policy",
        "gate/edited.rs",
        "at_a_terminal_an_edited_contract_judges_nothing",
    ),
    (
        "forward",
        "gate/times.rs",
        "an_older_commit_than_what_a_break_glass_brought_does_not_go_on",
    ),
    (
        "soak",
        "gate/times.rs",
        "each_rule_refuses_by_itself_and_says_what_to_do",
    ),
    (
        "still running",
        "gate/times.rs",
        "still_running_refuses_a_digest_that_staging_no_longer_runs",
    ),
    (
        "freeze",
        "gate/times.rs",
        "each_rule_refuses_by_itself_and_says_what_to_do",
    ),
    (
        "calendar",
        "gate/times.rs",
        "each_rule_refuses_by_itself_and_says_what_to_do",
    ),
    (
        "rolled back",
        "gate/rollback.rs",
        "a_second_commit_of_a_digest_does_not_hide_who_wrote_it",
    ),
    (
        "debt",
        "gate/break_glass.rs",
        "a_break_glass_is_recorded_and_refuses_until_another_person_reviews_it",
    ),
    (
        "approved",
        "gate/contributors.rs",
        "a_promotion_an_app_contributed_to_needs_one_more_approval",
    ),
];

/// Attacks on other gates, each with the test in which ours refuses it.
const ATTACKS: &[Shown] = &[
    (
        "a workflow approves a pull request as github-actions[bot]",
        "range/attacks.rs",
        "an_approval_that_no_other_person_stands_behind_does_not_count",
    ),
    (
        "an app opens a pull request that its owner approves",
        "range/contributors.rs",
        "a_change_by_an_unattributed_app_needs_one_more_approval",
    ),
    (
        "an app dispatches the promotion",
        "range/attacks.rs",
        "a_run_that_no_person_started_from_the_branch_does_not_promote",
    ),
    (
        "the approver pushed to somebody else's pull request",
        "range/contributors.rs",
        "an_approval_by_a_contributor_does_not_count",
    ),
    (
        "commits after the approval, also by a forced push",
        "range/contributors.rs",
        "an_approval_by_a_contributor_does_not_count",
    ),
    (
        "an objection is dismissed by its author",
        "range.rs",
        "github_that_fails_or_answers_in_part_is_refused",
    ),
    (
        "a direct push rides along",
        "range.rs",
        "a_push_in_the_middle_is_named_until_the_contract_accepts_it",
    ),
    (
        "a squash hides an author",
        "range/contributors.rs",
        "an_approval_by_a_contributor_does_not_count",
    ),
    (
        "a commit is taken for another pull request's",
        "range/attacks.rs",
        "a_commit_of_another_pull_request_is_one_without_any",
    ),
    (
        "an old run is run again",
        "range/policy.rs",
        "a_run_of_another_contract_than_the_branchs_is_refused",
    ),
    (
        "a dispatch from another branch",
        "range/attacks.rs",
        "a_run_that_no_person_started_from_the_branch_does_not_promote",
    ),
    (
        "the contract is edited in the promoted commit",
        "range/policy.rs",
        "a_contract_edited_in_the_promoted_commit_does_not_judge",
    ),
    (
        "the workflow is edited in the promoted commit",
        "range/policy.rs",
        "a_workflow_edited_in_the_promoted_commit_does_not_promote",
    ),
    (
        "a variable or a login says another person",
        "gate/approvals.rs",
        "on_github_a_person_is_an_account_by_its_number_and_a_dispatch_on_purpose",
    ),
    (
        "another app reports a check of the same name",
        "range/attacks.rs",
        "a_check_of_the_right_name_by_another_app_does_not_count",
    ),
    (
        "a GitHub Deployment, or a tag, in the place of a record",
        "range/attacks.rs",
        "neither_a_deployment_on_github_nor_a_tag_stands_for_a_record",
    ),
    (
        "a session in AWS with another person's name",
        "gate/principal.rs",
        "a_session_of_another_role_or_account_with_a_persons_name_is_not_that_person",
    ),
    (
        "a second account of the same person approves",
        "range/contributors.rs",
        "persons_count_and_not_accounts",
    ),
    (
        "a second account that nobody knows approves",
        "gate/reviewers.rs",
        "only_reviews_of_those_whom_the_gate_names_count",
    ),
    (
        "a bot merges something else than what was approved",
        "range/attacks.rs",
        "a_merge_by_a_bot_brings_what_was_approved_and_nothing_else",
    ),
    (
        "the deploy role plants a record",
        "permits/roles.rs",
        "the_role_that_deploys_cannot_plant_a_record",
    ),
    (
        "a record or a permit is planted in the table",
        "ledger.rs",
        "a_planted_permit_is_refused",
    ),
    (
        "the chain is cut off, or in another table",
        "ledger.rs",
        "a_chain_that_was_cut_off_or_written_elsewhere_is_refused",
    ),
    (
        "the deploying machine's clock is set back",
        "permits.rs",
        "a_machine_whose_clock_is_behind_uses_no_expired_permit",
    ),
];

#[test]
fn each_rule_and_each_known_attack_has_its_test() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e");
    for (shown, file, test) in RULES.iter().chain(ATTACKS) {
        let text = std::fs::read_to_string(tests.join(file)).unwrap();
        let found = text.contains(&format!("#[test]\nfn {test}() {{"));
        assert!(found, "{shown}: {file} has no test {test}");
    }
    let gate = Gate::new("gate-shown");
    gate.declare("");
    let explained = gate.run("linus", &["explain"]);
    explained.is(0, &[]);
    let rules = explained.json["rules"].as_array().unwrap().iter();
    let rules: Vec<&str> = rules.map(|rule| rule["rule"].as_str().unwrap()).collect();
    let listed: Vec<&str> = RULES.iter().map(|(rule, ..)| *rule).collect();
    assert_eq!(rules, listed);
}
