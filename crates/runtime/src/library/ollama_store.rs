//! Ollama's own store, read only: `manifests/HOST/NAMESPACE/MODEL/TAG` and `blobs/sha256-HEX`.
//!
//! The weights' blob is the GGUF file itself. Of the other layers the settings, the system
//! message and the licence are used; templates there are in Go's notation and are not.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Found, MAX_MODELS, canonical};
use crate::checksum::hex;
use crate::fields::Fields;
use crate::options::Options;

const MAX_MANIFEST_BYTES: u64 = 1024 * 1024;
const MAX_LAYER_BYTES: u64 = 256 * 1024;
/// Names without a namespace live in this one, at the store's default host.
const DEFAULT_NAMESPACE: &str = "library";
const LAYER_PREFIX: &str = "application/vnd.ollama.image.";

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    media_type: String,
    digest: String,
}

/// Adds the store's models.
pub(super) fn collect(root: &Path, found: &mut Vec<Found>) {
    for host in folders(&root.join("manifests")) {
        // The host that has the default namespace is the default host.
        let is_default = host.join(DEFAULT_NAMESPACE).is_dir();
        for namespace in folders(&host) {
            for model in folders(&namespace) {
                for tag in children(&model).into_iter().filter(|path| path.is_file()) {
                    if found.len() >= MAX_MODELS {
                        return;
                    }
                    let parts = [&host, &namespace, &model, &tag].map(|path| file_name(path));
                    found.extend(read_model(root, &tag, &parts, is_default));
                }
            }
        }
    }
}

fn read_model(root: &Path, manifest: &Path, parts: &[String; 4], default: bool) -> Option<Found> {
    let [host, namespace, model, tag] = parts;
    let bytes = read_limited(manifest, MAX_MANIFEST_BYTES)?;
    let layers = serde_json::from_slice::<Manifest>(&bytes).ok()?.layers;
    let layer = |kind: &str| {
        layers.iter().find(|layer| layer.media_type.strip_prefix(LAYER_PREFIX) == Some(kind))
    };
    let path = blob(root, &layer("model")?.digest)?;
    let text = |kind: &str| {
        let bytes = read_limited(&blob(root, &layer(kind)?.digest)?, MAX_LAYER_BYTES)?;
        String::from_utf8(bytes).ok()
    };
    let options = text("params").and_then(|text| {
        let value: Value = serde_json::from_str(&text).ok()?;
        Options::from_json(&Fields::root(&value).ok()?).ok()
    });
    let full = canonical(&format!("{host}/{namespace}/{model}:{tag}"));
    let middle = canonical(&format!("{namespace}/{model}:{tag}"));
    let short = canonical(&format!("{model}:{tag}"));
    let (name, aliases) = match (default, namespace == DEFAULT_NAMESPACE) {
        (true, true) => (short, vec![middle, full]),
        (true, false) => (middle, vec![full]),
        (false, _) => (full, Vec::new()),
    };
    Some(Found {
        name: Some(name),
        aliases,
        path,
        stated_digest: Some(hex(&Sha256::digest(&bytes))),
        modified: fs::metadata(manifest).and_then(|metadata| metadata.modified()).ok(),
        system: text("system").filter(|text| !text.trim().is_empty()),
        license: text("license"),
        options: options.unwrap_or_default(),
    })
}

/// The file of a digest, `sha256:HEX`. Anything else could lead out of the store.
fn blob(root: &Path, digest: &str) -> Option<PathBuf> {
    let sum = digest.strip_prefix("sha256:")?;
    let is_hex = sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
    let path = root.join("blobs").join(format!("sha256-{sum}"));
    (is_hex && path.is_file()).then_some(path)
}

fn read_limited(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let file = fs::File::open(path).ok()?;
    if file.metadata().ok()?.len() > limit {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn children(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| !file_name(path).starts_with('.'));
    paths.sort();
    paths
}

fn folders(path: &Path) -> Vec<PathBuf> {
    children(path).into_iter().filter(|path| path.is_dir()).collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, content: &str) -> String {
        let sum = hex(&Sha256::digest(content));
        let blobs = root.join("blobs");
        fs::create_dir_all(&blobs).unwrap();
        fs::write(blobs.join(format!("sha256-{sum}")), content).unwrap();
        format!("sha256:{sum}")
    }

    fn manifest(root: &Path, place: &str, layers: &[(&str, &str)]) {
        let layers: Vec<Value> = layers
            .iter()
            .map(|(kind, digest)| {
                serde_json::json!({
                    "mediaType": format!("{LAYER_PREFIX}{kind}"), "digest": digest, "size": 1
                })
            })
            .collect();
        let path = root.join("manifests").join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, serde_json::json!({ "schemaVersion": 2, "layers": layers }).to_string())
            .unwrap();
    }

    #[test]
    fn names_settings_and_weights_are_found() {
        let store = tempfile::tempdir().unwrap();
        let root = store.path();
        let weights = put(root, "weights");
        let settings = put(root, r#"{"temperature":0.1,"stop":["<a>","<b>"]}"#);
        let system = put(root, "Be kind.");
        let layers = [("model", &*weights), ("params", &settings), ("system", &system)];
        manifest(root, "registry.example/library/tinyllama/latest", &layers);
        manifest(root, "registry.example/someone/Thing/2b", &[("model", &weights)]);
        manifest(root, "hub.example/org/other/q4", &[("model", &weights)]);
        manifest(root, "registry.example/library/evil/latest", &[("model", "sha256:../../x")]);
        let mut found = Vec::new();
        collect(root, &mut found);
        let mut names: Vec<&str> = found.iter().filter_map(|f| f.name.as_deref()).collect();
        names.sort_unstable();
        assert_eq!(names, ["hub.example/org/other:q4", "someone/thing:2b", "tinyllama:latest"]);
        let tiny = found.iter().find(|f| f.name.as_deref() == Some("tinyllama:latest")).unwrap();
        assert_eq!(tiny.options.temperature, Some(0.1));
        assert_eq!(tiny.options.stop.as_ref().unwrap().len(), 2);
        assert_eq!(tiny.system.as_deref(), Some("Be kind."));
        assert_eq!(fs::read_to_string(&tiny.path).unwrap(), "weights");
    }
}
