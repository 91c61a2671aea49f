//! The partitions that AWS consists of, with the names of their regions and hosts.

use crate::id::Invalid;
use regex_lite::Regex;
use std::fmt;
use std::str::FromStr;

/// A part of AWS with accounts, ARNs and host names of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Partition {
    /// The commercial regions.
    Aws,
    /// China.
    China,
    /// The European Sovereign Cloud.
    EuropeanSovereign,
    /// GovCloud (US).
    GovCloud,
    /// Top Secret (US).
    Iso,
    /// Secret (US).
    IsoB,
    /// ISOE (Europe).
    IsoE,
    /// ISOF.
    IsoF,
}

/// Name, regions and DNS suffix of each partition: `id`, `regionRegex` and `outputs.dnsSuffix` of
/// the partitions table, version 1.1, that AWS's SDKs share (botocore/data/partitions.json; the
/// same in every aws-sdk crate's endpoint_lib.rs). `\w` is narrowed to what names are made of.
const TABLE: [(Partition, &str, &str, &str); 8] = [
    (
        Partition::Aws,
        "aws",
        "(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-[0-9]+",
        "amazonaws.com",
    ),
    (
        Partition::China,
        "aws-cn",
        "cn-[a-z]+-[0-9]+",
        "amazonaws.com.cn",
    ),
    (
        Partition::EuropeanSovereign,
        "aws-eusc",
        "eusc-(de)-[a-z]+-[0-9]+",
        "amazonaws.eu",
    ),
    (
        Partition::GovCloud,
        "aws-us-gov",
        "us-gov-[a-z]+-[0-9]+",
        "amazonaws.com",
    ),
    (
        Partition::Iso,
        "aws-iso",
        "us-iso-[a-z]+-[0-9]+",
        "c2s.ic.gov",
    ),
    (
        Partition::IsoB,
        "aws-iso-b",
        "us-isob-[a-z]+-[0-9]+",
        "sc2s.sgov.gov",
    ),
    (
        Partition::IsoE,
        "aws-iso-e",
        "eu-isoe-[a-z]+-[0-9]+",
        "cloud.adc-e.uk",
    ),
    (
        Partition::IsoF,
        "aws-iso-f",
        "us-isof-[a-z]+-[0-9]+",
        "csp.hci.ic.gov",
    ),
];

impl Partition {
    /// The partition that has a region of the name `region`.
    pub fn of_region(region: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|(_, _, pattern, _)| {
                Regex::new(&format!("^{pattern}$")).is_ok_and(|regex| regex.is_match(region))
            })
            .map(|(partition, ..)| *partition)
    }

    /// A regular expression for the names of all regions, for schemas.
    pub(crate) const REGIONS: &'static str = "[a-z]{2,4}(-[a-z]+)+-[0-9]+";

    fn row(self) -> &'static (Partition, &'static str, &'static str, &'static str) {
        // The table has a row for each, which a test holds against the enum.
        TABLE
            .iter()
            .find(|(partition, ..)| *partition == self)
            .unwrap_or(&TABLE[0])
    }

    /// The second part of an ARN.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The suffix of its host names.
    pub fn dns_suffix(self) -> &'static str {
        self.row().3
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Partition {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        TABLE
            .iter()
            .find(|(_, name, ..)| *name == text)
            .map(|(partition, ..)| *partition)
            .ok_or_else(|| Invalid::new(format!("`{text}` is not a partition of AWS"), &[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_knows_its_regions_and_no_other_takes_them() {
        for (partition, name, regions) in [
            (
                Partition::Aws,
                "aws",
                &["ca-central-1", "ap-southeast-7", "mx-central-1"][..],
            ),
            (
                Partition::China,
                "aws-cn",
                &["cn-north-1", "cn-northwest-1"],
            ),
            (
                Partition::EuropeanSovereign,
                "aws-eusc",
                &["eusc-de-east-1"],
            ),
            (
                Partition::GovCloud,
                "aws-us-gov",
                &["us-gov-east-1", "us-gov-west-1"],
            ),
            (
                Partition::Iso,
                "aws-iso",
                &["us-iso-east-1", "us-iso-west-1"],
            ),
            (Partition::IsoB, "aws-iso-b", &["us-isob-east-1"]),
            (Partition::IsoE, "aws-iso-e", &["eu-isoe-west-1"]),
            (Partition::IsoF, "aws-iso-f", &["us-isof-south-1"]),
        ] {
            assert_eq!(partition.name(), name);
            assert_eq!(name.parse(), Ok(partition));
            let shape = Regex::new(&format!("^{}$", Partition::REGIONS)).unwrap();
            for region in regions {
                assert_eq!(Partition::of_region(region), Some(partition), "{region}");
                assert!(shape.is_match(region), "{region}");
            }
        }
        for wrong in [
            "",
            "ca",
            "Europe",
            "eu-west",
            "eu-west-",
            "xx-west-1",
            "eusc-xx-east-1",
            "aws-global",
            "us-east-1 ",
            "us-east-1\n",
            "US-EAST-1",
        ] {
            assert_eq!(Partition::of_region(wrong), None, "{wrong:?}");
        }
        assert!("aws-mars".parse::<Partition>().is_err());
    }
}
