//! Teams of an organization. A job's token has no permission of an organization, so it sees none.

use serde_json::Value;

use super::{Call, Identity};
use crate::http::{Outcome, not_found};
use crate::state::State;

/// The members, for a token of somebody who may know that the team exists; for others it does not.
pub(super) fn members(call: &Call<'_>, state: &mut State) -> Outcome {
    let Identity::User(login) = call.caller else {
        return Err(not_found());
    };
    let name = format!("{}/{}", call.param("org"), call.param("team_slug"));
    let team = state.teams.get(&name.to_ascii_lowercase());
    let team = team
        .filter(|team| team.readers.contains(login))
        .ok_or_else(not_found)?;
    let view = call.view(state);
    call.page(&team.members, |member| -> Value { view.user(member) })
}
