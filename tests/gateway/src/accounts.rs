//! The accounts of the sandbox, each of a world.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::identity::{Credentials, Identities, Principal, letters};
use crate::lock;

/// The role that AWS Organizations makes in each account for its parent.
const ADMINISTRATOR: &str = "OrganizationAccountAccessRole";

/// The ARN of an account's administrator.
pub(crate) fn administrator(account: &str) -> String {
    format!("arn:aws:iam::{account}:role/{ADMINISTRATOR}")
}

/// Accounts by ID.
#[derive(Default)]
pub(crate) struct Accounts(Mutex<HashMap<String, Account>>);

struct Account {
    world: String,
    bootstrap: Credentials,
}

impl Accounts {
    /// Makes an account, or finds it again, and gives the credentials of its first administrator: the role an
    /// organisation's parent account would use. They do not expire.
    ///
    /// # Errors
    /// The world the account already belongs to, where it is another one.
    pub(crate) fn create(
        &self,
        id: &str,
        world: &str,
        identities: &Identities,
    ) -> Result<Credentials, String> {
        let mut accounts = lock(&self.0);
        if let Some(account) = accounts.get(id) {
            return if account.world == world {
                Ok(account.bootstrap.clone())
            } else {
                Err(account.world.clone())
            };
        }
        let principal = Principal {
            account: id.to_owned(),
            arn: format!("arn:aws:sts::{id}:assumed-role/{ADMINISTRATOR}/sandbox"),
            role: Some(administrator(id)),
            session: Some("sandbox".to_owned()),
            user_id: format!("AROA{}:sandbox", letters(17)),
            tags: Vec::new(),
            transitive: Vec::new(),
            policies: Vec::new(),
        };
        let bootstrap = identities.issue(principal, None);
        accounts.insert(
            id.to_owned(),
            Account {
                world: world.to_owned(),
                bootstrap: bootstrap.clone(),
            },
        );
        Ok(bootstrap)
    }

    pub(crate) fn knows(&self, id: &str) -> bool {
        lock(&self.0).contains_key(id)
    }

    pub(crate) fn world(&self, id: &str) -> Option<String> {
        lock(&self.0).get(id).map(|account| account.world.clone())
    }
}
