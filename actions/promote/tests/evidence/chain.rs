//! Chains and evidence as somebody could write them who may sign: every hash is right, and what they say need not be.

use serde_json::{Value, json};
use step_job::Job;

/// The hash before the first record.
pub(crate) const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// The account of the environment.
pub(crate) const ACCOUNT: &str = "333333333333";
/// The page of the run that granted.
pub(crate) const RUN: &str = "https://github.com/acme/shop/actions/runs/7/attempts/1";
/// When a decision was made and its permit written.
pub(crate) const NOW: &str = "2024-11-21T18:30:00Z";

pub(crate) fn digest(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

pub(crate) fn commit(digit: char) -> String {
    digit.to_string().repeat(40)
}

/// Sets the members of `more` in `base`, adding those that are not there.
pub(crate) fn with(mut base: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        base[name] = value.clone();
    }
    base
}

/// The text of a contract of the shop, with this about production and these people.
pub(crate) fn declared(production: &str, people: &str) -> String {
    let staging = match production.contains("follows") {
        true => "  staging: {account: '222222222222'}\n",
        false => "",
    };
    format!(
        "version: 1\nservice: shop\nbuild: {{account: '111111111111', region: ca-central-1}}\n\
         people: {{{people}}}\nenvironments:\n{staging}  production: {{account: '{ACCOUNT}', {production}}}\n"
    )
}

/// The text of the contract that most permits were granted by.
pub(crate) fn text() -> String {
    declared("gate: {approvals: 0}", "")
}

/// How a permit names a contract's text.
pub(crate) fn contract(text: &str) -> Value {
    json!(format!("sha256:{}", ledger::sha256(text.as_bytes())))
}

/// A chain of production of the shop, and the evidence that its permits name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chain {
    pub(crate) lines: Vec<Value>,
    evidence: Vec<Vec<u8>>,
}

impl Chain {
    /// Appends a record of the digest and commit of `digit`.
    pub(crate) fn add(&mut self, digit: char, verdict: &str, more: &Value) -> Value {
        let seq = self.lines.len() + 1;
        let record = json!({
            "seq": seq,
            "at": "2024-11-21T18:00:00Z",
            "service": "shop",
            "environment": "production",
            "digest": digest(digit),
            "commit": commit(digit),
            "verdict": verdict,
            "actor": {"login": "dora"},
        });
        let record = with(record, more).to_string();
        let prev = self.head();
        let hash = ledger::sha256(format!("{prev}{record}").as_bytes());
        let line = json!({"seq": seq, "prev": prev, "hash": hash, "record": record});
        self.lines.push(line.clone());
        line
    }

    /// The hash of the last record.
    pub(crate) fn head(&self) -> String {
        let last = self.lines.last();
        last.map_or(ZEROS, |line| line["hash"].as_str().unwrap())
            .to_owned()
    }

    /// The records, newest first, as evidence holds them.
    pub(crate) fn newest_first(&self) -> Vec<Value> {
        self.lines.iter().rev().cloned().collect()
    }

    /// Keeps evidence; returns how a permit names it.
    pub(crate) fn keep(&mut self, evidence: &Value) -> String {
        let bytes = evidence.to_string().into_bytes();
        let name = format!("sha256:{}", ledger::sha256(&bytes));
        self.evidence.push(bytes);
        name
    }

    /// Appends a permit for the digest of `digit` that names this evidence.
    pub(crate) fn permit(&mut self, digit: char, head: &str, evidence: Option<&str>, more: &Value) {
        let mut permit = json!({"expires": "2024-11-21T19:30:00Z", "head": head});
        if let Some(evidence) = evidence {
            permit["evidence"] = json!(evidence);
            permit["contract"] = contract(&text());
        }
        let mut record = with(
            json!({
                "at": NOW, "account": ACCOUNT, "run": RUN, "contract_path": "delivery.yaml",
                "permit": permit,
            }),
            more,
        );
        self.leave(&digest(digit), &mut record);
        self.add(digit, "permitted", &record);
    }

    /// Adds what a record of this digest leaves, unless it says so itself.
    fn leave(&self, own: &str, record: &mut Value) {
        let no = [
            "permitted",
            "started",
            "reviewed",
            "requested",
            "rejected",
            "withdrawn",
        ];
        let text = |line: &Value| line["record"].as_str().unwrap().to_owned();
        let records = self.lines.iter().rev();
        let records: Vec<Value> = records
            .map(|line| serde_json::from_str(&text(line)).unwrap())
            .collect();
        let deploys = |it: &&Value| !no.contains(&it["verdict"].as_str().unwrap());
        let newest = records.iter().find(deploys).cloned().unwrap_or_default();
        let healthy = if newest["verdict"] == "healthy" {
            &newest["digest"]
        } else {
            &newest["previous"]
        };
        if record.get("previous").is_none() {
            record["previous"] = healthy.clone();
        }
        let began = records.iter().take_while(|it| !deploys(it));
        let mut began = began.filter(|it| it["verdict"] == "started" && it["rollback"].is_null());
        let began = began.next().map_or(Value::Null, |it| it["digest"].clone());
        if record
            .get("rollback")
            .is_some_and(|it| it.get("from").is_none())
        {
            let mut all = [&began, healthy, &newest["digest"]].into_iter();
            let from = all.find(|it| !it.is_null() && *it != own);
            record["rollback"]["from"] = from.cloned().unwrap_or_default();
        }
    }

    /// The export's text.
    pub(crate) fn export(&self) -> String {
        let header = json!({
            "format": "slipway-ledger-export/1", "service": "shop", "environment": "production",
        });
        let end = json!({"end": self.lines.len(), "head": self.head()});
        let lines = std::iter::once(&header)
            .chain(&self.lines)
            .chain(std::iter::once(&end));
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// Writes the export and its evidence to a job's folder, as `export` does.
    pub(crate) fn write(&self, job: &Job) {
        std::fs::write(job.file("chain.jsonl"), self.export()).unwrap();
        std::fs::create_dir_all(job.file("evidence")).unwrap();
        for bytes in &self.evidence {
            let name = format!("evidence/{}.json", ledger::sha256(bytes));
            std::fs::write(job.file(&name), bytes).unwrap();
        }
    }
}
