//! What can be seen in the imaginary world: scenes of simple things that a tiny model can learn to tell apart.

use super::draw::Draw;

/// The form of the things in a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are their own description")]
pub enum Shape {
    Circle,
    Square,
    Triangle,
    Star,
    Ring,
    Cross,
    Heart,
    Diamond,
}

impl Shape {
    /// All shapes, in the order of the vocabulary tables.
    pub const ALL: [Self; 8] =
        [Self::Circle, Self::Square, Self::Triangle, Self::Star, Self::Ring, Self::Cross, Self::Heart, Self::Diamond];
}

/// The colour of a thing or of a background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are their own description")]
pub enum Colour {
    Red,
    Green,
    Blue,
    Yellow,
    Orange,
    Purple,
    Black,
    White,
}

impl Colour {
    /// All colours, in the order of the vocabulary tables.
    pub const ALL: [Self; 8] = [Self::Red, Self::Green, Self::Blue, Self::Yellow, Self::Orange, Self::Purple, Self::Black, Self::White];

    /// The colour in sRGB, 0..=255.
    pub fn rgb(self) -> [u8; 3] {
        match self {
            Self::Red => [205, 35, 40],
            Self::Green => [40, 150, 60],
            Self::Blue => [40, 75, 200],
            Self::Yellow => [240, 215, 50],
            Self::Orange => [240, 130, 30],
            Self::Purple => [125, 50, 160],
            Self::Black => [28, 28, 30],
            Self::White => [238, 238, 235],
        }
    }
}

/// How much of the picture a thing takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are their own description")]
pub enum Size {
    Small,
    Large,
}

impl Size {
    /// Both sizes, in the order of the vocabulary tables.
    pub const ALL: [Self; 2] = [Self::Small, Self::Large];
}

/// Where in the picture the things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are their own description")]
pub enum Position {
    Left,
    Right,
    Top,
    Bottom,
    Centre,
}

impl Position {
    /// All positions, in the order of the vocabulary tables.
    pub const ALL: [Self; 5] = [Self::Left, Self::Right, Self::Top, Self::Bottom, Self::Centre];
}

/// The surface of the things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are their own description")]
pub enum Texture {
    Plain,
    Striped,
    Dotted,
}

impl Texture {
    /// All textures, in the order of the vocabulary tables.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Striped, Self::Dotted];
}

/// One picture, said in full: everything but `light` can be read back from a caption.
///
/// There are 40 320 scenes besides `light`: 8 shapes, 8 colours, 7 other background colours, 1 to 3 things, 2 sizes,
/// 5 positions and 3 textures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scene {
    /// The form of every thing in the picture.
    pub shape: Shape,
    /// The colour of every thing in the picture.
    pub colour: Colour,
    /// How many things there are: 1, 2 or 3.
    pub count: u8,
    /// How large the things are.
    pub size: Size,
    /// Where the things stand.
    pub position: Position,
    /// The surface of the things.
    pub texture: Texture,
    /// The colour behind the things; never `colour`.
    pub background: Colour,
    /// What a caption does not tell: light, shade, grain and small shifts. Two pictures of one scene differ by this.
    pub light: u64,
}

impl Scene {
    /// The scene number `n` of the world of `seed`. A training set draws from here without any web around it.
    pub fn nth(seed: u64, n: u64) -> Self {
        Self::draw(&mut Draw::new(seed, "scene", n))
    }

    pub(crate) fn draw(draw: &mut Draw) -> Self {
        let shape = draw.pick(&Shape::ALL);
        let colour = draw.below(8);
        let background = (colour + 1 + draw.below(7)) % 8;
        Self {
            shape,
            colour: Colour::ALL[colour as usize],
            count: 1 + draw.below(3) as u8,
            size: draw.pick(&Size::ALL),
            position: draw.pick(&Position::ALL),
            texture: draw.weighted(&[(Texture::Plain, 0.5), (Texture::Striped, 0.25), (Texture::Dotted, 0.25)]),
            background: Colour::ALL[background as usize],
            light: draw.next(),
        }
    }

    /// Whether a caption of one scene also fits the other, in what a short caption says: shape, colour and background.
    pub fn looks_like(&self, other: &Self) -> bool {
        self.shape == other.shape && self.colour == other.colour && self.background == other.background
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_never_of_the_colour_of_their_background() {
        assert!((0..5_000).map(|n| Scene::nth(3, n)).all(|scene| scene.colour != scene.background));
    }

    #[test]
    fn every_word_of_the_vocabulary_comes_up() {
        let scenes: Vec<Scene> = (0..2_000).map(|n| Scene::nth(3, n)).collect();
        assert!(Shape::ALL.iter().all(|s| scenes.iter().any(|scene| scene.shape == *s)));
        assert!(Colour::ALL.iter().all(|c| scenes.iter().any(|scene| scene.background == *c)));
        assert!(Position::ALL.iter().all(|p| scenes.iter().any(|scene| scene.position == *p)));
        assert!((1..=3).all(|count| scenes.iter().any(|scene| scene.count == count)));
    }
}
