//! Static binaries where nothing else is.
