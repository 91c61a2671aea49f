//! Many runs promote to one environment at once: each asks for a permit, deploys under it and records how that ended, by the
//! real binaries. Some are killed, some of those are run again. What happened is checked afterwards by a program that
//! shares no code with the product and can fail (`history.rs`); that it does is shown with bad histories (`wrong.rs`).
//!
//! The full size: `SLIPWAY_PROMOTERS=32 cargo test -p sandbox --test e2e -- --ignored race::`.

mod fate;
mod history;
mod killed;
mod promoter;
mod scene;
mod wrong;

use sandbox::say::note;

use crate::support::heavy;
use fate::Theme;
use history::check;
use scene::Scene;

#[test]
#[ignore = "whom its kills strike depends on how fast the machine is; run it by name"]
fn of_many_runs_that_promote_at_once_one_deploys_at_a_time_and_the_chain_tells_it() {
    let promoters = std::env::var("SLIPWAY_PROMOTERS").map_or(4, |text| text.parse().unwrap());
    let scene = Scene::new("race", Theme::ALL.len(), 3);
    let _turn = heavy();
    for (round, theme) in Theme::ALL.into_iter().enumerate() {
        // All runs have their permits before one of them deploys.
        std::thread::scope(|scope| {
            let granting: Vec<_> = (0..promoters)
                .map(|index| {
                    let scene = &scene;
                    scope.spawn(move || scene.grants(round, index, theme))
                })
                .collect();
            let granted: Vec<_> = granting.into_iter().map(|it| it.join().unwrap()).collect();
            for (mut promoter, permit) in granted {
                if let Some(permit) = permit {
                    scope.spawn(move || promoter.deploys(permit));
                }
            }
        });
        scene.closes_what_died(round);
    }
    // Whatever happened, the next run ends right.
    scene.promotes_undisturbed(Theme::ALL.len());
    scene.verifies();
    let history = scene.history();
    let wrong = check(&history);
    assert!(wrong.is_empty(), "{wrong:#?}\n{history:#?}");
    note(&format!("race: {}", history.summary()));
    for theme in Theme::ALL {
        assert!(scene.struck(theme), "nobody was killed in {theme:?}");
    }
}
