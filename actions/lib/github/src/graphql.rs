//! GraphQL queries on the repository. One query asks for many objects under names of their own, which
//! is how a hundred pull requests are read in few calls.

use crate::client::GitHub;
use crate::unknown::Unknown;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

impl GitHub {
    /// Fields of the repository, as `T`; `selection` contains no text from outside except as JSON.
    ///
    /// # Errors
    /// GitHub did not answer, or not in full.
    pub(crate) async fn repository_query<T: DeserializeOwned>(
        &self,
        selection: &str,
        action: &str,
    ) -> Result<T, Unknown> {
        #[derive(Deserialize)]
        struct Data<T> {
            repository: Option<T>,
        }
        let query = format!(
            "query($owner:String!,$name:String!){{repository(owner:$owner,name:$name){{{selection}}}}}"
        );
        let (owner, name) = self
            .repository()
            .as_str()
            .split_once('/')
            .unwrap_or_default();
        let variables = json!({ "owner": owner, "name": name });
        let permission = "contents: read, pull-requests: read";
        let data: Data<T> = self.query(&query, variables, action, permission).await?;
        data.repository
            .ok_or_else(|| Unknown::new(action, "GitHub's answer does not hold the repository"))
    }
}
