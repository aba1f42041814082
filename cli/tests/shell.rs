//! Completions, manual pages, help and exit codes: what a person finds out about the command from the command.

mod support;

use support::Folder;

/// Every command, by its words.
fn commands() -> Vec<Vec<String>> {
    fn below(words: &[String], found: &mut Vec<Vec<String>>) {
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = Folder::new().lifeboat(&arguments).out;
        let Some(listed) = help.split("\nCommands:\n").nth(1) else {
            return found.push(words.to_vec());
        };
        for line in listed.lines().take_while(|line| !line.is_empty()) {
            let name = line.split_whitespace().next().expect("a name").to_owned();
            below(&[words, &[name]].concat(), found);
        }
    }
    let mut found = Vec::new();
    below(&[], &mut found);
    found
}

#[test]
fn every_command_has_help_with_examples_and_exit_codes() {
    let commands = commands();
    assert!(commands.len() >= 20, "the commands were not found: {commands:?}");
    for words in commands {
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = Folder::new().lifeboat(&arguments);
        let example = format!("lifeboat {}", words.join(" "));
        let examples = help.out.split("Examples:").nth(1).unwrap_or_default();
        assert!(examples.contains(&example), "{words:?} has no example of itself: {}", help.out);
        assert!(help.out.contains("Exit codes:"), "{words:?}");
        let row = format!("| `lifeboat {}` |", words.join(" "));
        assert!(lifeboat::exits::table().contains(&row), "{words:?} has no row in the table of exit codes");
        assert_eq!((help.code, help.err.as_str()), (0, ""), "{words:?}");
    }
}

#[test]
fn completions_name_the_commands_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Folder::new().lifeboat(&["completions", shell]);
        assert_eq!(script.code, 0, "{shell}");
        for word in ["failover", "handback", "maintenance"] {
            assert!(script.out.contains(word), "{shell} does not know {word}");
        }
    }
    assert_eq!(Folder::new().lifeboat(&["completions", "tcsh"]).code, 64);
}

#[test]
fn bash_completes_by_the_script() {
    let script = Folder::new().lifeboat(&["completions", "bash"]).out;
    let probe =
        "COMP_WORDS=(lifeboat han); COMP_CWORD=1; _lifeboat lifeboat han lifeboat; echo \"${COMPREPLY[@]}\"";
    let bash = std::process::Command::new("bash").args(["-c", &format!("{script}\n{probe}")]).output();
    let said = String::from_utf8(bash.expect("bash runs").stdout).expect("UTF-8");
    assert_eq!(said.trim(), "handback");
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let folder = Folder::new();
    let page = folder.lifeboat(&["man"]);
    assert!(page.out.contains(".TH lifeboat 1") && page.out.contains("failover"), "{}", page.out);
    let pages = folder.lifeboat(&["man", "pages", "--json"]).json();
    assert_eq!(pages["folder"], "pages");
    for words in commands() {
        let page = folder.path(&format!("pages/lifeboat-{}.1", words.join("-")));
        assert!(page.is_file(), "{}", page.display());
    }
    folder.write("taken", "a file");
    assert_eq!(folder.lifeboat(&["man", "taken"]).code, 73);
}
