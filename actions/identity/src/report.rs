//! What slipway-identity hands over and says.

use kit::clock::rfc3339;
use kit::report::{EnvValue, Report, text_table};
use kit::secret::Secret;
use net::{Account, Target};

/// Credentials for later steps.
pub(crate) fn exported(account: &Account) -> Report {
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
        ("AWS_REGION".into(), EnvValue::Plain(account.region.clone())),
        (
            "AWS_DEFAULT_REGION".into(),
            EnvValue::Plain(account.region.clone()),
        ),
    ];
    if let Some(token) = credentials.session_token() {
        report.env.push(("AWS_SESSION_TOKEN".into(), secret(token)));
    }
    report.text = format!(
        "exported credentials of {} in {}, until {}",
        account.arn,
        account.region,
        expires(account)
    );
    report
}

/// Whose credentials these are, and what that was compared with.
pub(crate) fn checked(account: &Account, target: &Target) -> Report {
    let mut report = describe(account);
    let or = |value: &Option<String>| value.clone().unwrap_or_else(|| "not asked".to_owned());
    let rows = vec![
        vec!["account".into(), account.id.clone(), or(&target.account)],
        vec!["role".into(), account.arn.clone(), or(&target.role)],
        vec!["region".into(), account.region.clone(), or(&target.region)],
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
    .output("account", &account.id)
    .output("arn", &account.arn)
    .output("expires", expires(account))
}

fn expires(account: &Account) -> String {
    account
        .credentials
        .expiry()
        .map_or_else(|| "unknown".to_owned(), |at| rfc3339(at.into()))
}
