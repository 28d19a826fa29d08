//! Who gives way to whom on the CPU.

/// As `nice -n 10`: about a tenth of a core where somebody else wants it, all of it otherwise.
#[cfg(target_os = "linux")]
const BACKGROUND: i32 = 10;

/// Makes the calling thread give way to all others, the model's and those that answer. On Linux a
/// priority belongs to a thread, although POSIX says process (setpriority(2)).
#[cfg(target_os = "linux")]
pub fn give_way() -> std::io::Result<()> {
    use rustix::{process::setpriority_process, thread::gettid};
    Ok(setpriority_process(Some(gettid()), BACKGROUND)?)
}

#[cfg(not(target_os = "linux"))]
pub fn give_way() -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::{process::getpriority_process, thread::gettid};

    use super::*;

    #[test]
    fn only_the_calling_thread_gives_way() {
        let before = getpriority_process(Some(gettid())).unwrap();
        let within = std::thread::spawn(|| {
            give_way().unwrap();
            getpriority_process(Some(gettid())).unwrap()
        });
        assert_eq!(within.join().unwrap(), BACKGROUND.max(before));
        assert_eq!(getpriority_process(Some(gettid())).unwrap(), before);
    }
}
