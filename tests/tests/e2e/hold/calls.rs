//! The states that a command really runs Terraform on, whatever its words: a second party holds the lock of every state but the step's
//! own, and none of those states ever changes.

use std::path::Path;

use super::*;

/// States beside the one that the step holds, by their keys below it.
const OTHERS: [&str; 3] = ["prod", "third", "blue"];

const CODE: &str = "resource \"terraform_data\" \"it\" {\n  input = uuid()\n}\n";

/// Ways to another state than the held one: what comes before and after the tool's name. `{}` is the whole call.
const ELSEWHERE: [&str; 8] = [
    "cd envs/prod && {}",
    "export TF_WORKSPACE=blue; {}",
    "terraform workspace select blue && {}; code=$?; terraform workspace select default; exit $code",
    "export TF_DATA_DIR=.third; {}",
    "export TF_DATA_DIR=.fresh; rm -rf .fresh; terraform init -no-color -backend-config=third.hcl && {}",
    "cp -r envs/prod again && cd again && {}",
    "cd envs && cd prod && export TF_CLI_ARGS=-no-color && {}",
    "printf blue > .terraform/environment; {}; code=$?; rm .terraform/environment; exit $code",
];

/// The actions that run there.
const ACTIONS: [&str; 14] = [
    "terraform apply -auto-approve",
    "terraform apply -auto-approve -lock=false",
    "terraform apply -lock=0 -lock=true -auto-approve",
    "terraform apply --lock=F -auto-approve",
    "terraform destroy -auto-approve",
    "terraform destroy -auto-approve -lock=f",
    "terraform state rm terraform_data.it",
    "terraform state rm -lock=False terraform_data.it",
    "terraform state mv terraform_data.it terraform_data.other",
    "terraform taint terraform_data.it",
    "terraform refresh",
    "terraform state push -force \"$TOP/pushed.tfstate\"",
    "TF_CLI_ARGS_apply=-lock=false terraform apply -auto-approve",
    "TF_CLI_ARGS='-lo\"ck\"=false' terraform destroy -auto-approve",
];

/// How the whole is started.
const WRAPPERS: [&str; 9] = [
    "bash -c \"$CALL\"",
    "(eval \"$CALL\")",
    "echo \"$CALL\" > made.sh; chmod +x made.sh; sync made.sh; bash ./made.sh",
    "export CALL; env PATH=\"$PATH\" sh -c 'eval \"$CALL\"'",
    "timeout 60 bash -c \"$CALL\"",
    "bash -c \"$CALL\" & wait $!",
    "setsid -w bash -c \"$CALL\"",
    "env -i PATH=\"$PATH\" HOME=\"$HOME\" TOP=\"$TOP\" bash -c \"$CALL\"",
    "printf 'all:\\n\\t@eval \"$$CALL\"\\n' > Makefile; export CALL; make -s SHELL=/bin/bash",
];

/// Ways around the links on PATH, which an explicit `-lock=false` would open.
const AROUND: [&str; 3] = [
    "\"$REAL/terraform\" apply -auto-approve",
    "PATH=\"$REAL:$PATH\" terraform apply -auto-approve",
    "hash -p \"$REAL/terraform\" terraform; terraform state rm terraform_data.it",
];

/// The same call under OpenTofu's name. A folder or a type of resource keeps its name.
fn by_tofu(call: &str) -> String {
    call.replace("terraform ", "tofu ")
}

/// Generated commands, each a script. Some call the tool as `tofu`.
fn generated() -> Vec<String> {
    let mut seed = 7_u64;
    let mut pick = |length: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(seed >> 33).unwrap() % length
    };
    let mut all = Vec::new();
    // Each way with each action, started in some way.
    for elsewhere in ELSEWHERE {
        for action in ACTIONS {
            let call = elsewhere.replace("{}", &format!("{{ {action}; }}"));
            let call = match pick(3) {
                0 => by_tofu(&call),
                _ => call,
            };
            all.push((call, WRAPPERS[pick(WRAPPERS.len())]));
        }
        let action = AROUND[pick(AROUND.len())];
        all.push((
            elsewhere.replace("{}", &format!("{{ {action}; }}")),
            WRAPPERS[0],
        ));
    }
    all.push(("terraform apply saved.plan".to_owned(), WRAPPERS[1]));
    all.push((
        "terraform apply -lock=false saved.plan".to_owned(),
        WRAPPERS[1],
    ));
    all.push((
        "terraform -chdir=envs/prod apply -auto-approve".to_owned(),
        WRAPPERS[1],
    ));
    let quoted = |call: &str| call.replace('\'', r"'\''");
    all.iter()
        .map(|(call, wrapper)| format!("CALL='{}'\n{wrapper}", quoted(call)))
        .collect()
}

/// A state of the test's own, and a folder that reaches others.
pub(super) struct Scene {
    pub(super) state: State,
    pub(super) job: Job,
}

impl Scene {
    pub(super) fn new(name: &str) -> Self {
        let state = State::new(name);
        let job = state.job();
        let real = instance().bin().join("terraform");
        std::fs::create_dir(job.file("tools")).unwrap();
        for tool in ["terraform", "tofu"] {
            std::os::unix::fs::symlink(&real, job.file("tools").join(tool)).unwrap();
        }
        let backend = "terraform {\n  backend \"s3\" {\n  }\n}\n";
        let block = |key: &str| backend.replace("\n  }", &format!("\n    key = \"{key}\"\n  }}"));
        let write = |name: &str, text: &str| {
            let path = job.file(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("main.tf", &format!("{backend}{CODE}"));
        let this = Self { state, job };
        let prod = block(&this.key("prod"));
        write_to(
            &this.job.file("envs/prod/main.tf"),
            &format!("{prod}{CODE}"),
        );
        write_to(
            &this.job.file("third.hcl"),
            &format!("key = \"{}\"\n", this.key("third")),
        );
        write_to(
            &this.job.file("pushed.tfstate"),
            "{\"version\": 4, \"serial\": 99, \"lineage\": \"pushed\", \"outputs\": {}, \"resources\": []}",
        );
        this
    }

    /// The key of another state, or the step's own.
    pub(super) fn key(&self, name: &str) -> String {
        match name {
            "" => self.state.key.clone(),
            "blue" => format!("env:/blue/{}", self.state.key),
            name => format!("{name}/{}", self.state.key),
        }
    }

    /// Runs a script under the lock of the step's own state.
    pub(super) fn run(&self, script: &str) -> (Option<i32>, String) {
        self.run_with(&["run"], script)
    }

    pub(super) fn run_with(&self, arguments: &[&str], script: &str) -> (Option<i32>, String) {
        let ended = self.job.run(&mut self.command(arguments, script));
        let output = format!("{}{}", log(&ended), String::from_utf8_lossy(&ended.stdout));
        (ended.status.code(), output)
    }

    /// A verb that runs a script with real Terraform on PATH, also under OpenTofu's name.
    pub(super) fn command(&self, arguments: &[&str], script: &str) -> Command {
        let path = &self.state.world.variables(instance())["PATH"];
        let arguments = [arguments, &["--", "bash", "-c", script]].concat();
        let mut command = verb(&self.state, &self.job, &arguments);
        command
            .env(
                "PATH",
                format!("{}:{path}", self.job.file("tools").display()),
            )
            .env("HOME", self.job.file(""))
            .env("TOP", self.job.file(""))
            .env("REAL", self.job.file("tools"))
            .env("CHECKPOINT_DISABLE", "1");
        command
    }

    /// Writes an executable script of the user's in a folder of the job.
    pub(super) fn program(&self, name: &str, script: &str) {
        let path = self.job.file(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        step_job::program(&path, script);
    }

    /// The key as a URL has it.
    fn path(&self, name: &str) -> String {
        self.key(name).bytes().map(encoded).collect()
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        let path = format!("/{}/{}", self.state.bucket(), self.path(name));
        wait(DEADLINE, self.state.aws.get(&path)).unwrap().ok()
    }

    /// Somebody else's lock on another state, as Terraform writes it into the table.
    pub(super) fn hold(&self, name: &str) {
        self.hold_in(name, "dynamodb");
    }

    /// The same in the places that `locking` names.
    fn hold_in(&self, name: &str, locking: &str) {
        let id = format!("{}/{}", self.state.bucket(), self.key(name));
        let info = json!({"ID": format!("theirs-{name}"), "Operation": "OperationTypeApply", "Info": "", "Who": "ada@laptop",
            "Version": "1.11.4", "Created": "2026-11-21T17:02:29Z", "Path": id});
        if locking != "file" {
            let input = json!({"TableName": self.state.table(),
                "Item": {"LockID": {"S": id}, "Info": {"S": info.to_string()}}});
            let call = self
                .state
                .aws
                .json("dynamodb", "DynamoDB_20120810.PutItem", &input);
            wait(DEADLINE, call).unwrap().unwrap();
        }
        if locking != "dynamodb" {
            let path = format!("/{}/{}.tflock", self.state.bucket(), self.path(name));
            let call = self.state.aws.put(&path, info.to_string());
            wait(DEADLINE, call).unwrap().unwrap();
        }
    }
}

/// A byte of a key in a URL, as its signature wants it.
fn encoded(byte: u8) -> String {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    }
}

fn write_to(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn no_command_changes_a_state_whose_lock_somebody_else_holds() {
    unchanged_while_held("dynamodb", &generated());
}

/// As with the table: some of the commands, each kind among them.
#[test]
fn no_command_changes_a_state_whose_lock_file_somebody_else_holds() {
    unchanged_while_held("file", &some_generated(0));
}

#[test]
fn no_command_changes_a_state_whose_two_locks_somebody_else_holds() {
    unchanged_while_held("both", &some_generated(1));
}

fn some_generated(first: usize) -> Vec<String> {
    generated().into_iter().skip(first).step_by(4).collect()
}

/// Runs the scripts under the lock of the step's own state, while somebody else holds the lock of every other one.
fn unchanged_while_held(locking: &str, scripts: &[String]) {
    let scene = Scene::new(&format!("calls-{locking}"));
    let run = |script: &str| scene.run_with(&["run", "--locking", locking], script);
    // While nobody else holds anything, all of it works, and each state gets its first content.
    let (code, output) = run(
        "set -e; exec >&2
         terraform init -no-color; terraform apply -auto-approve -no-color
         (cd envs/prod; terraform init -no-color; terraform apply -auto-approve -no-color; terraform plan -no-color -out=$TOP/saved.plan)
         terraform workspace new blue; terraform apply -auto-approve -no-color; terraform workspace select default
         export TF_DATA_DIR=.third; terraform init -no-color -backend-config=third.hcl; terraform apply -auto-approve -no-color",
    );
    assert_eq!(code, Some(0), "{output}");
    let before: Vec<_> = OTHERS.iter().map(|name| scene.text(name)).collect();
    assert!(before.iter().all(Option::is_some), "{before:?}\n{output}");
    let own = scene.text("");
    for name in OTHERS {
        scene.hold_in(name, locking);
    }

    for (at, some) in scripts.chunks(12).enumerate() {
        let mut whole = "rm -rf again\n".to_owned();
        for (number, script) in some.iter().enumerate() {
            let file = format!("generated-{number}.sh");
            write_to(&scene.job.file(&file), script);
            whole.push_str(&format!(
                "bash {file} > out 2>&1 && {{ echo 'ended well: {file}'; cat {file} out; }}; rm -rf again\n"
            ));
        }
        // The held state is worked on all the while, by one tool and by the other.
        for tool in ["terraform", "tofu"] {
            whole.push_str(&format!(
                "{tool} apply -auto-approve -no-color >&2 || echo 'ended badly'\n"
            ));
        }
        let (code, output) = run(&whole);
        assert_eq!(code, Some(0), "{output}");
        assert!(
            !output.contains("ended well") && !output.contains("ended badly"),
            "{output}"
        );
        let after: Vec<_> = OTHERS.iter().map(|name| scene.text(name)).collect();
        assert_eq!(after, before, "batch {at}: {some:#?}\n{output}");
    }
    assert_ne!(scene.text(""), own, "the held state was worked on");
    assert!(scripts.len() >= 28);
}

/// One after another is told not to lock; whoever comes in between meets the lock, or waits for as long as it was told.
#[test]
fn calls_on_the_held_state_run_one_at_a_time() {
    let scene = Scene::new("turns");
    std::fs::write(
        scene.job.file("main.tf"),
        "terraform {\n  backend \"s3\" {}\n}\nresource \"terraform_data\" \"it\" {\n  input = uuid()\n  \
         provisioner \"local-exec\" {\n    when    = create\n    command = \": > applying; while [ ! -e go ]; do sleep 0.1; done\"\n  }\n}\n",
    )
    .unwrap();
    let (code, output) = scene.run(
        "exec >&2; terraform init -no-color
         terraform apply -auto-approve -no-color & first=$!
         while [ ! -e applying ]; do sleep 0.1; done
         terraform plan -no-color > second 2>&1; echo $? > second.code
         terraform plan -no-color -lock=false > third 2>&1; echo $? > third.code
         terraform plan -no-color -lock-timeout=2m > fourth 2>&1 & fourth=$!
         : > go; wait $first && wait $fourth",
    );
    assert_eq!(code, Some(0), "{output}");
    for (name, piece) in [
        ("second", "Error acquiring the state lock"),
        ("third", "another call works on this state"),
    ] {
        assert_eq!(scene.job.read(&format!("{name}.code")), "1\n");
        let printed = scene.job.read(name);
        assert!(printed.contains(piece), "no {piece} in\n{printed}");
    }
    let printed = scene.job.read("fourth");
    assert!(printed.contains("Plan: "), "{printed}");
    assert_eq!(scene.state.lock(), None);
}

/// Keys that Terraform's splitter of variables would cut, and together every byte that Terraform takes and a person can read, with
/// the table and with the file.
#[test]
fn a_key_is_exact_whatever_characters_it_holds() {
    let printable: String = (' '..='~').filter(|c| *c != '/').collect();
    let others: String = ('\u{a1}'..='\u{ff}').chain("日本€😀".chars()).collect();
    for (key, locking) in [
        ("r&d/dev", "dynamodb"),
        ("a;b", "file"),
        ("a\\b (c) d", "dynamodb"),
        ("it's \"quoted\" $HOME", "file"),
        (printable.as_str(), "both"),
        (others.as_str(), "both"),
    ] {
        let mut scene = Scene::new("characters");
        scene.state.key = format!("characters/{key}");
        let (code, output) = scene.run_with(
            &["run", "--locking", locking],
            "terraform init -no-color >&2 && terraform apply -auto-approve -no-color >&2",
        );
        assert_eq!(code, Some(0), "{key}: {output}");
        assert!(!output.contains("locks for itself"), "{key}: {output}");
        assert!(scene.text("").is_some(), "{key}: {output}");
        assert_eq!(scene.state.lock(), None);
    }
}

/// The code's own backend: what differs is refused before anything runs, or overridden aloud; what adds a lock is locked twice.
#[test]
fn the_block_is_read_before_the_command_starts() {
    let scene = Scene::new("block");
    let write = |line: &str| {
        let code = format!("terraform {{\n  backend \"s3\" {{\n    {line}\n  }}\n}}\n{CODE}");
        std::fs::write(scene.job.file("main.tf"), code).unwrap();
    };
    write("key = \"production\"");
    let (code, output) = scene.run(": > started");
    assert_eq!(code, Some(3), "{output}");
    assert!(
        output.contains("main.tf:3: key is `production`"),
        "{output}"
    );
    assert!(!scene.job.file("started").exists());
    let apply = "terraform init -no-color >&2 && terraform apply -auto-approve -no-color >&2";
    let (code, output) = scene.run_with(&["run", "--override-backend"], apply);
    assert_eq!(code, Some(0), "{output}");
    assert!(
        output.contains("main.tf:3: key is `production`"),
        "{output}"
    );
    assert!(output.contains("overridden, as asked"), "{output}");
    assert!(scene.text("").is_some());

    write("use_lockfile = true");
    let tflock = format!("/{}/{}.tflock", scene.state.bucket(), scene.state.key);
    let script = format!("rm -f .terraform/terraform.tfstate; {HOLDING}; {apply}");
    std::thread::scope(|scope| {
        let running = scope.spawn(|| scene.run(&script));
        started(&scene.job);
        assert!(scene.state.lock().is_some());
        assert!(
            wait(DEADLINE, scene.state.aws.get(&tflock))
                .unwrap()
                .is_ok()
        );
        release_command(&scene.job);
        let (code, output) = running.join().unwrap();
        assert_eq!(code, Some(0), "{output}");
        assert!(
            output.contains("both the lock table and the lock file"),
            "{output}"
        );
    });
    assert!(
        wait(DEADLINE, scene.state.aws.get(&tflock))
            .unwrap()
            .is_err()
    );
}
