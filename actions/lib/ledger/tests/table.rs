//! The notes of contents in DynamoDB Local, as the sandbox runs it: exact about conditions, which is what they rest on.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use futures_util::future::join_all;
use kit::aws::AccountId;
use kit::clock::{Clock, rfc3339};
use kit::env::Env;
use kit::host::Host;
use kit::id::{CommitId, Digest};
use kit::step::{Common, Cx};
use ledger::permit::{Attempt, Use};
use ledger::{Actor, Append, Chain, Content, Entry, Ledger, Noted, Permit, Record, Verdict};
use net::{Net, Target};
use sandbox::instance::{Instance, port};
use sandbox::world::World;

/// The ledger as a role of the build account has it, in the world whose credentials are in the environment.
async fn ledger(role: &str) -> Ledger {
    let env = Env::process();
    let target = Target {
        account: env.get("LEDGER_ACCOUNT").map(|it| it.parse().unwrap()),
        role: env.get("LEDGER_ACCOUNT").map(|account| {
            format!("arn:aws:iam::{account}:role/{role}")
                .parse()
                .unwrap()
        }),
        region: env.get("AWS_REGION").map(|it| it.parse().unwrap()),
        allow_long_lived_keys: Vec::new(),
    };
    let cx = Cx {
        host: Host::detect(&env),
        env,
        clock: Clock::default(),
        common: Common {
            environment: None,
            contract: None,
            json: false,
            verbose: false,
        },
    };
    let net = Net::new(&cx).unwrap();
    let account = net.account(&target).await.unwrap();
    Ledger::new(&account, World::LEDGER)
}

fn content(commit: char) -> Content {
    Content {
        service: "storefront".to_owned(),
        digest: Digest::sha256([0xaa; 32]),
        commit: CommitId::parse(&commit.to_string().repeat(40)).unwrap(),
        key: "c".repeat(64),
        first_commit: "v1.2".into(),
        at: "2026-11-21T18:00:00Z".to_owned(),
        run: Some("https://github.com/acme/storefront/actions/runs/1".to_owned()),
    }
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// The SDK takes credentials from the environment of its process, so this test starts itself again with a world's.
#[test]
fn each_commit_is_noted_once_and_the_first_stays_first() {
    if std::env::var_os("LEDGER_ACCOUNT").is_some() {
        return notes_in_a_world();
    }
    let instance = Instance::find().unwrap();
    sandbox::supervisor::up(&instance).unwrap();
    let name = format!("ledger-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
    let (world, keys) = run(async {
        let world = World::create(&instance, &name).await.unwrap();
        world.first_stage_publishes(&instance).await.unwrap();
        let keys = world.codebuild_session(&instance, "dev", "note").await;
        (world, keys.unwrap())
    });
    let ended = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "each_commit_is_noted_once_and_the_first_stays_first",
        ])
        .env_clear()
        .envs(keys.variables())
        .env("AWS_ENDPOINT_URL", instance.url(port::GATEWAY))
        .env("AWS_REGION", &world.region)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("LEDGER_ACCOUNT", &world.build.id)
        .output()
        .unwrap();
    let [text, errors] =
        [&ended.stdout, &ended.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(
        ended.status.success() && text.contains("1 passed"),
        "{text}{errors}"
    );
}

fn notes_in_a_world() {
    run(async {
        let notes = ledger("slipway-publish").await;
        let digest = content('1').digest;
        assert_eq!(notes.contents("storefront", &digest).await.unwrap(), []);
        assert_eq!(notes.note(&content('1')).await.unwrap(), Noted::Written);
        assert_eq!(notes.note(&content('1')).await.unwrap(), Noted::Known);

        // Five runs at once, two of them for one commit: nothing is lost and nothing is twice.
        let commits = ['2', '3', '4', '5', '5'].map(content);
        let (a, b, c, d, e) = tokio::join!(
            notes.note(&commits[0]),
            notes.note(&commits[1]),
            notes.note(&commits[2]),
            notes.note(&commits[3]),
            notes.note(&commits[4]),
        );
        let noted = [a, b, c, d, e].map(Result::unwrap);
        let written = noted.iter().filter(|noted| **noted == Noted::Written);
        assert_eq!(written.count(), 4);

        let found = notes.contents("storefront", &digest).await.unwrap();
        assert_eq!(found[0], content('1'));
        let mut commits: Vec<&str> = found
            .iter()
            .map(|there| &there.commit.as_str()[..1])
            .collect();
        commits.sort_unstable();
        assert_eq!(commits, ["1", "2", "3", "4", "5"]);

        // Another service's, and the promotions, know nothing of it.
        assert_eq!(notes.contents("other", &digest).await.unwrap(), []);
        let chain = Chain::new("storefront", "dev").unwrap();
        let ledger = ledger("slipway-permit-dev").await;
        assert_eq!(ledger.head(&chain).await.unwrap(), None);
        one_of_many_appends(&ledger, &chain).await;
        Box::pin(one_of_many_begins(&ledger, &chain)).await;
    });
}

/// Of three appends that saw the same head one is done, and the others get the head as it is now: first in an empty
/// chain, then in a longer one.
async fn one_of_many_appends(ledger: &Ledger, chain: &Chain) {
    for seq in 1..=3 {
        let head = ledger.head(chain).await.unwrap();
        let append = |digit: &str| ledger.append(chain, head.as_ref(), record(digit));
        let (a, b, c) = tokio::join!(append("a"), append("b"), append("c"));
        let ends = [a, b, c].map(Result::unwrap);
        let done: Vec<&Entry> = ends
            .iter()
            .filter_map(|end| match end {
                Append::Done(entry) => Some(entry),
                Append::Conflict(_) => None,
            })
            .collect();
        let [first] = done.as_slice() else {
            panic!("{ends:?}");
        };
        assert_eq!(first.seq, seq);
        for end in &ends {
            if let Append::Conflict(now) = end {
                assert_eq!(now.as_ref(), Some(*first));
            }
        }
        assert_eq!(ledger.head(chain).await.unwrap().as_ref(), Some(*first));
    }
    assert_eq!(ledger.newest_record(chain).await.unwrap().unwrap().seq, 3);
}

/// Eight runs begin at once under two permits: one does, and the others are told which, whichever permit they hold.
async fn one_of_many_begins(ledger: &Ledger, chain: &Chain) {
    let account: AccountId = "1".repeat(12).parse().unwrap();
    let newest = ledger.head(chain).await.unwrap().unwrap();
    let mut head = Some(newest.clone());
    for _ in 0..2 {
        let permit = Record {
            at: rfc3339(Clock::default().now()),
            verdict: Verdict::Permitted,
            account: Some(account.clone()),
            policy: Some("sha256:rules".to_owned()),
            permit: Some(Permit {
                expires: "2998-12-31T00:00:00Z".to_owned(),
                head: newest.hash.clone(),
                contract: None,
                base: None,
                tip: None,
                range: None,
                pulls: Vec::new(),
                reviews: Vec::new(),
                approvers: Vec::new(),
                requests: Vec::new(),
                evidence: None,
                plan: None,
            }),
            ..record("d")
        };
        let Append::Done(entry) = ledger.append(chain, head.as_ref(), permit).await.unwrap() else {
            panic!("nobody else appends");
        };
        head = Some(entry);
    }
    let (digest, actor) = (record("d").digest, record("d").actor);
    let runs: Vec<String> = (0..8)
        .map(|run| format!("https://ci.example/runs/{run}"))
        .collect();
    let attempts: Vec<Attempt<'_>> = (0..)
        .zip(&runs)
        .map(|(number, run)| Attempt {
            permit: newest.seq + 1 + number % 2,
            of: Use::Deploy(&digest),
            account: &account,
            policy: "sha256:rules",
            contract_path: "delivery.yaml",
            run: Some(run),
        })
        .collect();
    // Boxed, because eight of them are more than a test's stack holds.
    let revision = "arn:aws:ecs:ca-central-1:111111111111:task-definition/storefront-dev:7";
    let begin = |attempt| Box::pin(ledger.start(chain, attempt, &actor, revision));
    let ended = join_all(attempts.iter().map(begin)).await;
    let mut began = Vec::new();
    for (attempt, ended) in attempts.iter().zip(ended) {
        match ended {
            Ok(started) => began.push((attempt, started)),
            Err(error) => {
                assert_eq!(error.exit(), kit::Exit::Refused);
                let why = error.causes().join("; ");
                assert!(why.contains("ada at 20"), "{why}");
            }
        }
    }
    let [(attempt, started)] = began.as_slice() else {
        panic!("{began:?}");
    };
    assert_eq!(started.record, newest.seq + 3);
    let again = begin(attempt).await.unwrap();
    assert_eq!(again.record, started.record);
    let seen = ledger.usable(chain, attempt).await;
    assert_eq!(seen.unwrap().started.unwrap().record.seq, started.record);
    assert_eq!(
        ledger.head(chain).await.unwrap().unwrap().seq,
        started.record
    );
}

fn record(digit: &str) -> Record {
    Record::new(
        &Chain::new("storefront", "dev").unwrap(),
        format!("sha256:{}", digit.repeat(64)).parse().unwrap(),
        digit.repeat(40).parse().unwrap(),
        Verdict::Healthy,
        Actor {
            login: "ada".to_owned(),
            id: None,
        },
        "2026-11-21T18:00:00Z".to_owned(),
    )
}
