//! The person at the keyboard: who it is, and whether they mean it.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::args::WordArgs;
use crate::exit::Exit;
use crate::failure::Failure;

/// Who gives the word: as it is said, or the login name.
pub(crate) fn name(word: &WordArgs) -> Result<String, Failure> {
    if let Some(by) = &word.by {
        return Ok(by.clone());
    }
    whoami::username().map_err(|error| {
        Failure::new(Exit::Usage, "this machine does not say who you are", "say it with --by NAME")
            .because(&error)
    })
}

/// Whether there is somebody to ask, who sees the question.
pub(crate) fn can_be_asked() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Refuses at once where a question will have to be asked and nobody can be.
pub(crate) fn must_be_there(said_yes: bool) -> Result<(), Failure> {
    if said_yes || can_be_asked() {
        return Ok(());
    }
    let next = "say --yes, or run it where it can ask you";
    Err(Failure::new(Exit::Usage, "there is no terminal to ask on; nothing was done", next))
}

/// Goes on only where the person has said yes, on the command line or now.
pub(crate) fn agree(said_yes: bool, question: &[String]) -> Result<(), Failure> {
    if said_yes || agrees(&question.join("\n")) {
        return Ok(());
    }
    let next = "look with `lifeboat status`, then run it again";
    Err(Failure::new(Exit::Halted, "it was not agreed to; nothing was done", next))
}

/// Asks on standard error, which is not the command's result, and takes nothing but yes for yes.
pub(crate) fn agrees(question: &str) -> bool {
    ask(question, &mut io::stdin().lock(), &mut anstream::stderr().lock()).unwrap_or(false)
}

fn ask(question: &str, input: &mut impl BufRead, output: &mut impl Write) -> io::Result<bool> {
    write!(output, "{question} [y/N] ")?;
    output.flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for (answer, expected) in [
            ("y\n", true),
            ("Yes\n", true),
            ("\n", false),
            ("", false),
            ("n\n", false),
            ("yesterday\n", false),
        ] {
            let mut shown = Vec::new();
            assert_eq!(ask("Go on?", &mut answer.as_bytes(), &mut shown).unwrap(), expected, "{answer:?}");
            assert_eq!(shown, b"Go on? [y/N] ");
        }
    }
}
