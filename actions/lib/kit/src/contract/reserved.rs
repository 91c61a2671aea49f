//! Names that would collide with keys that the steps store under. The contract refuses them, and so
//! do the steps that get them as arguments.

use crate::error::{Error, Result};

/// The first part of the keys under which the ledger lists the commits that share an image. The
/// role that builds images may write every key that begins with it.
pub const CONTENT: &str = "content";

/// The prefix of the objects in the state's bucket that hold saved plans.
pub const PLANS: &str = "slipway-plans/";

/// The suffix of the GitHub environment whose jobs run an environment's infrastructure code. No permit role trusts those jobs.
const INFRASTRUCTURE: &str = "-infrastructure";

/// Makes sure that no permit role trusts jobs that run another environment's code.
///
/// # Errors
/// The environment's name ends with `-infrastructure` (exit 2).
pub fn environment(name: &str) -> Result<()> {
    match name.strip_suffix(INFRASTRUCTURE) {
        None => Ok(()),
        Some(other) => Err(
            Error::usage(format!("an environment cannot be named `{name}`"))
                .cause(format!(
                    "jobs that run the infrastructure code of `{other}` name an environment of this name, and the role of its permits would trust them"
                ))
                .hint("give the environment another name"),
        ),
    }
}

/// Makes sure that a service's promotions are not stored where its builds may write.
///
/// # Errors
/// The service is named `content` (exit 2).
pub fn service(name: &str) -> Result<()> {
    if name == CONTENT {
        return Err(Error::usage(format!("a service cannot be named `{name}`"))
            .cause("the role that builds images may write every key of the ledger that begins with `content#`")
            .hint("give the service another name"));
    }
    Ok(())
}

/// Makes sure that a state's key is not that of something that belongs to another state.
///
/// # Errors
/// A key that Terraform does not take, or a lock's, a queue's, a digest's or a plan's (exit 2).
pub fn state_key(key: &str) -> Result<()> {
    let cause = if key.starts_with('/') || key.ends_with('/') || key.chars().any(char::is_control) {
        "Terraform takes no key that begins or ends with a slash or holds a control character"
    } else if key.ends_with(".tflock") {
        "the lock of another state is stored under a key that ends with `.tflock`"
    } else if key.ends_with("-md5") {
        "Terraform stores the digest of another state under a key that ends with `-md5`"
    } else if key.ends_with("#hold") {
        "the lock of another state is stored under a key that ends with `#hold`"
    } else if key.ends_with("#q") || key.contains("#q/") {
        "the queue for the lock of another state is stored under keys with `#q`"
    } else if key.starts_with(PLANS) {
        "saved plans are stored under `slipway-plans/`"
    } else {
        return Ok(());
    };
    Err(
        Error::usage(format!("{key:?} cannot be the key of a state"))
            .cause(cause)
            .hint("choose another key, such as storefront/dev/terraform.tfstate"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_not_named_as_anothers_jobs_are() {
        for good in [
            "production",
            "infrastructure",
            "infrastructure-dev",
            "x-infra",
        ] {
            assert!(environment(good).is_ok(), "{good}");
        }
        let error = environment("production-infrastructure").unwrap_err();
        assert_eq!(error.exit(), crate::Exit::Usage);
    }

    #[test]
    fn a_key_that_belongs_to_another_state_is_refused() {
        for good in [
            "terraform.tfstate",
            "shop/dev/terraform.tfstate",
            "env:/blue/shop.tfstate",
            "a#b",
            "q/1",
            "md5",
        ] {
            assert!(state_key(good).is_ok(), "{good}");
        }
        for bad in [
            "/a",
            "a/",
            "a\nb",
            "a.tflock",
            "a#hold.tflock",
            "a-md5",
            "a#hold",
            "a#q",
            "a#q/17",
            "slipway-plans/a",
        ] {
            assert_eq!(
                state_key(bad).unwrap_err().exit(),
                crate::Exit::Usage,
                "{bad}"
            );
        }
    }
}
