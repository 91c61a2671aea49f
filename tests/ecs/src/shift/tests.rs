//! Courses of deployments, looked at many times.

use super::*;

fn seen(now: f64) -> Seen {
    Seen {
        now,
        minute: 1.0,
        ready: true,
        alone: true,
        strays: false,
    }
}

/// Stages and production weights through which a deployment goes, looked at ten times a second.
fn course(configuration: &Value, mut shift: Shift, until: f64) -> Vec<(&'static str, f64)> {
    let mut course = vec![(shift.stage.name(), shift.production)];
    for look in 0..(until * 10.0) as u32 {
        let next = shift.advance(configuration, seen(f64::from(look) / 10.0));
        let at = (shift.stage.name(), shift.production);
        if course.last() != Some(&at) {
            course.push(at);
        }
        if next != Next::Stay && next != Next::Moved {
            break;
        }
    }
    course
}

fn fresh() -> Shift {
    Shift::new(Some("blue".to_owned()), false, 0.0)
}

#[test]
fn traffic_shifts_in_the_steps_of_the_strategy() {
    let weights = |configuration: Value| -> Vec<f64> {
        let course = course(&configuration, fresh(), 60.0);
        assert_eq!(course.last(), Some(&("CLEAN_UP", 100.0)));
        let mut weights: Vec<f64> = course.iter().map(|(_, weight)| *weight).collect();
        weights.dedup();
        weights
    };
    assert_eq!(
        weights(json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 1})),
        [0.0, 100.0]
    );
    let canary = json!({"canaryPercent": 7.5, "canaryBakeTimeInMinutes": 1});
    assert_eq!(
        weights(json!({"strategy": "CANARY", "canaryConfiguration": canary})),
        [0.0, 7.5, 100.0]
    );
    let linear = json!({"stepPercent": 30.0, "stepBakeTimeInMinutes": 1});
    assert_eq!(
        weights(json!({"strategy": "LINEAR", "linearConfiguration": linear})),
        [0.0, 30.0, 60.0, 90.0, 100.0]
    );
}

#[test]
fn the_stages_come_in_their_order() {
    let course = course(&json!({"strategy": "BLUE_GREEN"}), fresh(), 10.0);
    let mut stages: Vec<&str> = course.iter().map(|(stage, _)| *stage).collect();
    stages.dedup();
    assert_eq!(
        stages,
        [
            "PRE_SCALE_UP",
            "SCALE_UP",
            "POST_SCALE_UP",
            "TEST_TRAFFIC_SHIFT",
            "POST_TEST_TRAFFIC_SHIFT",
            "PRODUCTION_TRAFFIC_SHIFT",
            "POST_PRODUCTION_TRAFFIC_SHIFT",
            "BAKE_TIME",
            "CLEAN_UP"
        ]
    );
}

#[test]
fn a_pause_hook_waits_for_its_answer_or_its_end() {
    let pause = |action: &str| {
        json!({"strategy": "BLUE_GREEN", "lifecycleHooks": [{
            "targetType": "PAUSE", "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"],
            "timeoutConfiguration": {"timeoutInMinutes": 5, "action": action},
        }]})
    };
    let paused = |shift: &mut Shift, configuration: &Value, until: f64| {
        let mut next = Next::Stay;
        for look in 0..(until * 10.0) as u32 {
            next = shift.advance(configuration, seen(f64::from(look) / 10.0));
        }
        next
    };
    let configuration = pause("ROLLBACK");
    let mut shift = fresh();
    assert_eq!(paused(&mut shift, &configuration, 3.0), Next::Stay);
    assert_eq!(shift.hooks[0].status, "AWAITING_ACTION");
    assert_eq!((shift.stage, shift.production), (Stage::PreProduction, 0.0));
    shift.hooks[0].status = "SUCCEEDED";
    assert_eq!(shift.advance(&configuration, seen(3.1)), Next::Moved);
    assert_eq!(shift.advance(&configuration, seen(3.2)), Next::Moved);
    assert_eq!(shift.production, 100.0);

    let mut late = fresh();
    assert_eq!(paused(&mut late, &configuration, 3.0), Next::Stay);
    let end = late.advance(&configuration, seen(20.0));
    assert!(matches!(end, Next::RollBack(_)), "{end:?}");
    assert_eq!(late.hooks[0].status, "TIMED_OUT");

    let configuration = pause("CONTINUE");
    let mut late = fresh();
    assert_eq!(paused(&mut late, &configuration, 3.0), Next::Stay);
    assert_eq!(late.advance(&configuration, seen(20.0)), Next::Moved);
    assert_eq!(late.stage, Stage::Production);
}

#[test]
fn a_hook_before_production_pauses_every_step() {
    let configuration = json!({
        "strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 1},
        "lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"]}],
    });
    let mut shift = fresh();
    let mut answers = Vec::new();
    for look in 0..200 {
        shift.advance(&configuration, seen(f64::from(look) / 10.0));
        let waiting = shift
            .hooks
            .iter_mut()
            .find(|hook| hook.status == "AWAITING_ACTION");
        if let Some(hook) = waiting {
            answers.push(shift.production);
            hook.status = "SUCCEEDED";
        }
    }
    assert_eq!(answers, [0.0, 10.0]);
    assert_eq!(shift.production, 100.0);
}

#[test]
fn a_deployment_that_goes_back_returns_the_traffic_once_the_source_runs() {
    for (ready, first) in [(true, Stage::Production), (false, Stage::ScaleUp)] {
        let mut shift = fresh();
        (shift.stage, shift.production, shift.test) = (Stage::Bake, 100.0, 100.0);
        shift.turn_back(ready, 1.0);
        assert_eq!(shift.stage, first);
        let waiting = Seen {
            ready: false,
            ..seen(2.0)
        };
        if !ready {
            assert_eq!(shift.advance(&json!({}), waiting), Next::Stay);
            assert_eq!(shift.advance(&json!({}), seen(3.0)), Next::Moved);
            assert_eq!(shift.production, 100.0);
        }
        assert_eq!(shift.advance(&json!({}), seen(4.0)), Next::Moved);
        assert_eq!((shift.production, shift.test), (0.0, 0.0));
        assert_eq!(shift.advance(&json!({}), seen(5.0)), Next::Moved);
        assert_eq!(shift.advance(&json!({}), seen(6.0)), Next::Finished);
    }
}
