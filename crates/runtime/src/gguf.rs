//! Reads the head of a GGUF file: what model it is, and whether the file is whole.
//!
//! Listing models must not load them, and a file that was cut short must be refused before
//! llama.cpp maps it (reading past the end of a mapping kills the process). The reader trusts
//! nothing: every length is checked against a limit and against the file's size before anything
//! is allocated. Arrays (a vocabulary has hundreds of thousands of entries) are stepped over.

mod values;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

pub(crate) use values::{Value, file_type_name, tensor_bytes};

const MAGIC: [u8; 4] = *b"GGUF";
const BUFFER_BYTES: usize = 256 * 1024;
const MAX_ENTRIES: u64 = 65_536;
const MAX_TENSORS: u64 = 1_000_000;
const MAX_KEY_BYTES: u64 = 4_096;
/// Longest text that is kept; chat templates are the longest and stay well below.
const MAX_TEXT_BYTES: u64 = 1024 * 1024;
const MAX_DIMENSIONS: u32 = 8;
const DEFAULT_ALIGNMENT: u64 = 32;

/// Why a file is not a usable GGUF file. The caller adds the file's name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GgufError {
    #[error("cannot read it: {0}")]
    Io(#[from] io::Error),
    #[error("it is not a GGUF file")]
    NotGguf,
    #[error("its GGUF version {0} is not supported (2 and 3 are)")]
    Version(u32),
    #[error("its header is broken: {0}")]
    Broken(&'static str),
    #[error("the file is cut short: {actual} bytes, but its tensors need {needed}")]
    CutShort { needed: u64, actual: u64 },
}

/// What the head of a file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Gguf {
    /// Metadata in the file's order.
    pub(crate) entries: Vec<(String, Value)>,
    /// Weights of all tensors together.
    pub(crate) parameters: u64,
    pub(crate) tensors: u64,
}

impl Gguf {
    /// Reads and checks the head of the file at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, GgufError> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Self::read(BufReader::with_capacity(BUFFER_BYTES, file), size)
    }

    fn read(input: impl Read, size: u64) -> Result<Self, GgufError> {
        let mut reader = Reader { input, position: 0, size };
        if reader.bytes::<4>()? != MAGIC {
            return Err(GgufError::NotGguf);
        }
        let version = reader.u32()?;
        if !(2..=3).contains(&version) {
            return Err(GgufError::Version(version));
        }
        let tensors = reader.u64()?;
        let entries = reader.u64()?;
        if tensors > MAX_TENSORS || entries > MAX_ENTRIES {
            return Err(GgufError::Broken("it claims too many entries"));
        }
        let mut gguf = Self { tensors, ..Self::default() };
        for _ in 0..entries {
            let key = reader.text(MAX_KEY_BYTES)?;
            let kind = reader.u32()?;
            let value = reader.value(kind, 0)?;
            gguf.entries.push((key, value));
        }
        let needed = gguf.read_tensors(&mut reader)?;
        if needed > size {
            return Err(GgufError::CutShort { needed, actual: size });
        }
        Ok(gguf)
    }

    /// Steps through the tensors' descriptions; gives the bytes a whole file has.
    fn read_tensors(&mut self, reader: &mut Reader<impl Read>) -> Result<u64, GgufError> {
        let mut end_of_last = 0_u64;
        for _ in 0..self.tensors {
            reader.skip_text(MAX_KEY_BYTES)?;
            let dimensions = reader.u32()?;
            if dimensions > MAX_DIMENSIONS {
                return Err(GgufError::Broken("a tensor has too many dimensions"));
            }
            let mut elements = 1_u64;
            for _ in 0..dimensions {
                elements = elements.saturating_mul(reader.u64()?);
            }
            let kind = reader.u32()?;
            let offset = reader.u64()?;
            self.parameters = self.parameters.saturating_add(elements);
            // An unknown kind is llama.cpp's to refuse; its start can be checked all the same.
            let bytes = tensor_bytes(kind, elements).unwrap_or(0);
            end_of_last = end_of_last.max(offset.saturating_add(bytes));
        }
        let alignment = match self.get("general.alignment") {
            Some(Value::Unsigned(alignment)) if *alignment > 0 => *alignment,
            Some(_) => return Err(GgufError::Broken("general.alignment is not a positive number")),
            None => DEFAULT_ALIGNMENT,
        };
        let data = reader.position.checked_next_multiple_of(alignment);
        Ok(data.unwrap_or(u64::MAX).saturating_add(end_of_last))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn unsigned(&self, key: &str) -> Option<u64> {
        match self.get(key) {
            Some(Value::Unsigned(number)) => Some(*number),
            Some(Value::Signed(number)) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    pub(crate) fn architecture(&self) -> &str {
        self.text("general.architecture").unwrap_or("unknown")
    }

    /// A number under the architecture's own prefix, such as `context_length`.
    pub(crate) fn architecture_number(&self, key: &str) -> Option<u64> {
        self.unsigned(&format!("{}.{key}", self.architecture()))
    }

    pub(crate) fn chat_template(&self) -> Option<&str> {
        self.text("tokenizer.chat_template").filter(|template| !template.trim().is_empty())
    }

    /// `268.10M`, as Ollama writes it.
    pub(crate) fn parameter_size(&self) -> String {
        #[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
        let count = self.parameters as f64;
        match self.parameters {
            0..1_000 => format!("{}", self.parameters),
            1_000..1_000_000 => format!("{:.2}K", count / 1e3),
            1_000_000..1_000_000_000 => format!("{:.2}M", count / 1e6),
            _ => format!("{:.1}B", count / 1e9),
        }
    }

    /// `Q4_K_M`, by the number the file gives.
    pub(crate) fn quantization(&self) -> &'static str {
        self.unsigned("general.file_type").map_or("unknown", file_type_name)
    }
}

/// Reads little-endian values and knows where it is.
struct Reader<R> {
    input: R,
    position: u64,
    size: u64,
}

impl<R: Read> Reader<R> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), GgufError> {
        let wanted = bytes.len() as u64;
        self.input.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.cut_short(wanted),
            _ => GgufError::Io(error),
        })?;
        self.position += wanted;
        Ok(())
    }

    fn cut_short(&self, wanted: u64) -> GgufError {
        GgufError::CutShort { needed: self.position.saturating_add(wanted), actual: self.size }
    }

    fn u32(&mut self) -> Result<u32, GgufError> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    fn u64(&mut self) -> Result<u64, GgufError> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    fn skip(&mut self, count: u64) -> Result<(), GgufError> {
        if count > self.size.saturating_sub(self.position) {
            return Err(self.cut_short(count));
        }
        let skipped = io::copy(&mut self.input.by_ref().take(count), &mut io::sink())?;
        self.position += skipped;
        if skipped == count { Ok(()) } else { Err(self.cut_short(count - skipped)) }
    }

    fn skip_text(&mut self, limit: u64) -> Result<(), GgufError> {
        let length = self.u64()?;
        if length > limit {
            return Err(GgufError::Broken("a text is too long"));
        }
        self.skip(length)
    }

    fn text(&mut self, limit: u64) -> Result<String, GgufError> {
        let length = self.u64()?;
        if length > limit {
            return Err(GgufError::Broken("a text is too long"));
        }
        if length > self.size.saturating_sub(self.position) {
            return Err(self.cut_short(length));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.fill(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn value(&mut self, kind: u32, depth: u8) -> Result<Value, GgufError> {
        Ok(match kind {
            0 => Value::Unsigned(u64::from(self.bytes::<1>()?[0])),
            1 => Value::Signed(i64::from(i8::from_le_bytes(self.bytes()?))),
            2 => Value::Unsigned(u64::from(u16::from_le_bytes(self.bytes()?))),
            3 => Value::Signed(i64::from(i16::from_le_bytes(self.bytes()?))),
            4 => Value::Unsigned(u64::from(self.u32()?)),
            5 => Value::Signed(i64::from(i32::from_le_bytes(self.bytes()?))),
            6 => Value::Float(f64::from(f32::from_le_bytes(self.bytes()?))),
            7 => Value::Flag(self.bytes::<1>()?[0] != 0),
            8 => Value::Text(self.text(MAX_TEXT_BYTES)?),
            9 => self.array(depth)?,
            10 => Value::Unsigned(self.u64()?),
            11 => Value::Signed(i64::from_le_bytes(self.bytes()?)),
            12 => Value::Float(f64::from_le_bytes(self.bytes()?)),
            _ => return Err(GgufError::Broken("a value has an unknown type")),
        })
    }

    fn array(&mut self, depth: u8) -> Result<Value, GgufError> {
        if depth > 1 {
            return Err(GgufError::Broken("arrays are nested too deeply"));
        }
        let kind = self.u32()?;
        let length = self.u64()?;
        if length > self.size {
            return Err(GgufError::Broken("an array is longer than the file"));
        }
        let element_bytes = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            10..=12 => 8,
            8 => {
                for _ in 0..length {
                    self.skip_text(MAX_TEXT_BYTES)?;
                }
                return Ok(Value::Array(length));
            }
            9 => {
                for _ in 0..length {
                    self.array(depth + 1)?;
                }
                return Ok(Value::Array(length));
            }
            _ => return Err(GgufError::Broken("an array has an unknown type")),
        };
        self.skip(length.saturating_mul(element_bytes))?;
        Ok(Value::Array(length))
    }
}

#[cfg(test)]
mod tests;
