//! Pure: `Fn::Cidr`, which divides a range of addresses.
//! Source: AWS CloudFormation User Guide, "Fn::Cidr".

use std::net::Ipv4Addr;

/// The first `count` ranges of `2^bits` addresses in a range of IPv4 addresses.
pub(super) fn divided(range: &str, count: u32, bits: u32) -> Result<Vec<String>, String> {
    let wrong = || format!("Template error: {range} is not a range that Fn::Cidr can divide");
    let (address, length) = range.split_once('/').ok_or_else(wrong)?;
    let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
    let length: u32 = length.parse().map_err(|_| wrong())?;
    if length > 32 || bits > 32 - length || !(1..=256).contains(&count) {
        return Err(wrong());
    }
    if u64::from(count) << bits > 1 << (32 - length) {
        return Err(wrong());
    }
    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
    let first = u32::from(address) & mask;
    let ranges = (0..count).map(|index| {
        let start = u64::from(first) + (u64::from(index) << bits);
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        format!("{}/{}", Ipv4Addr::from(start), 32 - bits)
    });
    Ok(ranges.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_each_other_and_stay_inside() {
        let found = divided("10.20.0.0/16", 4, 12).unwrap();
        let wanted = [
            "10.20.0.0/20",
            "10.20.16.0/20",
            "10.20.32.0/20",
            "10.20.48.0/20",
        ];
        assert_eq!(found, wanted);
        assert_eq!(divided("10.0.0.0/24", 1, 8).unwrap(), ["10.0.0.0/24"]);
        for (range, count, bits) in [
            ("10.0.0.0/24", 3, 7),
            ("10.0.0.0/24", 1, 9),
            ("10.0.0.0/33", 1, 0),
            ("10.0.0.0", 1, 1),
            ("10.0.0.0/24", 0, 1),
        ] {
            assert!(
                divided(range, count, bits).is_err(),
                "{range} {count} {bits}"
            );
        }
    }
}
