//! The images of a miniature web: each page has a fixed number of slots, and a slot's number says all about its image.

use super::MiniWeb;
use super::draw::{Draw, stratum};
use super::format::{Format, Look};
use super::hostile::Hostile;
use super::site::{Host, Policy};
use super::truth::{Fate, Repeat};
use super::world::{Colour, Scene, Shape};

/// One image: where it is, what it shows and how it answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// The number of the slot: `page * images_per_page + place on the page`.
    pub number: u64,
    /// The host that has the file, often not the host of the page.
    pub host: Host,
    /// The path of the file on that host, query included.
    pub path: String,
    /// What the picture shows.
    pub scene: Scene,
    /// The file's format and size.
    pub look: Look,
    /// How the address is bad, if it is.
    pub hostile: Option<Hostile>,
    /// Whether an earlier slot has the address, the bytes or the picture, and which.
    pub earlier: Option<(Repeat, u64)>,
}

/// Longer sides in pixels with their weights. Large pictures are few, because painting one takes a tenth of a second.
const SIDES: [(u32, f64); 12] = [
    (64, 0.06),
    (96, 0.07),
    (128, 0.10),
    (200, 0.12),
    (256, 0.16),
    (320, 0.16),
    (400, 0.12),
    (512, 0.09),
    (640, 0.07),
    (800, 0.03),
    (1024, 0.015),
    (1600, 0.005),
];

/// Shares of the slots that repeat an earlier one.
const SAME_URL: f64 = 0.05;
const SAME_BYTES: f64 = 0.04;
const SAME_PICTURE: f64 = 0.04;
/// The share of images that stand on another host than their page.
const HOTLINKED: f64 = 0.18;

impl Look {
    fn draw(draw: &mut Draw) -> Self {
        let format = draw.weighted(&Format::SHARES);
        let mut side = draw.weighted(&SIDES);
        if format.is_bulky() {
            // An ICO ends at 256 pixels.
            side = side.min(if format == Format::Ico { 256 } else { 320 });
        }
        let (width, height) = draw.weighted(&[
            ((side, side * 3 / 4), 0.35),
            ((side, side * 2 / 3), 0.2),
            ((side, side), 0.2),
            ((side * 3 / 4, side), 0.14),
            ((side, side * 9 / 16), 0.08),
            // Banners and pixels: what filters on size and aspect are for.
            ((side, side / 16), 0.015),
            ((1, 1), 0.015),
        ]);
        Self { format, width, height, quality: 70 + draw.below(26) as u8 }
    }
}

/// Share of the hearts that are red because this web is as it is, whatever their scene says.
const RED_HEARTS: f64 = 0.5;

/// The scene of a slot. The world draws shapes and colours apart from each other; this web does not: it has more red hearts than
/// there should be. So there is a known association for balancing to remove.
fn biased(seed: u64, n: u64) -> Scene {
    let scene = Scene::nth(seed, n);
    if scene.shape != Shape::Heart || !Draw::new(seed, "red hearts", n).chance(RED_HEARTS) {
        return scene;
    }
    let background = if scene.background == Colour::Red { scene.colour } else { scene.background };
    let background = if background == Colour::Red { Colour::Blue } else { background };
    Scene { colour: Colour::Red, background, ..scene }
}

impl MiniWeb {
    /// How many slots there are: pages × images per page.
    pub fn slots(&self) -> u64 {
        self.config.pages.saturating_mul(u64::from(self.config.images_per_page))
    }

    /// How the address of slot `n` is bad, if it is.
    pub(crate) fn hostile(&self, n: u64) -> Option<Hostile> {
        let block = stratum(self.config.seed, "hostile slots", self.config.hostile, n)?;
        Some(Hostile::ALL[(block % Hostile::ALL.len() as u64) as usize])
    }

    /// The earlier slot that slot `n` repeats. It never repeats another itself, and its address is good.
    fn earlier(&self, n: u64) -> Option<(Repeat, u64)> {
        if n == 0 || self.hostile(n).is_some() {
            return None;
        }
        let mut draw = Draw::new(self.config.seed, "earlier", n);
        let kind = draw.weighted(&[
            (None, 1.0 - SAME_URL - SAME_BYTES - SAME_PICTURE),
            (Some(Repeat::SameUrl), SAME_URL),
            (Some(Repeat::SameBytes), SAME_BYTES),
            (Some(Repeat::SamePicture), SAME_PICTURE),
        ])?;
        let origin = draw.below(n);
        let is_free = self.hostile(origin).is_none() && self.earlier(origin).is_none();
        is_free.then_some((kind, origin))
    }

    /// The slot number `n`.
    pub fn slot(&self, n: u64) -> Slot {
        let earlier = self.earlier(n);
        if let Some((Repeat::SameUrl, origin)) = earlier {
            return Slot { number: n, earlier, ..self.slot(origin) };
        }
        let seed = self.config.seed;
        let mut draw = Draw::new(seed, "slot", n);
        let hostile = self.hostile(n);

        let page_host = self.page_host(n / u64::from(self.config.images_per_page.max(1)));
        let mut host = if draw.chance(HOTLINKED) { self.host(draw.below(self.hosts() - 1)) } else { page_host };
        if hostile.is_some() && !matches!(host.policy, Policy::Plain | Policy::Slow) {
            // A host that refuses would hide what the endpoint does.
            host = self.host(0);
        }
        if hostile == Some(Hostile::StallingHost) {
            host = self.host(self.hosts() - 1);
        }

        let mut scene = biased(seed, n);
        let mut look = Look::draw(&mut draw);
        match (hostile, earlier) {
            (Some(_), _) => {
                let side = draw.weighted(&[(256, 1.0), (320, 1.0), (400, 1.0)]);
                look = Look { format: Format::Jpeg, width: side, height: side * 3 / 4, quality: 85 };
            }
            (None, Some((repeat, origin))) => {
                let origin = self.slot(origin);
                scene = origin.scene;
                if repeat == Repeat::SameBytes {
                    look = origin.look;
                }
            }
            (None, None) => {}
        }

        let private = if host.policy == Policy::RobotsPrivate { 0.5 } else { 0.04 };
        let folder = if draw.chance(private) {
            "/private"
        } else {
            draw.weighted(&[("/img", 0.5), ("/photos/2024", 0.2), ("/media/cache", 0.2), ("", 0.1)])
        };
        let name = draw.weighted(&[("", 0.6), ("photo-", 0.2), ("IMG_", 0.2)]);
        let query = if draw.chance(0.05) { "?v=3" } else { "" };
        let path = format!("{folder}/{name}{n}.{}{query}", look.format.extension());
        Slot { number: n, host, path, scene, look, hostile, earlier }
    }

    /// The slot whose file has this path, query ignored; none where no slot has it.
    pub(crate) fn slot_at(&self, host: u64, path: &str) -> Option<Slot> {
        let plain = without_query(path);
        let slot = self.slot(self.slot_number(plain)?);
        // The number of a repeated address is that of the slot that has it first, so `slot.number` is the number asked for.
        (slot.host.index == host && without_query(&slot.path) == plain && !slot.has_borrowed_url()).then_some(slot)
    }

    /// The number in a file's name: the digits before its dot.
    pub(crate) fn slot_number(&self, path: &str) -> Option<u64> {
        let stem = without_query(path).rsplit('/').next()?.rsplit_once('.')?.0;
        let digits = stem.trim_start_matches(|c: char| !c.is_ascii_digit());
        digits.parse().ok().filter(|n| *n < self.slots())
    }

    /// The address of a slot's file. Slots whose link itself is bad have no file; see [`MiniWeb::slot_link`].
    pub fn slot_url(&self, slot: &Slot) -> String {
        format!("{}{}", self.origin(slot.host), slot.path)
    }

    /// What a page links to for this slot: the address of its file, or a bad link, which may be no address at all.
    pub fn slot_link(&self, slot: &Slot) -> String {
        slot.hostile.and_then(|hostile| hostile.link(slot.number)).unwrap_or_else(|| self.slot_url(slot))
    }

    /// `http://h007.miniweb.test:8080`, without a slash; the port is left out when it is 80.
    pub fn origin(&self, host: Host) -> String {
        match self.config.port {
            80 => format!("http://{}", host.name()),
            port => format!("http://{}:{port}", host.name()),
        }
    }

    /// How the fetch of a slot's address should end, whatever the page that links to it says.
    pub fn slot_fate(&self, slot: &Slot) -> Fate {
        match slot.hostile {
            Some(hostile) => hostile.fate(),
            None => slot.host.policy.refuses(&slot.path).unwrap_or(match slot.look.format {
                Format::Svg => Fate::NotAnImage,
                _ => Fate::Ok,
            }),
        }
    }
}

impl Slot {
    /// Whether the address belongs to an earlier slot.
    pub(crate) fn has_borrowed_url(&self) -> bool {
        matches!(self.earlier, Some((Repeat::SameUrl, _)))
    }
}

fn without_query(path: &str) -> &str {
    path.split(['?', '#']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::super::MiniWebConfig;
    use super::*;
    use std::collections::HashMap;

    fn web() -> MiniWeb {
        MiniWeb::new(MiniWebConfig { pages: 400, hostile: 0.1, refusing: 0.3, slow: 0.1, ..MiniWebConfig::default() })
    }

    #[test]
    fn a_slot_does_not_depend_on_what_was_asked_before() {
        let (there, back) = (web(), web());
        let forwards: Vec<Slot> = (0..200).map(|n| there.slot(n)).collect();
        let mut backwards: Vec<Slot> = (0..200).rev().map(|n| back.slot(n)).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
    }

    #[test]
    fn a_slot_is_found_by_its_address_and_by_no_other() {
        let web = web();
        for n in 0..web.slots() {
            let slot = web.slot(n);
            let found = web.slot_at(slot.host.index, &slot.path).expect("every path leads back");
            assert_eq!(web.slot_url(&found), web.slot_url(&slot));
            assert_eq!(web.slot_at(slot.host.index + 1, &slot.path), None);
            assert_eq!(web.slot_at(slot.host.index, &format!("/x{}", slot.path)), None);
        }
    }

    #[test]
    fn repeats_come_by_their_shares_and_show_the_earlier_picture() {
        let web = web();
        let mut counts: HashMap<Repeat, f64> = HashMap::new();
        for n in 0..web.slots() {
            let slot = web.slot(n);
            if let Some((repeat, origin)) = slot.earlier {
                assert!(origin < n);
                let origin = web.slot(origin);
                assert_eq!(origin.earlier, None);
                assert_eq!(slot.scene, origin.scene);
                assert_eq!(repeat == Repeat::SameUrl, web.slot_url(&slot) == web.slot_url(&origin));
                assert!(repeat != Repeat::SameBytes || slot.look == origin.look);
                *counts.entry(repeat).or_default() += 1.0 / web.slots() as f64;
            }
        }
        for (repeat, share) in counts {
            assert!((0.02..0.06).contains(&share), "{repeat:?} {share}");
        }
    }

    #[test]
    fn every_kind_of_bad_address_comes_up_and_none_hides_behind_a_refusing_host() {
        let web = web();
        for kind in Hostile::ALL {
            let slot = (0..web.slots()).map(|n| web.slot(n)).find(|slot| slot.hostile == Some(kind));
            let slot = slot.unwrap_or_else(|| panic!("no slot is {kind:?}"));
            assert_eq!(web.slot_fate(&slot), kind.fate());
        }
    }
}
