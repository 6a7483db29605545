//! The threat model names every attack, and no other.

use hostile_attacks::Attack;
use std::collections::BTreeSet;

#[test]
fn every_attack_stands_in_the_threat_model() {
    let text = include_str!("../../../THREAT-MODEL.md");
    let (_, table) = text.split_once("## The attacks that are tried").expect("the chapter");
    let (table, _) = table.split_once("\n## ").expect("a chapter after it");
    // The names stand in the last column, each as code.
    let cells = table
        .lines()
        .filter(|line| line.starts_with('|'))
        .filter_map(|line| line.trim_end_matches('|').rsplit('|').next());
    let named: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let known: BTreeSet<&str> = Attack::ALL.iter().map(|attack| attack.name()).collect();
    assert_eq!(known.len(), Attack::ALL.len(), "two attacks have one name");
    assert_eq!(named.iter().copied().collect::<BTreeSet<_>>(), known);
    assert_eq!(named.len(), known.len(), "an attack stands in two lines");
    assert!(known.len() >= 25);
}
