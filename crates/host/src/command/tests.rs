use super::*;
use proptest::prelude::*;

fn shown(arguments: &[&str]) -> String {
    let arguments: Vec<String> = arguments.iter().map(|part| (*part).to_owned()).collect();
    without_secrets(&arguments)
}

#[test]
fn ordinary_lines_stay_as_they_are() {
    for line in [
        "/usr/local/bin/ollama serve",
        "ollama runner --model /home/ken/.ollama/models/blobs/sha256-2af3b81862c6be03c769683af18efdadb2 --port 41233",
        "llama-server -m /models/gemma.gguf --ctx-size 4096 --threads 2 --host 127.0.0.1",
        "vllm serve org/model --max-tokens 40 --tokenizer auto --password-file /run/pw",
        "git push https://example.com/a@b",
        "python3 -m vllm.entrypoints.openai.api_server --tensor-parallel-size 2",
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        assert_eq!(shown(&arguments), line);
    }
}

#[test]
fn values_of_secret_flags_are_removed() {
    assert_eq!(shown(&["vllm", "--api-key", "abc", "--port", "1"]), "vllm --api-key *** --port 1");
    assert_eq!(shown(&["x", "--password=hunter2"]), "x --password=***");
    assert_eq!(shown(&["x", "--hfToken", "two words"]), "x --hfToken ***");
    assert_eq!(shown(&["x", "-token", "-starts-with-dash"]), "x -token ***");
    assert_eq!(shown(&["x", "--no-auth", "--port", "1"]), "x --no-auth --port 1");
    assert_eq!(shown(&["java", "-Ddb.password=hunter2", "A"]), "java -Ddb.password=*** A");
}

#[test]
fn environment_style_and_addresses_are_cleaned() {
    assert_eq!(shown(&["env", "HF_TOKEN=abc", "HOME=/root"]), "env HF_TOKEN=*** HOME=/root");
    assert_eq!(shown(&["AWS_SECRET_ACCESS_KEY=a/b+c"]), "AWS_SECRET_ACCESS_KEY=***");
    assert_eq!(
        shown(&["psql", "postgres://bob:p@ss@db.local/app?sslmode=off"]),
        "psql postgres://***@db.local/app?sslmode=off"
    );
    assert_eq!(
        shown(&["curl", "http://h/a?key=abc&lang=ja&access_token=def"]),
        "curl http://h/a?key=***&lang=ja&access_token=***"
    );
}

#[test]
fn a_shell_s_quoted_text_is_cleaned_too() {
    assert_eq!(
        shown(&["sh", "-c", "export API_KEY='abc'; run --token def --port 80"]),
        "sh -c export API_KEY='***'; run --token *** --port 80"
    );
    assert_eq!(
        shown(&[
            "curl",
            "-H",
            "Authorization: Bearer abc def",
            "-d",
            "{\"password\": \"x\", \"a\": 1}"
        ]),
        "curl -H Authorization: *** -d {\"password\": \"***\", \"a\": 1}"
    );
    assert_eq!(shown(&["sh", "-c", "echo Bearer abcdef | cat"]), "sh -c echo Bearer *** | cat");
}

#[test]
fn keys_are_known_by_their_looks_and_programs_by_their_short_flags() {
    assert_eq!(shown(&["run", "sk-proj-abcdefgh12345"]), "run ***");
    assert_eq!(shown(&["run", "x,ghp_abcdefgh12345678"]), "run x,***");
    assert_eq!(shown(&["run", "sk-no"]), "run sk-no");
    assert_eq!(shown(&["/usr/bin/mysql", "-psecret", "-u", "me"]), "/usr/bin/mysql -p*** -u me");
    assert_eq!(shown(&["curl", "-u", "me:pw", "http://h/"]), "curl -u *** http://h/");
    assert_eq!(shown(&["mkdir", "-p", "a"]), "mkdir -p a");
}

#[test]
fn long_lines_are_cut_and_control_characters_go() {
    let line = shown(&["run", &"あ".repeat(1000)]);
    assert_eq!(line.chars().count(), MAX_COMMAND_CHARS);
    assert!(line.ends_with('…'));
    assert_eq!(shown(&["a\nb\u{1b}[31m"]), "a b [31m");
}

#[test]
fn an_argument_that_was_cut_when_read_is_left_out() {
    let mut bytes = b"run\0".to_vec();
    bytes.resize(MAX_COMMAND_BYTES, b'x');
    assert_eq!(arguments(&bytes), ["run"]);
    assert_eq!(arguments(b"run\0--flag\0\0"), ["run", "--flag"]);
    assert!(arguments(b"").is_empty());
}

proptest! {
    /// The secret is marked by capitals that no other part of the line can hold.
    #[test]
    fn no_secret_survives(
        secret in "[A-Z0-9]{6,30}",
        before in "[a-z /.-]{0,20}",
        after in "[a-z /.-]{0,20}",
        shape in 0usize..8,
    ) {
        let lines = [
            vec![before.clone(), "--api-key".into(), secret.clone(), after.clone()],
            vec![format!("--password={secret}"), after.clone()],
            vec![format!("MY_SECRET={secret}"), after.clone()],
            vec![format!("sh -c '{before} TOKEN={secret} {after}'")],
            vec![format!("http://u:{secret}@host/{after}")],
            vec![format!("{{\"token\":\"{secret}\"}}")],
            vec!["-H".into(), format!("Authorization: Basic {secret}")],
            vec![format!("--auth-token '{secret}' {after}")],
        ];
        let line = without_secrets(&lines[shape]);
        prop_assert!(!line.contains(&secret), "{line}");
        prop_assert!(line.contains(REMOVED), "{line}");
    }

    #[test]
    fn any_line_is_short_and_of_one_piece(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
        let line = without_secrets(&arguments(&bytes));
        prop_assert!(line.chars().count() <= MAX_COMMAND_CHARS);
        prop_assert!(!line.chars().any(char::is_control));
    }
}
