//! What a component was built from.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// The files that rustc has read, which cargo lists in this `.d` file; the manifests above them;
/// and the lock file.
pub(crate) fn of(dep_info: &Path, root: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut paths: BTreeSet<PathBuf> = listed(&fs::read_to_string(dep_info)?).into_iter().collect();
    for manifest in paths.iter().filter_map(|path| manifest(path, root)).collect::<Vec<_>>() {
        paths.insert(manifest);
    }
    // Profiles and the versions of dependencies.
    paths.extend(["Cargo.toml", "Cargo.lock"].map(|name| root.join(name)));
    Ok(paths)
}

/// The manifest of the package that a file belongs to.
fn manifest(file: &Path, root: &Path) -> Option<PathBuf> {
    let folders = file.ancestors().skip(1).take_while(|dir| dir.starts_with(root));
    folders.map(|dir| dir.join("Cargo.toml")).find(|manifest| manifest.is_file())
}

/// What stands behind the colon of a rule of make, in which a space in a name has a backslash
/// before it.
fn listed(dep_info: &str) -> Vec<PathBuf> {
    let Some((_, files)) = dep_info.lines().next().unwrap_or_default().split_once(": ") else {
        return Vec::new();
    };
    let names = files.replace("\\ ", "\0");
    names
        .split(' ')
        .filter(|name| !name.is_empty())
        .map(|name| PathBuf::from(name.replace('\0', " ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_spaces_are_read() {
        assert_eq!(
            listed("/t/a.wasm: /my\\ code/a.rs /b.rs\n"),
            [Path::new("/my code/a.rs"), Path::new("/b.rs")]
        );
        assert_eq!(listed(""), Vec::<PathBuf>::new());
    }
}
