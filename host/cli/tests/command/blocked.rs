//! A firewall between the host and the CRM that takes a value for an attack, and one that lets
//! nothing through.

use crate::project::{Project, hubspot_toml, salesforce_toml};
use crm_simulator::{Fault, Rule, Simulator};
use reverse_sync_tests::crm::config;

#[tokio::test]
async fn a_page_instead_of_metadata_is_no_missing_scope_while_planning() {
    for toml in [hubspot_toml as fn(&str) -> String, |url| salesforce_toml(url, &["FirstName"])] {
        let simulator = Simulator::start(config(3)).await.unwrap();
        let project = Project::empty();
        project.write("reverse-sync.toml", &toml(&simulator.base_url()));
        project.write(
            "golden.csv",
            "hs_object_id,Id,firstname,FirstName\n492564112121,0035t00000AbCdEAAV,Ada,Ada\n",
        );
        simulator.world().fault(Rule::always(Fault::Html(403)));
        for mode in ["--online", "--compare"] {
            let ended = project.run(&["plan", "people", mode]).await;
            assert!(
                ended.code != Some(0)
                    && ended.stderr.contains("Bad gateway")
                    && ended.stderr.contains("firewall"),
                "{ended:?}"
            );
            assert!(
                !ended.stderr.contains("lacks a right") && !ended.stderr.contains("scope"),
                "{ended:?}"
            );
        }
    }
}
