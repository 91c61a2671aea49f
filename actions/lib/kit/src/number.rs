//! Arguments that are whole numbers.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Returns a parser for a whole number of `range`, whose error names the range; clap's own quotes Rust's words for what
/// is wrong with a number.
pub fn whole<T>(
    range: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |text| {
        let number = text.trim().parse().ok();
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                let (first, last) = (range.start(), range.end());
                format!("`{text}` is not a whole number from {first} to {last}")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_number_of_the_range_is_read() {
        let parse = whole(1..=100_u32);
        assert_eq!(parse("1"), Ok(1));
        assert_eq!(parse("100\n"), Ok(100));
        for wrong in ["", "0", "101", "-1", "1.5", "ten", "99999999999999999999"] {
            let message = format!("`{wrong}` is not a whole number from 1 to 100");
            assert_eq!(parse(wrong), Err(message));
        }
    }
}
