//! A process's command line as it may be kept: without secrets, one line, not long.
//!
//! People hand keys to programs as flags, as `KEY=VALUE`, inside addresses and inside the quoted
//! text of `sh -c`. So a line is read as text, not only as a list of arguments, and when in doubt
//! a value is removed: a reader who misses one loses little.

/// What stands in a secret's place.
pub(crate) const REMOVED: &str = "***";

/// Kept of a command line, in characters.
const MAX_COMMAND_CHARS: usize = 512;

/// Read of `/proc/<pid>/cmdline`; a vLLM with everything set stays below.
pub(crate) const MAX_COMMAND_BYTES: usize = 4096;

/// A name is secret when one of its words is among these …
const SECRET_WORDS: [&str; 20] = [
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "pw",
    "secret",
    "secrets",
    "token",
    "apikey",
    "auth",
    "authorization",
    "bearer",
    "credential",
    "credentials",
    "cookie",
    "psk",
    "dsn",
    "signature",
    "sig",
];

/// … or two in a row are (`api-key`, `AccessKey`) …
const SECRET_PAIRS: [(&str, &str); 8] = [
    ("api", "key"),
    ("access", "key"),
    ("private", "key"),
    ("account", "key"),
    ("encryption", "key"),
    ("signing", "key"),
    ("master", "key"),
    ("app", "key"),
];

/// … unless it says where the secret is, or what it is like.
const HARMLESS_LAST_WORDS: [&str; 9] =
    ["file", "path", "dir", "type", "name", "id", "length", "limit", "count"];

/// Beginnings by which services mark their keys; found anywhere at the start of a word.
const KEY_PREFIXES: [&str; 21] = [
    "sk-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "pk_live_",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "hf_",
    "AKIA",
    "ASIA",
    "AIza",
    "npm_",
    "eyJ",
];

/// Fewer characters after such a beginning are an ordinary word.
const MIN_KEY_CHARS: usize = 8;

/// Programs in which a short flag carries a password.
const SHORT_SECRET_FLAGS: [(&str, &str); 8] = [
    ("mysql", "-p"),
    ("mysqldump", "-p"),
    ("mysqladmin", "-p"),
    ("mariadb", "-p"),
    ("sshpass", "-p"),
    ("redis-cli", "-a"),
    ("curl", "-u"),
    ("ldapsearch", "-w"),
];

/// The arguments in `/proc/<pid>/cmdline`. Where the file was longer than what was read, the
/// argument that was cut is left out: half a secret cannot be told from a word.
pub(crate) fn arguments(bytes: &[u8]) -> Vec<String> {
    let cut = bytes.len() >= MAX_COMMAND_BYTES;
    let end = if cut {
        bytes.iter().rposition(|byte| *byte == 0 || byte.is_ascii_whitespace()).unwrap_or(0)
    } else {
        bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
    };
    if end == 0 {
        return Vec::new();
    }
    bytes[..end].split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into()).collect()
}

/// One line for people: the arguments with secrets removed, cut at `MAX_COMMAND_CHARS`.
pub(crate) fn without_secrets(arguments: &[String]) -> String {
    let short_flag = arguments.first().and_then(|program| short_secret_flag(program));
    let mut line = String::new();
    let mut value_is_secret = false;
    for (index, argument) in arguments.iter().enumerate() {
        if index > 0 {
            line.push(' ');
        }
        if value_is_secret && !argument.starts_with("--") {
            line.push_str(REMOVED);
            value_is_secret = false;
            continue;
        }
        if let Some(flag) = short_flag
            && let Some(rest) = argument.strip_prefix(flag)
            && !argument.starts_with("--")
        {
            line.push_str(flag);
            if rest.is_empty() {
                value_is_secret = true;
            } else {
                line.push_str(REMOVED);
            }
            continue;
        }
        value_is_secret = is_secret_flag(argument);
        scrub(argument, &mut line);
    }
    shorten(&line)
}

fn shorten(line: &str) -> String {
    let clean = |character: char| if character.is_control() { ' ' } else { character };
    if line.chars().nth(MAX_COMMAND_CHARS).is_none() {
        return line.chars().map(clean).collect();
    }
    line.chars().take(MAX_COMMAND_CHARS - 1).map(clean).chain(['…']).collect()
}

fn short_secret_flag(program: &str) -> Option<&'static str> {
    let base = program.rsplit('/').next().unwrap_or(program);
    SHORT_SECRET_FLAGS.iter().find(|(name, _)| *name == base).map(|(_, flag)| *flag)
}

/// `--api-key`, `-token`: a flag whose value is the argument after it.
fn is_secret_flag(argument: &str) -> bool {
    argument.strip_prefix('-').is_some_and(|rest| rest.chars().all(is_name_char) && is_secret(rest))
}

/// Copies `text` to `line`, secrets replaced.
fn scrub(text: &str, line: &mut String) {
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("://") {
            line.push_str("://");
            rest = skip_user_info(after, line);
        } else if is_name_char(first) {
            let end = rest.find(|character| !is_name_char(character)).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            rest = scrub_name(name, after, line);
        } else {
            line.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
}

/// A run of name characters: a key by its looks, the name of a secret that follows, or a word.
fn scrub_name<'a>(name: &str, after: &'a str, line: &mut String) -> &'a str {
    if is_key(name) {
        line.push_str(REMOVED);
        return after;
    }
    line.push_str(name);
    if !is_secret(name) {
        return after;
    }
    let Some((separator, value)) = split_separator(name, after) else { return after };
    line.push_str(separator);
    let end = value_end(name, separator, value);
    if end > 0 {
        line.push_str(REMOVED);
    }
    &value[end..]
}

/// What lies between a name and its value: `=`, `: `, `":"`, and a space after a flag or after
/// the word that opens an Authorization header. `None` where no value follows.
fn split_separator<'a>(name: &str, after: &'a str) -> Option<(&'a str, &'a str)> {
    let is_quote = |character: char| matches!(character, '"' | '\'' | '\\');
    let unquoted = after.trim_start_matches(is_quote).trim_start();
    let value = if let Some(value) = unquoted.strip_prefix(['=', ':']) {
        value.trim_start().trim_start_matches(is_quote)
    } else if after.starts_with(' ') && (name.starts_with('-') || is_bearer(name)) {
        after.trim_start().trim_start_matches(is_quote)
    } else {
        return None;
    };
    Some(after.split_at(after.len() - value.len()))
}

/// A header's value goes on over spaces; others end at a space, a quote or a separator.
fn value_end(name: &str, separator: &str, value: &str) -> usize {
    let name = name.to_ascii_lowercase();
    let is_header =
        separator.contains(':') && (name.ends_with("authorization") || name.ends_with("cookie"));
    let ends = |character: char| match character {
        '"' | '\'' | '\\' => true,
        '&' | ';' | ',' | '|' | '}' => !is_header,
        _ => character.is_whitespace() && !is_header,
    };
    value.find(ends).unwrap_or(value.len())
}

/// After `://`: `user:password@` goes, and a password may hold an `@` itself.
fn skip_user_info<'a>(after: &'a str, line: &mut String) -> &'a str {
    let ends = |character: char| {
        matches!(character, '/' | '?' | '#' | '"' | '\'') || character.is_whitespace()
    };
    let authority = &after[..after.find(ends).unwrap_or(after.len())];
    let Some(at) = authority.rfind('@') else { return after };
    line.push_str(REMOVED);
    &after[at..]
}

fn is_name_char(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.')
}

fn is_bearer(name: &str) -> bool {
    name.eq_ignore_ascii_case("bearer")
}

fn is_key(word: &str) -> bool {
    KEY_PREFIXES.iter().any(|prefix| {
        word.strip_prefix(prefix).is_some_and(|rest| {
            let is_mixed = rest.chars().any(|c| c.is_ascii_digit() || c.is_ascii_uppercase());
            rest.len() >= MIN_KEY_CHARS && is_mixed
        })
    })
}

fn is_secret(name: &str) -> bool {
    let words = words(name);
    let Some(last) = words.last() else { return false };
    if HARMLESS_LAST_WORDS.contains(&last.as_str()) {
        return false;
    }
    // `key` alone is an address's parameter and half of all flags; it is a secret often enough.
    if let [only] = words.as_slice()
        && only == "key"
    {
        return true;
    }
    words.iter().any(|word| SECRET_WORDS.contains(&word.as_str()))
        || words.windows(2).any(|pair| {
            SECRET_PAIRS.iter().any(|(first, second)| pair[0] == *first && pair[1] == *second)
        })
}

/// `--hf-token`, `HF_TOKEN` and `hfToken` are the same two words.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut after_lower = false;
    for character in name.chars() {
        let is_boundary = !character.is_ascii_alphanumeric();
        let is_new_word = is_boundary || (after_lower && character.is_ascii_uppercase());
        if is_new_word && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if !is_boundary {
            word.push(character.to_ascii_lowercase());
        }
        after_lower = character.is_ascii_lowercase();
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests;
