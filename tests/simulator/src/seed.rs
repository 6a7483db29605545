//! Records to begin with: the same seed gives the same ones.

use crate::{
    config::Config,
    hubspot::HubSpot,
    salesforce::{Salesforce, record_id},
};
use serde_json::json;

/// A small generator (xorshift64*): tests need the same numbers everywhere, not good ones.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// In `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

const FIRST: [&str; 8] = ["Brian", "Maria", "Ada", "Jörg", "Łucja", "Chen", "Amara", "Noor"];
const LAST: [&str; 8] =
    ["Halligan", "Johnson", "Lovelace", "Müller", "Nowak", "Wei", "Okafor", "Haddad"];
const CITIES: [&str; 4] = ["Boston", "Zürich", "Łódź", "Lyon"];

pub(crate) fn contacts(
    hubspot: &mut HubSpot,
    salesforce: &mut Salesforce,
    config: &Config,
    random: &mut Random,
) {
    for n in 0..config.hubspot_contacts {
        let (first, last) = (FIRST[random.below(8)], LAST[random.below(8)]);
        let id = (492_564_112_121 + n as u64 * 3).to_string();
        let properties = json!({
            "firstname": first, "lastname": last, "email": format!("person{n}@example.com"),
            "city": CITIES[random.below(4)], "company": format!("Company {}", random.below(300)),
        });
        hubspot.put("contacts", &id, &properties);
    }
    for n in 0..config.salesforce_contacts {
        let (first, last) = (FIRST[random.below(8)], LAST[random.below(8)]);
        let fields = json!({
            "FirstName": first, "LastName": last, "Email": format!("person{n}@example.com"), "MailingCity": CITIES[random.below(4)], "Title": "Buyer",
        });
        salesforce.put("Contact", &record_id("003", n as u64), &fields);
    }
}
