//! Reads whether a pull request can still be merged. Not a part of the query for pull requests in full: evidence has that one as it
//! was asked.

use crate::client::GitHub;
use crate::unknown::Unknown;
use serde::Deserialize;

/// Where a pull request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullState {
    /// It can be merged.
    Open,
    /// It is open, and GitHub merges it only after somebody marks it as ready.
    Draft,
    /// It was closed without a merge.
    Closed,
    /// It was merged.
    Merged,
}

impl GitHub {
    /// Where a pull request stands.
    ///
    /// # Errors
    /// GitHub did not answer, or knows no such pull request.
    pub async fn pull_state(&self, number: u64) -> Result<PullState, Unknown> {
        #[derive(Deserialize)]
        struct Found {
            pull: Option<Pull>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Pull {
            state: String,
            is_draft: bool,
        }
        let what = format!("read the state of #{number}");
        let selection = format!("pull:pullRequest(number:{number}){{state isDraft}}");
        let found: Found = self.repository_query(&selection, &what).await?;
        let pull = found
            .pull
            .ok_or_else(|| Unknown::new(&what, format!("GitHub does not know #{number}")))?;
        match (pull.state.as_str(), pull.is_draft) {
            ("OPEN", false) => Ok(PullState::Open),
            ("OPEN", true) => Ok(PullState::Draft),
            ("CLOSED", _) => Ok(PullState::Closed),
            ("MERGED", _) => Ok(PullState::Merged),
            (other, _) => Err(Unknown::new(
                &what,
                format!("GitHub answers a state that is not known here: {other}"),
            )),
        }
    }
}
