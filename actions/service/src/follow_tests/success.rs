//! The conditions under which a deployment has succeeded.

use super::*;

#[test]
fn complete_running_and_healthy_is_success() {
    assert_eq!(ends(|_| {}), Verdict::Succeeded);
    // An earlier deployment without tasks may still be listed.
    let listed = ends(|seen| {
        let stopped = deployment("ecs-svc/1", OLD, 0, Rollout::Completed);
        seen.service.deployments.push(stopped);
    });
    assert_eq!(listed, Verdict::Succeeded);
}

#[test]
fn nothing_less_is_success() {
    type Change = Box<dyn FnOnce(&mut Seen)>;
    let cases: [(&str, Change); 12] = [
        (
            "ECS has not completed the deployment",
            Box::new(|seen| seen.service.deployments[0].rollout = Rollout::InProgress),
        ),
        (
            "ECS has not completed the deployment",
            Box::new(|seen| seen.service.deployments[0].rollout = Rollout::Unknown),
        ),
        (
            "deployment ecs-svc/2 uses web:7, expected web:8",
            Box::new(|seen| seen.service.deployments[0].task_definition = samples::revision(OLD)),
        ),
        (
            "web:7 still runs, tasks: 1",
            Box::new(|seen| {
                seen.service
                    .deployments
                    .push(deployment("ecs-svc/1", OLD, 1, Rollout::Completed));
            }),
        ),
        (
            "1 of 2 tasks running",
            Box::new(|seen| drop(seen.tasks.pop())),
        ),
        (
            "1 of 2 tasks running",
            Box::new(|seen| seen.service.running = 1),
        ),
        (
            "1 of 2 tasks running",
            Box::new(|seen| seen.tasks[0].started_by = "ecs-svc/1".to_owned()),
        ),
        (
            "1 of 2 tasks running; task t1 is PENDING, expected RUNNING",
            Box::new(|seen| seen.tasks[0].status = "PENDING".to_owned()),
        ),
        (
            "task t2 runs sha256:0, expected sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            Box::new(|seen| seen.tasks[1].containers[0].digest = Some("sha256:0".to_owned())),
        ),
        (
            "ECS does not name the image digest of task t2",
            Box::new(|seen| seen.tasks[1].containers[0].digest = None),
        ),
        (
            "target 10.0.0.2:3000 of web is unhealthy (Target.ResponseCodeMismatch: Health checks failed with these codes: [500]), expected healthy",
            Box::new(|seen| seen.groups[0] = group("web", 3000, ["healthy", "unhealthy"])),
        ),
        (
            "task t2 is not registered as a target of web",
            Box::new(|seen| drop(seen.groups[0].targets.pop())),
        ),
    ];
    for (missing, change) in cases {
        assert_eq!(waits(change), missing);
    }
}

/// An automatic scaling changes the desired count while a deployment is followed.
#[test]
fn tasks_that_a_scale_out_wants_since_may_still_be_on_their_way() {
    let scaled = |wanted: Option<i32>, change: fn(&mut Seen)| {
        let mut follow = follow();
        follow.expected.wanted = wanted;
        let seen = changed(|seen| {
            seen.service.desired = 3;
            let mut third = task(3);
            third.status = "PENDING".to_owned();
            seen.tasks.push(third);
            change(seen);
        });
        match follow.next(MINUTE, &seen) {
            Next::Done(verdict) => format!("{verdict:?}"),
            Next::Wait(missing) => missing.join("; "),
            next @ Next::TimeOver(_) => panic!("{next:?}"),
        }
    };
    let pending = "task t3 is PENDING, expected RUNNING";
    let nothing = |_: &mut Seen| {};
    let not_a_target = |seen: &mut Seen| seen.tasks[2].status = "RUNNING".to_owned();
    let fewer = |seen: &mut Seen| {
        seen.tasks[1].status = "PENDING".to_owned();
    };
    let wrong = |seen: &mut Seen| {
        seen.tasks[2].status = "RUNNING".to_owned();
        seen.tasks[2].containers[0].digest = Some("sha256:0".to_owned());
    };
    for (wanted, change, end) in [
        (Some(2), nothing as fn(&mut Seen), "Succeeded"),
        (Some(2), not_a_target, "Succeeded"),
        (Some(4), nothing, "2 of 3 tasks running"),
        (None, nothing, pending),
        // Nothing was wanted before, so nothing of it is verified yet.
        (Some(0), nothing, pending),
        (Some(2), fewer, "1 of 2 tasks running"),
        (Some(2), wrong, "task t3 runs sha256:0"),
    ] {
        let found = scaled(wanted, change);
        assert!(found.contains(end), "{wanted:?} {end}: {found}");
    }
    // A scale-in wants fewer than before.
    let mut follow = follow();
    follow.expected.wanted = Some(3);
    let next = follow.next(MINUTE, &healthy());
    assert!(matches!(next, Next::Done(Verdict::Succeeded)), "{next:?}");
}

#[test]
fn each_of_two_target_groups_must_be_healthy() {
    let both = |seen: &mut Seen, admin| {
        seen.service.attachments.push(Attachment {
            groups: vec![samples::group("admin")],
            container: "web".to_owned(),
            port: 9000,
        });
        seen.groups.push(group("admin", 9000, admin));
    };
    assert_eq!(
        ends(|seen| both(seen, ["healthy", "healthy"])),
        Verdict::Succeeded
    );
    assert_eq!(
        waits(|seen| both(seen, ["healthy", "initial"])),
        "target 10.0.0.2:9000 of admin is initial, expected healthy"
    );
}

#[test]
fn an_alternate_target_group_counts_when_traffic_was_shifted_to_it() {
    let seen = changed(|seen| {
        seen.service.attachments[0]
            .groups
            .push(samples::group("admin"));
        seen.groups = vec![
            group("web", 3000, ["unused", "unused"]),
            group("admin", 3000, ["healthy", "healthy"]),
        ];
    });
    assert_eq!(follow().next(MINUTE, &seen), Next::Done(Verdict::Succeeded));
}

#[test]
fn on_instances_a_target_is_instance_and_bound_port() {
    let on_instance = |bound| {
        move |seen: &mut Seen| {
            seen.service.desired = 1;
            seen.tasks.truncate(1);
            seen.tasks[0].addresses.clear();
            seen.tasks[0].instance = Some("i-1".to_owned());
            seen.tasks[0].containers[0].bindings = vec![(3000, bound)];
            seen.groups[0].targets[0].id = "i-1".to_owned();
            seen.groups[0].targets[0].port = 32768;
        }
    };
    assert_eq!(ends(on_instance(32768)), Verdict::Succeeded);
    assert_eq!(
        waits(on_instance(32769)),
        "task t1 is not registered as a target of web"
    );
}

#[test]
fn without_a_load_balancer_running_is_enough_unless_there_is_a_health_check() {
    let alone = |seen: &mut Seen| {
        seen.service.attachments.clear();
        seen.groups.clear();
    };
    assert_eq!(ends(alone), Verdict::Succeeded);
    let mut follow = follow();
    follow.expected.health_checked.insert("web".to_owned());
    let mut seen = changed(alone);
    assert_eq!(
        follow.next(MINUTE, &seen),
        Next::Wait(
            ["t1", "t2"]
                .map(|task| format!("container web of task {task} is UNKNOWN, expected HEALTHY"))
                .to_vec()
        )
    );
    for task in &mut seen.tasks {
        task.containers[0].health = "HEALTHY".to_owned();
    }
    assert_eq!(follow.next(MINUTE, &seen), Next::Done(Verdict::Succeeded));
    // A container whose health nobody tells is not healthy.
    follow.expected.health_checked.insert("proxy".to_owned());
    let absent = ["t1", "t2"].map(|task| format!("task {task} has no container proxy"));
    assert_eq!(follow.next(MINUTE, &seen), Next::Wait(absent.to_vec()));
    for task in &mut seen.tasks {
        task.containers.clear();
    }
    let Next::Wait(missing) = follow.next(MINUTE, &seen) else {
        panic!("nothing runs")
    };
    let lines = ["web", "proxy"]
        .map(|name| ["t1", "t2"].map(|task| format!("task {task} has no container {name}")));
    assert_eq!(missing, lines.concat());
}

#[test]
fn zero_desired_is_success_only_where_it_is_allowed() {
    let zero = changed(|seen| {
        seen.service.desired = 0;
        seen.service.running = 0;
        seen.tasks.clear();
    });
    let next = follow().next(MINUTE, &zero);
    assert!(
        matches!(&next, Next::Done(Verdict::Failed { reason }) if reason.contains("scaled to zero")),
        "{next:?}"
    );
    let mut allowed = follow();
    allowed.expected.allow_zero_tasks = true;
    assert_eq!(allowed.next(MINUTE, &zero), Next::Done(Verdict::Succeeded));
    // Tasks of the earlier revision must still stop, and tasks that run are still judged.
    let mut busy = zero.clone();
    busy.service
        .deployments
        .push(deployment("ecs-svc/1", OLD, 1, Rollout::Completed));
    for seen in [
        busy,
        changed(|seen| seen.tasks[0].containers[0].digest = None),
    ] {
        assert!(matches!(allowed.next(MINUTE, &seen), Next::Wait(_)));
    }
}

#[test]
fn every_container_of_the_image_must_run_it() {
    let mut follow = follow();
    follow.expected.containers.push("worker".to_owned());
    let with = |digest: Option<&str>| {
        changed(|seen| {
            for task in &mut seen.tasks {
                task.containers.push(Container {
                    name: "worker".to_owned(),
                    digest: digest.map(str::to_owned),
                    ..Container::default()
                });
            }
        })
    };
    let next = follow.next(MINUTE, &with(Some("sha256:0")));
    let Next::Wait(missing) = next else {
        panic!("{next:?}");
    };
    assert_eq!(missing.len(), 2);
    assert!(
        missing[0].starts_with("container worker of task t1 runs sha256:0, expected sha256:01"),
        "{missing:?}"
    );
    assert!(matches!(follow.next(MINUTE, &healthy()), Next::Wait(_)));
    let done = with(Some(digest().as_str()));
    assert_eq!(follow.next(MINUTE, &done), Next::Done(Verdict::Succeeded));
}
