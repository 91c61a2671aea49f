//! Where an environment's state is, whose account that is, and how it is written.

use super::{Resolver, TABLE};
use crate::aws::{AccountId, Region};
use crate::contract::declared::{self, Environment, State as Declared, StateRoles};
use crate::contract::diagnostics::Mistake;
use crate::contract::model::{Roles, State};
use crate::contract::reserved;

pub(super) const BUCKET: &str = "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$";
const KEY: &str = "^[^/\\s][^\\s]*$";
/// A key that Terraform's backend takes: no alias (terraform `internal/backend/remote-state/s3`,
/// `validateKMSKey`).
const KMS_KEY: &str = "^(arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/)?(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$";

/// The folder of an environment's infrastructure code.
pub(in crate::contract) fn infrastructure(
    declared: &declared::Declared,
    environment: &Environment,
) -> String {
    let of = |state: &Option<Declared>| state.as_ref()?.directory.clone();
    let directory = of(&environment.state).or_else(|| of(&declared.state));
    directory.map_or_else(|| "infra".to_owned(), |path| path.value.0)
}

impl Resolver<'_> {
    /// The state of an environment in `account` and `region`.
    pub(super) fn state(
        &mut self,
        account: Option<&AccountId>,
        region: Option<&Region>,
    ) -> Option<State> {
        let declared = self.declared_state();
        let bucket = self.fill.text(
            declared.bucket.as_ref(),
            "var:TF_STATE_BUCKET",
            "state.bucket",
            true,
        );
        let bucket = self.fill.checked(bucket, BUCKET, "bucket name");
        let own_account = match &declared.account {
            Some(own) => self.fill.account(own, true),
            None => account.cloned(),
        };
        let other_account =
            matches!((&own_account, account), (Some(own), Some(environment)) if own != environment);
        let reached = declared.roles.is_some() || !other_account;
        let (table, undeclared_table) = self.lock_table(&declared, reached)?;
        let own_region = match &declared.region {
            Some(own) => self.fill.region(own, true),
            None => region.cloned(),
        };
        let roles = match &declared.roles {
            Some(roles) => {
                Some(self.state_roles(roles, own_account.as_ref(), own_region.as_ref())?)
            }
            None => None,
        };
        let key = self.state_key(&declared);
        let (encrypt, kms_key_id) = self.encryption(&declared)?;
        Some(State {
            directory: infrastructure(self.declared, self.environment),
            bucket: bucket?,
            key: key?,
            table,
            undeclared_table,
            account: own_account?,
            region: own_region?,
            roles,
            encrypt,
            kms_key_id,
        })
    }

    /// The environment's settings, each replaced by the contract's common one if it is not declared.
    fn declared_state(&self) -> Declared {
        let own = self.environment.state.clone().unwrap_or_default();
        let top = self.declared.state.clone().unwrap_or_default();
        Declared {
            bucket: own.bucket.or(top.bucket),
            table: own.table.or(top.table),
            account: own.account.or(top.account),
            region: own.region.or(top.region),
            roles: own.roles.or(top.roles),
            key: own.key.or(top.key),
            encrypt: own.encrypt.or(top.encrypt),
            kms_key_id: own.kms_key_id.or(top.kms_key_id),
            ..Declared::default()
        }
    }

    /// The table that is declared, and the one that only the environment of the process names.
    /// `reached`: the roles that are used are of the table's account.
    fn lock_table(
        &mut self,
        declared: &Declared,
        reached: bool,
    ) -> Option<(Option<String>, Option<String>)> {
        let Some(table) = &declared.table else {
            return Some((None, self.fill.variable("TF_LOCK_TABLE")));
        };
        if !reached {
            self.fill.mistakes.add(
                Mistake::new(
                    table.span.clone(),
                    "a lock table in another account needs `state.roles`",
                )
                .hint("Terraform looks for the table in the account of its role: name roles of that account, or leave `table` out, and the lock is the file beside the state"),
            );
            return None;
        }
        let value = self.fill.text(Some(table), "", "state.table", true);
        let table = self.fill.checked(value, TABLE, "table name")?;
        Some((Some(table), None))
    }

    fn state_roles(
        &mut self,
        roles: &StateRoles,
        account: Option<&AccountId>,
        region: Option<&Region>,
    ) -> Option<Roles> {
        let read = self
            .fill
            .text(Some(&roles.read), "", "state.roles.read", true);
        let read = self.fill.role(read, account, region);
        let deploy = self
            .fill
            .text(Some(&roles.deploy), "", "state.roles.deploy", true);
        let deploy = self.fill.role(deploy, account, region);
        Some(Roles {
            read: read?,
            deploy: deploy?,
        })
    }

    fn state_key(&mut self, declared: &Declared) -> Option<String> {
        let key = self.fill.text(
            declared.key.as_ref(),
            "{service}/{environment}/terraform.tfstate",
            "state.key",
            true,
        );
        let span = key.as_ref().map(|key| key.span.clone());
        let key = self.fill.checked(key, KEY, "state key")?;
        if let Some(span) = span
            && let Err(error) = reserved::state_key(&key)
        {
            let mistake = Mistake::new(span, error.message.as_str());
            self.fill
                .mistakes
                .add(mistake.hint(error.causes().concat()));
            return None;
        }
        Some(key)
    }

    /// The encryption that each write asks for, if the contract declares it, and the key.
    fn encryption(&mut self, declared: &Declared) -> Option<(bool, Option<String>)> {
        let encrypt = declared.encrypt.as_ref().map(|encrypt| encrypt.value);
        let Some(key) = &declared.kms_key_id else {
            return Some((encrypt.unwrap_or_default(), None));
        };
        if let Some(off) = declared.encrypt.as_ref().filter(|encrypt| !encrypt.value) {
            self.fill.mistakes.add(
                Mistake::new(
                    off.span.clone(),
                    "`encrypt` is off, and `kms-key-id` names a key",
                )
                .related(key.span.clone(), "the key")
                .hint("leave one of the two out: a key is used only with encryption"),
            );
            return None;
        }
        let value = self.fill.text(Some(key), "", "state.kms-key-id", true);
        let key = self.fill.checked(value, KMS_KEY, "KMS key")?;
        Some((true, Some(key)))
    }
}
