use crate::{checked, file, printed, root, unpack};
use reverse_sync_tests::spec_example;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Crates and where their sources are.
const CRATES: [(&str, &str); 2] = [("reverse-sync", "host"), ("reverse-sync-wire", "plugin/wire")];

/// A crate as it was unpacked.
fn unpacked(name: &str, dir: &Path) -> PathBuf {
    let version = env!("CARGO_PKG_VERSION");
    unpack(&file(&format!("{name}-{version}"), ".crate"), dir);
    dir.join(format!("{name}-{version}"))
}

/// The files below a folder, relative to it.
fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(dir).unwrap().to_owned());
            }
        }
    }
    found
}

#[test]
#[ignore = "needs Node, Python, umoci: .ci/install test"]
fn the_crates_have_their_sources_and_nothing_of_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    for (name, path) in CRATES {
        let (unpacked, source) = (unpacked(name, dir.path()), root().join(path));
        assert_eq!(files(&unpacked.join("src")), files(&source.join("src")), "{name}");
        let manifest = fs::read_to_string(unpacked.join("Cargo.toml")).unwrap();
        assert!(!manifest.contains("path = \"."), "{manifest}");
        assert!(!manifest.contains("publish = false"), "{manifest}");
        for file in ["README.md", "LICENSE"] {
            assert!(unpacked.join(file).is_file(), "{name}: {file}");
        }
    }
    let contract = dir.path().join(concat!("reverse-sync-", env!("CARGO_PKG_VERSION"), "/wit"));
    assert_eq!(files(&contract), files(&root().join("wit")));
    let component = unpacked("reverse-sync-component", dir.path()).join("src/reverse_sync.wasm");
    assert!(fs::read(component).unwrap() == fs::read(file("reverse_sync.wasm", "wasm")).unwrap());
}

/// A program of somebody else, whose only source of these crates is what would be published. It
/// builds all dependencies anew, so it is for a release.
#[test]
#[ignore = "needs Node, Python, umoci: .ci/install test"]
fn a_program_that_embeds_the_crates_plans_the_example() {
    if checked().is_none() {
        println!("left out: `cargo xtask dist --check` does this");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut manifest = String::from(
        r#"
[package]
name = "embedder"
version = "0.0.0"
edition = "2024"
[profile.dev]
debug = false
[dependencies]
reverse-sync = "0.1.0"
reverse-sync-component = "0.1.0"
serde_json = "1.0"
tokio = { version = "1.54", features = ["rt-multi-thread", "macros"] }
[patch.crates-io]
"#,
    );
    for name in ["reverse-sync", "reverse-sync-wire", "reverse-sync-component"] {
        let unpacked = unpacked(name, dir.path());
        manifest.push_str(&format!("{name} = {{ path = {unpacked:?} }}\n"));
    }
    fs::create_dir(dir.path().join("src")).unwrap();
    fs::write(dir.path().join("Cargo.toml"), manifest).unwrap();
    // The versions that the library was tested with.
    let lock = format!("reverse-sync-{}/Cargo.lock", env!("CARGO_PKG_VERSION"));
    fs::copy(dir.path().join(lock), dir.path().join("Cargo.lock")).unwrap();
    let program = root().join("xtask/tests/dist/embedder.rs");
    fs::copy(program, dir.path().join("src/main.rs")).unwrap();
    fs::write(dir.path().join("golden.csv"), spec_example::golden()).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    let plan = printed(cargo.args(["run", "--quiet"]).current_dir(dir.path()));
    spec_example::assert_planned(&serde_json::from_str(&plan).unwrap());
}
