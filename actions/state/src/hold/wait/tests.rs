//! Holders as they are watched, and when one of them is proven gone.

use super::*;
use crate::lease::tests::lease;
use time::macros::datetime;

const WALL: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn going() -> Run {
    Run::Active("in progress".into())
}

fn over(conclusion: &str) -> Run {
    Run::Ended {
        summary: conclusion.into(),
        succeeded: conclusion == "success",
    }
}

fn run_over(summary: &str) -> Next {
    Next::Break(Proof::RunEnded(summary.into()))
}

#[test]
fn half_of_a_lock_whose_other_half_is_renewed_is_never_broken() {
    for phase in [Phase::Running, Phase::Kept] {
        let half = Lease {
            second_half: true,
            until: Some(0),
            ..lease(phase)
        };
        let mut watch = Watch::default();
        assert_eq!(watch.seen(s(0), WALL, "a", Some(&half)), Next::Wait);
        watch.answered(s(1), over("failure"));
        assert_eq!(watch.seen(s(9000), WALL, "a", Some(&half)), Next::Wait);
        assert!(watch.known(Some(&half)).contains("--locking both"));
    }
}

#[test]
fn a_lease_is_over_only_after_it_was_watched_for_all_its_length() {
    let mut watch = Watch::default();
    let mut running = lease(Phase::Running);
    assert_eq!(watch.seen(s(1000), WALL, "a", Some(&running)), Next::Ask);
    watch.answered(s(1000), going());
    assert_eq!(watch.seen(s(1029), WALL, "a", Some(&running)), Next::Wait);
    watch.answered(s(1030), going());
    assert_eq!(watch.seen(s(1059), WALL, "a", Some(&running)), Next::Wait);
    // A sign of life in the last moment counts for a whole lease again.
    running.rvn = "r2".into();
    assert_ne!(
        watch.seen(s(1060), WALL, "a", Some(&running)),
        Next::Break(Proof::Silent(s(60)))
    );
    watch.answered(s(1119), going());
    assert_eq!(watch.seen(s(1119), WALL, "a", Some(&running)), Next::Wait);
    assert_eq!(
        watch.seen(s(1120), WALL, "a", Some(&running)),
        Next::Break(Proof::Silent(s(60)))
    );
}

#[test]
fn another_holder_is_watched_from_anew() {
    let mut watch = Watch::default();
    let running = lease(Phase::Running);
    watch.seen(s(0), WALL, "a", Some(&running));
    watch.answered(s(0), over("cancelled"));
    // The same number by chance, and another lock: what was said of the first means nothing.
    assert_eq!(watch.seen(s(100), WALL, "b", Some(&running)), Next::Ask);
    watch.answered(s(100), going());
    assert_eq!(watch.seen(s(129), WALL, "b", Some(&running)), Next::Wait);
}

#[test]
fn a_finished_run_proves_its_holder_gone_and_an_unseen_run_does_not() {
    let kept = lease(Phase::Kept);
    let mut watch = Watch::default();
    watch.seen(s(0), WALL, "a", Some(&kept));
    watch.answered(s(0), Run::Unknown("404".into()));
    assert_eq!(watch.seen(s(29), WALL, "a", Some(&kept)), Next::Wait);
    assert!(watch.known(Some(&kept)).contains("cannot tell whether"));
    assert_eq!(watch.seen(s(30), WALL, "a", Some(&kept)), Next::Ask);
    watch.answered(s(30), over("success"));
    assert_eq!(
        watch.seen(s(30), WALL, "a", Some(&kept)),
        run_over("success")
    );
}

#[test]
fn an_answer_about_one_run_does_not_count_for_the_run_that_adopted_its_lock() {
    let mut watch = Watch::default();
    let first = lease(Phase::Kept);
    watch.seen(s(0), WALL, "a", Some(&first));
    watch.answered(s(0), over("cancelled"));
    let adopted = Lease {
        rvn: "r2".into(),
        attempt: Some("acme/shop/8/1".into()),
        ..first.clone()
    };
    assert_eq!(watch.seen(s(1), WALL, "a", Some(&adopted)), Next::Ask);
    // Nor of the same run's, where that has moved since.
    watch.answered(s(1), over("cancelled"));
    let moved = Lease {
        rvn: "r3".into(),
        ..adopted
    };
    assert_eq!(watch.seen(s(2), WALL, "a", Some(&moved)), Next::Ask);
}

#[test]
fn a_running_holder_is_followed_after_a_whole_silent_lease_whatever_its_host_says() {
    let mut watch = Watch::default();
    let mut running = lease(Phase::Running);
    // A runner that lost its host renews all the same.
    for renewal in 0..100 {
        running.rvn = format!("r{renewal}");
        let now = s(renewal * 15);
        assert!(!matches!(
            watch.seen(now, WALL, "a", Some(&running)),
            Next::Break(_)
        ));
        watch.answered(now, over("failure"));
        assert_eq!(watch.seen(now, WALL, "a", Some(&running)), Next::Wait);
    }
    // It was cut off from the table as well: its command may live to the end of the lease.
    assert_eq!(
        watch.seen(s(99 * 15 + 59), WALL, "a", Some(&running)),
        Next::Wait
    );
    assert_eq!(
        watch.seen(s(99 * 15 + 60), WALL, "a", Some(&running)),
        Next::Break(Proof::Silent(s(60)))
    );
}

#[test]
fn nobody_breaks_terraforms_own_lock_or_one_that_waits_for_a_person() {
    let mut watch = Watch::default();
    for day in 0..400 {
        assert_eq!(watch.seen(s(day * 86_400), WALL, "a", None), Next::Wait);
    }
    for phase in [
        Phase::NeedsRepair,
        Phase::Repairing,
        Phase::Moved,
        Phase::Unknown,
    ] {
        let mut watch = Watch::default();
        let mut kept = lease(phase);
        kept.until = Some(0);
        watch.answered(s(0), over("success"));
        for day in 0..400 {
            assert_eq!(
                watch.seen(s(day * 86_400), WALL, "a", Some(&kept)),
                Next::Wait
            );
        }
    }
}

#[test]
fn a_parked_hold_lives_without_signs_until_its_own_end_or_its_runs_failure() {
    let mut parked = lease(Phase::Parked);
    parked.until = Some((WALL + Duration::from_secs(3600)).unix_timestamp());
    let mut watch = Watch::default();
    watch.seen(s(0), WALL, "a", Some(&parked));
    watch.answered(s(0), Run::Unknown("404".into()));
    // Its lease of a minute went by a hundred times.
    for minute in 0..100 {
        let next = watch.seen(s(minute * 60), WALL, "a", Some(&parked));
        assert!(!matches!(next, Next::Break(_)), "{next:?}");
    }
    // A clock that jumps by less than AWS would accept proves nothing.
    let soon = WALL + s(3600 + 1800);
    assert!(!matches!(
        watch.seen(s(6000), soon, "a", Some(&parked)),
        Next::Break(_)
    ));
    assert!(matches!(
        watch.seen(s(6001), soon + s(1), "a", Some(&parked)),
        Next::Break(Proof::Expired(_))
    ));
    // A run that parked the lock and succeeded has left it to another run; one that failed has not.
    let mut watch = Watch::default();
    watch.seen(s(0), WALL, "a", Some(&parked));
    watch.answered(s(0), over("success"));
    for minute in 0..100 {
        let next = watch.seen(s(minute * 60), WALL, "a", Some(&parked));
        assert_eq!(next, Next::Wait);
    }
    let mut watch = Watch::default();
    watch.seen(s(0), WALL, "a", Some(&parked));
    watch.answered(s(0), over("failure"));
    assert_eq!(
        watch.seen(s(0), WALL, "a", Some(&parked)),
        run_over("failure")
    );
}

#[test]
fn the_wall_clock_says_nothing_about_a_running_holder() {
    let running = lease(Phase::Running);
    for jump in [-400, 400_i64] {
        let mut watch = Watch::default();
        watch.seen(s(0), WALL, "a", Some(&running));
        watch.answered(s(0), going());
        let wall = WALL + time::Duration::days(jump);
        assert_eq!(watch.seen(s(29), wall, "a", Some(&running)), Next::Wait);
    }
}

#[test]
fn sixty_four_who_wait_without_a_line_ask_hardly_more_often_than_a_few() {
    let looks = |from: u64, to: u64| {
        let (mut now, mut looks) = (s(0), 0_u32);
        while now < s(to) {
            looks += u32::from(now >= s(from));
            now += pause(now, s(3600), s(180), None).unwrap();
        }
        looks
    };
    // Eight who just came ask 16 times a second; 64 who wait since a minute 13 times.
    assert_eq!(8 * looks(0, 4) / 4, 16);
    assert!(64 * looks(60, 120) / 60 <= 13);
    // One who waits for ten minutes looks some 130 times.
    assert!((100..160).contains(&looks(0, 600)), "{}", looks(0, 600));
}

#[test]
fn the_next_in_the_queue_polls_more_often_and_nobody_past_the_timeout() {
    let ms = Duration::from_millis;
    for (waited, timeout, lease, before, wanted) in [
        (0, 0, 180, Some(0), None),
        (0, 60, 180, Some(0), Some(ms(500))),
        (0, 60, 180, Some(1), Some(ms(1000))),
        (0, 60, 180, Some(3), Some(ms(3000))),
        (0, 60, 180, Some(500), Some(ms(15_000))),
        (0, 60, 180, Some(u64::MAX), Some(ms(15_000))),
        // Without a queue: an eighth of the time that was waited, up to five seconds.
        (0, 60, 180, None, Some(ms(500))),
        (4, 60, 180, None, Some(ms(500))),
        (8, 60, 180, None, Some(ms(1000))),
        (20, 60, 180, None, Some(ms(2500))),
        (40, 60, 180, None, Some(ms(5000))),
        (600, 6000, 180, None, Some(ms(5000))),
        (0, 60, 2, None, Some(ms(50))),
        (57, 60, 180, None, Some(ms(3000))),
        (0, 60, 2, Some(0), Some(ms(50))),
        // A ticket of two seconds has to be kept alive.
        (0, 60, 2, Some(500), Some(ms(1000))),
        (58, 60, 180, Some(5), Some(ms(2000))),
        (60, 60, 180, Some(0), None),
        (61, 60, 180, None, None),
    ] {
        assert_eq!(pause(s(waited), s(timeout), s(lease), before), wanted);
    }
}
