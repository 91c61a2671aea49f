// Cargo heeds the build dependencies of a package only where it has a build script.
fn main() {}
