//! End to end: the shipped binaries, workflows and buildspecs on the sandbox's real parts.
#![expect(missing_docs, reason = "a test binary has no readers of its API")]

mod scratch;
