//! Names of models: case does not count, and the tag `latest` goes without saying.

use std::path::Path;

const DEFAULT_TAG: &str = "latest";

/// `TinyLlama` and `tinyllama:latest` alike become `tinyllama:latest`.
pub(crate) fn canonical(name: &str) -> String {
    let name = name.trim().to_lowercase();
    let last = name.rsplit('/').next().unwrap_or(&name);
    if last.contains(':') { name } else { format!("{name}:{DEFAULT_TAG}") }
}

/// The file's name without its ending.
pub(super) fn from_file(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_string_lossy();
    let stem = stem.strip_suffix("-00001-of-00001").unwrap_or(&stem);
    let name: String = stem
        .chars()
        .map(|c| if c.is_whitespace() || c == ':' || c == '/' { '-' } else { c })
        .collect();
    (!name.is_empty()).then(|| canonical(&name))
}

/// `…-00002-of-00003.gguf`: llama.cpp opens it with the first part.
pub(super) fn is_later_part(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(".gguf") else { return false };
    let Some((head, total)) = stem.rsplit_once("-of-") else { return false };
    let Some((_, part)) = head.rsplit_once('-') else { return false };
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number(part) && is_number(total) && part != "00001"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_does_not_matter() {
        for name in ["TinyLlama", "tinyllama:latest", " tinyllama:LATEST "] {
            assert_eq!(canonical(name), "tinyllama:latest");
        }
        assert_eq!(canonical("host:5000/a/b"), "host:5000/a/b:latest");
        assert_eq!(canonical("granite3.2:2b"), "granite3.2:2b");
    }

    #[test]
    fn files_give_names() {
        assert_eq!(from_file(Path::new("/m/A b.gguf")), Some("a-b:latest".to_owned()));
        assert!(is_later_part("x-00002-of-00003.gguf"));
        assert!(!is_later_part("x-00001-of-00003.gguf"));
        assert!(!is_later_part("one-of-us.gguf"));
    }
}
