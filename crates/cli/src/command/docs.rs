//! The reference of all commands, made from their definitions: docs/reference/cli.md.

use std::fmt::Write as _;

use clap::{Command, CommandFactory as _};

use crate::arguments::Arguments;

/// The whole reference as Markdown.
pub fn reference() -> String {
    let mut text =
        String::from("# The dispatch command\n\nEvery command prints its help with --help.\n");
    let mut root = Arguments::command().term_width(100);
    root.build();
    write(&mut text, &mut root, "");
    text
}

fn write(text: &mut String, command: &mut Command, above: &str) {
    if !above.is_empty() {
        // They stand once, at the top.
        let plain = command.clone().mut_args(|arg| {
            let global = arg.is_global_set();
            arg.hide(global)
        });
        *command = plain;
    }
    let name = format!("{above}{}", command.get_name());
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    // Writing to a String cannot fail.
    let _ = write!(text, "\n## {name}\n\n```text\n{}\n```\n", help.join("\n").trim_end());
    let above = format!("{name} ");
    for sub in command.get_subcommands_mut() {
        if !sub.is_hide_set() && sub.get_name() != "help" {
            write(text, sub, &above);
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    /// `DISPATCH_UPDATE=1` rewrites the file.
    #[test]
    fn the_reference_equals_the_commands() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/cli.md");
        if std::env::var_os("DISPATCH_UPDATE").is_some() {
            std::fs::write(file, reference()).unwrap();
        }
        let found = std::fs::read_to_string(file).unwrap_or_default();
        assert!(found == reference(), "{file}: run with DISPATCH_UPDATE=1");
    }

    #[test]
    fn the_definitions_hold_together() {
        Arguments::command().debug_assert();
    }

    /// Words as a shell takes them apart: quotes, and lines that go on.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
        for c in line.replace("\\\n", " ").chars() {
            match c {
                '\'' => quoted = !quoted,
                c if c.is_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
                c => word.push(c),
            }
        }
        words.push(word);
        words.into_iter().filter(|word| !word.is_empty()).collect()
    }

    fn examples(command: &Command, found: &mut Vec<String>) {
        let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let lines = text.replace("\\\n", "\\\r");
        let of_ours = lines.lines().filter_map(|line| Some(line.split_once("dispatch ")?.1));
        found.extend(of_ours.map(|line| line.replace('\r', "\n")));
        command.get_subcommands().for_each(|sub| examples(sub, found));
    }

    #[test]
    fn the_examples_of_every_help_can_be_typed() {
        let mut found = Vec::new();
        examples(&Arguments::command(), &mut found);
        assert!(found.len() > 30, "{}", found.len());
        for example in found {
            // What is redirected, or stands in a substitution, ends the command.
            let line = example.split([')', '>']).next().unwrap_or_default();
            let words = words(&format!("dispatch {line}"));
            let parsed = Arguments::try_parse_from(&words);
            assert!(parsed.is_ok(), "{words:?}: {}", parsed.err().unwrap());
        }
    }
}
