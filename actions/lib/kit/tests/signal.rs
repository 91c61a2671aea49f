//! A signal that a step gets at its very beginning. It reaches this whole program, so nothing else is tested here.

use kit::Exit;
use kit::error::Result;
use kit::signal::unless_interrupted;
use rustix::process::{Signal, getpid, kill_process};

#[tokio::test]
async fn a_signal_that_comes_with_the_first_step_of_the_work_is_seen() {
    // Each round would end this process if the work began first.
    for _ in 0..64 {
        let work = async {
            kill_process(getpid(), Signal::TERM).unwrap();
            std::future::pending::<Result<()>>().await
        };
        let error = unless_interrupted(work).await.unwrap_err();
        assert_eq!(error.exit(), Exit::Interrupted);
    }
}
