//! Every attack, under both allocators, beside a victim.

use super::{
    beside::{Host, Scene, beside_a_victim},
    expected::{Ends, Expected, expected},
    verify,
};
use crm_simulator::Rule;
use hostile_attacks::{
    Attack, Costs, Jobs, Outcomes, Planning, Requests, Surroundings, Verifying, Wire,
};
use reverse_sync::{engine::Allocation, journal::Ending, verify::Holding};
use reverse_sync_tests::crm::problems;
use std::sync::Arc;

macro_rules! beside_a_victim {
    ($($test:ident: $kind:ident,)*) => {$(
        mod $test {
            use super::*;

            #[tokio::test]
            async fn pooled() {
                all(Allocation::Pooled, $kind::ALL.iter().map(|attack| Attack::$kind(*attack))).await;
            }

            #[tokio::test]
            async fn on_demand() {
                all(Allocation::OnDemand, $kind::ALL.iter().map(|attack| Attack::$kind(*attack))).await;
            }
        }
    )*};
}

beside_a_victim! {
    planning: Planning,
    requests: Requests,
    wire: Wire,
    outcomes: Outcomes,
    costs: Costs,
    surroundings: Surroundings,
    jobs: Jobs,
    verifying: Verifying,
}

/// More bytes than any word to a person has.
const SHORT: usize = 5_000;

async fn all(allocation: Allocation, attacks: impl Iterator<Item = Attack>) {
    let host = Host::of(allocation).await;
    for attack in attacks {
        let expected = expected(attack);
        beside_a_victim(host, attack, async |scene| ends_as(scene, &expected).await).await;
    }
}

/// The attack ends as it has to, and its CRM sees no more than it has to.
async fn ends_as(scene: &mut Scene, expected: &Expected) {
    let name = scene.attack.name();
    if let Some(fault) = &expected.fault {
        scene.crm.simulator.world().fault(Rule::always(fault.clone()));
    }
    if let Some(deadline) = expected.deadline {
        scene.crm.bench.component = Arc::new(scene.crm.bench.component.with_deadline(deadline));
    }
    let csv = scene.crm.new_names(expected.rows);
    match &expected.ends {
        Ends::NoPlan(says) => {
            let error = scene
                .crm
                .try_plan(&csv)
                .await
                .map(|plan| plan.header().clone())
                .unwrap_err()
                .to_string();
            assert!(error.contains(says) && error.len() < SHORT, "{name}: {error}");
            assert_eq!(
                std::fs::read_dir(scene.crm.bench.plans_dir()).unwrap().count(),
                0,
                "{name}: something was kept"
            );
        }
        Ends::Plans(changes) => {
            assert_eq!(scene.crm.plan(&csv).await.header().writable, *changes, "{name}")
        }
        Ends::Stops(says) => {
            let confirmed = scene.crm.confirm(&csv).await;
            if let Some(first) = expected.first {
                assert_eq!(
                    scene.crm.run_confirmed(&confirmed).await.stopped.unwrap().message,
                    first,
                    "{name}"
                );
            }
            let report = scene.crm.run_confirmed(&confirmed).await;
            let stopped = report.stopped.as_ref().unwrap_or_else(|| panic!("{name}: {report:?}"));
            assert!(
                stopped.message.contains(says) && stopped.message.len() < SHORT,
                "{name}: {stopped:?}\n{}",
                scene.log.text()
            );
            assert_eq!(
                (report.refused, report.requests, report.counts.updated),
                (expected.refused, expected.requests as u64, 0),
                "{name}"
            );
        }
        Ends::Runs { failed, unknown, code } => {
            let report = scene.crm.run(&csv).await;
            let counts = &report.counts;
            assert_eq!(
                (counts.failed, counts.unknown, counts.updated + counts.unchanged + counts.drifted),
                (*failed, *unknown, 0),
                "{name}"
            );
            assert_eq!(
                (report.pending, &report.stopped, report.refused),
                (0, &None, expected.refused),
                "{name}"
            );
            let coded = problems(&report)
                .iter()
                .filter(|(ending, problem)| *ending == Ending::Unknown && problem.code == *code)
                .count();
            assert_eq!(coded as u64, *unknown, "{name}: {:?}", problems(&report));
            assert!(!report.ok(), "{name}");
        }
        Ends::NoCheck(says) => {
            let error = verify(&scene.crm).await.0.unwrap_err().to_string();
            assert!(error.contains(says), "{name}: {error}");
        }
        Ends::Unreadable => {
            let (verified, holdings) = verify(&scene.crm).await;
            assert!(verified.is_ok(), "{name}: {verified:?}");
            assert_eq!(holdings, [Holding::Unreadable; 3], "{name}");
        }
    }
    let log = scene.log.text();
    assert!(log.contains(expected.logs) && log.len() < 10 * SHORT, "{name}: {log}");
    assert_eq!(
        (scene.crm.requests().len(), scene.crm.writes()),
        (expected.requests, expected.writes),
        "{name}: {:?}",
        scene.crm.requests()
    );
}
