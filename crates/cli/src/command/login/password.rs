//! Sign-in with a name and a password.

use std::io::{IsTerminal as _, Write as _};

use anyhow::{Context as _, Result};
use dispatch_wire::SignIn;
use dispatch_wire::client::Client;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};

use super::exchange::{self, SignedIn};
use crate::hint::wrong;

/// What a shell reports of a command that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Asks for what was not given.
pub async fn sign_in(
    client: &Client,
    provider: &str,
    username: Option<&str>,
    from_stdin: bool,
) -> Result<SignedIn> {
    let needs = "--username NAME --password-stdin, with the password on standard input";
    if !from_stdin && !std::io::stdin().is_terminal() {
        return Err(wrong("a password is to be typed, but there is no terminal", needs));
    }
    let username = match username {
        Some(name) => name.to_owned(),
        None => prompt("User name: ")?.trim().to_owned(),
    };
    let password = match from_stdin {
        true => line(std::io::read_to_string(std::io::stdin())?),
        false => typed(&format!("Password of {username}: ")).await?,
    };
    if username.is_empty() || password.is_empty() {
        return Err(wrong("the user name or the password is empty", needs));
    }
    let provider = Some(provider.to_owned());
    let sign_in = SignIn {
        provider,
        username: Some(username),
        password: Some(password),
        ..SignIn::default()
    };
    exchange::begin(client, &sign_in).await
}

/// A line that is typed after a question, which is no result: it goes to stderr.
pub fn prompt(question: &str) -> Result<String> {
    let mut out = std::io::stderr();
    out.write_all(question.as_bytes())?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(line(answer))
}

/// A line without its end; spaces may be part of a password.
fn line(mut text: String) -> String {
    let length = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(length);
    text
}

/// A line that is not shown while it is typed. Ctrl-C leaves the terminal as it was.
async fn typed(question: &str) -> Result<String> {
    let before = tcgetattr(std::io::stdin()).context("the terminal does not say how it is set")?;
    end_with_ctrl_c(before.clone())?;
    let silence = Silence::begin(before).context("cannot switch the terminal's echo off")?;
    let question = question.to_owned();
    let answer = tokio::task::spawn_blocking(move || prompt(&question)).await;
    drop(silence);
    answer?
}

/// Once the signal is listened to it ends nothing by itself any more, for as long as the command
/// runs: so this goes on when the line was typed.
fn end_with_ctrl_c(before: Termios) -> Result<()> {
    let mut pressed = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        pressed.recv().await;
        drop(Silence(before));
        std::process::exit(INTERRUPTED);
    });
    Ok(())
}

/// While it lives, the terminal does not show what is typed.
struct Silence(Termios);

impl Silence {
    fn begin(before: Termios) -> rustix::io::Result<Self> {
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        // What was typed ahead was shown: it is no part of the password.
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
        // The end of the line was not shown either.
        eprintln!();
    }
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_password_keeps_its_spaces() {
        for (text, password) in [(" a b \n", " a b "), ("a\r\n", "a"), ("a", "a"), ("\n", "")] {
            assert_eq!(line(text.to_owned()), password);
        }
    }
}
