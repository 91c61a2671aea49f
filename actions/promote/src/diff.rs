//! `diff`: which digest and commit two environments run, and the commits between them.

use crate::args::Diff;
use crate::setting::Setting;
use github::{GitHub, Range, RangeCommit, Unknown};
use kit::error::{Error, Result};
use kit::report::{count, markdown_table, text_table};
use kit::{Cx, Report};
use ledger::{Chain, LOOK_BACK, Record, Verdict};
use net::Net;
use serde_json::json;

/// One environment, with the record of what it runs: its newest healthy one.
struct Side {
    environment: String,
    record: Option<Record>,
}

pub(crate) async fn run(args: Diff, cx: &Cx) -> Result<Report> {
    let names = names(&args, cx)?;
    let net = Net::new(cx)?;
    let mut sides = Vec::new();
    for name in names {
        let setting = Setting::named(cx, &args.ledger, &name)?;
        let account = net.account(&setting.ledger_reader).await?;
        let ledger = setting.ledger(&net, &account);
        let chain = Chain::new(&setting.service, &setting.environment)?;
        let healthy = |record: &Record| record.verdict == Verdict::Healthy;
        sides.push(Side {
            environment: name,
            record: ledger.find(&chain, LOOK_BACK, healthy).await?,
        });
    }
    let [first, second] = sides.as_slice() else {
        return Err(Error::usage("two environments are compared"));
    };
    let between = match (&first.record, &second.record) {
        (Some(one), Some(other)) if one.commit != other.commit => {
            let github = GitHub::connect(cx, &net, args.github.repository())?;
            Some(between(&github, one.commit.as_str(), other.commit.as_str()).await?)
        }
        _ => None,
    };
    Ok(report(first, second, between.as_ref()))
}

/// The two environments: named one after the other, or by `--environment` and `--against`.
fn names(args: &Diff, cx: &Cx) -> Result<[String; 2]> {
    let named = match (
        args.environments.as_slice(),
        &cx.common.environment,
        &args.against,
    ) {
        ([one, other], None, None) => [one.clone(), other.clone()],
        ([], Some(one), Some(other)) => [one.clone(), other.clone()],
        _ => {
            return Err(Error::usage("diff compares two environments")
                .hint("give them one after the other: slipway-promote diff staging production")
                .hint("in a workflow: the inputs `environment` and `against`"));
        }
    };
    match named[0] == named[1] {
        true => Err(Error::usage(format!(
            "{} is compared with itself",
            named[0]
        ))),
        false => Ok(named),
    }
}

/// The commits that each of two commits has and the other does not.
struct Between {
    /// Those of the first, oldest first.
    ahead: Vec<RangeCommit>,
    /// Those of the second.
    behind: Vec<RangeCommit>,
}

async fn between(github: &GitHub, one: &str, other: &str) -> Result<Between> {
    let (ahead, behind) = tokio::join!(github.range(other, one), github.range(one, other));
    let commits = |range: Result<Range, Unknown>| range.map(|range| range.commits).map_err(refused);
    Ok(Between {
        ahead: commits(ahead)?,
        behind: commits(behind)?,
    })
}

/// The refusal if GitHub does not provide all of the commits, which are then not shown in part.
fn refused(unknown: Unknown) -> Error {
    let permission = unknown.permission.clone();
    let error = Error::refused("the commits between the environments are not known")
        .cause(unknown.to_string());
    match permission {
        Some(permission) => error.hint(format!("give the job `permissions: {{{permission}}}`")),
        None => error,
    }
}

fn report(first: &Side, second: &Side, between: Option<&Between>) -> Report {
    let header = ["environment", "digest", "commit", "since", "by"];
    let rows: Vec<Vec<String>> = [first, second]
        .into_iter()
        .map(|side| {
            let cell = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            let record = side.record.as_ref();
            let short = |text: &str, length| text.chars().take(length).collect::<String>();
            vec![
                side.environment.clone(),
                cell(record.map(|record| short(record.digest.as_str(), 19))),
                cell(record.map(|record| short(record.commit.as_str(), 7))),
                cell(record.map(|record| record.at.clone())),
                cell(record.map(|record| record.actor.login.clone())),
            ]
        })
        .collect();
    let (one, other) = (&first.environment, &second.environment);
    let digests = [first, second].map(|side| side.record.as_ref().map(|record| &record.digest));
    let mut lines = Vec::new();
    match (between, digests) {
        (Some(between), _) => {
            for (has, lacks, commits) in
                [(one, other, &between.ahead), (other, one, &between.behind)]
            {
                if !commits.is_empty() {
                    let number = count(commits.len(), "commit");
                    lines.push(format!("{has} has {number} that {lacks} does not have:"));
                    lines.extend(commits.iter().rev().map(line));
                }
            }
        }
        (None, [Some(a), Some(b)]) if a == b => {
            lines.push(format!("{one} and {other} run the same digest"));
        }
        (None, [Some(_), Some(_)]) => {
            lines.push(format!(
                "{one} and {other} run different images of one commit"
            ));
        }
        (None, _) => lines.push("nothing healthy is recorded in at least one of them".to_owned()),
    }
    let text = lines.join("\n");
    let listed = |commits: &[RangeCommit]| -> Vec<serde_json::Value> {
        commits
            .iter()
            .map(|commit| {
                json!({ "sha": commit.sha, "author": commit.author, "subject": subject(commit) })
            })
            .collect()
    };
    let environments = [first, second]
        .map(|side| json!({ "environment": side.environment, "healthy": side.record }));
    Report {
        text: format!("{}{text}\n", text_table(&header, &rows)),
        summary: format!(
            "### {one} and {other}\n\n{}\n{}\n",
            markdown_table(&header, &rows),
            fenced(&text)
        ),
        json: json!({
            "environments": environments,
            "same_digest": digests[0].is_some() && digests[0] == digests[1],
            "ahead": between.map(|between| listed(&between.ahead)),
            "behind": between.map(|between| listed(&between.behind)),
        }),
        ..Report::default()
    }
}

fn fenced(text: &str) -> String {
    let fence = kit::report::fence(text);
    format!("{fence}\n{text}\n{fence}")
}

fn subject(commit: &RangeCommit) -> &str {
    commit.message.lines().next().unwrap_or_default()
}

fn line(commit: &RangeCommit) -> String {
    let short: String = commit.sha.chars().take(7).collect();
    format!("  {short} {} ({})", subject(commit), commit.author)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn side(environment: &str, digit: &str) -> Side {
        let text = format!(
            r#"{{"seq":1,"at":"2026-11-21T18:00:01Z","service":"s","environment":"e","digest":"sha256:{}","commit":"{}","verdict":"healthy","actor":{{"login":"alice"}}}}"#,
            digit.repeat(64),
            digit.repeat(40),
        );
        Side {
            environment: environment.to_owned(),
            record: serde_json::from_str(&text).unwrap(),
        }
    }

    fn commit(digit: &str, message: &str) -> RangeCommit {
        RangeCommit {
            sha: digit.repeat(40),
            tree: String::new(),
            parents: Vec::new(),
            message: message.to_owned(),
            authored_at: String::new(),
            author: "bob".to_owned(),
        }
    }

    #[test]
    fn the_commits_that_one_has_are_shown_newest_first() {
        let between = Between {
            ahead: vec![commit("a", "add a\n\nbody"), commit("b", "add b")],
            behind: Vec::new(),
        };
        let found = report(
            &side("staging", "b"),
            &side("production", "9"),
            Some(&between),
        );
        expect![[r#"
            environment  digest               commit   since                 by
            staging      sha256:bbbbbbbbbbbb  bbbbbbb  2026-11-21T18:00:01Z  alice
            production   sha256:999999999999  9999999  2026-11-21T18:00:01Z  alice
            staging has 2 commits that production does not have:
              bbbbbbb add b (bob)
              aaaaaaa add a (bob)
        "#]]
        .assert_eq(&found.text);
        assert_eq!(found.json["ahead"][0]["subject"], "add a");
        assert_eq!(found.json["same_digest"], false);
    }

    #[test]
    fn equal_and_missing_digests_are_reported() {
        let same = report(&side("staging", "a"), &side("production", "a"), None);
        assert!(
            same.text.ends_with("run the same digest\n"),
            "{}",
            same.text
        );
        let none = Side {
            environment: "production".to_owned(),
            record: None,
        };
        let found = report(&side("staging", "a"), &none, None);
        assert!(found.text.contains("nothing healthy"), "{}", found.text);
        assert_eq!(found.json["same_digest"], false);
    }
}
