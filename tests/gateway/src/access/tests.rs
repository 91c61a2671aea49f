//! The evaluation, against what the IAM User Guide says of each case ("Policy evaluation logic", "Cross-account policy
//! evaluation logic", "Permissions boundaries", "Session policies").

use super::*;

const ACCOUNT: &str = "111111111111";
const OTHER: &str = "222222222222";
const ROLE: &str = "arn:aws:iam::111111111111:role/ci";
const SESSION: &str = "arn:aws:sts::111111111111:assumed-role/ci/run-1";
const ACTION: &str = "kms:Sign";

fn requester() -> Requester {
    Requester {
        account: Some(ACCOUNT.to_owned()),
        arns: vec![SESSION.to_owned(), ROLE.to_owned()],
        ..Requester::default()
    }
}

/// A policy of users and roles.
fn identity(effect: &str, action: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Action":"{action}","Resource":"*"}}]}}"#
    )
}

/// A resource's policy.
fn own(effect: &str, principal: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Principal":{{"AWS":"{principal}"}},"Action":"*","Resource":"*"}}]}}"#
    )
}

fn ask(owner: &str, policies: &Policies, own: Own<'_>) -> Result<(), Refusal> {
    let request = Request {
        requester: &requester(),
        action: ACTION,
        resource: "arn:aws:kms:r:1:key/k",
        owner,
        context: &Context::default(),
    };
    evaluate(&request, policies, own)
}

fn policies(identity: &[String], boundary: Option<String>, session: &[String]) -> Policies {
    Policies {
        identity: identity.to_vec(),
        boundary,
        session: session.to_vec(),
    }
}

#[test]
fn without_a_resources_policy_every_policy_of_the_caller_must_allow() {
    use Refusal::{Explicit, Implicit};
    let (yes, no) = (identity("Allow", "kms:*"), identity("Allow", "s3:*"));
    let deny = identity("Deny", ACTION);
    for (identities, boundary, session, expected) in [
        (vec![], None, vec![], Err(Implicit(Source::Identity))),
        (vec![&no], None, vec![], Err(Implicit(Source::Identity))),
        (vec![&no, &yes], None, vec![], Ok(())),
        (
            vec![&yes, &deny],
            None,
            vec![],
            Err(Explicit(Source::Identity)),
        ),
        (vec![&yes], Some(&yes), vec![], Ok(())),
        (
            vec![&yes],
            Some(&no),
            vec![],
            Err(Implicit(Source::Boundary)),
        ),
        (
            vec![&yes],
            Some(&deny),
            vec![],
            Err(Explicit(Source::Boundary)),
        ),
        // A boundary limits and grants nothing.
        (
            vec![&no],
            Some(&yes),
            vec![],
            Err(Implicit(Source::Identity)),
        ),
        (vec![&yes], None, vec![&yes], Ok(())),
        (vec![&yes], None, vec![&no, &yes], Ok(())),
        (vec![&yes], None, vec![&no], Err(Implicit(Source::Session))),
        (
            vec![&yes],
            None,
            vec![&yes, &deny],
            Err(Explicit(Source::Session)),
        ),
        (vec![&no], None, vec![&yes], Err(Implicit(Source::Identity))),
        (
            vec![&yes],
            Some(&yes),
            vec![&no],
            Err(Implicit(Source::Session)),
        ),
    ] {
        let all = |texts: &[&String]| texts.iter().map(|t| (*t).clone()).collect::<Vec<_>>();
        let given = policies(&all(&identities), boundary.cloned(), &all(&session));
        assert_eq!(ask(ACCOUNT, &given, Own::None), expected, "{given:?}");
    }
}

#[test]
fn in_one_account_a_resources_policy_grants_by_itself_unless_it_names_the_account() {
    use Refusal::{Explicit, Implicit};
    let yes = identity("Allow", "kms:*");
    let none = policies(&[], None, &[]);
    let allowed = policies(std::slice::from_ref(&yes), None, &[]);
    let root = "arn:aws:iam::111111111111:root";
    for (effect, principal, by_policy_alone, with_identity) in [
        ("Allow", ROLE, Ok(()), Ok(())),
        ("Allow", SESSION, Ok(()), Ok(())),
        ("Allow", "*", Ok(()), Ok(())),
        ("Allow", root, Err(Implicit(Source::Identity)), Ok(())),
        ("Allow", ACCOUNT, Err(Implicit(Source::Identity)), Ok(())),
        ("Allow", OTHER, Err(Implicit(Source::Identity)), Ok(())),
        (
            "Deny",
            root,
            Err(Explicit(Source::Resource)),
            Err(Explicit(Source::Resource)),
        ),
        (
            "Deny",
            SESSION,
            Err(Explicit(Source::Resource)),
            Err(Explicit(Source::Resource)),
        ),
    ] {
        let text = own(effect, principal);
        let asked = [&none, &allowed].map(|given| ask(ACCOUNT, given, Own::Beside(&text)));
        assert_eq!(
            asked,
            [by_policy_alone, with_identity],
            "{effect} {principal}"
        );
    }
}

#[test]
fn boundaries_limit_a_resource_policys_grant_to_a_role_but_not_to_a_session() {
    let (yes, no) = (identity("Allow", "kms:*"), identity("Allow", "s3:*"));
    let (role, session) = (own("Allow", ROLE), own("Allow", SESSION));
    let bounded = policies(std::slice::from_ref(&yes), Some(no.clone()), &[]);
    let narrow = policies(std::slice::from_ref(&yes), None, std::slice::from_ref(&no));
    for (given, source) in [(&bounded, Source::Boundary), (&narrow, Source::Session)] {
        let refused = Err(Refusal::Implicit(source));
        assert_eq!(ask(ACCOUNT, given, Own::Beside(&role)), refused);
        assert_eq!(ask(ACCOUNT, given, Own::Required(&role)), refused);
        assert_eq!(ask(ACCOUNT, given, Own::Beside(&session)), Ok(()));
    }
    let denied = policies(&[identity("Deny", "kms:*")], None, &[]);
    let refused = Err(Refusal::Explicit(Source::Identity));
    assert_eq!(ask(ACCOUNT, &denied, Own::Beside(&session)), refused);
}

#[test]
fn across_accounts_both_sides_must_allow() {
    use Refusal::{Explicit, Implicit};
    let (yes, no) = (identity("Allow", "kms:*"), identity("Allow", "s3:*"));
    let root = own("Allow", "arn:aws:iam::111111111111:root");
    let (role, session) = (own("Allow", ROLE), own("Allow", SESSION));
    let stranger = own("Allow", OTHER);
    for (identity, text, expected) in [
        (&yes, &root, Ok(())),
        (&yes, &role, Ok(())),
        (&yes, &session, Ok(())),
        (&no, &root, Err(Implicit(Source::Identity))),
        (&no, &role, Err(Implicit(Source::Identity))),
        (&no, &session, Err(Implicit(Source::Identity))),
        (&yes, &stranger, Err(Implicit(Source::Resource))),
        (&yes, &own("Deny", ROLE), Err(Explicit(Source::Resource))),
    ] {
        let given = policies(std::slice::from_ref(identity), None, &[]);
        for own in [Own::Beside(text), Own::Required(text)] {
            assert_eq!(ask(OTHER, &given, own), expected, "{identity} {own:?}");
        }
    }
    let given = policies(&[yes], None, &[no]);
    let refused = Err(Implicit(Source::Session));
    assert_eq!(ask(OTHER, &given, Own::Beside(&role)), refused);
    let refused = Err(Implicit(Source::Resource));
    let alone = policies(&[identity("Allow", "*")], None, &[]);
    assert_eq!(ask(OTHER, &alone, Own::None), refused);
}

#[test]
fn a_keys_policy_is_needed_whatever_an_identity_may_do() {
    let all = policies(&[identity("Allow", "*")], None, &[]);
    let refused = Err(Refusal::Implicit(Source::Resource));
    assert_eq!(ask(ACCOUNT, &all, Own::Required("{}")), refused);
    assert_eq!(
        ask(ACCOUNT, &all, Own::Required(&own("Allow", OTHER))),
        refused
    );
    let root = own("Allow", "arn:aws:iam::111111111111:root");
    assert_eq!(ask(ACCOUNT, &all, Own::Required(&root)), Ok(()));
    let none = policies(&[], None, &[]);
    let refused = Err(Refusal::Implicit(Source::Identity));
    assert_eq!(ask(ACCOUNT, &none, Own::Required(&root)), refused);
    let role = own("Allow", ROLE);
    assert_eq!(ask(ACCOUNT, &none, Own::Required(&role)), Ok(()));
}

#[test]
fn refusals_are_in_awss_words() {
    for (refusal, expected) in [
        (
            Refusal::Implicit(Source::Identity),
            "User: me is not authorized to perform: s3:GetObject on resource: r because no identity-based policy allows the s3:GetObject action",
        ),
        (
            Refusal::Implicit(Source::Boundary),
            "User: me is not authorized to perform: s3:GetObject on resource: r because no permissions boundary allows the s3:GetObject action",
        ),
        (
            Refusal::Explicit(Source::Identity),
            "User: me is not authorized to perform: s3:GetObject on resource: r with an explicit deny in an identity-based policy",
        ),
        (
            Refusal::Explicit(Source::Resource),
            "User: me is not authorized to perform: s3:GetObject on resource: r with an explicit deny in a resource-based policy",
        ),
    ] {
        assert_eq!(refusal.message("me", "s3:GetObject", "r"), expected);
    }
}
