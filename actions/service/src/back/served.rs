//! The versions that served, in the order in which they came. Pure.

/// A version of the service: its digest, or where nobody names one, its task definition or its revision.
pub(crate) type Version = String;

/// The versions that served one after the other, without those that were left again for an earlier one.
///
/// ECS's own sequence of successful deployments is the source: every deployment is in it, also one that nobody recorded. A
/// deployment of a version that served before means that the service went back to it, so the versions in between were left. One
/// that was left and is deployed anew, such as a corrected one, is a new version again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Served {
    /// Oldest first.
    versions: Vec<Version>,
    /// True if the newest success went back.
    went_back: bool,
}

impl Served {
    /// By these successes, oldest first.
    pub(crate) fn by(successes: impl IntoIterator<Item = Version>) -> Self {
        let mut served = Self::default();
        for version in successes {
            served.add(version);
        }
        served
    }

    fn add(&mut self, version: Version) {
        match self.versions.iter().position(|it| *it == version) {
            // The same image with other settings: it goes on serving.
            Some(position) if position + 1 == self.versions.len() => {}
            Some(position) => {
                self.versions.truncate(position + 1);
                self.went_back = true;
            }
            None => {
                self.versions.push(version);
                self.went_back = false;
            }
        }
    }

    /// The version that the newest success brought.
    pub(crate) fn newest(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// The versions before that, newest first.
    pub(crate) fn earlier(&self) -> impl Iterator<Item = &Version> {
        self.versions.iter().rev().skip(1)
    }

    /// Returns true if the service came to its version by going back.
    pub(crate) fn went_back(&self) -> bool {
        self.went_back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_back_leaves_the_versions_in_between() {
        for (successes, versions, went_back) in [
            ("", "", false),
            ("a", "a", false),
            ("a b", "a b", false),
            // Infrastructure deploys the same image with other settings.
            ("a b b", "a b", false),
            ("a b a", "a", true),
            ("a b a a", "a", true),
            ("a b c b", "a b", true),
            ("a b c a", "a", true),
            // After going back, the next version is one like any other.
            ("a b a c", "a c", false),
            // The version that was left comes once more.
            ("a b a b", "a b", false),
            ("a b a b a", "a", true),
        ] {
            let served = Served::by(successes.split_whitespace().map(str::to_owned));
            assert_eq!(served.versions.join(" "), versions, "{successes}");
            assert_eq!(served.went_back(), went_back, "{successes}");
        }
    }
}
