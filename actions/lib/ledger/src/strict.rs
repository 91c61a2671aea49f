//! The one form of JSON that a record has. Readers that disagree about a document, because of a name
//! that is there twice or a number that one of them rounds, can be shown different records under one
//! hash. So a record is I-JSON (RFC 7493) without fractions, and everything else is refused.

use kit::clock::instant;
use kit::id::{CommitId, Digest};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

/// How deep objects and lists may be in each other.
const DEPTH: usize = 32;
/// The largest integer that every reader of JSON keeps exactly (RFC 7493, section 2.2).
const LARGEST: u64 = (1 << 53) - 1;

/// The members of a record that verification looks at. Others may be there, of any form.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) seq: u64,
    pub(crate) service: String,
    pub(crate) environment: String,
    /// The first record of the chain that has to be signed, in a signed record.
    pub(crate) signed_from: Option<u64>,
    /// The hash of the head that a person accepted when this record was written.
    pub(crate) accepted_head: Option<String>,
    /// When it was written, as it says.
    pub(crate) at: String,
    #[expect(dead_code, reason = "only its form counts")]
    digest: Digest,
    #[expect(dead_code, reason = "only its form counts")]
    commit: CommitId,
    #[expect(dead_code, reason = "only its form counts")]
    verdict: String,
    /// An object: serde would take a list for a struct.
    actor: serde_json::Map<String, serde_json::Value>,
}

/// The envelope of a record's bytes, if they have the form of a record.
pub(crate) fn envelope(text: &str) -> Option<Envelope> {
    if !reads_alike(text) {
        return None;
    }
    let envelope: Envelope = serde_json::from_str(text).ok()?;
    envelope.actor.get("login")?.as_str()?;
    is_time(&envelope.at).then_some(envelope)
}

/// Returns true if the text is a time as records say it: RFC 3339 in UTC, in whole seconds, none of which is a leap second. A record
/// whose time some readers could not read would bound the times of the others for the rest alone.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == "2026-11-21T18:00:00Z".len()
        && bytes[10] == b'T'
        && bytes[19] == b'Z'
        && bytes[17..19] != *b"60"
        && instant(text).is_some()
}

/// Returns true if the text is JSON that every reader reads alike, and an object: rules 1 to 5 for a record in docs/ledger.md, which
/// evidence follows too.
pub fn reads_alike(text: &str) -> bool {
    is_object(text) && strict(text)
}

/// Returns true if the JSON in `text` can only be an object. serde takes a list for a struct too.
pub(crate) fn is_object(text: &str) -> bool {
    text.trim_start_matches([' ', '\t', '\r', '\n'])
        .starts_with('{')
}

/// Reads a struct from an object, or nothing from null. serde would take a list of the members' values too, in their order, and
/// others who read the record would not.
///
/// # Errors
/// It is something else, or an object that does not have the members.
pub(crate) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    struct Object<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }
    deserializer.deserialize_any(Object(PhantomData))
}

fn strict(text: &str) -> bool {
    let mut json = serde_json::Deserializer::from_str(text);
    Strict(0).deserialize(&mut json).is_ok() && json.end().is_ok()
}

/// Reads any value and keeps nothing of it. The number is how many objects and lists it is in.
struct Strict(usize);

impl Strict {
    fn deeper<E: Error>(&self) -> Result<usize, E> {
        match self.0 < DEPTH {
            true => Ok(self.0 + 1),
            false => Err(E::custom("it is nested too deeply")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON that every reader reads alike")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        match number <= LARGEST {
            true => Ok(()),
            false => Err(E::custom("the number is too large")),
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.visit_u64(number.unsigned_abs())
    }

    /// Fractions, exponents, and integers beyond 64 bits.
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Err(E::custom("the number is not an integer"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        while list.next_element_seed(Strict(depth))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        let mut names = BTreeSet::new();
        while let Some(name) = object.next_key::<String>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a name is there twice"));
            }
            object.next_value_seed(Strict(depth))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample;

    fn record() -> String {
        serde_json::to_string(&sample(1, 0xaa)).unwrap()
    }

    fn with(member: &str) -> String {
        record().replacen('{', &format!("{{{member},"), 1)
    }

    #[test]
    fn a_record_may_have_members_that_nobody_knows_yet() {
        let deep = format!("{}1{}", "[".repeat(31), "]".repeat(31));
        for member in [
            r#""new":null"#,
            r#""new":[1,-5,9007199254740991,true,"\ud83d\ude00",{}]"#,
            r#""signed_from":null"#,
            &format!(r#""new":{deep}"#),
        ] {
            assert!(envelope(&with(member)).is_some(), "{member}");
        }
        let signed = envelope(&with(r#""signed_from":7"#)).unwrap();
        assert_eq!(signed.signed_from, Some(7));
    }

    #[test]
    fn json_that_parsers_may_read_differently_is_refused() {
        let deep = format!("{}1{}", "[".repeat(32), "]".repeat(32));
        for member in [
            r#""seq":1"#,
            r#""s\u0065q":1"#,
            r#""new":{"a":1,"a":1}"#,
            r#""new":[{"a":1,"\u0061":2}]"#,
            r#""new":1.0"#,
            r#""new":1e3"#,
            r#""new":-0"#,
            r#""new":9007199254740992"#,
            r#""new":-9007199254740992"#,
            r#""new":123456789012345678901234567890"#,
            r#""new":NaN"#,
            r#""new":"\ud800""#,
            r#""\udc00":1"#,
            r#""signed_from":"7""#,
            r#""accepted_head":7"#,
            &format!(r#""new":{deep}"#),
            &format!(r#""new":{}"#, "[".repeat(100_000)),
        ] {
            assert!(envelope(&with(member)).is_none(), "{member:.60}");
        }
        for (from, to) in [
            (r#""seq":1"#, r#""seq":1.0"#),
            (r#""verdict":"healthy""#, r#""verdict":1"#),
            ("2026-11-21T18:00:01Z", "yesterday"),
            ("2026-11-21T18:00:01Z", "2026-11-21T18:00:01+00:00"),
            ("2026-11-21T18:00:01Z", "2026-11-21T18:00:01.5Z"),
            ("2026-11-21T18:00:01Z", "2026-11-21t18:00:01Z"),
            ("2026-11-21T18:00:01Z", "2026-11-31T18:00:01Z"),
            ("2026-11-21T18:00:01Z", "2026-12-31T23:59:60Z"),
            ("2026-11-21T18:00:01Z", "9001-11-21T18:00:01Z"),
            (r#"{"login":"alice","id":1}"#, r#"["alice",1]"#),
            (r#"{"login":"alice","id":1}"#, r#"{"id":1}"#),
            ("sha256:", "sha512:"),
            ("}}", "}},"),
            ("}}", "}}1"),
        ] {
            let text = record().replacen(from, to, 1);
            assert_ne!(text, record());
            assert!(envelope(&text).is_none(), "{text}");
        }
        // The members of a record in their order, which serde would take for one.
        let all: serde_json::Value = serde_json::from_str(&record()).unwrap();
        let names = ["at", "digest", "commit", "verdict", "actor"];
        let rest = names.map(|name| all[name].to_string()).join(",");
        let list = format!(r#"[1,"storefront","dev",null,null,{rest}]"#);
        assert!(serde_json::from_str::<Envelope>(&list).is_ok(), "{list}");
        assert!(envelope(&list).is_none());
    }
}
