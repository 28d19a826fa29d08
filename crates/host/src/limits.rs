//! How many files this process may have open.

/// Takes as many as the system lets it have: most give 1,024 at first, and every stream that is passed
/// on has two. Gives how many there are then, if that is known.
pub fn raise_open_files() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let before = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: before.maximum, maximum: before.maximum };
    // Refused by some systems where the most is «as many as you like»; then all stays as it was.
    let _ = setrlimit(Resource::Nofile, wanted);
    getrlimit(Resource::Nofile).current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_at_least_as_many_as_before() {
        let before = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        assert!(raise_open_files() >= before);
    }
}
