//! End to end: the shipped binaries, workflows and buildspecs on the sandbox's real parts.
#![allow(
    clippy::unwrap_used,
    reason = "what tests share outside of a test function may fail as a test does"
)]

mod apart;
mod badinput;
mod bench;
mod by_hand;
mod callable;
mod cancel;
mod chains;
mod children;
mod codebuild;
mod contend;
mod content;
mod credentials;
mod ecr;
mod examples;
mod faults;
mod function;
mod gate;
mod gateway;
mod github;
mod govern;
mod hold;
mod job;
mod jobs;
mod launcher;
mod leaks;
mod ledger;
mod odd;
mod permits;
mod planned;
mod proposal;
mod publish;
mod race;
mod range;
mod readers;
mod record;
mod repository;
mod scan;
mod scratch;
mod service;
mod shipped;
mod stack;
mod support;
