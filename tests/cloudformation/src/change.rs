//! Pure: the entries of a change set.
//! Source: AWS CloudFormation API Reference, `ResourceChange`, `ResourceChangeDetail` and `ResourceTargetDefinition`.

use serde_json::Value;

use crate::schema::Recreation;

/// One entry of a change set.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    /// `Add`, `Modify`, `Remove` or `Import`.
    pub(crate) action: &'static str,
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) physical: Option<String>,
    /// `True`, `False` or `Conditional`, of a `Modify`.
    pub(crate) replacement: Option<&'static str>,
    pub(crate) policy_action: Option<&'static str>,
    pub(crate) details: Vec<Detail>,
    /// The change set of a nested stack.
    pub(crate) change_set: Option<String>,
    /// The properties before and after, as people may see them.
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

/// Why an attribute of a resource changes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Detail {
    /// `Properties`, `Tags`, `Metadata`, `DeletionPolicy` and so on.
    pub(crate) attribute: &'static str,
    /// The property, where the attribute is `Properties`.
    pub(crate) name: Option<String>,
    pub(crate) recreation: Recreation,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
    pub(crate) dynamic: bool,
    pub(crate) source: &'static str,
    pub(crate) cause: Option<String>,
}
