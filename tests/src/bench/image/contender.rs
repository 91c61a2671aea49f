//! The contenders that push, and the pairs that are compared.

use super::images::Kind;

/// Somebody who pushes an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    /// Ours, by an ordinary user.
    User,
    /// Ours, by root, who can read the classic store's files.
    Root,
    /// Ours, from a layout.
    Layout,
    BuildThenPush,
    BuildxPush,
    DockerPush,
    SkopeoDaemon,
    SkopeoLayout,
}

/// The engine that holds the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    /// The machine's, which keeps unpacked layers in overlay2 (Docker before 29, by default).
    Classic,
    /// One with containerd's store, which keeps them compressed (Docker 29, by default).
    Containerd,
}

/// The part of a run that a row compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// A first push with the build, all of it cached, before it.
    BuildAndPush,
    /// A first push alone; of ours the whole step but for finding the builder and building.
    Push,
    /// Building and pushing once more, where nothing is missing.
    Unchanged,
}

/// One row that is to be printed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pair {
    pub(super) ours: Tool,
    pub(super) reading: Reading,
    pub(super) peer: Tool,
    /// The most that ours may take of the peer's time.
    pub(super) goal: f64,
}

impl Tool {
    pub(super) fn is_ours(self) -> bool {
        matches!(self, Self::User | Self::Root | Self::Layout)
    }

    /// Ours by who runs it, a peer by its command.
    pub(super) fn name(self, store: Store) -> &'static str {
        match (self, store) {
            (Self::User, Store::Classic) => "ordinary user, classic store by its export",
            (Self::User, Store::Containerd) => "ordinary user, containerd's store",
            (Self::Root, _) => "root, classic store's own files (legacy)",
            (Self::Layout, _) => "from a layout",
            (Self::BuildThenPush, _) => "docker build && docker push",
            (Self::BuildxPush, _) => "docker buildx build --push",
            (Self::DockerPush, _) => "docker push",
            (Self::SkopeoDaemon, _) => "skopeo copy docker-daemon:",
            (Self::SkopeoLayout, _) => "skopeo copy oci:",
        }
    }
}

impl Reading {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BuildAndPush => "build and push",
            Self::Push => "push",
            Self::Unchanged => "nothing changed",
        }
    }
}

impl Store {
    pub(super) const ALL: [Self; 2] = [Self::Classic, Self::Containerd];

    /// The contenders that take part; by root only what root alone can do.
    pub(super) fn contenders(self) -> &'static [Tool] {
        match self {
            Self::Classic => &[
                Tool::User,
                Tool::Root,
                Tool::Layout,
                Tool::BuildThenPush,
                Tool::BuildxPush,
                Tool::DockerPush,
                Tool::SkopeoDaemon,
                Tool::SkopeoLayout,
            ],
            Self::Containerd => &[
                Tool::User,
                Tool::BuildThenPush,
                Tool::BuildxPush,
                Tool::DockerPush,
                Tool::SkopeoLayout,
            ],
        }
    }

    /// The rows for an image. Building and pushing is held against building and pushing, pushing against pushing.
    pub(super) fn pairs(self, kind: Kind) -> Vec<Pair> {
        use Reading::{BuildAndPush, Push, Unchanged};
        use Tool::{
            BuildThenPush, BuildxPush, DockerPush, Layout, Root, SkopeoDaemon, SkopeoLayout, User,
        };
        let pair = |ours, reading, peer, goal| Pair {
            ours,
            reading,
            peer,
            goal,
        };
        let (docker, skopeo) = match kind {
            Kind::Files => (0.25, 0.5),
            Kind::Random => (0.5, 0.8),
        };
        match self {
            Self::Classic => vec![
                pair(User, BuildAndPush, BuildThenPush, docker),
                pair(User, BuildAndPush, BuildxPush, docker),
                pair(User, Push, DockerPush, docker),
                pair(User, Push, SkopeoDaemon, skopeo),
                pair(User, Unchanged, BuildThenPush, 0.6),
                pair(User, Unchanged, BuildxPush, 0.6),
                pair(Root, BuildAndPush, BuildThenPush, docker),
                pair(Root, Push, DockerPush, docker),
                pair(Root, Push, SkopeoDaemon, skopeo),
                pair(Layout, Push, SkopeoLayout, 1.0),
                pair(Layout, Unchanged, DockerPush, 0.6),
            ],
            // The layers are compressed already, so nobody can win much; nobody is to lose.
            Self::Containerd => vec![
                pair(User, BuildAndPush, BuildThenPush, 1.0),
                pair(User, BuildAndPush, BuildxPush, 1.0),
                pair(User, Push, DockerPush, 1.0),
                pair(User, Push, SkopeoLayout, 1.0),
                pair(User, Unchanged, BuildThenPush, 0.6),
                pair(User, Unchanged, BuildxPush, 0.6),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns true if its first push has a build before it.
    fn builds(tool: Tool) -> bool {
        matches!(
            tool,
            Tool::User | Tool::Root | Tool::BuildThenPush | Tool::BuildxPush
        )
    }

    #[test]
    fn a_row_holds_equal_work_against_equal_work() {
        for store in Store::ALL {
            for kind in [Kind::Files, Kind::Random] {
                for pair in store.pairs(kind) {
                    let contenders = store.contenders();
                    assert!(contenders.contains(&pair.ours) && contenders.contains(&pair.peer));
                    assert!(pair.ours.is_ours() && !pair.peer.is_ours());
                    match pair.reading {
                        Reading::BuildAndPush => {
                            assert!(builds(pair.ours) && builds(pair.peer), "{pair:?}");
                        }
                        Reading::Push => assert!(!builds(pair.peer), "{pair:?}"),
                        Reading::Unchanged => {
                            assert_eq!(builds(pair.ours), builds(pair.peer), "{pair:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_goals_are_those_that_were_set() {
        let goal = |store: Store, kind, reading, peer| {
            let pairs = store.pairs(kind);
            let pair = pairs.iter().find(|pair| {
                pair.ours == Tool::User && pair.reading == reading && pair.peer == peer
            });
            pair.unwrap().goal
        };
        let built = (Reading::BuildAndPush, Tool::BuildThenPush);
        assert_eq!(goal(Store::Classic, Kind::Random, built.0, built.1), 0.5);
        assert_eq!(goal(Store::Classic, Kind::Files, built.0, built.1), 0.25);
        // Whatever the tool and the source.
        for pair in Store::ALL.iter().flat_map(|it| it.pairs(Kind::Files)) {
            assert_eq!(
                pair.goal == 0.6,
                pair.reading == Reading::Unchanged,
                "{pair:?}"
            );
        }
        let store = Store::Containerd;
        assert_eq!(
            goal(store, Kind::Files, Reading::Push, Tool::SkopeoLayout),
            1.0
        );
    }
}
