//! Enums whose values have one name each, in JSON, in SQL, in filters and on disk.

/// A value with a fixed name.
pub trait Named: Copy + 'static {
    /// All of them, in the order in which they were added.
    const ALL: &'static [Self];

    fn name(self) -> &'static str;

    /// `None` for a name that this version does not know.
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.name() == name)
    }
}

macro_rules! named {
    ($(#[$meta:meta])* pub enum $enum:ident {
        $($(#[$doc:meta])* $variant:ident = $name:tt,)+
    }) => {
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
            utoipa::ToSchema,
        )]
        $(#[$meta])*
        pub enum $enum {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)+
        }

        impl $crate::Named for $enum {
            const ALL: &'static [Self] = &[$(Self::$variant,)+];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

pub(crate) use named;

#[cfg(test)]
mod tests {
    use super::Named;
    use crate::Cause;

    #[test]
    fn names_are_those_of_json() {
        for cause in Cause::ALL {
            let json = serde_json::to_string(cause).unwrap();
            assert_eq!(json, format!("{:?}", cause.name()));
            assert_eq!(Cause::from_name(cause.name()), Some(*cause));
        }
        assert_eq!(Cause::from_name("unheard of"), None);
    }
}
