//! How long permits and deployments under them count.

use super::*;

#[test]
fn a_permit_expires_but_not_for_what_began_in_time() {
    let until = |expires: &str| {
        let mut record = permit(1);
        if let Some(permit) = &mut record.permit {
            expires.clone_into(&mut permit.expires);
        }
        record
    };
    for (expires, open) in [
        ("2026-11-21T18:10:01Z", true),
        ("2026-11-21T18:10:00Z", false),
        ("2026-11-21T18:09:59Z", false),
        ("soon", false),
        ("", false),
    ] {
        let records = [deployed(), until(expires)];
        let wanted = match open {
            true => Ok(0),
            false => Err(Reason::Expired(expires.to_owned())),
        };
        assert_eq!(decided(&records, Some(RUN)), wanted, "{expires}");
        let begun = [deployed(), until(expires), started(2, Some(RUN))];
        assert_eq!(decided(&begun, Some(RUN)), Ok(3), "{expires}");
    }
}

/// Permit 2 of these tests is granted at 18:02.
#[test]
fn a_promotion_is_judged_at_most_ten_minutes_before_its_deployment_begins() {
    let mut planned = permit(1);
    planned.permit.as_mut().unwrap().plan = Some("p".to_owned());
    let mut back = permit(1);
    back.rollback = Some(crate::Rollback { from: None });
    let mut glass = permit(1);
    glass.break_glass = Some(crate::BreakGlass {
        reason: "the shop is down".to_owned(),
        by: glass.actor.clone(),
        expires: "2026-11-21T19:00:00Z".to_owned(),
    });
    let (digest, account) = (digest(2), account("1"));
    let of = |records: &[Record], of: Use<'_>, now: &str| {
        let attempt = Attempt {
            of,
            ..attempt(&digest, &account, Some(RUN))
        };
        usable(&chain(records), &attempt, instant(now).unwrap()).map(drop)
    };
    let deploys = Use::Deploy(&digest);
    let granted = [deployed(), planned.clone()];
    let stale = Err(Reason::Stale(at(&granted, 2)));
    let (fresh, old) = ("2026-11-21T18:12:00Z", "2026-11-21T18:12:01Z");
    assert_eq!(of(&granted, deploys, fresh), Ok(()));
    assert_eq!(of(&granted, deploys, old), stale);
    assert_eq!(of(&granted, deploys, "2026-11-21T18:13:00Z"), stale);
    // It can be judged once more for all its life.
    let late = "2026-11-21T18:59:59Z";
    assert_eq!(of(&granted, Use::Judge(&digest), late), Ok(()));
    let commit = planned.commit.clone();
    let applies = Use::Apply {
        plan: "p",
        commit: &commit,
    };
    assert_eq!(of(&granted, applies, fresh), Ok(()));
    assert_eq!(of(&granted, applies, old), stale);
    // A rollback and a break-glass wait for nobody, and what began goes on.
    for mut permit in [back, glass] {
        permit.permit.as_mut().unwrap().plan = Some("p".to_owned());
        let records = [deployed(), permit];
        assert_eq!(of(&records, deploys, late), Ok(()));
        assert_eq!(of(&records, applies, late), Ok(()));
    }
    let begun = [deployed(), planned.clone(), started(2, Some(RUN))];
    assert_eq!(of(&begun, deploys, late), Ok(()));
    // One that was granted for less than ten minutes is over when it expires.
    let mut short = permit(1);
    short.permit.as_mut().unwrap().expires = "2026-11-21T18:08:00Z".to_owned();
    let expired = Err(Reason::Expired("2026-11-21T18:08:00Z".to_owned()));
    assert_eq!(
        of(&[deployed(), short], deploys, "2026-11-21T18:09:00Z"),
        expired
    );

    let reason = of(&granted, applies, old).unwrap_err();
    let chain = Chain::new("storefront", "dev").unwrap();
    let asked = Attempt {
        of: applies,
        ..attempt(&digest, &account, Some(RUN))
    };
    let message = reason.refusal(&chain, &asked).to_string();
    assert!(
        message.contains("then apply under the new permit"),
        "{message}"
    );
    let reason = of(&granted, deploys, old).unwrap_err();
    let error = reason.refusal(&chain, &attempt(&digest, &account, Some(RUN)));
    assert_eq!(error.exit(), kit::Exit::Refused);
    let message = error.to_string();
    for words in [
        "granted at 2026-11-21T18:02:00Z, and a promotion must be judged at most 10 minutes before its deployment begins, or a task",
        &format!("grant --environment dev --digest {digest} --plan p --permit 2"),
    ] {
        assert!(message.contains(words), "{message}");
    }
}

/// A migration may take hours, and what was judged before it may have changed.
#[test]
fn a_task_that_began_in_time_does_not_begin_the_deployment() {
    let task = Record {
        command: Some("sha256:migrate".to_owned()),
        ..started(2, Some(RUN))
    };
    let (digest, account) = (digest(2), account("1"));
    let of = |records: &[Record], of: Use<'_>, now: &str| {
        let attempt = Attempt {
            of,
            ..attempt(&digest, &account, Some(RUN))
        };
        let found = usable(&chain(records), &attempt, instant(now).unwrap());
        found.map(|it| it.started.map(|it| it.record.seq))
    };
    let tasks = Use::Task {
        digest: &digest,
        command: "sha256:migrate",
    };
    let deploys = Use::Deploy(&digest);
    let begun = [deployed(), permit(1), task.clone()];
    let (fresh, old, over) = (
        "2026-11-21T18:12:00Z",
        "2026-11-21T18:12:01Z",
        "2026-11-21T20:00:00Z",
    );
    let stale = Err(Reason::Stale(at(&begun, 2)));
    assert_eq!(of(&begun[..2], tasks, old), stale);
    assert_eq!(of(&begun, tasks, "2026-11-21T18:50:00Z"), Ok(Some(3)));
    assert!(matches!(of(&begun, tasks, over), Err(Reason::Expired(_))));
    assert_eq!(of(&begun, deploys, fresh), Ok(None));
    assert_eq!(of(&begun, deploys, old), stale);
    assert_eq!(of(&begun, Use::Judge(&digest), old), Ok(None));
    assert!(matches!(of(&begun, deploys, over), Err(Reason::Expired(_))));
    // A deployment that began goes on, also where a task of the run came after its beginning.
    let both = [&begun[..], &[started(2, Some(RUN)), task]].concat();
    assert_eq!(of(&both, deploys, over), Ok(Some(4)));
}

/// A run that was interrupted may come back at any time, and nobody knows what became of the approvals meanwhile. The tests' deployments
/// begin at 18:03.
#[test]
fn what_a_run_began_more_than_an_hour_ago_is_followed_and_not_begun_again() {
    let (digest, account) = (digest(2), account("1"));
    let begun = [deployed(), permit(1), started(2, Some(RUN))];
    let over = |records: &[Recorded], of: Use<'_>, now: &str| {
        let attempt = Attempt {
            of,
            ..attempt(&digest, &account, Some(AGAIN))
        };
        usable(records, &attempt, instant(now).unwrap()).map(|it| it.over)
    };
    let deploys = Use::Deploy(&digest);
    let (last, late) = ("2026-11-21T19:02:59Z", "2026-11-21T19:03:00Z");
    let mut records = chain(&begun);
    assert_eq!(over(&records, deploys, last), Ok(false));
    assert_eq!(over(&records, deploys, late), Ok(true));
    let judged = over(&records, Use::Judge(&digest), late);
    assert!(matches!(judged, Err(Reason::Expired(_))), "{judged:?}");
    // A later attempt does not extend the hour.
    let mut again = started(2, Some(AGAIN));
    again.at = "2026-11-21T18:50:00Z".to_owned();
    let twice = [&begun[..], &[again]].concat();
    assert_eq!(over(&chain(&twice), deploys, late), Ok(true));
    records[0].record.at = "yesterday".to_owned();
    assert_eq!(over(&records, deploys, last), Ok(true));

    let of = Chain::new("storefront", "dev").unwrap();
    let reason = Reason::Over("2026-11-21T18:03:00Z".to_owned());
    let error = reason.refusal(&of, &attempt(&digest, &account, Some(AGAIN)));
    assert_eq!(error.exit(), kit::Exit::Refused);
    let message = error.to_string();
    for words in [
        "this run began it at 2026-11-21T18:03:00Z",
        "60 minutes",
        "ask for a new permit",
    ] {
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_permit_from_the_future_is_refused() {
    let (digest, account) = (digest(2), account("1"));
    let mut records = chain(&[deployed(), permit(1)]);
    for (granted, wanted) in [
        ("2026-11-21T18:15:00Z", Ok(())),
        ("2026-11-21T18:15:01Z", Err(())),
        ("yesterday", Err(())),
    ] {
        records[0].record.at = granted.to_owned();
        for of in [Use::Deploy(&digest), Use::Judge(&digest)] {
            let attempt = Attempt {
                of,
                ..attempt(&digest, &account, Some(RUN))
            };
            let found = usable(&records, &attempt, now()).map(drop);
            let reason = wanted.map_err(|()| Reason::Ahead(granted.to_owned()));
            assert_eq!(found, reason, "{granted}");
            if let Err(reason) = found {
                let chain = Chain::new("storefront", "dev").unwrap();
                let error = reason.refusal(&chain, &attempt);
                assert_eq!(error.exit(), kit::Exit::Refused);
                assert!(error.to_string().contains("set the clock"), "{error}");
            }
        }
    }
}

#[test]
fn a_deployment_is_under_way_for_an_hour_or_until_one_is_recorded() {
    let begun = [deployed(), permit(1), started(2, Some(RUN))];
    let of = |records: &[Record], now: &str| {
        let records = chain(records);
        let found = underway(&records, instant(now).unwrap());
        found.map(|it| it.started.record.seq)
    };
    assert_eq!(of(&begun[..2], "2026-11-21T18:30:00Z"), None);
    assert_eq!(of(&begun, "2026-11-21T18:30:00Z"), Some(3));
    assert_eq!(of(&begun, "2026-11-21T19:02:59Z"), Some(3));
    assert_eq!(of(&begun, "2026-11-21T19:03:00Z"), None);
    let over = [&begun[..], &[failed()]].concat();
    assert_eq!(of(&over, "2026-11-21T18:30:00Z"), None);
    let again = [&begun[..], &[permit(1), started(4, None)]].concat();
    assert_eq!(of(&again, "2026-11-21T18:30:00Z"), Some(5));
    // A time that nobody can read does not pass.
    let mut records = chain(&begun);
    records[0].record.at = "yesterday".to_owned();
    let late = instant("2027-11-21T18:30:00Z").unwrap();
    assert!(underway(&records, late).is_some());
}
