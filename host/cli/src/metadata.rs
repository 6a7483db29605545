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
    /// The packages that were compiled into it, if it lists them.
    pub(crate) dependencies: Option<Vec<Dependency>>,
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
    /// What these bytes say. What cannot be read is not there.
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
                        metadata.dependencies = dependencies(section.data());
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

fn dependencies(compressed: &[u8]) -> Option<Vec<Dependency>> {
    let mut json = Vec::new();
    ZlibDecoder::new(compressed).take(MAX_DEPENDENCIES).read_to_end(&mut json).ok()?;
    let Audit { mut packages } = serde_json::from_slice(&json).ok()?;
    packages.retain(|package| package.kind != "build");
    Some(packages)
}
