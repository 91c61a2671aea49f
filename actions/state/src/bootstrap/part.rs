//! The parts of bucket and table, and the findings about them.

/// One thing about bucket or table, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Bucket,
    Versions,
    Private,
    Owned,
    Encrypted,
    Tls,
    Lifecycle,
    Table,
    Billing,
    Recovery,
    Protected,
}

impl Part {
    /// The condition that should hold.
    pub(super) fn words(self) -> &'static str {
        match self {
            Part::Bucket => "the bucket exists in this account",
            Part::Versions => "it keeps old versions of objects",
            Part::Private => "public access is blocked",
            Part::Owned => "the bucket's owner owns every object",
            Part::Encrypted => "objects are encrypted",
            Part::Tls => "a policy denies requests without TLS",
            Part::Lifecycle => "old versions and old plans are removed in time",
            Part::Table => "the lock table is there, with the key LockID",
            Part::Billing => "it is billed by request",
            Part::Recovery => "it can be recovered to a point in time",
            Part::Protected => "it is protected from deletion",
        }
    }

    /// The action that makes it hold.
    pub(super) fn act(self) -> &'static str {
        match self {
            Part::Bucket => "create the bucket",
            Part::Versions => "keep old versions of objects",
            Part::Private => "block public access",
            Part::Owned => "let the bucket's owner own every object",
            Part::Encrypted => "encrypt objects with the KMS key",
            Part::Tls => "deny requests without TLS",
            Part::Lifecycle => "remove old versions and old plans in time",
            Part::Table => "create the table, billed by request",
            Part::Billing => "bill the table by request",
            Part::Recovery => "keep the table recoverable to a point in time",
            Part::Protected => "protect the table from deletion",
        }
    }
}

/// The finding about a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// As it should be, and how.
    Fine(String),
    /// Not so, and can be brought there.
    Missing(String),
    /// Not so, and only a person can say what is to become of what is there.
    Wrong(String),
    /// It could not be looked at: the permission that was missing.
    Unknown(String),
}

impl Found {
    pub(super) fn of(fine: bool, is: &str, is_not: &str) -> Self {
        if fine {
            Found::Fine(is.to_owned())
        } else {
            Found::Missing(is_not.to_owned())
        }
    }

    pub(super) fn word(&self) -> &'static str {
        match self {
            Found::Fine(_) => "ok",
            Found::Missing(_) => "missing",
            Found::Wrong(_) => "wrong",
            Found::Unknown(_) => "unknown",
        }
    }

    pub(super) fn detail(&self) -> String {
        match self {
            Found::Fine(detail) | Found::Missing(detail) | Found::Wrong(detail) => detail.clone(),
            Found::Unknown(permission) => format!("cannot be checked: needs {permission}"),
        }
    }
}

/// A part and what was found.
pub(super) type Finding = (Part, Found);
