//! What somebody meant who mistyped a word: a setting, a field, a kind.

/// The known name nearest to a mistyped one, if any is near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = known.into_iter().map(|other| (distance(name, other), other));
    // Where nothing of a word is left, nothing was meant by it.
    let near = |d: usize| d <= 1 + name.len() / 3 && d < name.len();
    let (_, other) = distances.filter(|(d, _)| near(*d)).min_by_key(|(d, _)| *d)?;
    Some(other)
}

/// Insertions, deletions and replacements between two texts (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nearest_or_none() {
        let known = ["listen", "data_dir"];
        assert_eq!(nearest("lisen", known), Some("listen"));
        assert_eq!(nearest("datadir", known), Some("data_dir"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("a", ["b"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
