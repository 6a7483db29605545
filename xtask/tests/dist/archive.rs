use crate::{alone, example, file, printed, unpack};
use std::{fs, process::Command};

#[test]
#[ignore = "needs Node, Python, umoci: .ci/install test"]
fn the_archive_works_where_it_was_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    unpack(&file("reverse-sync-", "-linux-gnu.tar.gz"), dir.path());
    let made = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let project = dir.path().join("project");
    fs::create_dir(&project).unwrap();
    let command = |arguments: &[&str]| {
        printed(
            alone(&made.join("bin/reverse-sync"), &[])
                .args(arguments)
                .current_dir(&project)
                .env("HOME", dir.path()),
        )
    };
    let version = command(&["--version"]);
    assert!(made.ends_with(format!(
        "reverse-sync-{}-{}-unknown-linux-gnu",
        version.trim().trim_start_matches("reverse-sync "),
        std::env::consts::ARCH
    )));
    example::plans_the_example(&project, command);
    example::plans_a_file_of_its_own(&project, command);

    let read = |path: &str| fs::read_to_string(made.join("share").join(path)).unwrap();
    for (script, tells) in [
        ("zsh/site-functions/_reverse-sync", "#compdef reverse-sync"),
        ("fish/vendor_completions.d/reverse-sync.fish", "complete -c reverse-sync"),
        ("man/man1/reverse-sync.1", "\n.TH reverse-sync 1"),
        ("man/man1/reverse-sync-plan.1", ".TH reverse-sync-plan 1"),
        ("doc/reverse-sync/LICENSE", "Apache License"),
        ("doc/reverse-sync/THIRD-PARTY", "\nwasmtime v"),
        ("doc/reverse-sync/THIRD-PARTY", "Permission is hereby granted"),
    ] {
        assert!(read(script).contains(tells), "{script}");
    }
    let completes =
        "source share/bash-completion/completions/reverse-sync; complete -p reverse-sync";
    printed(Command::new("bash").args(["-c", completes]).current_dir(&made));
    let install = read("doc/reverse-sync/INSTALL.md");
    assert!(!install.contains("${"), "{install}");
    let component = fs::read(made.join("share/reverse-sync/reverse_sync.wasm")).unwrap();
    assert!(component == fs::read(file("reverse_sync.wasm", "wasm")).unwrap());
}
