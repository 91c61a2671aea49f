//! Credentials that end while a lock is waited for or held.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use sandbox::world::aws::Keys;

use super::*;
use crate::support::session;

/// An endpoint for a container's credentials (AWS SDKs and Tools Reference Guide, "Container credential provider"): it serves those that it
/// was given last, which expire `lasts` after the first request.
struct Container {
    url: String,
    given: Arc<Mutex<Keys>>,
}

impl Container {
    fn new(keys: &Keys, lasts: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let given = Arc::new(Mutex::new(keys.clone()));
        let shared = Arc::clone(&given);
        std::thread::spawn(move || {
            let mut ends: Option<OffsetDateTime> = None;
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = BufReader::new(stream.try_clone().unwrap());
                let head = request.lines().map_while(Result::ok);
                head.take_while(|line| !line.is_empty()).for_each(drop);
                let ends = *ends.get_or_insert_with(|| OffsetDateTime::now_utc() + lasts);
                let keys = shared.lock().unwrap().clone();
                let body = json!({"AccessKeyId": keys.access_key_id, "SecretAccessKey": keys.secret_access_key,
                    "Token": keys.session_token, "Expiration": ends.format(&Rfc3339).unwrap()})
                .to_string();
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
            }
        });
        Self { url, given }
    }

    /// A job without credentials but these.
    fn job(&self, state: &State, name: &str) -> Job {
        let mut variables = state.world.variables(instance());
        variables.insert("GITHUB_JOB".to_owned(), name.to_owned());
        variables.insert(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned(),
            self.url.clone(),
        );
        Job::new(variables)
    }
}

#[test]
fn a_wait_that_took_too_much_of_the_credentials_refuses_the_command() {
    let state = State::new("spent");
    let lasts = Duration::from_secs(630);
    let budget = Duration::from_secs(600);
    let container = Container::new(&state.keys, lasts);
    let (holder, waiter) = (state.job(), container.job(&state, "apply"));
    let hold = ["run", "--", "sh", "-c", HOLDING];
    let running = Started::new(&mut verb(&state, &holder, &hold));
    started(&holder);
    let arguments = [
        "run",
        "--budget",
        "10m",
        "--lock-timeout",
        "10m",
        "--",
        "touch",
        "started",
    ];
    let waiting = Started::new(&mut verb(&state, &waiter, &arguments));
    let ticket = format!("{}/{}#q/0", state.bucket(), state.key);
    until(
        "it was taken at first, and stands in line",
        DEADLINE,
        || wait(DEADLINE, item(&state.aws, state.table(), "LockID", &ticket)),
    );
    std::thread::sleep(lasts - budget);
    release_command(&holder);
    assert!(running.end(DEADLINE).status.success());
    let ended = waiting.end(DEADLINE);
    let stderr = log(&ended);
    assert_eq!(ended.status.code(), Some(3), "{stderr}");
    for piece in [
        "before the command has had its 10 min",
        "the lock was released",
    ] {
        assert!(stderr.contains(piece), "no {piece} in\n{stderr}");
    }
    assert!(!waiter.file("started").exists());
    assert_eq!(state.lock(), None);
}

/// The step's credentials have ended when its job has: the post step gets its own, after success too.
#[test]
fn the_post_step_uses_its_own_credentials_and_leaves_a_parked_lock() {
    for handed_over in [true, false] {
        let state = State::new(if handed_over { "fresh-parked" } else { "fresh" });
        let first = wait(DEADLINE, session(state.world, "dev", "slipway-deploy"));
        let container = Container::new(&first, Duration::from_secs(3600));
        let job = container.job(&state, "plan");
        ends(&state, &job, &["lock"], 0, &[]);
        let id = output(&job, "lock-id");
        if handed_over {
            ends(&state, &job, &["park", "--lock-id", &id], 0, &[]);
        }
        expire(&first);
        let over = job.run(&mut verb(&state, &job, &["status"]));
        assert_ne!(over.status.code(), Some(0), "they have ended");
        *container.given.lock().unwrap() = state.keys.clone();
        let ended = job.run(&mut post(&state, &job));
        let stderr = log(&ended);
        assert_eq!(ended.status.code(), Some(0), "{stderr}");
        if handed_over {
            assert!(stderr.contains("is parked, and left"), "{stderr}");
            let lock = state.lock().unwrap();
            assert_eq!(lock["Phase"]["S"], "parked");
            let next = self::job(&state, "apply");
            ends(&state, &next, &["lock", "--lock-id", &id], 0, &[]);
            ends(&state, &next, &["unlock", "--lock-id", &id], 0, &[]);
        } else {
            assert!(stderr.contains("released the state lock"), "{stderr}");
        }
        assert_eq!(state.lock(), None);
    }
}

/// Ends a session before its time.
fn expire(keys: &Keys) {
    gateway::tell("expire", &json!({"access_key_id": keys.access_key_id}));
}
