//! Paragraphs of `Name: value` lines: deb822, copyright files, Python's METADATA, manifests.

/// The fields of one paragraph in their order; names as they were written.
#[derive(Debug, Default)]
pub struct Paragraph<'a>(Vec<(&'a str, String)>);

impl Paragraph<'_> {
    /// The first field of that name, whatever its case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let named = |(key, _): &&(&str, String)| key.eq_ignore_ascii_case(name);
        self.0.iter().find(named).map(|(_, value)| value.as_str())
    }

    /// The first field of exactly that name.
    pub fn exact(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        let named = move |(key, _): &&(&str, String)| key.eq_ignore_ascii_case(name);
        self.0.iter().filter(named).map(|(_, value)| value.as_str())
    }
}

/// The paragraphs of a text: empty lines are between them, lines that start with a blank go on
/// with the field above (its line breaks stay). Lines that are neither are left out.
pub fn paragraphs(text: &str) -> impl Iterator<Item = Paragraph<'_>> {
    let mut lines = text.lines();
    std::iter::from_fn(move || {
        let mut paragraph = Paragraph::default();
        for line in lines.by_ref() {
            if line.trim().is_empty() {
                if paragraph.0.is_empty() {
                    continue;
                }
                break;
            }
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = paragraph.0.last_mut() {
                    value.push('\n');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                paragraph.0.push((name.trim(), value.trim().to_owned()));
            }
        }
        (!paragraph.0.is_empty()).then_some(paragraph)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_and_continuations() {
        let text = "\n\nA: 1\nB:  two\n more\nnonsense\n\n \nA: 2\na: 3\n";
        let all: Vec<_> = paragraphs(text).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].get("b"), Some("two\nmore"));
        assert_eq!(all[1].all("A").collect::<Vec<_>>(), ["2", "3"]);
        assert_eq!(paragraphs(" lost\n\n").count(), 0);
    }
}
