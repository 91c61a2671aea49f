use super::next::Next;
use super::page::{Deployment, Environment, Page, Text};
use crate::environment_history::at;
use crate::environment_history::tests::{deployed, digest, failed, forced, permitted, rolled_back};
use crate::live::LiveService;
use crate::status::Row;
use kit::error::Error;
use ledger::Record;

fn seen(missing: &[&str]) -> Option<kit::Result<LiveService>> {
    Some(Ok(LiveService {
        revision: "arn:aws:ecs:eu-west-1:111111111111:task-definition/web:3".to_owned(),
        missing: missing.iter().map(|phrase| (*phrase).to_owned()).collect(),
    }))
}

fn environment(name: &str, healthy: Option<Record>) -> Environment {
    Environment {
        row: Row {
            environment: name.to_owned(),
            last: healthy.clone(),
            live: healthy.is_some().then(|| seen(&[])).flatten(),
            healthy,
            open: Vec::new(),
            deploying: Vec::new(),
            waiting: Vec::new(),
        },
        follows: None,
        deployments: Vec::new(),
        next: None,
    }
}

fn html(environments: Vec<Environment>) -> String {
    let page = Page {
        service: "storefront".to_owned(),
        now: at("2026-11-21T20:05:00Z").unwrap(),
        environments,
    };
    page.html().unwrap()
}

#[track_caller]
fn assert_contains(html: &str, pieces: &[&str]) {
    for piece in pieces {
        assert!(html.contains(piece), "no {piece:?} in\n{html}");
    }
}

#[test]
fn an_environment_that_cannot_be_observed_is_not_shown_as_healthy() {
    let mut gone = environment("staging", Some(deployed('a')));
    gone.row.live = seen(&["a healthy target"]);
    let mut hidden = environment("production", Some(deployed('a')));
    hidden.row.live = Some(Err(Error::failed("cannot call DescribeServices")));
    let page = html(vec![
        environment("dev", Some(deployed('b'))),
        gone,
        hidden,
        environment("spare", None),
    ]);
    assert_contains(
        &page,
        &[
            "<section class=\"good\">\n<h2>dev</h2>\n<p class=\"health\">healthy now</p>",
            "<section class=\"bad\">\n<h2>staging</h2>\n<p class=\"health\">not healthy: a healthy target</p>",
            "<section class=\"unknown\">\n<h2>production</h2>\n<p class=\"health\">unknown: cannot call DescribeServices</p>",
            "<section class=\"idle\">\n<h2>spare</h2>\n<p class=\"health\">not deployed</p>\n<p>Nothing healthy is recorded.</p>",
            ">2 h 5 min ago</time>",
        ],
    );
    assert_eq!(page.matches("healthy now").count(), 1);
}

#[test]
fn a_digest_in_a_sentence_is_shortened_with_the_full_one_in_its_title() {
    let (wanted, other) = (digest('a'), digest('b'));
    let mut one = environment("dev", Some(deployed('a')));
    one.row.live = seen(&[&format!(
        "task <1> runs {other}, expected {wanted}; sha256:odd"
    )]);
    let code = |digit: &str| {
        let (all, short) = (digit.repeat(64), digit.repeat(12));
        format!("<code title=\"sha256:{all}\">sha256:{short}</code>")
    };
    let line = format!(
        "not healthy: task &lt;1&gt; runs {}, expected {}; <code title=\"sha256:\">sha256:</code>odd</p>",
        code("b"),
        code("a")
    );
    assert_contains(&html(vec![one]), &[&line]);
}

#[test]
fn the_next_promotion_is_shown_with_the_rule_that_refuses_it() {
    let refused = Next::Refused {
        digest: digest('b'),
        rule: "soak",
        fact: "healthy for 5 min of 2 h".to_owned(),
        next: Some("wait".to_owned()),
    };
    let unknown = Next::Unknown {
        digest: digest('b'),
        why: "GitHub did not answer".to_owned(),
    };
    for (next, words) in [
        (
            Next::Nothing,
            "nothing is healthy in the previous environment",
        ),
        (Next::Same, "runs what the previous environment runs"),
        (Next::Ready(digest('b')), "</code> can be promoted"),
        (
            refused,
            "</code> is refused: soak: healthy for 5 min of 2 h<br>wait",
        ),
        (
            unknown,
            "</code> could not be judged: GitHub did not answer",
        ),
    ] {
        let mut one = environment("staging", Some(deployed('a')));
        one.follows = Some("dev".to_owned());
        one.next = Some(next);
        assert_contains(&html(vec![one]), &[words, "follows dev"]);
    }
    assert!(!html(vec![environment("dev", None)]).contains("Next"));
}

#[test]
fn a_deployment_is_shown_with_its_evidence() {
    let mut permit = permitted('b', "hash-1");
    permit.seq = 7;
    if let Some(permit) = &mut permit.permit {
        permit.pulls = vec![12, 14];
        permit.requests = vec![5];
        permit.approvers = vec![crate::environment_history::tests::actor("grace")];
    }
    let mut run = deployed('b');
    run.seq = 9;
    run.run = Some("https://github.com/acme/shop/actions/runs/1".to_owned());
    let mut one = environment("production", Some(run.clone()));
    let plain = |record: Record| Deployment {
        record,
        permit: None,
    };
    one.deployments = vec![
        Deployment {
            record: run,
            permit: Some(permit),
        },
        plain(rolled_back('a', 'b')),
        plain(forced('c', "eve")),
        plain(failed('d')),
    ];
    one.row.open = vec!["BREAK-GLASS by eve".to_owned()];
    assert_contains(
        &html(vec![one]),
        &[
            "<li class=\"good\"><b>healthy</b>",
            "<a href=\"https://github.com/acme/shop/actions/runs/1\">run</a>",
            "record 9, permit 7 by dora, #12 #14, approved by grace, promotion approved in request 5",
            ", a rollback",
            ", <b>break-glass</b>: the shop is down",
            "<li class=\"bad\"><b>failed</b>",
            "<ul class=\"open\">\n<li>BREAK-GLASS by eve</li>",
        ],
    );
}

#[test]
fn text_from_outside_stays_text() {
    assert_eq!(
        Text("<b title='x\"'>&").to_string(),
        "&lt;b title=&#39;x&quot;&#39;&gt;&amp;"
    );
    let hostile = "\"><script>alert(1)</script>";
    let mut record = forced('b', hostile);
    record.run = Some(format!("https://ci.example/{hostile}"));
    if let Some(glass) = &mut record.break_glass {
        glass.reason = hostile.to_owned();
    }
    let mut one = environment("dev", Some(record.clone()));
    one.row.open = vec![hostile.to_owned()];
    one.row.live = Some(Err(Error::failed(hostile)));
    one.next = Some(Next::Unknown {
        digest: digest('b'),
        why: hostile.to_owned(),
    });
    one.deployments = vec![Deployment {
        record: record.clone(),
        permit: Some(record),
    }];
    let page = html(vec![one]);
    assert!(!page.contains("<script"), "{page}");
    // A link leads to a page of a run and to nothing else.
    let mut record = deployed('b');
    record.run = Some("javascript:alert(1)".to_owned());
    let mut one = environment("dev", None);
    one.deployments = vec![Deployment {
        record,
        permit: None,
    }];
    assert!(!html(vec![one]).contains("javascript:"));
}

#[test]
fn the_page_is_replaced_as_a_whole_and_leaves_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("board.html");
    super::write(&file, "first").unwrap();
    super::write(&file, "second").unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "second");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let error = super::write(&folder.path().join("nowhere/board.html"), "x").unwrap_err();
    assert_eq!(error.exit(), kit::Exit::Failed);
    let error = super::write(folder.path().join("..").as_path(), "x").unwrap_err();
    assert_eq!(error.exit(), kit::Exit::Usage);
}
