//! Which models there are: GGUF files and folders of them, and the models in Ollama's own store.
//!
//! Looked at anew for each listing, so that a file dropped into the folder is found without a
//! restart. What a file's head says is remembered until the file changes. Models are never
//! loaded for this.

mod names;
mod ollama_store;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::card::{Card, Cards};
use crate::checksum::{Checksums, Stamp, expected_sum};
use crate::engine::Engine;
use crate::gguf::Gguf;
use crate::options::Options;

pub(crate) use names::canonical;

/// Most models that are listed.
const MAX_MODELS: usize = 4096;
/// Folders within folders that are looked into.
const MAX_DEPTH: usize = 4;
/// Pause of the digests' computation while a request is at work.
const WAIT_WHILE_BUSY: Duration = Duration::from_millis(100);

/// What a file's head says, or why the file cannot be used.
pub(crate) type Head = Result<Arc<Gguf>, String>;

/// A model that can be loaded.
#[derive(Debug, Clone)]
pub(crate) struct ModelEntry {
    /// Canonical: lower case, with a tag.
    pub(crate) name: String,
    /// Other canonical names it is found by.
    aliases: Vec<String>,
    pub(crate) path: PathBuf,
    pub(crate) stamp: Stamp,
    /// Digest of the model as far as it is known without reading the file: Ollama's manifest, or
    /// the checksum file beside it.
    stated_digest: Option<String>,
    pub(crate) modified: SystemTime,
    pub(crate) head: Head,
    pub(crate) card: Option<Arc<Card>>,
    pub(crate) system: Option<String>,
    pub(crate) license: Option<String>,
    /// Settings that come with the model.
    pub(crate) options: Options,
}

impl ModelEntry {
    /// Whether the file has the same content as that of `other`, by what can be seen of it.
    pub(crate) fn same_file(&self, other: &Self) -> bool {
        self.path == other.path && self.stamp == other.stamp
    }

    /// Whether it answers for `name` without that being a name of its own.
    pub(crate) fn is_stand_in_for(&self, name: &str) -> bool {
        let asked = canonical(name);
        asked != self.name && !self.aliases.contains(&asked)
    }

    pub(crate) fn chat_template(&self) -> Option<&str> {
        self.head.as_ref().ok().and_then(|head| head.chat_template())
    }

    pub(crate) fn is_embedding_only(&self) -> bool {
        let architecture = self.head.as_ref().map_or("", |head| head.architecture());
        architecture.contains("bert") || architecture == "gemma-embedding"
    }

    /// Whether the model writes its thinking apart, by what its template does.
    pub(crate) fn thinks(&self) -> bool {
        self.card.as_ref().is_none_or(|card| card.forms.is_empty())
            && self.chat_template().is_some_and(|template| {
                template.contains("<think>") || template.contains("enable_thinking")
            })
    }

    pub(crate) fn capabilities(&self) -> Vec<&'static str> {
        let mut capabilities = Vec::new();
        if !self.is_embedding_only() {
            capabilities.push("completion");
        }
        capabilities.push("embedding");
        if self.thinks() {
            capabilities.push("thinking");
        }
        capabilities
    }
}

/// A model file that was found, before it was looked into.
struct Found {
    name: Option<String>,
    aliases: Vec<String>,
    path: PathBuf,
    stated_digest: Option<String>,
    modified: Option<SystemTime>,
    system: Option<String>,
    license: Option<String>,
    options: Options,
}

pub(crate) struct Library {
    models: Vec<PathBuf>,
    ollama_models: Option<PathBuf>,
    /// Canonical names that the first model answers for where they are not there.
    stand_ins: Vec<String>,
    cards: Cards,
    heads: Mutex<HashMap<PathBuf, (Stamp, Head)>>,
    /// By canonical name, as of the last look.
    last: Mutex<HashMap<String, Arc<ModelEntry>>>,
    pub(crate) checksums: Checksums,
}

impl Library {
    pub(crate) fn new(
        models: Vec<PathBuf>,
        ollama_models: Option<PathBuf>,
        card_folders: &[PathBuf],
        stand_ins: &[String],
    ) -> Self {
        Self {
            models,
            ollama_models,
            stand_ins: stand_ins.iter().map(|name| canonical(name)).collect(),
            cards: Cards::load(card_folders),
            heads: Mutex::default(),
            last: Mutex::default(),
            checksums: Checksums::default(),
        }
    }

    pub(crate) fn plain_card(&self) -> Option<Arc<Card>> {
        self.cards.plain()
    }

    /// All models: those of files and folders, then those of Ollama's store, each by name. The
    /// first is the one to take where none was named. Reads folders, and heads of files not seen
    /// before.
    pub(crate) fn list(&self) -> Vec<Arc<ModelEntry>> {
        let mut found = Vec::new();
        for path in &self.models {
            collect(path, 0, &mut found);
        }
        let own = found.len();
        if let Some(root) = &self.ollama_models {
            ollama_store::collect(root, &mut found);
        }
        let mut list: Vec<(bool, Arc<ModelEntry>)> = Vec::new();
        let mut by_name = HashMap::new();
        for (place, found) in found.into_iter().enumerate() {
            let Some(entry) = self.entry(found) else { continue };
            if by_name.contains_key(&entry.name) {
                continue;
            }
            let entry = Arc::new(entry);
            by_name.insert(entry.name.clone(), Arc::clone(&entry));
            list.push((place >= own, entry));
        }
        list.sort_by(|(a_store, a), (b_store, b)| (a_store, &a.name).cmp(&(b_store, &b.name)));
        let list: Vec<_> = list.into_iter().map(|(_, entry)| entry).collect();
        for entry in &list {
            for alias in &entry.aliases {
                by_name.entry(alias.clone()).or_insert_with(|| Arc::clone(entry));
            }
        }
        if let Some(first) = list.first() {
            for name in &self.stand_ins {
                by_name.entry(name.clone()).or_insert_with(|| Arc::clone(first));
            }
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = by_name;
        list
    }

    /// A model that was there at the last look and whose file is as it was then. Costs one `stat`.
    pub(crate) fn find_known(&self, name: &str) -> Option<Arc<ModelEntry>> {
        let entry = {
            let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.get(&canonical(name)).cloned()
        }?;
        let stamp = Stamp::of(&std::fs::metadata(&entry.path).ok()?);
        (stamp == entry.stamp).then_some(entry)
    }

    /// A model by any of its names, after a fresh look.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<ModelEntry>> {
        self.list();
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(&canonical(name)).cloned()
    }

    /// 64 hex digits, where they are known already.
    pub(crate) fn digest(&self, entry: &ModelEntry) -> Option<String> {
        entry.stated_digest.clone().or_else(|| self.checksums.known(&entry.path, entry.stamp))
    }

    fn entry(&self, found: Found) -> Option<ModelEntry> {
        let stamp = Stamp::of(&std::fs::metadata(&found.path).ok()?);
        let head = self.head(&found.path, stamp);
        if let Ok(head) = &head
            && head.architecture() == "clip"
        {
            // The eyes of another model; nothing that answers.
            return None;
        }
        let stated_digest =
            found.stated_digest.or_else(|| expected_sum(&found.path).map(|(_, sum)| sum));
        let card = head.as_ref().ok().and_then(|head| {
            let known = stated_digest.clone();
            let known = known.or_else(|| self.checksums.known(&found.path, stamp));
            self.cards.find(&found.path, head, known.as_deref())
        });
        let mut aliases = found.aliases;
        let own_name = found.name.or_else(|| names::from_file(&found.path))?;
        let name = match card.as_ref().and_then(|card| card.name.as_deref()) {
            Some(name) => {
                aliases.push(own_name);
                canonical(name)
            }
            None => own_name,
        };
        let card_options = card.as_ref().map(|card| card.options()).unwrap_or_default();
        Some(ModelEntry {
            name,
            aliases,
            stamp,
            modified: found.modified.unwrap_or(stamp.modified),
            head,
            system: found.system,
            license: found.license.or_else(|| card.as_ref().and_then(|card| card.license.clone())),
            options: found.options.or(&card_options),
            card,
            stated_digest,
            path: found.path,
        })
    }

    fn head(&self, path: &Path, stamp: Stamp) -> Head {
        {
            let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((known, head)) = heads.get(path)
                && *known == stamp
            {
                return head.clone();
            }
        }
        let head = Gguf::open(path).map(Arc::new).map_err(|error| error.to_string());
        if let Err(error) = &head {
            tracing::warn!(file = %path.display(), %error, "model file cannot be used");
        }
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        if heads.len() > MAX_MODELS {
            heads.clear();
        }
        heads.insert(path.to_owned(), (stamp, head.clone()));
        head
    }
}

/// Computes the digests of all files in the background, out of the way of requests.
pub(crate) fn start_digesting(library: Arc<Library>, engine: Engine) -> std::io::Result<()> {
    let work = move || {
        for entry in library.list() {
            if entry.head.is_err() || library.digest(&entry).is_some() {
                continue;
            }
            let result = library.checksums.compute(&entry.path, |_| {
                while engine.is_busy() {
                    thread::sleep(WAIT_WHILE_BUSY);
                }
                true
            });
            if let Err(error) = result {
                tracing::warn!(file = %entry.path.display(), %error, "cannot read for its digest");
            }
        }
    };
    thread::Builder::new().name("digest".into()).spawn(work).map(|_| ())
}

/// GGUF files at `path`: itself, or those in the folder.
fn collect(path: &Path, depth: usize, found: &mut Vec<Found>) {
    if found.len() >= MAX_MODELS {
        return;
    }
    let Ok(metadata) = std::fs::metadata(path) else { return };
    if metadata.is_file() {
        // A file named by hand may have any name; in folders only `*.gguf` count.
        if depth == 0 || is_model_file(path) {
            found.push(Found {
                name: None,
                aliases: Vec::new(),
                path: path.to_owned(),
                stated_digest: None,
                modified: None,
                system: None,
                license: None,
                options: Options::default(),
            });
        }
        return;
    }
    if !metadata.is_dir() || depth >= MAX_DEPTH {
        return;
    }
    let Ok(entries) = std::fs::read_dir(path) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        collect(&path, depth + 1, found);
    }
}

fn is_model_file(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let name = name.to_lowercase();
    name.ends_with(".gguf") && !name.starts_with('.') && !names::is_later_part(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_are_found_and_broken_ones_are_listed_as_such() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Some-Model.Q8_0.gguf"), "not a model").unwrap();
        std::fs::write(folder.path().join("notes.txt"), "x").unwrap();
        std::fs::write(folder.path().join("big-00002-of-00003.gguf"), "x").unwrap();
        let library =
            Library::new(vec![folder.path().to_owned()], None, &[], &["TinyLlama".to_owned()]);
        let list = library.list();
        assert_eq!(list.len(), 1);
        assert_eq!(list[0].name, "some-model.q8_0:latest");
        assert!(list[0].head.is_err());
        assert!(library.find_known("SOME-model.q8_0").is_some());
        std::fs::write(&list[0].path, "changed file").unwrap();
        assert!(
            library.find_known("some-model.q8_0").is_none(),
            "a changed file is looked at anew"
        );
        assert!(library.find("some-model.q8_0:latest").is_some());
        assert!(library.find("nothing").is_none());
        let stand_in = library.find("tinyllama:latest").unwrap();
        assert_eq!(stand_in.name, "some-model.q8_0:latest");
        assert!(stand_in.is_stand_in_for("tinyllama"));
        assert!(!stand_in.is_stand_in_for("Some-Model.q8_0"));
    }
}
