//! What goes into a model: pictures as pixels, captions as tokens.

/// A decoded picture: upright, sRGB, 8 bits, rows from the top, `data.len() == width * height * 3`.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Red, green, blue, pixel after pixel.
    pub data: &'a [u8],
}

/// A picture as a model takes it, normalised.
#[derive(Debug, Clone, PartialEq)]
pub enum Prepared {
    /// A square of fixed size: `3 * side * side` values, plane after plane (red, green, blue).
    Fixed {
        /// Pixels of a side.
        side: usize,
        /// The values.
        data: Vec<f32>,
    },
    /// Patches at the picture's own aspect ratio (NaFlex): `rows * columns` patches in row-major order, each of
    /// `patch * patch * 3` values (row, column, channel).
    Patches {
        /// Rows of patches.
        rows: usize,
        /// Columns of patches.
        columns: usize,
        /// The values, without padding.
        data: Vec<f32>,
    },
}

/// A caption as a model takes it: ids up to the context length, padded as the model wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Token ids; always as many as the context is long.
    pub ids: Vec<u32>,
    /// Ids up to and with the end-of-text token. What follows is padding.
    pub used: usize,
    /// The caption was longer than the context.
    pub truncated: bool,
}
