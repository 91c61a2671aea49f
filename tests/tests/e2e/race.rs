//! Many runs promote to one environment at once: each asks for a permit, deploys under it and records how that ended, with the real
//! binaries. Some are killed, some of those are run again, and one rolls back while another deploys. The outcome is checked afterwards by a
//! program that shares no code with the product and can fail (`history.rs`); bad histories show that it does (`wrong.rs`).
//!
//! The full size: `SLIPWAY_PROMOTERS=32 cargo test -p sandbox --test e2e -- race::of_many`.

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

/// How many rounds a theme has at most, until that happens which it is about.
const ROUNDS: usize = 2;

#[test]
fn of_many_runs_that_promote_at_once_one_deploys_at_a_time_and_the_chain_tells_it() {
    let promoters = std::env::var("SLIPWAY_PROMOTERS").map_or(4, |text| text.parse().unwrap());
    let last = Theme::ALL.len() * ROUNDS;
    let scene = Scene::new("race", last, 3);
    let _turn = heavy();
    for (index, theme) in Theme::ALL.into_iter().enumerate() {
        for attempt in 0..ROUNDS {
            if !scene.struck(theme) {
                races(&scene, index * ROUNDS + attempt, theme, promoters);
            }
        }
        assert!(scene.struck(theme), "nothing happened in {theme:?}");
    }
    // Whatever happened, the next run ends right.
    scene.promotes_undisturbed(last);
    scene.verifies();
    let history = scene.history();
    let wrong = check(&history);
    assert!(wrong.is_empty(), "{wrong:#?}\n{history:#?}");
    note(&format!("race: {}", history.summary()));
}

/// One round. All its runs have their permits before one of them deploys.
fn races(scene: &Scene, round: usize, theme: Theme, promoters: usize) {
    std::thread::scope(|scope| {
        let granting: Vec<_> = (0..promoters)
            .map(|index| scope.spawn(move || scene.grants(round, index, theme)))
            .collect();
        let granted: Vec<_> = granting.into_iter().map(|it| it.join().unwrap()).collect();
        if theme == Theme::RollsBack {
            scene.delays_an_update();
            scope.spawn(move || scene.rolls_back(round));
        }
        for (mut promoter, permit) in granted {
            if let Some(permit) = permit {
                scope.spawn(move || promoter.deploys(permit));
            }
        }
    });
    if theme == Theme::Ends {
        scene.struck.lock().unwrap().push(theme);
    }
    scene.close_interrupted(round, theme);
}
