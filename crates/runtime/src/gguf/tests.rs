use super::*;

/// Builds small GGUF files.
#[derive(Default)]
struct Builder {
    entries: Vec<Vec<u8>>,
    tensors: Vec<Vec<u8>>,
    data: usize,
}

fn text(value: &str) -> Vec<u8> {
    let mut bytes = (value.len() as u64).to_le_bytes().to_vec();
    bytes.extend(value.as_bytes());
    bytes
}

impl Builder {
    fn entry(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        let mut bytes = text(key);
        bytes.extend(kind.to_le_bytes());
        bytes.extend(value);
        self.entries.push(bytes);
        self
    }

    fn tensor(mut self, elements: u64, kind: u32, offset: u64) -> Self {
        let mut bytes = text("blk.0.weight");
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(elements.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        self.tensors.push(bytes);
        self
    }

    fn build(self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(3_u32.to_le_bytes());
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.entries.len() as u64).to_le_bytes());
        bytes.extend(self.entries.concat());
        bytes.extend(self.tensors.concat());
        bytes.resize(bytes.len().next_multiple_of(32) + self.data, 0);
        bytes
    }
}

fn sample() -> Vec<u8> {
    let mut tokens = 8_u32.to_le_bytes().to_vec();
    tokens.extend(2_u64.to_le_bytes());
    tokens.extend(text("a"));
    tokens.extend(text("bc"));
    Builder { data: 128, ..Builder::default() }
        .entry("general.architecture", 8, &text("gemma3"))
        .entry("general.file_type", 4, &15_u32.to_le_bytes())
        .entry("gemma3.context_length", 4, &32_768_u32.to_le_bytes())
        .entry("tokenizer.ggml.tokens", 9, &tokens)
        .tensor(32, 0, 0)
        .build()
}

fn read(bytes: &[u8]) -> Result<Gguf, GgufError> {
    Gguf::read(bytes, bytes.len() as u64)
}

#[test]
fn head_of_a_whole_file_is_read() {
    let gguf = read(&sample()).unwrap();
    assert_eq!(gguf.architecture(), "gemma3");
    assert_eq!(gguf.architecture_number("context_length"), Some(32_768));
    assert_eq!(gguf.quantization(), "Q4_K_M");
    assert_eq!(gguf.get("tokenizer.ggml.tokens"), Some(&Value::Array(2)));
    assert_eq!(gguf.parameters, 32);
}

#[test]
fn every_cut_is_noticed() {
    let whole = sample();
    for length in 0..whole.len() {
        let error = read(&whole[..length]).unwrap_err();
        assert!(
            matches!(error, GgufError::CutShort { .. } | GgufError::NotGguf),
            "cut at {length}: {error}"
        );
    }
}

#[test]
fn a_flipped_byte_never_panics() {
    let whole = sample();
    for index in 0..whole.len() {
        for value in [0x00, 0x7f, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[index] = value;
            let _ = read(&bytes);
        }
    }
}

#[test]
fn other_files_are_told_apart() {
    assert!(matches!(read(b"PK\x03\x04 something"), Err(GgufError::NotGguf)));
    let mut old = b"GGUF".to_vec();
    old.extend(1_u32.to_le_bytes());
    assert!(matches!(read(&old), Err(GgufError::Version(1))));
}

#[test]
fn huge_claims_allocate_nothing() {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(u64::MAX.to_le_bytes());
    assert!(matches!(read(&bytes), Err(GgufError::Broken(_))));
}

#[test]
fn parameter_counts_read_like_ollamas() {
    let size = |parameters| Gguf { parameters, ..Gguf::default() }.parameter_size();
    assert_eq!(size(268_098_176), "268.10M");
    assert_eq!(size(1_100_048_384), "1.1B");
}
