//! Merges two changes of a text, line by line, as git does where the changes do not touch. Pure.

/// The result of a merge.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Merge {
    Clean(String),
    Conflict,
}

/// The most lines of a text that are compared; the time grows with their product.
const LINES: usize = 4000;

/// A replacement of lines of the base: from, to (exclusive), and the new lines.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit<'a> {
    from: usize,
    to: usize,
    lines: Vec<&'a str>,
}

/// Merges the changes of two texts since their base. Changes that touch or overlap conflict, unless
/// they are the same.
pub(super) fn three_way(base: &str, ours: &str, theirs: &str) -> Merge {
    let split = |text: &'_ str| text.split_inclusive('\n').count();
    if [base, ours, theirs].iter().any(|text| split(text) > LINES) {
        return Merge::Conflict;
    }
    let lines: Vec<&str> = base.split_inclusive('\n').collect();
    let mut edits = edits(&lines, ours);
    for edit in self::edits(&lines, theirs) {
        if !edits.contains(&edit) {
            edits.push(edit);
        }
    }
    edits.sort_by_key(|edit| (edit.from, edit.to));
    if edits.windows(2).any(|pair| pair[1].from <= pair[0].to) {
        return Merge::Conflict;
    }
    let mut out = String::new();
    let mut at = 0;
    for edit in edits {
        out.extend(lines.get(at..edit.from).unwrap_or_default().iter().copied());
        out.extend(edit.lines);
        at = edit.to;
    }
    out.extend(lines.get(at..).unwrap_or_default().iter().copied());
    Merge::Clean(out)
}

/// The smallest edits that turn the base into a text, from the longest common subsequence.
fn edits<'a>(base: &[&str], text: &'a str) -> Vec<Edit<'a>> {
    let new: Vec<&str> = text.split_inclusive('\n').collect();
    let start = base.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&base[start..], &new[start..]);
    let pairs = old_rest.iter().rev().zip(new_rest.iter().rev());
    let end = pairs.take_while(|(a, b)| a == b).count();
    let old_rest = &old_rest[..old_rest.len() - end];
    let new_rest = &new_rest[..new_rest.len() - end];
    // Length of the common subsequence of what follows each pair of positions.
    let width = new_rest.len() + 1;
    let mut common = vec![0_u32; (old_rest.len() + 1) * width];
    for i in (0..old_rest.len()).rev() {
        for j in (0..new_rest.len()).rev() {
            common[i * width + j] = if old_rest[i] == new_rest[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let mut out: Vec<Edit<'a>> = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < old_rest.len() || j < new_rest.len() {
        if i < old_rest.len() && j < new_rest.len() && old_rest[i] == new_rest[j] {
            i += 1;
            j += 1;
            continue;
        }
        let at = start + i;
        let open = out.last().is_some_and(|last| last.to == at);
        if !open {
            out.push(Edit {
                from: at,
                to: at,
                lines: Vec::new(),
            });
        }
        let delete = j == new_rest.len()
            || (i < old_rest.len() && common[(i + 1) * width + j] >= common[i * width + j + 1]);
        if let Some(last) = out.last_mut() {
            if delete {
                last.to += 1;
                i += 1;
            } else {
                last.lines.push(new_rest[j]);
                j += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "a\nb\nc\nd\ne\n";

    #[track_caller]
    fn merges(ours: &str, theirs: &str, wanted: &str) {
        assert_eq!(
            three_way(BASE, ours, theirs),
            Merge::Clean(wanted.to_owned())
        );
        assert_eq!(
            three_way(BASE, theirs, ours),
            Merge::Clean(wanted.to_owned())
        );
    }

    #[test]
    fn changes_apart_from_each_other_are_both_made() {
        merges("A\nb\nc\nd\ne\n", "a\nb\nc\nd\nE\n", "A\nb\nc\nd\nE\n");
        merges(
            "a\nb\nc\nd\ne\nf\n",
            "0\na\nb\nc\nd\ne\n",
            "0\na\nb\nc\nd\ne\nf\n",
        );
        merges(
            "a\nc\nd\ne\n",
            "a\nb\nc\nd\nX\nY\ne\n",
            "a\nc\nd\nX\nY\ne\n",
        );
        merges("a\nb\nc\nd\ne", "A\nb\nc\nd\ne\n", "A\nb\nc\nd\ne");
    }

    /// All texts of up to `longest` lines of two kinds.
    fn texts(longest: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut last = all.clone();
        for _ in 0..longest {
            let longer = |text: &String| ["a\n", "b\n"].map(|line| format!("{text}{line}"));
            last = last.iter().flat_map(longer).collect();
            all.extend(last.clone());
        }
        all
    }

    /// The lines that two texts have in common, by trying everything.
    fn in_common(one: &[&str], other: &[&str]) -> usize {
        match (one, other) {
            ([a, one @ ..], [b, other @ ..]) if a == b => 1 + in_common(one, other),
            ([_, shorter @ ..], [_, less @ ..]) => {
                in_common(shorter, other).max(in_common(one, less))
            }
            _ => 0,
        }
    }

    #[test]
    fn edits_are_the_fewest_and_make_the_text() {
        let texts = texts(5);
        for base in &texts {
            let lines: Vec<&str> = base.split_inclusive('\n').collect();
            for text in &texts {
                let edits = edits(&lines, text);
                let apart = edits.windows(2).all(|pair| pair[0].to < pair[1].from);
                assert!(apart, "{base:?} {text:?} {edits:?}");
                let new: Vec<&str> = text.split_inclusive('\n').collect();
                let count: usize = edits
                    .iter()
                    .map(|it| it.to - it.from + it.lines.len())
                    .sum();
                let fewest = lines.len() + new.len() - 2 * in_common(&lines, &new);
                assert_eq!(count, fewest, "{base:?} {text:?} {edits:?}");
                assert_eq!(three_way(base, text, base), Merge::Clean(text.clone()));
            }
        }
    }

    #[test]
    fn a_text_with_too_many_lines_is_not_compared() {
        let long = "x\n".repeat(LINES);
        let longer = "x\n".repeat(LINES + 1);
        assert_eq!(three_way(&long, &long, &long), Merge::Clean(long.clone()));
        for (base, ours, theirs) in [
            (&longer, &long, &long),
            (&long, &longer, &long),
            (&long, &long, &longer),
        ] {
            assert_eq!(three_way(base, ours, theirs), Merge::Conflict);
        }
    }

    #[test]
    fn the_same_change_on_both_sides_is_made_once() {
        merges("a\nB\nc\nd\ne\n", "a\nB\nc\nd\nE\n", "a\nB\nc\nd\nE\n");
        merges(BASE, "x\n", "x\n");
    }

    #[test]
    fn changes_that_touch_conflict() {
        for (ours, theirs) in [
            ("a\nB\nc\nd\ne\n", "a\nX\nc\nd\ne\n"),
            ("a\nB\nc\nd\ne\n", "a\nb\nC\nd\ne\n"),
            ("a\nb\nx\nc\nd\ne\n", "a\nb\ny\nc\nd\ne\n"),
            ("", "A\nb\nc\nd\ne\n"),
        ] {
            assert_eq!(three_way(BASE, ours, theirs), Merge::Conflict, "{ours:?}");
        }
    }
}
