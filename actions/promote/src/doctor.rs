//! `doctor`: tries each call that `check` and `grant` make for the environment, changes no record, and names what
//! this token and these roles cannot see or do.

use crate::args::{Doctor as Args, LedgerArgs};
use crate::check::conditions::{look, without};
use crate::check::{Fact, Unknown};
use crate::environment_history::EnvironmentHistory;
use crate::live::{Live, Named};
use crate::person::{logins, of_run, without_github};
use crate::requests::members;
use crate::setting::Setting;
use github::{GitHub, Repository};
use kit::clock::rfc3339;
use kit::contract::Notify;
use kit::error::{Error, Result};
use kit::host::Kind;
use kit::id::CommitId;
use kit::report::{count, markdown_table, text_table};
use kit::{Cx, Report};
use ledger::Chain;
use net::Net;
use serde_json::json;

const HEADER: [&str; 4] = ["fact", "from", "seen", "what"];

/// One call.
struct Row {
    fact: String,
    from: String,
    /// The result of the call; `Err` says why it was not tried.
    seen: Result<Fact<String>, &'static str>,
}

/// Why a call was not tried.
const NOTHING_YET: &str = "not tested: no record yet";
const WOULD_SEND: &str = "not tested: it would send a message";

impl Row {
    fn new(fact: impl Into<String>, from: impl Into<String>, seen: Fact<String>) -> Self {
        Self {
            fact: fact.into(),
            from: from.into(),
            seen: Ok(seen),
        }
    }

    fn untried(fact: &str, from: &str, why: &'static str) -> Self {
        Self {
            fact: fact.to_owned(),
            from: from.to_owned(),
            seen: Err(why),
        }
    }

    fn cells(&self) -> Vec<String> {
        let (seen, detail) = match &self.seen {
            Ok(Ok(detail)) => ("yes", detail.clone()),
            Ok(Err(unknown)) => ("NO", format!("{}; {}", unknown.why, unknown.next)),
            Err(why) => ("not tried", (*why).to_owned()),
        };
        vec![
            self.fact.clone(),
            self.from.clone(),
            seen.to_owned(),
            detail,
        ]
    }

    fn unknown(&self) -> Option<&Unknown> {
        self.seen.as_ref().ok()?.as_ref().err()
    }
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<Report> {
    let setting = Setting::of(cx, &args.ledger)?;
    let net = Net::new(cx)?;
    let (mut rows, commit) = of_ledger(&net, &setting).await?;
    rows.extend(of_grant(&net, &setting).await?);
    rows.extend(of_environment(cx, &net, &setting).await);
    let notify = setting.gate.approve.as_ref();
    let notify = notify.and_then(|approve| approve.notify.as_ref());
    if let Some(Notify::Topic(name)) = notify {
        let fact = format!("notifying topic {name}");
        rows.push(Row::untried(&fact, "sns:Publish, role permit", WOULD_SEND));
    }
    match GitHub::connect(cx, &net, args.github.repository()) {
        Ok(github) => {
            rows.push(person(cx, &net, Some(&github), &setting).await);
            let commit = commit.or_else(|| cx.host.commit().ok().flatten());
            rows.extend(of_github(&github, &setting, commit).await);
            rows.extend(of_teams(&github, &setting).await);
            if notify == Some(&Notify::Issue) {
                rows.extend(of_issues(cx, &github).await);
            }
        }
        Err(error) => {
            rows.push(person(cx, &net, None, &setting).await);
            let unknown = without(&error, &setting.environment);
            rows.push(Row::new("GitHub", "GitHub", Err(unknown)));
        }
    }
    report(&setting, &rows)
}

/// The records of the environment and of the one before. Also returns the newest commit in them.
async fn of_ledger(net: &Net, setting: &Setting) -> Result<(Vec<Row>, Option<CommitId>)> {
    let mut rows = Vec::new();
    let mut newest = None;
    let from = "dynamodb:Query, role read";
    let account = net.account(&setting.ledger_reader).await;
    for environment in setting.follows.iter().chain([&setting.environment]) {
        let chain = Chain::new(&setting.service, environment)?;
        let seen = match &account {
            Ok(account) => EnvironmentHistory::read(&setting.ledger(net, account), &chain)
                .await
                .map_err(|error| without(&error, environment)),
            Err(error) => Err(without(error, environment)),
        };
        let seen = seen.map(|history| match history.newest() {
            Some(head) => {
                newest.get_or_insert_with(|| head.record.commit.clone());
                format!("record {}, {}", head.record.seq, head.record.verdict)
            }
            None => "no records".to_owned(),
        });
        rows.push(Row::new(format!("ledger of {environment}"), from, seen));
    }
    Ok((rows, newest))
}

/// The calls that `grant` makes besides those of `check`: to sign, to append, and to write to the anchor.
async fn of_grant(net: &Net, setting: &Setting) -> Result<Vec<Row>> {
    let environment = &setting.environment;
    let chain = Chain::new(&setting.service, environment)?;
    let account = match net.account(&setting.permit).await {
        Ok(account) => account,
        Err(error) => {
            let from = "role permit";
            let unknown = without(&error, environment);
            return Ok(vec![Row::new("granting", from, Err(unknown))]);
        }
    };
    let ledger = setting.ledger(net, &account);
    let fact = |error: Error| without(&error, environment);
    let appends = ledger.would_append(&chain).await.map_err(fact);
    let mut rows = vec![Row::new(
        format!("appending to {chain}"),
        "dynamodb:PutItem and ConditionCheckItem, role permit",
        appends.map(|()| "would be written".to_owned()),
    )];
    if setting.trust.key.is_some() {
        let signs = ledger.would_sign().await.map_err(fact);
        rows.push(Row::new(
            "signing records",
            "kms:Sign, role permit",
            signs.map(|key| format!("key {}", key.unwrap_or_default())),
        ));
    }
    if setting.trust.anchor.is_some() {
        let from = "s3:PutObject, role permit";
        rows.push(match ledger.would_anchor(&chain).await {
            Ok(None) => Row::untried("writing to the anchor", from, NOTHING_YET),
            Ok(Some(seq)) => Row::new(
                "writing to the anchor",
                from,
                Ok(format!("record {seq} is there")),
            ),
            Err(error) => Row::new("writing to the anchor", from, Err(fact(error))),
        });
        let keeps = ledger.would_keep(&chain).await.map_err(fact);
        rows.push(Row::new(
            "keeping evidence",
            from,
            keeps.map(|_| "was written: an object that no record names".to_owned()),
        ));
        let retention = ledger.retention().await.map_err(fact);
        rows.push(Row::new(
            "lock of the anchor",
            "s3:GetBucketObjectLockConfiguration, role permit",
            retention.map(|retention| {
                retention.unwrap_or_else(|| {
                    "none: whoever administers the bucket can remove hashes".to_owned()
                })
            }),
        ));
    }
    Ok(rows)
}

/// The calls that are made with the role `read` of an environment.
async fn of_environment(cx: &Cx, net: &Net, setting: &Setting) -> Vec<Row> {
    let mut rows = Vec::new();
    let (what, from) = match setting.function {
        Some(_) => ("function", "lambda, role read"),
        None => ("service", "ecs and elasticloadbalancing, role read"),
    };
    rows.push(Row::new(
        format!("{what} in {}", setting.environment),
        from,
        service(cx, net, setting).await,
    ));
    if let Some(before) = setting
        .follows
        .as_ref()
        .filter(|_| setting.gate.still_running)
    {
        let other = cx
            .contract()
            .and_then(|contract| contract.resolve(before, &cx.env))
            .and_then(|resolved| Setting::from_contract(&resolved, &LedgerArgs::default()));
        let seen = match other {
            Ok(other) => service(cx, net, &other).await,
            Err(error) => Err(without(&error, before)),
        };
        rows.push(Row::new(format!("{what} in {before}"), from, seen));
    }
    for name in &setting.gate.calendars {
        let seen = match net.account(&setting.read).await {
            Ok(account) => look(net, &account, name).await,
            Err(error) => Err(without(&error, &setting.environment)),
        };
        let seen = seen.map(|calendar| format!("{:?}", calendar.state).to_lowercase());
        rows.push(Row::new(
            format!("calendar {name}"),
            "ssm:GetCalendarState, role read",
            seen,
        ));
    }
    rows
}

/// Looks at what the service runs, as `record` does, and `check` if the gate asks.
async fn service(cx: &Cx, net: &Net, setting: &Setting) -> Fact<String> {
    let looked = async {
        let live = Live::new(cx, net, setting, Named::default()).await?;
        // Whichever digest it is asked about, the same calls are made.
        live.look(&kit::id::Digest::sha256([0; 32])).await
    };
    let looked: Result<_, Error> = looked.await;
    looked
        .map(|seen| seen.revision)
        .map_err(|error| without(&error, &setting.environment))
}

/// The person whom the gate would take for the promoter.
async fn person(cx: &Cx, net: &Net, github: Option<&GitHub>, setting: &Setting) -> Row {
    let (from, seen) = match cx.host.kind() {
        Kind::GitHub => ("actions: read", of_run(cx, net, github, setting).await),
        Kind::CodeBuild | Kind::Terminal => (
            "`people` in the contract",
            without_github(cx, net, setting).await,
        ),
    };
    Row::new("promoter", from, seen.map(|people| logins(&people)))
}

async fn of_github(github: &GitHub, setting: &Setting, commit: Option<CommitId>) -> Vec<Row> {
    let branch = &setting.gate.branch;
    let mut rows = Vec::new();
    let own = |seen: Result<String, github::Unknown>| seen.map_err(Unknown::from);
    let base = commit.as_ref().map_or(branch.as_str(), CommitId::as_str);
    let compared = github.compare(base, branch).await;
    rows.push(Row::new(
        "comparison of commits",
        "contents: read",
        own(compared.map(|it| format!("{branch} is {}", it.status))),
    ));
    let source: Option<Repository> = Repository::parse(github.repository().as_str());
    if let Some(source) = &source {
        let pushes = github.activity(source, branch).await;
        rows.push(Row::new(
            "pushes",
            "contents: read",
            own(pushes.map(|it| format!("{} to {branch}", it.len()))),
        ));
    }
    let Some(commit) = commit else {
        for (fact, from) in [
            ("pull requests", "pull-requests: read"),
            ("reviews", "pull-requests: read"),
            ("checks", "checks: read"),
        ] {
            rows.push(Row::untried(fact, from, NOTHING_YET));
        }
        return rows;
    };
    let checks = github.check_runs(commit.as_str()).await;
    rows.push(Row::new(
        "checks",
        "checks: read",
        own(checks.map(|it| format!("{} of {commit}", it.len()))),
    ));
    let merged = github
        .merged_with(&[commit.to_string()], setting.base())
        .await;
    let numbers: Vec<u64> = merged
        .iter()
        .flatten()
        .flat_map(|(_, all)| all)
        .copied()
        .collect();
    rows.push(Row::new(
        "pull requests",
        "pull-requests: read",
        own(merged.map(|_| format!("{} of {commit}", numbers.len()))),
    ));
    match numbers.first() {
        None => rows.push(Row::untried("reviews", "pull-requests: read", NOTHING_YET)),
        Some(number) => {
            let pulls = github.pulls(&[*number]).await;
            let author = pulls
                .as_ref()
                .ok()
                .and_then(|all| all.first()?.author.clone());
            let count =
                |all: Vec<github::Pull>| all.iter().map(|one| one.reviews.len()).sum::<usize>();
            rows.push(Row::new(
                "reviews",
                "pull-requests: read",
                own(pulls.map(|all| format!("{} of #{number}", count(all)))),
            ));
            if let Some(user) = author {
                let permission = github.permission(&user.login).await;
                rows.push(Row::new(
                    "permissions of people",
                    "metadata: read",
                    own(permission.map(|it| format!("{}: {}", user.login, it.permission))),
                ));
            }
        }
    }
    rows
}

/// The teams whose members review changes, and those whose members may approve promotions.
async fn of_teams(github: &GitHub, setting: &Setting) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut teams: Vec<&String> = setting.reviewer_teams().iter().collect();
    teams.extend(setting.teams());
    teams.sort();
    teams.dedup();
    for team in teams {
        let seen = members(Some(github), std::slice::from_ref(team)).await;
        rows.push(Row::new(
            format!("team {team}"),
            "members: read",
            seen.map(|all| count(all.len(), "member")),
        ));
    }
    rows
}

/// The issues that notify approvers of requests.
async fn of_issues(cx: &Cx, github: &GitHub) -> [Row; 2] {
    // None begins with this; the call is what is tried.
    let none = github.issues("<!-- -->", &rfc3339(cx.clock.now())).await;
    let seen = none.map(|_| "the list of issues".to_owned());
    [
        Row::new("issues", "issues: read", seen.map_err(Unknown::from)),
        Row::untried("notifying by an issue", "issues: write", WOULD_SEND),
    ]
}

/// A report if everything is seen, a refusal (exit 3) if something is not, as a check would refuse.
fn report(setting: &Setting, rows: &[Row]) -> Result<Report> {
    let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
    let environment = &setting.environment;
    let unseen: Vec<(&Row, &Unknown)> = rows
        .iter()
        .filter_map(|row| Some((row, row.unknown()?)))
        .collect();
    let text = text_table(&HEADER, &cells);
    let summary = format!(
        "### What a check of {environment} can see\n\n{}",
        markdown_table(&HEADER, &cells)
    );
    let list: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "fact": row.fact,
                "from": row.from,
                "seen": row.seen.as_ref().ok().map(Result::is_ok),
                "what": row.seen.as_ref().ok().and_then(|seen| seen.as_ref().ok()),
                "why": row.unknown().map(|unknown| &unknown.why),
                "next": row.unknown().map(|unknown| &unknown.next),
            })
        })
        .collect();
    let json = json!({ "environment": environment, "all": unseen.is_empty(), "facts": list });
    let Some((first, unknown)) = unseen.first() else {
        return Ok(Report {
            text,
            summary,
            json,
            ..Report::default()
        });
    };
    let mut error = Error::refused(format!(
        "a check of {environment} has no access to: {}",
        unseen
            .iter()
            .map(|(row, _)| row.fact.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    ))
    .hint(format!("{}: {}", first.fact, unknown.next));
    error.details = text;
    error.json = Some(json);
    Err(error.summary(summary))
}
