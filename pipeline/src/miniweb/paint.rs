//! Paints a scene. Only `+ - * /` on floats, which IEEE 754 fixes to the last bit: a picture is the same on every machine.

use image::{Rgb, RgbImage};

use super::draw::Draw;
use super::world::{Position, Scene, Shape, Size, Texture};

/// Paints `scene` at `width` × `height` pixels (each taken as at least 1).
///
/// Two sizes of one scene show the same picture: things, light and shade scale with the picture, only the finest grain
/// belongs to the pixel. A thing is at least a tenth of the shorter side in radius, so a scene can be told at 32 pixels.
pub fn paint(scene: &Scene, width: u32, height: u32) -> RgbImage {
    let (width, height) = (width.max(1), height.max(1));
    let plan = Plan::new(scene, width, height);
    let mut picture = RgbImage::new(width, height);
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        *pixel = plan.pixel(x, y);
    }
    picture
}

/// The picture before its pixels: where each thing stands, in pixels, and how the light falls.
struct Plan {
    shape: Shape,
    texture: Texture,
    things: Vec<Thing>,
    colour: [f32; 3],
    mark: [f32; 3],
    background: [f32; 3],
    /// Light falls along this direction; the sum of both is the change from corner to corner.
    slope: [f32; 2],
    unit: f32,
    size: [f32; 2],
    noise: u32,
}

struct Thing {
    x: f32,
    y: f32,
    radius: f32,
}

impl Plan {
    fn new(scene: &Scene, width: u32, height: u32) -> Self {
        let (w, h) = (width as f32, height as f32);
        let unit = w.min(h);
        let mut light = Draw::new(scene.light, "light", 0);
        let mut shift = |by: f32| (light.unit() as f32 - 0.5) * 2.0 * by;

        let tint = |rgb: [u8; 3], by: f32| rgb.map(|v| f32::from(v) + by);
        let colour = tint(scene.colour.rgb(), shift(9.0));
        let background = tint(scene.background.rgb(), shift(9.0));
        let bright = colour.iter().sum::<f32>() > 330.0;
        // Stripes and dots are the thing's own colour, darker on a light thing and lighter on a dark one.
        let mark = colour.map(|v| if bright { v * 0.45 } else { v + (255.0 - v) * 0.55 });

        let (cx, cy, across) = match scene.position {
            Position::Left => (0.23, 0.5, false),
            Position::Right => (0.77, 0.5, false),
            Position::Top => (0.5, 0.23, true),
            Position::Bottom => (0.5, 0.77, true),
            Position::Centre => (0.5, 0.5, true),
        };
        let radius = match scene.size {
            Size::Small => 0.10,
            Size::Large => 0.16,
        } * unit
            * (1.0 + shift(0.06));
        let count = i32::from(scene.count.clamp(1, 3));
        let (dx, dy) = (shift(0.02), shift(0.02));
        let things = (0..count)
            .map(|k| {
                // The things of one scene stand in a row, a third of the side apart.
                let along = (k * 2 - (count - 1)) as f32 * 0.165;
                let (ax, ay) = if across { (along, 0.0) } else { (0.0, along) };
                Thing { x: (cx + dx + ax) * w, y: (cy + dy + ay) * h, radius }
            })
            .collect();
        Self {
            shape: scene.shape,
            texture: scene.texture,
            things,
            colour,
            mark,
            background,
            slope: [shift(22.0), shift(22.0)],
            unit,
            size: [w, h],
            noise: (scene.light ^ (scene.light >> 32)) as u32,
        }
    }

    fn pixel(&self, x: u32, y: u32) -> Rgb<u8> {
        let (fx, fy) = (x as f32 + 0.5, y as f32 + 0.5);
        let thing = self.things.iter().find_map(|thing| {
            let (u, v) = ((fx - thing.x) / thing.radius, (fy - thing.y) / thing.radius);
            (u.abs() <= 1.0 && v.abs() <= 1.0 && inside(self.shape, u, v)).then_some((u, v))
        });
        let base = match thing {
            Some((u, v)) if marked(self.texture, u, v) => self.mark,
            Some(_) => self.colour,
            None => self.background,
        };
        let shade = self.slope[0] * (fx / self.size[0] - 0.5)
            + self.slope[1] * (fy / self.size[1] - 0.5)
            + 15.0 * (self.cloud(fx, fy, 0.16, 1) - 0.5)
            + 11.0 * (self.cloud(fx, fy, 0.035, 2) - 0.5);
        let grain = noise(x, y, self.noise);
        Rgb([0, 8, 16].map(|bits| {
            let channel = (bits / 8) as usize;
            let own = ((grain >> bits) & 0xff) as f32 / 255.0 - 0.5;
            let all = (grain >> 24) as f32 / 255.0 - 0.5;
            // `as u8` saturates, which is what a sensor does.
            (base[channel] + shade + own * 3.0 + all * 9.0 + 0.5) as u8
        }))
    }

    /// Smooth noise in `[0, 1]` whose cells are `scale` of the shorter side.
    fn cloud(&self, x: f32, y: f32, scale: f32, layer: u32) -> f32 {
        let cell = (self.unit * scale).max(1.0);
        let (gx, gy) = (x / cell, y / cell);
        let (ix, iy) = (gx as u32, gy as u32);
        let (tx, ty) = (gx - ix as f32, gy - iy as f32);
        let (tx, ty) = (tx * tx * (3.0 - 2.0 * tx), ty * ty * (3.0 - 2.0 * ty));
        let at = |x, y| (noise(x, y, self.noise.wrapping_add(layer)) >> 16) as f32 / 65_535.0;
        let top = at(ix, iy) * (1.0 - tx) + at(ix + 1, iy) * tx;
        let bottom = at(ix, iy + 1) * (1.0 - tx) + at(ix + 1, iy + 1) * tx;
        top * (1.0 - ty) + bottom * ty
    }
}

/// An integer hash of a lattice point (the finaliser of MurmurHash3).
fn noise(x: u32, y: u32, seed: u32) -> u32 {
    let mut h = x.wrapping_mul(0x85EB_CA6B) ^ y.wrapping_mul(0xC2B2_AE35).rotate_left(15) ^ seed;
    h = (h ^ (h >> 16)).wrapping_mul(0x85EB_CA6B);
    h = (h ^ (h >> 13)).wrapping_mul(0xC2B2_AE35);
    h ^ (h >> 16)
}

/// The ten corners of a five-pointed star in the unit circle, from the top, clockwise on the screen.
const STAR: [(f32, f32); 10] = [
    (0.0, -1.0),
    (0.2245, -0.309),
    (0.9511, -0.309),
    (0.3633, 0.118),
    (0.5878, 0.809),
    (0.0, 0.382),
    (-0.5878, 0.809),
    (-0.3633, 0.118),
    (-0.9511, -0.309),
    (-0.2245, -0.309),
];

/// Whether the point lies in the shape; `u` and `v` run from -1 to 1 over the shape's box, `v` downwards.
fn inside(shape: Shape, u: f32, v: f32) -> bool {
    match shape {
        Shape::Circle => u * u + v * v <= 1.0,
        Shape::Square => u.abs() <= 0.86 && v.abs() <= 0.86,
        Shape::Triangle => v <= 0.85 && u.abs() <= (v + 0.95) * 0.55,
        Shape::Star => in_polygon(&STAR, u, v),
        Shape::Ring => (0.3..=1.0).contains(&(u * u + v * v)),
        Shape::Cross => u.abs() <= 0.3 || v.abs() <= 0.3,
        Shape::Heart => {
            let (x, y) = (u * 1.2, 0.12 - v * 1.2);
            let a = x * x + y * y - 1.0;
            a * a * a - x * x * y * y * y <= 0.0
        }
        Shape::Diamond => u.abs() * 1.35 + v.abs() <= 1.0,
    }
}

fn in_polygon(corners: &[(f32, f32)], x: f32, y: f32) -> bool {
    let mut odd = false;
    let mut last = corners.len() - 1;
    for next in 0..corners.len() {
        let ((ax, ay), (bx, by)) = (corners[next], corners[last]);
        if (ay > y) != (by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax {
            odd = !odd;
        }
        last = next;
    }
    odd
}

fn marked(texture: Texture, u: f32, v: f32) -> bool {
    match texture {
        Texture::Plain => false,
        Texture::Striped => (((u + v + 4.0) * 2.4) as u32).is_multiple_of(2),
        Texture::Dotted => {
            let cell = |t: f32| {
                let t = (t + 2.0) * 1.9;
                t - (t as u32) as f32 - 0.5
            };
            cell(u) * cell(u) + cell(v) * cell(v) <= 0.085
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::miniweb::world::Colour;

    fn mean(picture: &RgbImage, x: std::ops::Range<u32>, y: std::ops::Range<u32>) -> [f32; 3] {
        let mut sum = [0.0; 3];
        let mut count = 0.0;
        for py in y {
            for px in x.clone() {
                let Rgb(rgb) = picture.get_pixel(px, py);
                rgb.iter().zip(&mut sum).for_each(|(v, s)| *s += f32::from(*v));
                count += 1.0;
            }
        }
        sum.map(|s| s / count)
    }

    fn nearest(rgb: [f32; 3]) -> Colour {
        let distance = |c: &Colour| c.rgb().iter().zip(rgb).map(|(a, b)| (f32::from(*a) - b).powi(2)).sum::<f32>();
        Colour::ALL.into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).expect("there are eight colours")
    }

    #[test]
    fn the_colours_of_a_scene_can_be_read_back_at_32_pixels() {
        for n in 0..300 {
            let scene = Scene { texture: Texture::Plain, shape: Shape::Square, count: 1, ..Scene::nth(5, n) };
            let picture = paint(&scene, 32, 32);
            assert_eq!(nearest(mean(&picture, 0..4, 0..4)), scene.background, "{scene:?}");
            let (cx, cy) = match scene.position {
                Position::Left => (7, 16),
                Position::Right => (25, 16),
                Position::Top => (16, 7),
                Position::Bottom => (16, 25),
                Position::Centre => (16, 16),
            };
            assert_eq!(nearest(mean(&picture, cx - 1..cx + 1, cy - 1..cy + 1)), scene.colour, "{scene:?}");
        }
    }

    #[test]
    fn a_scene_is_the_same_picture_at_every_size_and_in_every_call() {
        let scene = Scene::nth(1, 2);
        assert_eq!(paint(&scene, 80, 60), paint(&scene, 80, 60));
        let (small, large) = (paint(&scene, 64, 64), paint(&scene, 256, 256));
        let shrunk = image::imageops::thumbnail(&large, 64, 64);
        let apart: u64 = small.as_raw().iter().zip(shrunk.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        assert!((apart as f64) / (64.0 * 64.0 * 3.0) < 8.0, "{apart}");
    }

    #[test]
    fn every_shape_covers_a_part_of_its_box_that_is_its_own() {
        let cover = |shape| {
            (0..100)
                .flat_map(|x| (0..100).map(move |y| (x, y)))
                .filter(|(x, y)| inside(shape, *x as f32 / 50.0 - 0.99, *y as f32 / 50.0 - 0.99))
                .count()
        };
        for (shape, from, to) in [
            (Shape::Circle, 7_700, 7_950),
            (Shape::Square, 7_200, 7_600),
            (Shape::Triangle, 3_800, 4_700),
            (Shape::Star, 2_400, 3_200),
            (Shape::Ring, 5_300, 5_700),
            (Shape::Cross, 4_800, 5_300),
            (Shape::Heart, 4_500, 7_000),
            (Shape::Diamond, 3_500, 3_900),
        ] {
            assert!((from..to).contains(&cover(shape)), "{shape:?}: {}", cover(shape));
        }
    }

    #[test]
    fn a_picture_of_nothing_is_one_pixel() {
        assert_eq!(paint(&Scene::nth(0, 0), 0, 0).dimensions(), (1, 1));
    }
}
