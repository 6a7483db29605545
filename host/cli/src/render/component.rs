//! What a component asks for, in words.

use crate::metadata::Metadata;
use reverse_sync::{
    check,
    component::{Component, Effect, Phase},
    contract::capabilities::RequiredScopes,
    visible::one_line,
};
use std::{fmt::Write as _, path::Path};

/// What a component says of itself, with its dependencies or their number, and what it asks for.
pub(crate) fn component(
    component: &Component,
    metadata: &Metadata,
    dependencies: bool,
    file: Option<&Path>,
) -> String {
    let mut out = String::new();
    let _ = component_into(&mut out, component, metadata, dependencies, file);
    out
}

fn metadata_into(out: &mut String, metadata: &Metadata, list: bool) -> std::fmt::Result {
    if metadata.said.is_empty() && metadata.dependencies.is_none() {
        return writeln!(out, "The file says neither who made it nor what it was built from.\n");
    }
    writeln!(out, "The file says of itself:")?;
    for (name, text) in &metadata.said {
        writeln!(out, "  {name:<13}{}", one_line(text))?;
    }
    match &metadata.dependencies {
        None => writeln!(out, "  dependencies not listed")?,
        Some(Err(error)) => {
            writeln!(
                out,
                "  dependencies listed, but the list cannot be read: {}",
                one_line(error)
            )?;
        }
        Some(Ok(packages)) => {
            let compiled = packages.iter().filter(|package| !package.root).count();
            let how = if list { "" } else { " (--dependencies lists them)" };
            writeln!(out, "  dependencies {compiled} packages{how}")?;
            for package in packages.iter().filter(|package| list && !package.root) {
                let named =
                    [&package.name, &package.version, &package.source].map(|it| one_line(it));
                writeln!(out, "    {} {} ({})", named[0], named[1], named[2])?;
            }
        }
    }
    writeln!(out)
}

fn component_into(
    out: &mut String,
    component: &Component,
    metadata: &Metadata,
    dependencies: bool,
    file: Option<&Path>,
) -> std::fmt::Result {
    let descriptor = component.descriptor();
    let from = file
        .map_or_else(|| "bundled with this command".to_owned(), |file| file.display().to_string());
    writeln!(
        out,
        "{} {} ({from})\n{}\n",
        one_line(&descriptor.name),
        one_line(&descriptor.version),
        component.digest()
    )?;
    metadata_into(out, metadata, dependencies)?;
    writeln!(
        out,
        "It never sees a credential. While planning it has no network, apart from reads listed here for `plan`."
    )?;
    for served in &descriptor.destinations {
        writeln!(
            out,
            "\n{} (for sources of provider {})\n  {}",
            one_line(&served.name),
            one_line(&served.provider),
            one_line(&served.description)
        )?;
        writeln!(out, "  The credential needs: {}", one_line(&served.required_rights))?;
        for line in scopes(&served.required_scopes) {
            writeln!(out, "    {}", one_line(&line))?;
        }
        match &served.account {
            Some(account) => writeln!(
                out,
                "  The account that a credential opens is read by the host, not by the plugin: GET {}, at {}",
                one_line(&account.path),
                one_line(&account.pointer)
            )?,
            None => writeln!(
                out,
                "  It does not say how to find out which account a credential opens, so no run is held to one"
            )?,
        }
        writeln!(out, "  It asks to:")?;
        for capability in &served.capabilities {
            let what = match capability.effect {
                // Nothing that a host knows proves what a POST does.
                Effect::Read if capability.method == "POST" => {
                    "read by POST (the plugin's word for it; only if the grant names it)"
                }
                Effect::Read => "read",
                Effect::Write => "UPDATE confirmed records",
                Effect::Job => {
                    "open, close or cancel a job with a fixed text (only if the grant names it)"
                }
            };
            let how_many = match &capability.body {
                reverse_sync::contract::capabilities::Body::Many(many) => {
                    format!(", up to {} at once", many.max)
                }
                reverse_sync::contract::capabilities::Body::Csv(form) => {
                    format!(", up to {} in an upload that a job works on", form.max)
                }
                _ if capability.effect == Effect::Read && capability.path.contains("${job}") => {
                    " about a job that it opened".to_owned()
                }
                reverse_sync::contract::capabilities::Body::One(text)
                    if capability.effect == Effect::Job =>
                {
                    format!(": {}", one_line(text))
                }
                _ => ", one at a time".to_owned(),
            };
            let when = match capability.phase {
                Phase::Plan => "while planning",
                Phase::Run => "in a confirmed run",
            };
            writeln!(
                out,
                "    - {what}{how_many}, {when}\n      {}",
                one_line(&reverse_sync::capability::label(capability))
            )?;
            let body = match &capability.body {
                reverse_sync::contract::capabilities::Body::One(text) => text.clone(),
                reverse_sync::contract::capabilities::Body::Many(many) => {
                    format!("{}{} ,…{}", many.open, many.item, many.close)
                }
                _ => String::new(),
            };
            if capability.effect == Effect::Read && !body.is_empty() {
                writeln!(out, "      {}", one_line(&body))?;
            }
        }
        if let Some(limit) = served.pacing.limit {
            writeln!(
                out,
                "  Pace: at most {} calls in {} s until the CRM says otherwise",
                limit.requests,
                f64::from(limit.window_ms) / 1_000.0
            )?;
        }
    }
    if file.is_some() {
        writeln!(
            out,
            "\nTo let it do this (jobs and reads by POST must be named), add to the project file:\n\n[[grants]]\ncomponent = \"{}\"",
            component.digest()
        )?;
        writeln!(
            out,
            "# or only some of it, or jobs and reads by POST too: capabilities = [\"run PATCH …\"]"
        )?;
    }
    Ok(())
}

/// Objects that need the same scopes on one line.
fn scopes(required: &[RequiredScopes]) -> Vec<String> {
    let mut lines: Vec<(Vec<&str>, String)> = Vec::new();
    for entry in required {
        let scopes = if entry.scopes.is_empty() {
            "not known to it".to_owned()
        } else {
            check::names(&entry.scopes).join(", ")
        };
        let object = entry.object.as_deref().unwrap_or(if required.len() == 1 {
            "any object"
        } else {
            "any other object"
        });
        match lines.iter_mut().find(|(_, known)| *known == scopes) {
            Some((objects, _)) => objects.push(object),
            None => lines.push((vec![object], scopes)),
        }
    }
    lines
        .into_iter()
        .map(|(objects, scopes)| format!("scopes for {}: {scopes}", objects.join(", ")))
        .collect()
}
