//! Outputs and reports of slipway-identity.

use kit::Cx;
use kit::clock::rfc3339;
use kit::report::{EnvValue, Report, text_table};
use kit::secret::Secret;
use net::{Account, Target};

/// Variables of credentials that tools read beside the keys.
const STALE: [&str; 3] = [
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
];

/// Credentials for later steps.
pub(crate) fn exported(account: &Account, cx: &Cx) -> Report {
    let secret = |value: &str| EnvValue::Secret(Secret::new(value.to_owned()));
    let mut report = describe(account);
    let credentials = &account.credentials;
    report.env = vec![
        (
            "AWS_ACCESS_KEY_ID".into(),
            secret(credentials.access_key_id()),
        ),
        (
            "AWS_SECRET_ACCESS_KEY".into(),
            secret(credentials.secret_access_key()),
        ),
        (
            "AWS_REGION".into(),
            EnvValue::Plain(account.region.to_string()),
        ),
        (
            "AWS_DEFAULT_REGION".into(),
            EnvValue::Plain(account.region.to_string()),
        ),
    ];
    if let Some(token) = credentials.session_token() {
        report.env.push(("AWS_SESSION_TOKEN".into(), secret(token)));
    }
    // A tool would take a variable left from the job's earlier credentials for a part of these, so it is emptied.
    for stale in STALE {
        let exported = report.env.iter().any(|(name, _)| name == stale);
        if !exported && cx.env.get(stale).is_some() {
            report
                .env
                .push((stale.into(), EnvValue::Plain(String::new())));
        }
    }
    // The CLI takes an empty AWS_PROFILE for the name of a profile, so it cannot be taken away.
    if let Some(profile) = cx.env.get("AWS_PROFILE") {
        cx.host.warn(format!(
            "AWS_PROFILE is `{profile}` in this job, and some tools prefer the profile to the exported credentials: remove it from the job's `env`"
        ));
    }
    report.text = format!(
        "exported credentials of {} in {}, until {}",
        account.arn,
        account.region,
        expires(account)
    );
    report
}

/// The caller of the credentials, beside the expected account, role and region.
pub(crate) fn checked(account: &Account, target: &Target) -> Report {
    let mut report = describe(account);
    fn row(name: &str, found: impl ToString, wanted: Option<&impl ToString>) -> Vec<String> {
        let wanted = wanted.map_or_else(|| "not asked".to_owned(), ToString::to_string);
        vec![name.to_owned(), found.to_string(), wanted]
    }
    let rows = vec![
        row("account", &account.id, target.account.as_ref()),
        row("role", &account.arn, target.role.as_ref()),
        row("region", &account.region, target.region.as_ref()),
        vec!["ends".into(), expires(account), String::new()],
    ];
    report.text = text_table(&["", "found", "wanted"], &rows);
    report
}

fn describe(account: &Account) -> Report {
    Report {
        json: serde_json::json!({
            "account": account.id,
            "arn": account.arn,
            "region": account.region,
            "expires": expires(account),
        }),
        ..Report::default()
    }
    .output("account", account.id.as_str())
    .output("arn", account.arn.as_str())
    .output("expires", expires(account))
}

fn expires(account: &Account) -> String {
    account
        .credentials
        .expiry()
        .map_or_else(|| "unknown".to_owned(), |at| rfc3339(at.into()))
}
