//! The values that each type of variable accepts.

use super::declared::{Type, Variable};
use super::text::{is_not, matches};
use crate::aws::Region;
use regex_lite::Regex;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The reason that `text` is not a value of `variable`, and the rule for one.
pub(super) fn wrong(variable: &Variable, text: &str) -> Option<(String, String)> {
    let violation = match variable.kind.value {
        Type::String => return None,
        Type::Integer => (text.parse::<i64>().is_err() || text.starts_with('+')).then_some((
            "whole number",
            "digits, with `-` in front where negative".to_owned(),
        )),
        Type::Boolean => (!matches!(text, "true" | "false"))
            .then_some(("boolean", "`true` or `false`".to_owned())),
        Type::Port => (text.parse::<u16>().is_ok_and(|port| port == 0)
            || !matches("^[0-9]{1,5}$", text)
            || text.parse::<u16>().is_err())
        .then_some(("port", "1 to 65535".to_owned())),
        Type::Cidr => cidr(text).err().map(|rule| ("network", rule)),
        Type::Domain => (!domain(text)).then_some((
            "domain",
            "labels of letters, digits and hyphens, at least two, such as `shop.example.com`"
                .to_owned(),
        )),
        Type::Region => text
            .parse::<Region>()
            .is_err()
            .then_some(("region", "a name such as `ca-central-1`".to_owned())),
        Type::Url => {
            (!url(text)).then_some(("address", "`https://HOST/…` or `http://…`".to_owned()))
        }
        Type::Enum => {
            let values: Vec<&str> = variable
                .values
                .iter()
                .flatten()
                .map(|value| value.value.0.as_str())
                .collect();
            // A type without values has a mistake of its own.
            (!values.is_empty() && !values.contains(&text))
                .then(|| ("allowed value", format!("one of {}", values.join(", "))))
        }
        Type::Pattern => {
            let pattern = variable
                .pattern
                .as_ref()
                .map_or("", |pattern| pattern.value.0.as_str());
            // An invalid pattern has a mistake of its own.
            full_match_regex(pattern)
                .is_ok_and(|pattern| !pattern.is_match(text))
                .then(|| ("match", format!("it must match {pattern} as a whole")))
        }
    };
    violation.map(|(noun, rule)| (is_not(noun), rule))
}

/// `pattern`, made to match whole values only.
pub(super) fn full_match_regex(pattern: &str) -> Result<Regex, regex_lite::Error> {
    Regex::new(&format!("^(?:{pattern})$"))
}

fn cidr(text: &str) -> Result<(), String> {
    let example = || "an address and a length, such as `10.20.0.0/16`".to_owned();
    let (address, length) = text.split_once('/').ok_or_else(example)?;
    let address: IpAddr = address.parse().map_err(|_| example())?;
    let length: u32 = length
        .parse()
        .ok()
        .filter(|_| matches("^[0-9]{1,3}$", length))
        .ok_or_else(example)?;
    let network = match address {
        IpAddr::V4(address) if length <= 32 => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) if length <= 128 => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
        _ => return Err("the length is at most 32, or 128 for IPv6".to_owned()),
    };
    if network == address {
        return Ok(());
    }
    Err(format!(
        "the network that holds this address is {network}/{length}"
    ))
}

fn domain(text: &str) -> bool {
    text.len() <= 253
        && matches(
            "^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",
            text,
        )
}

fn url(text: &str) -> bool {
    matches(
        "^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?([/?#][^ \\t\\r\\n]*)?$",
        text,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::declared::Plain;
    use crate::contract::diagnostics::At;
    use crate::contract::text::Text;

    fn at<T>(value: T) -> At<T> {
        At { value, span: 0..0 }
    }

    #[test]
    fn each_type_takes_its_own_and_nothing_else() {
        let table: &[(Type, &[&str], &[&str])] = &[
            (Type::String, &["", "x y"], &[]),
            (
                Type::Integer,
                &["0", "-7", "007"],
                &["", "1.5", "x", "+1", "99999999999999999999"],
            ),
            (Type::Boolean, &["true", "false"], &["", "yes", "True", "1"]),
            (
                Type::Port,
                &["1", "443", "65535"],
                &["0", "65536", "-1", "+1", "http", ""],
            ),
            (
                Type::Cidr,
                &[
                    "10.20.0.0/16",
                    "0.0.0.0/0",
                    "10.0.0.1/32",
                    "2001:db8::/32",
                    "::/0",
                ],
                &[
                    "10.20.0.1/16",
                    "10.0.0.0",
                    "10.0.0.0/33",
                    "10.0.0.0/+8",
                    "10.0.0/8",
                    "x/8",
                    "::/129",
                ],
            ),
            (
                Type::Domain,
                &["shop.example.com", "a.io", "xn--bcher-kva.example"],
                &[
                    "localhost",
                    "-a.example",
                    "a_b.example",
                    "a..b",
                    "a.b.",
                    "1.2.3.4",
                    "a b.example",
                ],
            ),
            (
                Type::Region,
                &[
                    "ca-central-1",
                    "us-gov-west-1",
                    "cn-north-1",
                    "eusc-de-east-1",
                ],
                &["ca", "Europe", "eu-west", "zz-west-1"],
            ),
            (
                Type::Url,
                &["https://a.example/x?y", "http://127.0.0.1:80"],
                &["ftp://a.example", "https://", "a.example", "https://a b"],
            ),
            (Type::Enum, &["small", "2"], &["", "Small", "large"]),
            (Type::Pattern, &["v1", "v22"], &["v", "xv1", "v1x", "v1\n"]),
        ];
        for (kind, good, bad) in table {
            let variable = Variable {
                kind: at(*kind),
                values: Some(vec![at(Plain("small".into())), at(Plain("2".into()))]),
                pattern: Text::parse("v[0-9]+").map(at),
                ..Variable::default()
            };
            for text in *good {
                assert_eq!(wrong(&variable, text), None, "{kind:?} {text}");
            }
            for text in *bad {
                assert!(wrong(&variable, text).is_some(), "{kind:?} {text}");
            }
        }
    }

    #[test]
    fn an_address_inside_a_network_is_refused_with_the_name_of_the_network() {
        assert_eq!(
            cidr("10.20.3.4/16").unwrap_err(),
            "the network that holds this address is 10.20.0.0/16"
        );
    }
}
