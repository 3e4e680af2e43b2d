//! The shared file of profiles, as the AWS command line writes it.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::super::signature::Credentials;

/// The access key of a profile; `None` when the file or the profile is not there.
///
/// # Errors
/// One sentence when the file cannot be read, or the profile was asked for and is not there.
pub fn read(
    profile: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Credentials>, String> {
    let named = profile.map(str::to_owned).or_else(|| variable("AWS_PROFILE"));
    let file = variable("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
    let home = || Some(PathBuf::from(variable("HOME")?).join(".aws/credentials"));
    let Some(file) = file.or_else(home) else { return Ok(None) };
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => return Ok(None),
        Err(error) => return Err(format!("{} cannot be read: {error}", file.display())),
    };
    let name = named.as_deref().unwrap_or("default");
    match (section(&text, name), named.is_some()) {
        (None, true) => Err(format!("{} has no access key of [{name}]", file.display())),
        (found, _) => Ok(found),
    }
}

/// The keys below `[name]`.
fn section(text: &str, name: &str) -> Option<Credentials> {
    let head = |line: &str| {
        let line = line.trim();
        line.strip_prefix('[')?.strip_suffix(']').map(|name| name.trim().to_owned())
    };
    let lines = text.lines().skip_while(|line| head(line).as_deref() != Some(name)).skip(1);
    let lines: Vec<_> = lines.take_while(|line| head(line).is_none()).collect();
    let value = |key: &str| {
        let pairs = lines.iter().filter_map(|line| line.split_once('='));
        let mut values = pairs.filter(|(k, _)| k.trim() == key).map(|(_, v)| v.trim().to_owned());
        values.next_back().filter(|value| !value.is_empty())
    };
    Some(Credentials {
        access_key_id: value("aws_access_key_id")?,
        secret_access_key: value("aws_secret_access_key")?,
        session_token: value("aws_session_token"),
    })
}
