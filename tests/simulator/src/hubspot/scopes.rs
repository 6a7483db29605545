//! Which scopes let a call pass (A2, A8).

/// The objects that have scopes of their own name; every other one has those of custom objects.
const NAMED: [&str; 6] = ["contacts", "companies", "deals", "products", "line_items", "leads"];

/// One of these is needed.
pub(super) fn one_of(object: &str, writes: bool, definitions: bool) -> Vec<String> {
    if object == "tickets" {
        return vec![object.to_owned()];
    }
    let name = if NAMED.contains(&object) { object } else { "custom" };
    match (writes, definitions) {
        (true, _) => vec![format!("crm.objects.{name}.write")],
        (false, true) => {
            vec![format!("crm.schemas.{name}.read"), format!("crm.objects.{name}.read")]
        }
        (false, false) => vec![format!("crm.objects.{name}.read")],
    }
}
