use crate::{file, printed, root, tool, unpack};
use reverse_sync_tests::spec_example;
use serde_json::Value;
use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

/// Installs the package, without a network and without any other package.
fn installed(dir: &Path) {
    fs::write(dir.join("package.json"), r#"{ "private": true, "type": "module" }"#).unwrap();
    printed(
        Command::new("npm")
            .args(["install", "--offline", "--no-audit", "--no-fund"])
            .arg(file("reverse-sync-component-", ".tgz"))
            .current_dir(dir),
    );
}

#[test]
#[ignore = "needs Node, Python, umoci: .ci/install test"]
fn the_npm_package_plans_the_example_in_node() {
    let dir = tempfile::tempdir().unwrap();
    installed(dir.path());
    let package = dir.path().join("node_modules/reverse-sync-component");
    let manifest: Value =
        serde_json::from_slice(&fs::read(package.join("package.json")).unwrap()).unwrap();
    assert_eq!(manifest.get("scripts"), None, "nothing runs when it is installed");
    let digest = fs::read_to_string(file("component.digest", "")).unwrap();
    assert_eq!(manifest["component"]["digest"], digest.lines().last().unwrap());
    let component = fs::read(package.join("reverse_sync.wasm")).unwrap();
    assert!(component == fs::read(file("reverse_sync.wasm", "wasm")).unwrap());

    // jco, and what it has for WASI, as npm would lay them.
    let tools = tool("dist/node_modules/@bytecodealliance");
    symlink(tools, dir.path().join("node_modules/@bytecodealliance")).unwrap();
    let tests = root().join("xtask/tests/dist");
    for part in ["host.mjs", "plan.mjs"] {
        fs::copy(tests.join(part), dir.path().join(part)).unwrap();
    }
    fs::write(dir.path().join("golden.csv"), spec_example::golden()).unwrap();
    let plan = printed(Command::new("node").arg("plan.mjs").current_dir(dir.path()));
    spec_example::assert_planned(&serde_json::from_str(&plan).unwrap());
}

#[test]
#[ignore = "needs Node, Python, umoci: .ci/install test"]
fn its_types_compile_and_are_those_of_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let compiler = tool("page/node_modules/typescript/bin/tsc");
    unpack(&file("reverse-sync-component-", ".tgz"), dir.path());
    fs::create_dir(dir.path().join("node_modules")).unwrap();
    symlink("../package", dir.path().join("node_modules/reverse-sync-component")).unwrap();
    fs::copy(root().join("xtask/tests/dist/uses.ts"), dir.path().join("uses.ts")).unwrap();
    let compile = || {
        Command::new("node")
            .arg(&compiler)
            .args(["--noEmit", "--strict", "--module", "nodenext", "uses.ts"])
            .current_dir(dir.path())
            .output()
            .unwrap()
    };
    let said = compile();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    let wrong =
        fs::read_to_string(dir.path().join("uses.ts")).unwrap().replace("'offline'", "'off'");
    fs::write(dir.path().join("uses.ts"), wrong).unwrap();
    assert!(!compile().status.success(), "a mode that the contract does not have");
}
