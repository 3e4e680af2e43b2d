//! What somebody meant who mistyped a key.

/// The known name nearest to a mistyped one, if any is near.
pub fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let near = |other: &&String| distance(name, other) <= 1 + name.len() / 3;
    known.iter().filter(near).min_by_key(|other| distance(name, other)).map(String::as_str)
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
        let known = ["listen".to_owned(), "data_dir".to_owned()];
        assert_eq!(nearest("lisen", &known), Some("listen"));
        assert_eq!(nearest("datadir", &known), Some("data_dir"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
