//! What a component says of itself, in custom sections: its name, version, authors, licence, source
//! and description where `wasm-tools metadata`, `jco metadata-show` and `wkg` look for them, and
//! its dependencies as cargo-auditable writes them, for scanners of vulnerabilities.
//!
//! All of it is in the manifests and the lock file, so it is the same in every clone. The revision
//! is left out: the digest of the component is recorded in the revision itself. So are build
//! dependencies and procedural macros: nothing of them is in the component, and which there are may
//! depend on the machine.

use crate::TARGET;
use serde_json::{Value, json};
use std::{collections::BTreeMap, io, process::Command};
use wasm_encoder::{Component, ComponentNameSection, ComponentSection, CustomSection};

/// As cargo-auditable compresses.
const LEVEL: u8 = 7;

/// A component with what there is to say about the package that it was built from. `cargo` makes a
/// command of cargo, in the workspace.
pub(crate) fn add(
    component: &[u8],
    package: &str,
    cargo: impl Fn() -> Command,
) -> io::Result<Vec<u8>> {
    let mut command = cargo();
    command.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let manifest = manifest(&output(&mut command)?, package)?;
    let mut command = cargo();
    command.args(["tree", "--locked", "--package", package, "--target", TARGET]);
    command.args(["--edges", "normal,no-proc-macro", "--prefix", "depth", "--format", "{p}"]);
    let dependencies = dependencies(&output(&mut command)?)?.to_string();

    let code = component.strip_prefix(&Component::HEADER);
    let code = code.ok_or_else(|| io::Error::other(format!("{package} is not a component")))?;
    let mut out = Component::HEADER.to_vec();
    // First of all: tools that know modules only stop at the end of the first one.
    let dependencies = miniz_oxide::deflate::compress_to_vec_zlib(dependencies.as_bytes(), LEVEL);
    custom(&mut out, ".dep-v0", &dependencies);
    let mut name = ComponentNameSection::new();
    name.component(package);
    name.append_to_component(&mut out);
    let text = |key: &str| manifest[key].as_str().map(str::to_owned);
    let authors = manifest["authors"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let authors = authors.collect::<Vec<_>>().join(", ");
    for (name, text) in [
        ("version", text("version")),
        ("authors", Some(authors).filter(|authors| !authors.is_empty())),
        ("licenses", text("license")),
        ("source", text("repository")),
        ("description", text("description")),
    ] {
        if let Some(text) = text {
            custom(&mut out, name, text.as_bytes());
        }
    }
    out.extend_from_slice(code);
    Ok(out)
}

fn custom(component: &mut Vec<u8>, name: &str, data: &[u8]) {
    CustomSection { name: name.into(), data: data.into() }.append_to_component(component);
}

fn output(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("{command:?} failed: {said}")));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}

/// A package, out of what `cargo metadata` prints.
fn manifest(metadata: &str, package: &str) -> io::Result<Value> {
    let metadata: Value = serde_json::from_str(metadata)?;
    let mut packages = metadata["packages"].as_array().into_iter().flatten();
    let found = packages.find(|it| it["name"] == package).cloned();
    found.ok_or_else(|| io::Error::other(format!("cargo knows no package {package}")))
}

/// A package: name, version, and where it comes from.
type Package<'a> = (&'a str, &'a str, &'static str);

/// What `cargo tree` prints (the depth and the package, a line each, the subtree of each package
/// once), as cargo-auditable's JSON: <https://github.com/rust-secure-code/cargo-auditable>.
fn dependencies(tree: &str) -> io::Result<Value> {
    let mut edges: BTreeMap<Package<'_>, Vec<Package<'_>>> = BTreeMap::new();
    let mut path: Vec<Package<'_>> = Vec::new();
    for line in tree.lines() {
        let unknown = || io::Error::other(format!("cargo tree printed `{line}`"));
        let name = line.find(|c: char| !c.is_ascii_digit()).ok_or_else(unknown)?;
        let depth: usize = line[..name].parse().map_err(|_| unknown())?;
        let mut words = line[name..].splitn(3, ' ');
        let (Some(name), Some(version)) =
            (words.next(), words.next().and_then(|it| it.strip_prefix('v')))
        else {
            return Err(unknown());
        };
        let source = match words.next().unwrap_or_default() {
            "" | "(*)" => "crates.io",
            rest if rest.starts_with("(registry ") => "registry",
            rest if rest.contains("://") => "git",
            _ => "local",
        };
        let package = (name, version, source);
        path.truncate(depth);
        edges.entry(package).or_default();
        if let Some(parent) = path.last() {
            let of_parent = edges.entry(*parent).or_default();
            if !of_parent.contains(&package) {
                of_parent.push(package);
            }
        }
        path.push(package);
    }
    let root = path.first().copied();
    let order: Vec<_> = edges.keys().copied().collect();
    let packages = edges.iter().map(|(package, on)| {
        let mut on: Vec<_> = on.iter().filter_map(|it| order.binary_search(it).ok()).collect();
        on.sort_unstable();
        let (name, version, source) = package;
        let mut entry = json!({ "name": name, "version": version, "source": source });
        if !on.is_empty() {
            entry["dependencies"] = json!(on);
        }
        if Some(*package) == root {
            entry["root"] = json!(true);
        }
        entry
    });
    // Format 1: procedural macros do not count as a part of what was built.
    Ok(json!({ "format": 1, "packages": packages.collect::<Vec<_>>() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read_with_all_its_edges() {
        let tree = "0plugin v0.1.0 (/home/me/my code/plugin)\n1a v1.0.0\n2c v3.0.0-rc.1+x\n1b v2.0.0\n2a v1.0.0 (*)\n2d v4.0.0 (https://example.com/d?rev=1#1234)\n";
        let on = |dependencies: &[usize]| json!(dependencies);
        assert_eq!(
            dependencies(tree).unwrap(),
            json!({"format": 1, "packages": [
                {"name": "a", "version": "1.0.0", "source": "crates.io", "dependencies": on(&[2])},
                {"name": "b", "version": "2.0.0", "source": "crates.io", "dependencies": on(&[0, 3])},
                {"name": "c", "version": "3.0.0-rc.1+x", "source": "crates.io"},
                {"name": "d", "version": "4.0.0", "source": "git"},
                {"name": "plugin", "version": "0.1.0", "source": "local", "dependencies": on(&[0, 1]), "root": true},
            ]})
        );
        assert!(dependencies("[build-dependencies]").is_err());
    }
}
