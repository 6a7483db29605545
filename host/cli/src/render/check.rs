//! What a check of the project has found.

use crate::{
    check::{Checked, Finding},
    terminal,
};
use reverse_sync::visible::one_line;
use std::{fmt::Write as _, io::Write as _};

/// For people.
pub(crate) fn checked(all: &[Checked]) -> String {
    let mut out = String::new();
    for checked in all {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", one_line(&checked.destination));
        for Finding { name, ok, detail, .. } in &checked.checks {
            let mark = match ok {
                Some(true) => "ok",
                Some(false) => "!!",
                None => "--",
            };
            let name = name.replace('_', " ");
            let _ = writeln!(out, "  {mark} {name:<15} {}", one_line(detail));
        }
    }
    out
}

/// For programs.
pub(crate) fn checked_json(all: &[Checked]) -> anyhow::Result<()> {
    let ok = all.iter().all(|checked| checked.ok);
    let json = serde_json::json!({"ok": ok, "destinations": all});
    Ok(writeln!(terminal::out(), "{json}")?)
}
