//! All languages of a server: those that come with it, and the operator's own.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::builtin::FOLDERS;
use super::{HostFile, Language, LanguageError, check};

/// Largest description, in bytes.
const MAX_DESCRIPTION_BYTES: u64 = 64 << 10;
/// Largest file of a host, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Folders an operator's directory may have.
const MAX_FOLDERS: usize = 64;

/// Languages by name.
#[derive(Debug, Clone)]
pub struct Languages(BTreeMap<String, Arc<Language>>);

impl Languages {
    /// Those that come with the server.
    pub fn builtin() -> Self {
        let read = FOLDERS.iter().map(|folder| {
            let mut language = check::parse(folder.path, folder.description)
                .expect("a test reads each description that is built in");
            let file = |(name, text): &(&str, &str)| HostFile {
                name: (*name).to_owned(),
                text: Arc::from(*text),
            };
            language.files = folder.files.iter().map(file).collect();
            (language.name.clone(), Arc::new(language))
        });
        Self(read.collect())
    }

    /// Those, and an operator's own from a directory; an empty path is none.
    ///
    /// # Errors
    /// As [`Languages::with_directory`].
    pub fn load(directory: &Path) -> Result<Self, LanguageError> {
        match directory.as_os_str().is_empty() {
            true => Ok(Self::builtin()),
            false => Self::builtin().with_directory(directory),
        }
    }

    /// Adds an operator's languages: each folder in the directory is one. Files beside them are
    /// left alone, and so are folders whose name begins with a dot.
    ///
    /// # Errors
    /// The first folder that cannot be used; then none of them is.
    pub fn with_directory(mut self, directory: &Path) -> Result<Self, LanguageError> {
        let shown = directory.display();
        let unreadable = |e: std::io::Error| LanguageError::new(&shown, e);
        let entries = std::fs::read_dir(directory).map_err(&unreadable)?;
        let mut folders = Vec::new();
        for entry in entries {
            let path = entry.map_err(&unreadable)?.path();
            let hidden = path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
            if path.is_dir() && !hidden {
                folders.push(path);
            }
        }
        if folders.len() > MAX_FOLDERS {
            let text = format!("has {} folders; {MAX_FOLDERS} are allowed", folders.len());
            return Err(LanguageError::new(&shown, text));
        }
        folders.sort();
        let mut added: Vec<String> = Vec::new();
        for folder in folders {
            let language = read(&folder)?;
            let file = folder.join("language.toml");
            if added.contains(&language.name) {
                let text = format!("is {:?}, as in another folder; choose another", language.name);
                return Err(LanguageError::field(file.display(), "name", text));
            }
            if self.0.contains_key(&language.name) && !language.replaces {
                let text = format!(
                    "is {:?}, a language that comes with the server; choose another, or write \
                     `replaces = true`",
                    language.name
                );
                return Err(LanguageError::field(file.display(), "name", text));
            }
            added.push(language.name.clone());
            self.0.insert(language.name.clone(), Arc::new(language));
        }
        Ok(self)
    }

    /// The language of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Language>> {
        self.0.get(name)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Language>> {
        self.0.values()
    }
}

fn read(folder: &Path) -> Result<Language, LanguageError> {
    let file = folder.join("language.toml");
    let text = read_text(&file, MAX_DESCRIPTION_BYTES)?;
    let mut language = check::parse(&file.display().to_string(), &text)?;
    for name in &language.names {
        let text = read_text(&folder.join(name), MAX_FILE_BYTES)?;
        language.files.push(HostFile { name: name.clone(), text: text.into() });
    }
    Ok(language)
}

fn read_text(path: &Path, max_bytes: u64) -> Result<String, LanguageError> {
    let wrong = |text: String| LanguageError::new(path.display(), text);
    let file = File::open(path).map_err(|e| wrong(e.to_string()))?;
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(|e| wrong(e.to_string()))?;
    if bytes.len() as u64 > max_bytes {
        return Err(wrong(format!("it is larger than the {max_bytes} bytes that are allowed")));
    }
    String::from_utf8(bytes).map_err(|_| wrong("it is not text in UTF-8".to_owned()))
}
