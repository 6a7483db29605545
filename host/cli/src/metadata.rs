//! What a component's file says of itself in custom sections: OCI's annotations, as `wasm-tools
//! metadata` writes them, and its dependencies, as cargo-auditable does. Nothing proves any of it.

use flate2::read::ZlibDecoder;
use serde::Deserialize;
use std::io::Read as _;
use wasmparser::{ComponentName, KnownCustom, Parser, Payload};

/// Bytes that a list of dependencies may have.
const MAX_DEPENDENCIES: u64 = 2 << 20;

/// What a component's file says of itself.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    /// Name and value of each section that is there, in this order: name, version, authors,
    /// licenses, source, homepage, revision, description.
    pub(crate) said: Vec<(&'static str, String)>,
    /// The packages that were compiled into it, if it lists them, or why the list cannot be read.
    pub(crate) dependencies: Option<Result<Vec<Dependency>, String>>,
}

/// A package that was compiled into a component.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) source: String,
    #[serde(default)]
    pub(crate) root: bool,
    #[serde(default)]
    kind: String,
}

#[derive(Deserialize)]
struct Audit {
    packages: Vec<Dependency>,
}

const SECTIONS: [&str; 8] =
    ["name", "version", "authors", "licenses", "source", "homepage", "revision", "description"];

impl Metadata {
    /// What these bytes say.
    pub(crate) fn of(component: &[u8]) -> Metadata {
        let mut metadata = Metadata::default();
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(component) {
            match payload {
                Ok(Payload::Version { .. }) => depth += 1,
                Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
                Ok(Payload::CustomSection(section)) => {
                    // cargo-auditable puts them into the module within the component.
                    if section.name() == ".dep-v0" && metadata.dependencies.is_none() {
                        metadata.dependencies = Some(dependencies(section.data()));
                    }
                    if depth != 1 {
                        continue;
                    }
                    let text = match section.as_known() {
                        KnownCustom::ComponentName(names) => {
                            names.into_iter().flatten().find_map(|name| match name {
                                ComponentName::Component { name, .. } => Some(("name", name)),
                                _ => None,
                            })
                        }
                        _ => SECTIONS[1..]
                            .iter()
                            .find(|name| **name == section.name())
                            .and_then(|name| Some((*name, str::from_utf8(section.data()).ok()?))),
                    };
                    metadata.said.extend(text.map(|(name, text)| (name, text.to_owned())));
                }
                Ok(_) => {}
                // It was loaded, so the sandbox could read it.
                Err(_) => break,
            }
        }
        metadata.said.sort_by_key(|(name, _)| SECTIONS.iter().position(|known| known == name));
        metadata
    }
}

fn dependencies(compressed: &[u8]) -> Result<Vec<Dependency>, String> {
    let mut json = Vec::new();
    ZlibDecoder::new(compressed)
        .take(MAX_DEPENDENCIES)
        .read_to_end(&mut json)
        .map_err(|error| error.to_string())?;
    let Audit { mut packages } =
        serde_json::from_slice(&json).map_err(|error| error.to_string())?;
    packages.retain(|package| package.kind != "build");
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

    /// A component that is nothing but this section.
    fn with_dependencies(list: &[u8]) -> Vec<u8> {
        let mut component = HEADER.to_vec();
        let name = b".dep-v0";
        component.extend([0, (1 + name.len() + list.len()) as u8, name.len() as u8]);
        component.extend([name, list].concat());
        component
    }

    #[test]
    fn a_list_that_cannot_be_read_is_not_called_missing() {
        let damaged = Metadata::of(&with_dependencies(b"no zlib"));
        assert!(damaged.dependencies.unwrap().is_err());
        assert!(Metadata::of(HEADER).dependencies.is_none());
    }
}
