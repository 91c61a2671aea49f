//! The sandbox: real parts on one machine that stand for AWS and GitHub, and the commands that build and check the
//! project on them.

mod bench;
pub mod bridge;
#[cfg(test)]
mod circles;
pub mod cli;
#[cfg(target_arch = "x86_64")]
mod clock;
pub mod codebuild;
pub mod demo;
pub mod dist;
pub mod elf;
mod exports;
pub mod fault;
pub mod install;
pub mod instance;
#[cfg(test)]
mod links;
pub mod manifest;
pub mod newer;
mod parts;
pub mod probe;
pub mod process;
pub mod runner;
#[cfg(test)]
mod samples;
pub mod say;
mod serve;
pub mod state;
pub mod steps;
#[cfg(test)]
mod style;
pub mod supervisor;
pub mod users;
mod verify;
pub mod world;
