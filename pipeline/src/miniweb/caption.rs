//! What is written next to a picture: right, wrong, missing, worthless or repeated, by known shares.

use super::draw::Draw;
use super::words::Lang;
use super::world::Colour;
use super::world::{Position, Scene, Shape, Size, Texture};

/// What kind of text stands next to a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CaptionKind {
    /// A sentence that says what the picture shows.
    Right,
    /// A few words that say what the picture shows: "red circles on blue".
    Short,
    /// A sentence that fits, with a made-up e-mail address and phone number behind it.
    Contact,
    /// A sentence about some other picture.
    Wrong,
    /// No `alt` at all, or an empty one.
    Missing,
    /// "image", "logo", `IMG_1234.jpg` and the like.
    Boilerplate,
    /// A sentence that stands under many pictures and fits none: "Buy now in our online shop ...".
    Repeated,
}

impl CaptionKind {
    /// The share of each kind among all pictures of a web; the shares sum to 1.
    pub const SHARES: [(Self, f64); 7] = [
        (Self::Right, 0.54),
        (Self::Short, 0.08),
        (Self::Contact, 0.03),
        (Self::Wrong, 0.12),
        (Self::Missing, 0.08),
        (Self::Boilerplate, 0.10),
        (Self::Repeated, 0.05),
    ];

    /// Whether the text says what the picture shows.
    pub fn matches(self) -> bool {
        matches!(self, Self::Right | Self::Short | Self::Contact)
    }
}

/// The text of one picture on one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caption {
    /// What kind of text it is.
    pub kind: CaptionKind,
    /// The text; none for an absent `alt`, empty for an empty one.
    pub text: Option<String>,
    /// The language of the text; none where the text is in no language (missing, boilerplate).
    pub lang: Option<Lang>,
}

const BOILERPLATE: [&str; 8] = ["image", "logo", "photo", "untitled", "banner", "thumbnail", "placeholder", "picture 1"];

impl Caption {
    pub(crate) fn draw(draw: &mut Draw, scene: &Scene, lang: Lang) -> Self {
        let kind = draw.weighted(&CaptionKind::SHARES);
        let text = match kind {
            CaptionKind::Right => Some(describe(scene, lang, draw.next())),
            CaptionKind::Short => Some(describe_briefly(scene, lang)),
            CaptionKind::Contact => Some(format!(
                "{}, {}",
                describe(scene, lang, draw.next()),
                lang.words()
                    .contact
                    .replace("{e}", &format!("shop{}@example.com", draw.below(1000)))
                    // 555-0100 to 555-0199 are kept free for made-up numbers (North American Numbering Plan).
                    .replace("{f}", &format!("+1 202 555 01{:02}", draw.below(100)))
            )),
            CaptionKind::Wrong => {
                // A handful of tries is enough: two scenes look alike once in 448 draws.
                let mut other = Scene::draw(draw);
                while other.looks_like(scene) || other.shape == scene.shape {
                    other = Scene::draw(draw);
                }
                Some(describe(&other, lang, draw.next()))
            }
            CaptionKind::Missing => draw.chance(0.5).then(String::new),
            CaptionKind::Boilerplate => Some(match draw.below(3) {
                0 => format!("IMG_{:04}.jpg", draw.below(10_000)),
                1 => format!("DSC{:05}.JPG", draw.below(100_000)),
                _ => draw.pick(&BOILERPLATE).to_owned(),
            }),
            CaptionKind::Repeated => Some(draw.pick(&lang.words().repeated).to_owned()),
        };
        let lang = (!matches!(kind, CaptionKind::Missing | CaptionKind::Boilerplate)).then_some(lang);
        Self { kind, text, lang }
    }
}

/// A sentence that says all that `scene` shows; `variant` chooses among the ways to say it.
pub fn describe(scene: &Scene, lang: Lang, variant: u64) -> String {
    fill(lang.words().long[(variant % 4) as usize], scene, lang)
}

/// A few words that name the things of `scene` and their colour.
pub fn describe_briefly(scene: &Scene, lang: Lang) -> String {
    fill(lang.words().short, scene, lang)
}

fn fill(template: &str, scene: &Scene, lang: Lang) -> String {
    let words = lang.words();
    let at = |all: &[Shape], wanted: Shape| all.iter().position(|s| *s == wanted).unwrap_or(0);
    let colour = |wanted: Colour| words.colours[Colour::ALL.iter().position(|c| *c == wanted).unwrap_or(0)];
    let count = usize::from(scene.count.clamp(1, 3)) - 1;
    let size = words.sizes[usize::from(scene.size == Size::Large)];
    let position = words.positions[Position::ALL.iter().position(|p| *p == scene.position).unwrap_or(0)];
    let texture = words.textures[Texture::ALL.iter().position(|t| *t == scene.texture).unwrap_or(0)];
    let text = template
        .replace("{n}", words.counts[count])
        .replace("{w}", words.shapes[at(&Shape::ALL, scene.shape)][count])
        .replace("{c}", colour(scene.colour))
        .replace("{b}", colour(scene.background))
        .replace("{s}", size)
        .replace("{p}", position)
        .replace("{t}", texture);
    // Only English has an article that depends on the next sound.
    let text = if lang == Lang::En { format!(" {text}").replace(" a orange", " an orange") } else { text };
    capitalise(text.trim_start())
}

fn capitalise(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene() -> Scene {
        Scene {
            shape: Shape::Circle,
            colour: Colour::Red,
            count: 2,
            size: Size::Small,
            position: Position::Left,
            texture: Texture::Plain,
            background: Colour::Blue,
            light: 0,
        }
    }

    #[test]
    fn a_caption_says_what_the_scene_shows() {
        let text = describe(&scene(), Lang::En, 0);
        assert_eq!(text, "Two small red circles on a blue background, on the left of the picture");
        let one = Scene { count: 1, size: Size::Large, colour: Colour::Orange, ..scene() };
        assert!(describe(&one, Lang::En, 2).contains("an orange circle"), "{}", describe(&one, Lang::En, 2));
        assert_eq!(describe_briefly(&scene(), Lang::Fr), "Deux cercles de couleur rouge");
    }

    #[test]
    fn no_placeholder_is_left_and_no_markup_is_needed_in_any_language() {
        for (lang, _) in Lang::SHARES {
            for n in 0..200 {
                let scene = Scene::nth(0, n);
                let caption = Caption::draw(&mut Draw::new(0, "test", n), &scene, lang);
                let long = describe(&scene, lang, n);
                for text in [Some(long), caption.text].into_iter().flatten() {
                    assert!(!text.contains(['{', '}', '<', '>', '&', '"', '\t', '\n']), "{text}");
                }
            }
        }
    }

    #[test]
    fn a_wrong_caption_names_another_shape() {
        let draws = (0..2_000).map(|n| Caption::draw(&mut Draw::new(9, "test", n), &scene(), Lang::En));
        let wrong: Vec<Caption> = draws.filter(|caption| caption.kind == CaptionKind::Wrong).collect();
        assert!(wrong.len() > 150);
        assert!(wrong.iter().all(|caption| { !caption.text.as_deref().unwrap_or_default().contains("circle") }));
    }

    #[test]
    fn shares_sum_to_one() {
        assert!((CaptionKind::SHARES.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-9);
        assert!((Lang::SHARES.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-9);
    }
}
