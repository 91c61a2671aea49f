//! Arguments of slipway-promote.

use clap::{Subcommand, ValueEnum};
use github::Repository;
use kit::aws::{ClusterName, KmsKey, ServiceName};
use kit::id::{CommitId, Digest, PlanId, argument};
use std::path::PathBuf;

/// The largest number of a pull request: GitHub's API has it as a signed integer of 32 bits.
const LAST_PULL_REQUEST: u64 = i32::MAX as u64;
/// The largest number that a record can have (docs/ledger.md).
const LAST: u64 = (1 << 53) - 1;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Decide, rule by rule, whether a digest may be promoted to the environment; exit 3 if not
    Check(Ask),
    /// Check, and if every rule passes write a permit for one deployment into the ledger; exit 3 if not
    Grant(Grant),
    /// Record a deployment in the ledger; a healthy one only after the service is seen running it
    Record(Record),
    /// Record that somebody looked at a digest: after a rollback or a break-glass, so that it no longer refuses, or before a rollback that
    /// needs reviews
    Review(Review),
    /// Ask the people whom the contract lists to approve a promotion, for a time; every other rule must pass
    Request(Request),
    /// Approve a request as the person who started this run
    Approve(Answer),
    /// Reject a request, which ends it
    Reject(Answer),
    /// Take a request back, which ends it
    Withdraw(Answer),
    /// Show which digest each environment runs, since when, who deployed it, and which requests wait for approval
    Status(Status),
    /// Show an environment's newest records: who deployed what, when, and how it ended
    History(History),
    /// Verify the whole chain of an environment, in the ledger or in an export; exit 3 if a record is not what was written
    Verify(Verify),
    /// Write the whole chain of an environment as JSON lines, or as SLSA verification summaries
    Export(Export),
    /// Write one static page: what each environment runs, its last deployments, what waits, and what could come next
    Board(Board),
    /// Compare what two environments run: digests, commits, and the commits between them
    Diff(Diff),
    /// Show what each rule of the environment's gate requires, where its facts come from, and how to resolve a refusal; calls neither AWS
    /// nor GitHub
    Explain(Explain),
    /// Try each call that a check and a grant make, of ECS or Lambda too, and name the permissions that are missing
    Doctor(Doctor),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Ask {
    /// Number of a pull request, to judge before its merge what can be judged of it by then; asks neither AWS nor the ledger
    #[arg(long, value_name = "NUMBER", value_parser = kit::number::whole(1..=LAST_PULL_REQUEST), conflicts_with_all = ["digest", "from", "rollback", "break_glass", "plan"])]
    pub(crate) pull_request: Option<u64>,
    /// Head that the pull request must have, as a full hash: GitHub shows the result at the head that started the run [default: any]
    #[arg(long, value_name = "SHA", value_parser = argument::<CommitId>, requires = "pull_request")]
    pub(crate) pull_request_head: Option<CommitId>,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    #[command(flatten)]
    pub(crate) check: Check,
    #[command(flatten)]
    pub(crate) rules: Rules,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// Image digest, sha256:…
    #[arg(long, value_name = "DIGEST", value_parser = argument::<Digest>, conflicts_with = "from")]
    pub(crate) digest: Option<Digest>,
    /// Environment whose newest healthy digest is promoted, without --digest [default: the one this environment follows]
    #[arg(long, value_name = "NAME")]
    pub(crate) from: Option<String>,
    /// A rollback, to a digest that was healthy here: check and grant do it without GitHub, and without --digest to the one that ran before
    #[arg(long)]
    pub(crate) rollback: bool,
    /// Reason for overriding the rules that refuse, in an emergency; only for people under `break-glass` in the contract
    #[arg(long, value_name = "REASON", value_parser = crate::values::reason)]
    pub(crate) break_glass: Option<String>,
    /// ID of the infrastructure plan that is promoted along, the output `plan-id` of `slipway-state plan` or `slipway-stack plan`, where
    /// the gate says `plan: true`
    #[arg(long, value_name = "ID", value_parser = argument::<PlanId>)]
    pub(crate) plan: Option<PlanId>,
    #[command(flatten)]
    pub(crate) github: GitHub,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Grant {
    #[command(flatten)]
    pub(crate) check: Check,
    /// Permit from the output `permit` of grant: to record the one that the deployment ran under, with its rollback, break-glass and
    /// expected head; to grant, the one that is judged once more right before the deployment begins, or goes on if this run began it
    #[arg(long, value_name = "NUMBER", value_parser = kit::number::whole(1..=LAST))]
    pub(crate) permit: Option<u64>,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Record {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// Image digest, sha256:…
    #[arg(long, value_name = "DIGEST", value_parser = argument::<Digest>)]
    pub(crate) digest: Digest,
    /// Commit the digest was built from, as a full hash
    #[arg(long, value_name = "SHA", value_parser = argument::<CommitId>)]
    pub(crate) commit: CommitId,
    /// How the deployment ended; healthy is recorded only if the service runs the digest
    #[arg(long, value_enum, default_value = "healthy")]
    pub(crate) verdict: Verdict,
    /// Output `head` of check: nothing is recorded as healthy if another deployment was recorded since
    #[arg(long, value_name = "HASH")]
    pub(crate) expect_head: Option<String>,
    /// Permit from the output `permit` of grant: to record the one that the deployment ran under, with its rollback, break-glass and
    /// expected head; to grant, the one that is judged once more right before the deployment begins, or goes on if this run began it
    #[arg(long, value_name = "NUMBER", value_parser = kit::number::whole(1..=LAST), conflicts_with_all = ["expect_head", "rollback", "break_glass"])]
    pub(crate) permit: Option<u64>,
    /// A rollback, to a digest that was healthy here: check and grant do it without GitHub, and without --digest to the one that ran before
    #[arg(long)]
    pub(crate) rollback: bool,
    /// Reason for overriding the rules that refuse, in an emergency; only for people under `break-glass` in the contract
    #[arg(long, value_name = "REASON", value_parser = crate::values::reason)]
    pub(crate) break_glass: Option<String>,
    #[command(flatten)]
    pub(crate) github: GitHub,
    /// ECS cluster, name or ARN [default: the contract's]
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<ClusterName>,
    /// ECS service, name or ARN [default: the contract's, else its name in the ledger]
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<ServiceName>,
    /// Container that runs the digest; may be given several times [default: the contract's or the only one, and all of the same repository]
    #[arg(long, value_name = "NAME", value_delimiter = '\n')]
    pub(crate) container: Vec<String>,
    /// Hash of a head that is accepted although it is not signed or anchored; recorded, for a chain that began before its key or bucket was
    /// named
    #[arg(long, value_name = "HASH")]
    pub(crate) accept_head: Option<String>,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Review {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// Image digest, sha256:…
    #[arg(long, value_name = "DIGEST", value_parser = argument::<Digest>)]
    pub(crate) digest: Digest,
    /// Why, in one line, for the record
    #[arg(long, value_name = "TEXT", value_parser = crate::values::reason)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) github: GitHub,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Request {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// Image digest, sha256:…
    #[arg(long, value_name = "DIGEST", value_parser = argument::<Digest>, conflicts_with = "from")]
    pub(crate) digest: Option<Digest>,
    /// Environment whose newest healthy digest is promoted, without --digest [default: the one this environment follows]
    #[arg(long, value_name = "NAME")]
    pub(crate) from: Option<String>,
    /// Why, in one line, for the record
    #[arg(long, value_name = "TEXT", value_parser = crate::values::reason)]
    pub(crate) reason: String,
    /// ID of the infrastructure plan that is promoted along, the output `plan-id` of `slipway-state plan` or `slipway-stack plan`, where
    /// the gate says `plan: true`
    #[arg(long, value_name = "ID", value_parser = argument::<PlanId>)]
    pub(crate) plan: Option<PlanId>,
    #[command(flatten)]
    pub(crate) github: GitHub,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Answer {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// Number of the request's record in the environment's chain
    #[arg(long, value_name = "NUMBER", value_parser = kit::number::whole(1..=LAST))]
    pub(crate) request: u64,
    /// Image digest, sha256:…
    #[arg(long, value_name = "DIGEST", value_parser = argument::<Digest>)]
    pub(crate) digest: Option<Digest>,
    /// Why, in one line, for the record
    #[arg(long, value_name = "TEXT", value_parser = crate::values::reason)]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) github: GitHub,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    #[command(flatten)]
    pub(crate) github: GitHub,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    #[command(flatten)]
    pub(crate) rules: Rules,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// Check also that each service runs the recorded digest and is healthy; needs a contract
    #[arg(long)]
    pub(crate) live: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct History {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// How many records, at most 1000
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = kit::number::whole(1..=crate::values::MOST_RECORDS))]
    pub(crate) limit: usize,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// Verify this file, which `export` wrote, and ask AWS nothing
    #[arg(long, value_name = "FILE")]
    pub(crate) export: Option<PathBuf>,
    /// Public key, in PEM, that signed the records of the export
    #[arg(long, value_name = "FILE", requires = "export")]
    pub(crate) key: Option<PathBuf>,
    /// Folder of the permits' evidence, a file for each: `export` writes it, and `verify` makes their decisions again from it
    #[arg(long, value_name = "FOLDER", requires = "export")]
    pub(crate) evidence: Option<PathBuf>,
    /// Hash of the newest record as somebody noted it, such as from an earlier `verify`: a chain that ends in another record is refused
    #[arg(long, value_name = "HASH")]
    pub(crate) head: Option<String>,
    /// Last permit whose decision need not be made again, such as one from before evidence was kept; later ones that cannot be decided
    /// refuse
    #[arg(long, value_name = "RECORD")]
    pub(crate) undecided_up_to: Option<u64>,
    #[command(flatten)]
    pub(crate) github: GitHub,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// Output: the records as they are stored, or an in-toto statement for each, signed if a key is named
    #[arg(long, value_enum, default_value = "records")]
    pub(crate) format: Format,
    /// File to create [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Folder of the permits' evidence, a file for each: `export` writes it, and `verify` makes their decisions again from it
    #[arg(long, value_name = "FOLDER", requires = "output")]
    pub(crate) evidence: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Board {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    #[command(flatten)]
    pub(crate) github: GitHub,
    /// File to write; an existing file is replaced
    #[arg(long, value_name = "FILE", default_value = "board.html")]
    pub(crate) page: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Diff {
    /// The two environments; in a workflow --environment and --against
    #[arg(value_name = "ENVIRONMENT", num_args = 2, conflicts_with = "against")]
    pub(crate) environments: Vec<String>,
    /// Environment that the other one, --environment, is compared with
    #[arg(long, value_name = "NAME")]
    pub(crate) against: Option<String>,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    #[command(flatten)]
    pub(crate) github: GitHub,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Records,
    Vsa,
}

/// Where the ledger is.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct LedgerArgs {
    /// Name of the service in the ledger [default: the contract's]
    #[arg(long, value_name = "NAME")]
    pub(crate) ledger_service: Option<String>,
    /// DynamoDB table of the ledger [default: the contract's]
    #[arg(long, value_name = "NAME")]
    pub(crate) ledger: Option<String>,
    /// KMS key that signs each record, alias or ARN [default: the contract's]
    #[arg(long, value_name = "KEY")]
    pub(crate) ledger_key: Option<KmsKey>,
    /// S3 bucket that keeps each record's hash [default: the contract's]
    #[arg(long, value_name = "NAME")]
    pub(crate) anchor_bucket: Option<String>,
    /// Prefix of the hashes' keys in that bucket [default: the contract's]
    #[arg(long, value_name = "PREFIX")]
    pub(crate) anchor_prefix: Option<String>,
    /// Region, without a contract [default: AWS_REGION]
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<kit::aws::Region>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GitHub {
    /// Repository on GitHub, OWNER/NAME [default: the run's]
    #[arg(long, value_name = "OWNER/NAME", value_parser = repository)]
    pub(crate) github_repository: Option<Repository>,
}

impl GitHub {
    pub(crate) fn repository(&self) -> Option<&str> {
        self.github_repository.as_ref().map(Repository::as_str)
    }
}

fn repository(text: &str) -> Result<Repository, String> {
    Repository::parse(text)
        .ok_or_else(|| "it is not a repository on GitHub; write it as OWNER/NAME".to_owned())
}

/// The gate's rules without a contract. With a contract they must equal the contract's.
#[derive(Debug, clap::Args)]
pub(crate) struct Rules {
    /// Branch the commit must be on, without a contract [default: main]
    #[arg(long, value_name = "BRANCH")]
    pub(crate) branch: Option<String>,
    /// Approvals a pull request needs, without a contract [default: 1]
    #[arg(long, value_name = "NUMBER", value_parser = kit::number::whole(0..=100_u32))]
    pub(crate) approvals: Option<u32>,
    /// Check runs that must have succeeded, as NAME or NAME@APP-ID, without a contract
    #[arg(long, value_name = "NAME", value_delimiter = '\n')]
    pub(crate) checks: Vec<String>,
    /// Workflow file that must start a promotion, without a contract
    #[arg(long, value_name = "PATH")]
    pub(crate) workflow: Option<String>,
    /// Commit from which a first promotion is examined, without a contract [default: the branch's first one]
    #[arg(long, value_name = "SHA", value_parser = argument::<CommitId>)]
    pub(crate) since: Option<CommitId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Verdict {
    Healthy,
    Failed,
    RolledBack,
}
