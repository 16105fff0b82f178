//! A name for a preprocessing, for provenance.

use sha2::{Digest, Sha256};

use super::Inputs;
use super::geometry::{Half, Resize};
use super::levels::{Levels, Scale};

/// A readable head and eight hexadecimal digits of a digest of every parameter. The text under the digest is spelled
/// out here, so that a renamed type does not change the names in old outputs.
pub(super) fn of(inputs: &Inputs) -> String {
    let filter = inputs.filter().name();
    let (head, rest) = match inputs {
        Inputs::Square { resize, crop, .. } => {
            let resize = match resize {
                Resize::Keep => "keep".to_owned(),
                Resize::Shortest(side) => format!("shortest{side}"),
                Resize::Squash(side) => format!("squash{side}"),
                Resize::Longest(side) => format!("longest{side}"),
            };
            match crop {
                None => (format!("{filter}:{resize}"), String::new()),
                Some(crop) => {
                    let half = match crop.half {
                        Half::Down => "down",
                        Half::Even => "even",
                    };
                    (format!("{filter}:{resize}:crop{}", crop.side), format!("half={half},fill={}", crop.fill))
                }
            }
        }
        Inputs::Patches { patch, patches, .. } => (format!("{filter}:naflex{patches}:patch{patch}"), String::new()),
    };
    let Levels { scale, rescale, normalize } = inputs.levels();
    let scale = match scale {
        Scale::Fused => "fused",
        Scale::Divided => "divided",
    };
    let full = format!("{head};{rest};{scale};rescale={rescale:?};normalize={normalize:?}");
    let digest = Sha256::digest(full.as_bytes());
    let hex: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{head}:{hex}")
}
