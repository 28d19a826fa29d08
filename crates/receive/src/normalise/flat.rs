//! Attributes that are numbered, back in the shape that they had: `llm.input_messages.10.message.role`.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

/// Deeper names are one name from there on.
const MAX_DEPTH: usize = 12;

/// A tree of names; numbers are in their order, 10 after 9, and may have gaps.
#[derive(Default)]
pub(super) struct Tree {
    leaf: Option<Json>,
    numbers: BTreeMap<u64, Tree>,
    names: BTreeMap<String, Tree>,
}

impl Tree {
    pub(super) fn insert(&mut self, path: &str, value: Json) {
        let mut node = self;
        for name in path.splitn(MAX_DEPTH, '.') {
            node = match name.parse() {
                Ok(number) => node.numbers.entry(number).or_default(),
                Err(_) => node.names.entry(name.to_owned()).or_default(),
            };
        }
        node.leaf = Some(value);
    }

    /// What is under a name of the root, which is given up.
    pub(super) fn take(&mut self, path: &str) -> Option<Json> {
        let mut node = self;
        for name in path.split('.') {
            node = node.names.get_mut(name)?;
        }
        let taken = std::mem::take(node);
        (!taken.is_empty()).then(|| taken.into_json())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.leaf.is_none() && self.numbers.is_empty() && self.names.is_empty()
    }

    fn into_json(self) -> Json {
        if self.names.is_empty() && !self.numbers.is_empty() {
            return self.numbers.into_values().map(Self::into_json).collect();
        }
        if self.names.is_empty() {
            return self.leaf.unwrap_or(Json::Null);
        }
        let named = self.names.into_iter().map(|(name, tree)| (name, tree.into_json()));
        let numbered =
            self.numbers.into_iter().map(|(at, tree)| (at.to_string(), tree.into_json()));
        Json::Object(named.chain(numbered).collect::<Map<_, _>>())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_in_their_order_and_gaps_are_borne() {
        let mut tree = Tree::default();
        for at in [10, 9, 2] {
            tree.insert(&format!("llm.input_messages.{at}.message.content"), at.into());
        }
        tree.insert("llm.input_messages.2.message.role", "user".into());
        let messages = tree.take("llm.input_messages").unwrap();
        assert_eq!(
            messages,
            json!([
                {"message": {"content": 2, "role": "user"}},
                {"message": {"content": 9}},
                {"message": {"content": 10}},
            ])
        );
        assert!(tree.take("llm.input_messages").is_none());
    }
}
