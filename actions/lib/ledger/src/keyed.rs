//! The key that signs a ledger's records.

use attest::Signer;
use kit::aws::KmsKey;
use kit::error::Result;
use net::{Account, Net};
use tokio::sync::OnceCell;

/// The ledger's key, asked for when it is first needed.
#[derive(Debug)]
pub(crate) struct Keyed {
    net: Net,
    account: Account,
    key: KmsKey,
    signer: OnceCell<Signer>,
}

impl Keyed {
    pub(crate) fn new(net: &Net, account: &Account, key: &KmsKey) -> Self {
        Self {
            net: net.clone(),
            account: account.clone(),
            key: key.clone(),
            signer: OnceCell::new(),
        }
    }

    pub(crate) async fn signer(&self) -> Result<&Signer> {
        self.signer
            .get_or_try_init(|| Signer::kms(&self.net, &self.account, &self.key))
            .await
    }
}
